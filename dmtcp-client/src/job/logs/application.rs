//! `application.log`: the program's output, as it came.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::Duration,
};

use super::{
    LastWords, LogError, file,
    outlet::{Outlet, Policy},
    pipe::{self, Ending},
};
use crate::deadline::Deadline;

/// One of a program's two streams of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "there is no third one")]
pub enum Channel {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Reads what a program writes, adds it to a file, and shows it elsewhere, byte for byte, on threads
/// of its own.
///
/// - Both streams go to the one file, in the order in which they are read. Nothing of it is kept back
///   until a line is whole.
/// - The program goes on while disk or terminal are slow: 8 MiB for the file and 1 MiB for each stream
///   that is shown are kept in memory. Behind that it waits as it would if it wrote itself, but
///   for each 64 KiB not longer than 10 s for the file and 5 s for what is shown. Then output is left
///   out, there only, until half of that memory is free again; a line in its place says how
///   many bytes are missing. A terminal that was halted so costs the log nothing.
/// - A write that fails is tried again, twice a second, until it succeeds: a full disk may have room
///   later. [`trouble`](Self::trouble) says so. What cannot be shown since nobody reads it is no trouble.
/// - The reading ends of the pipes are read until all who could write have gone: also those that the
///   program left behind. [`finish`](Self::finish) does not wait for these beyond its limit, but takes
///   all that had come until then.
///
/// What a program had written behind its last checkpoint it writes once more after a restart: the
/// log has both.
#[derive(Debug)]
pub struct ApplicationLog {
    path: PathBuf,
    file: Arc<Outlet>,
    shown: [Option<Arc<Outlet>>; 2],
    last_words: Arc<LastWords>,
    ending: Ending,
    readers: Mutex<Readers>,
}

/// Each reader drops its sender when it ends.
#[derive(Debug)]
struct Readers {
    sender: Sender<Never>,
    all_ended: Receiver<Never>,
    trouble: Arc<Mutex<Option<io::Error>>>,
}

#[derive(Debug)]
enum Never {}

/// What has become of a program's output.
#[derive(Debug)]
#[non_exhaustive]
pub struct Written {
    /// Bytes that were added to the log.
    pub bytes: u64,
    /// Bytes that are missing in it: the disk was full or too slow.
    pub lost: u64,
    /// Bytes that were not shown.
    pub not_shown: u64,
    /// Whether all who could write had gone: if not, a process that the program left behind may still
    /// write, and nobody reads it.
    pub complete: bool,
    /// Why bytes are missing, unless it was told before.
    pub trouble: Option<LogError>,
}

impl ApplicationLog {
    /// Name of the file in the state directory.
    pub const FILE_NAME: &str = "application.log";

    /// The log in this file, which is made if it is not there, readable by its owner only. What is in it
    /// stays.
    ///
    /// # Errors
    ///
    /// [`LogError::Open`], [`LogError::NotAFile`], [`LogError::Read`].
    pub fn open(path: &Path) -> Result<Self, LogError> {
        let target = file::open(path)?;
        let failed = |source| LogError::Read { source };
        let room = (FILE_ROOM, FILE_PATIENCE);
        let sync = File::sync_data;
        let file = Outlet::start("application.log", Policy::Keep, room, target, sync);
        let (sender, all_ended) = mpsc::channel();
        Ok(Self {
            path: path.to_owned(),
            file: Arc::new(file.map_err(failed)?),
            shown: [None, None],
            last_words: Arc::default(),
            ending: Ending::new().map_err(failed)?,
            readers: Mutex::new(Readers {
                sender,
                all_ended,
                trouble: Arc::default(),
            }),
        })
    }

    /// Shows one of the streams there, too, from the next [`pipe`](Self::pipe) on. Default: neither.
    ///
    /// # Errors
    ///
    /// [`LogError::Read`] when there is no thread.
    pub fn show(
        mut self,
        channel: Channel,
        target: impl Write + Send + 'static,
    ) -> Result<Self, LogError> {
        let (name, shown) = match (channel, &mut self.shown) {
            (Channel::Stdout, [shown, _]) => ("standard output", shown),
            (Channel::Stderr, [_, shown]) => ("standard error", shown),
        };
        let room = (SHOWN_ROOM, SHOWN_PATIENCE);
        let outlet = Outlet::start(name, Policy::Show, room, target, |_| Ok(()));
        *shown = Some(Arc::new(
            outlet.map_err(|source| LogError::Read { source })?,
        ));
        Ok(self)
    }

    /// A pipe of which the other end is read from now on: what a child gets as that stream. Several
    /// children can have one each, or a duplicate of one.
    ///
    /// It is closed at exec unless it is given as a standard stream. Who keeps it open keeps
    /// [`finish`](Self::finish) waiting.
    ///
    /// # Errors
    ///
    /// [`LogError::Read`].
    pub fn pipe(&self, channel: Channel) -> Result<OwnedFd, LogError> {
        let (read, write) = pipe::new().map_err(|source| LogError::Read { source })?;
        self.read_from(read, channel)?;
        Ok(write)
    }

    /// Reads this end of a pipe from now on: one of a child that was started with a pipe of its own.
    ///
    /// # Errors
    ///
    /// [`LogError::Read`] when there is no thread; the end is closed then.
    pub fn read_from(&self, pipe: impl Into<OwnedFd>, channel: Channel) -> Result<(), LogError> {
        let pipe = pipe.into();
        let file = Arc::clone(&self.file);
        let [stdout, stderr] = &self.shown;
        let shown = match channel {
            Channel::Stdout => stdout.clone(),
            Channel::Stderr => stderr.clone(),
        };
        let last_words = Arc::clone(&self.last_words);
        let ending = self.ending.watch();
        let readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let (sender, trouble) = (readers.sender.clone(), Arc::clone(&readers.trouble));
        let read = move || {
            let read = pipe::read_all(pipe, &ending, |bytes| {
                last_words.put(bytes);
                file.put(bytes);
                if let Some(shown) = &shown {
                    shown.put(bytes);
                }
            });
            if let Err(error) = read {
                let mut trouble = trouble.lock().unwrap_or_else(PoisonError::into_inner);
                trouble.get_or_insert(error);
            }
            // Before it is told that this one has ended, which ends them.
            drop((file, shown));
            drop(sender);
        };
        thread::Builder::new()
            .name("output".to_owned())
            .spawn(read)
            .map_err(|source| LogError::Read { source })?;
        Ok(())
    }

    pub(in crate::job) fn last_words(&self) -> &LastWords {
        &self.last_words
    }

    /// Why the log is not written or not read for; `None` if it is, or this was told since it last
    /// was.
    #[must_use]
    pub fn trouble(&self) -> Option<LogError> {
        let readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(source) = take(&readers.trouble) {
            return Some(LogError::Read { source });
        }
        let source = self.file.trouble()?;
        Some(LogError::Write {
            path: self.path.clone(),
            source,
        })
    }

    /// Waits until all who can write have gone and all they have written is on the disk and shown,
    /// not longer than `limit` for each of the two.
    #[must_use]
    pub fn finish(self, limit: Duration) -> Written {
        let Self {
            path,
            file,
            shown,
            ending,
            readers,
            ..
        } = self;
        let Readers {
            sender,
            all_ended,
            trouble,
        } = readers.into_inner().unwrap_or_else(PoisonError::into_inner);
        drop(sender);
        let complete = has_ended(&all_ended, limit);
        drop(ending);
        // They only take what is there.
        let _ = complete || has_ended(&all_ended, limit.max(DRAIN));
        let end = Deadline::after(limit);
        let report = file.finish(end.left());
        let not_shown = shown.iter().flatten().map(|shown| {
            let limit = end.left().min(SHOWN_PATIENCE);
            shown.finish(limit).lost
        });
        let not_shown = not_shown.sum();
        let unread = take(&trouble).map(|source| LogError::Read { source });
        let unwritten = report
            .trouble
            .map(|source| LogError::Write { path, source });
        Written {
            bytes: report.written,
            lost: report.lost,
            not_shown,
            complete,
            trouble: unread.or(unwritten),
        }
    }
}

fn take(trouble: &Mutex<Option<io::Error>>) -> Option<io::Error> {
    trouble
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take()
}

fn has_ended(readers: &Receiver<Never>, limit: Duration) -> bool {
    readers.recv_timeout(limit).err() == Some(mpsc::RecvTimeoutError::Disconnected)
}

const FILE_ROOM: usize = 8 << 20;
const FILE_PATIENCE: Duration = Duration::from_secs(10);
const SHOWN_ROOM: usize = 1 << 20;
const SHOWN_PATIENCE: Duration = Duration::from_secs(5);
/// What is in the pipes is in memory soon, or left out for a slow disk.
const DRAIN: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use std::{fs, io::Read as _, os::unix::fs::MetadataExt as _, time::Instant};

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    /// Where the test sees what is shown.
    #[derive(Clone, Default)]
    struct Screen(Arc<Mutex<Vec<u8>>>);

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn all_of_several_programs_is_kept_and_shown_apart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("application.log");
        let (out, err) = (Screen::default(), Screen::default());
        for _ in 0..2 {
            let log = ApplicationLog::open(&path).unwrap();
            let log = log.show(Channel::Stdout, out.clone()).unwrap();
            let log = log.show(Channel::Stderr, err.clone()).unwrap();
            let writers: Vec<_> = [(Channel::Stdout, b'o'), (Channel::Stderr, b'e')]
                .map(|(channel, byte)| {
                    let mut pipe = File::from(log.pipe(channel).unwrap());
                    thread::spawn(move || pipe.write_all(&vec![byte; 3_000_000]).unwrap())
                })
                .into();
            for writer in writers {
                writer.join().unwrap();
            }
            let written = log.finish(LONG);
            assert!(written.complete && written.trouble.is_none(), "{written:?}");
            assert_eq!(
                (written.bytes, written.lost, written.not_shown),
                (6_000_000, 0, 0)
            );
        }
        let kept = fs::read(&path).unwrap();
        assert_eq!(kept.len(), 12_000_000);
        assert_eq!(kept.iter().filter(|byte| **byte == b'o').count(), 6_000_000);
        assert_eq!(*out.0.lock().unwrap(), vec![b'o'; 6_000_000]);
        assert_eq!(*err.0.lock().unwrap(), vec![b'e'; 6_000_000]);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_is_left_behind_is_not_waited_for_and_what_it_had_written_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("application.log");
        let log = ApplicationLog::open(&path).unwrap();
        let mut left = File::from(log.pipe(Channel::Stdout).unwrap());
        left.write_all(b"last words").unwrap();
        let written = log.finish(Duration::from_millis(50));
        assert!(!written.complete);
        assert_eq!((written.bytes, written.lost), (10, 0));
        assert_eq!(fs::read(&path).unwrap(), b"last words");
        // As for any program whose reader has gone.
        assert!(left.write_all(b"x").is_err());
    }

    #[test]
    fn one_that_never_stops_writing_does_not_keep_it_from_ending() {
        let dir = tempfile::tempdir().unwrap();
        let log = ApplicationLog::open(&dir.path().join("log")).unwrap();
        let mut pipe = File::from(log.pipe(Channel::Stderr).unwrap());
        let writer = thread::spawn(move || while pipe.write_all(&[b'x'; 4096]).is_ok() {});
        let written = log.finish(Duration::from_millis(50));
        assert!(!written.complete && written.bytes > 0, "{written:?}");
        writer.join().unwrap();
    }

    /// A terminal that was halted is a pipe that nobody reads.
    #[test]
    fn a_halted_terminal_costs_the_log_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let (halted, terminal) = pipe::new().unwrap();
        let log = ApplicationLog::open(&path).unwrap();
        let log = log.show(Channel::Stdout, File::from(terminal)).unwrap();
        let mut pipe = File::from(log.pipe(Channel::Stdout).unwrap());
        let start = Instant::now();
        let writer = thread::spawn(move || pipe.write_all(&vec![b'x'; 4 << 20]).unwrap());
        writer.join().unwrap();
        // It waits once.
        assert!(start.elapsed() >= SHOWN_PATIENCE, "{:?}", start.elapsed());
        let written = log.finish(Duration::from_millis(100));
        assert_eq!((written.bytes, written.lost), (4 << 20, 0));
        assert!(written.not_shown > 2 << 20, "{written:?}");
        drop(halted);
        let mut kept = Vec::new();
        File::open(path).unwrap().read_to_end(&mut kept).unwrap();
        assert_eq!(kept, vec![b'x'; 4 << 20]);
    }
}
