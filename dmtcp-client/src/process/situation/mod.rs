//! What this host tells of one process: state, threads, where they wait, what it has open.
//!
//! Only a look: nothing is sent to the process, and it is not stopped. What may not be read is said
//! in [`Situation::unseen`], never guessed. Which process it is, and whether it is the worker that
//! somebody claims it to be, is the caller's question ([`Identity`]).

mod open_files;
mod syscall;
mod thread;

use std::{
    fmt, fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::mpsc,
    time::Duration,
};

use serde::{Deserialize, Serialize};

pub use open_files::{Connection, OpenImage};
pub use thread::{Syscall, ThreadSituation};

use super::{Identity, ProcessError, is_gone};
use open_files::OpenFiles;
use thread::read_at_most;

/// What this host told of one process at one moment.
///
/// `Display` is one line; `{:#}` adds a line for each thread.
///
/// ```
/// use dmtcp_client::process::Situation;
/// let pid = i32::try_from(std::process::id())?;
/// let situation = Situation::of(pid)?.expect("this process runs");
/// println!("{situation:#}");
/// assert!(situation.thread_count >= 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Situation {
    /// Its number on this host.
    pub pid: i32,
    /// Its name, 15 bytes at most.
    pub command: String,
    /// What its first thread is doing.
    pub state: ProcessState,
    /// Who traces it, mostly a debugger.
    pub tracer: Option<Tracer>,
    /// How many threads it has.
    pub thread_count: usize,
    /// The first 64 of them, the first thread first.
    pub threads: Vec<ThreadSituation>,
    /// How many files it has open; `None`: this may not be read.
    pub open_files: Option<usize>,
    /// Checkpoint images among them, and among those of its compressor.
    pub images: Vec<OpenImage>,
    /// A `gzip` that it has started and that runs: DMTCP writes compressed images through one.
    pub compressor: Option<i32>,
    /// Its connection to the coordinator; `None`: there is none, or it was not asked for.
    pub coordinator: Option<Connection>,
    /// What may not be read, and why, in words.
    pub unseen: Vec<String>,
}

/// What a process or thread is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ProcessState {
    /// It runs, or waits for a processor.
    Running,
    /// It waits, and a signal would wake it.
    Sleeping,
    /// It waits for a device or file system, or as the parent of a `vfork`; no signal reaches it.
    Uninterruptible,
    /// A signal stopped it; SIGCONT lets it go on.
    Stopped,
    /// Whoever traces it stopped it.
    Traced,
    /// It has ended.
    Ended,
    /// A letter of the kernel's that has no name here.
    Other(char),
}

/// Who traces a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Tracer {
    /// Its number.
    pub pid: i32,
    /// Its name; empty: it may not be read.
    pub command: String,
}

impl Situation {
    /// How long a look takes at most: reading about a process that is in the middle of an exec from
    /// a hung file system can block.
    pub const LIMIT: Duration = Duration::from_secs(2);

    /// What this host tells of the process that has this number now; `None`: there is none, or it
    /// ended meanwhile.
    ///
    /// # Errors
    /// [`ProcessError::InvalidPid`] below 2; [`ProcessError::TimedOut`] when the system did not
    /// answer within [`LIMIT`](Self::LIMIT); and when `/proc` cannot be read.
    pub fn of(pid: i32) -> Result<Option<Self>, ProcessError> {
        match Identity::of(pid)? {
            Some(process) => Self::of_process(process, None),
            None => Ok(None),
        }
    }

    /// The same of this very process, and of its connection to the coordinator that listens on the
    /// port of this address.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub fn of_process(
        process: Identity,
        coordinator: Option<SocketAddr>,
    ) -> Result<Option<Self>, ProcessError> {
        let (sender, receiver) = mpsc::channel();
        let look = move || {
            // Nobody listens any more after the limit.
            let _ = sender.send(Self::look(process, coordinator));
        };
        std::thread::Builder::new()
            .name("situation".to_owned())
            .spawn(look)
            .map_err(|source| ProcessError::Proc {
                path: folder_of(process.pid()),
                source,
            })?;
        receiver.recv_timeout(Self::LIMIT).unwrap_or_else(|_| {
            Err(ProcessError::TimedOut {
                pid: process.pid(),
                limit: Self::LIMIT,
            })
        })
    }

    /// Notes what has changed since an earlier look at the same process: how much its images grew.
    /// One that was not there before has grown by all of it.
    pub fn compare(&mut self, earlier: &Self) {
        for image in &mut self.images {
            let before = earlier.images.iter().find(|other| other.path == image.path);
            let before = before.map_or(0, |other| other.position);
            image.grown = Some(image.position.saturating_sub(before));
        }
    }

    /// Whether an image that it has open grew since the look that this one was
    /// [compared](Self::compare) with.
    #[must_use]
    pub fn is_writing(&self) -> bool {
        let grew = |image: &OpenImage| image.grown.is_some_and(|bytes| bytes > 0);
        self.images.iter().any(grew)
    }

    /// The thread that waits for the coordinator: DMTCP's checkpoint thread, when it has nothing
    /// else to do.
    #[must_use]
    pub fn checkpoint_thread(&self) -> Option<&ThreadSituation> {
        let tid = self.coordinator.as_ref()?.read_by?;
        self.threads.iter().find(|thread| thread.tid == tid)
    }

    fn look(
        process: Identity,
        coordinator: Option<SocketAddr>,
    ) -> Result<Option<Self>, ProcessError> {
        let pid = process.pid();
        let folder = folder_of(pid);
        let mut unseen = Unseen::default();
        let (thread_count, threads) = threads(&folder, pid, &mut unseen)?;
        let files = OpenFiles::of(&folder, coordinator, &mut unseen);
        let compressor = compressor(&folder, &threads);
        let mut images = files.images;
        if let Some(compressor) = compressor {
            let of_it = OpenFiles::of(&folder_of(compressor), None, &mut unseen);
            images.extend(of_it.images);
        }
        images.sort_by(|a, b| (&a.path, b.position).cmp(&(&b.path, a.position)));
        images.dedup_by(|a, b| a.path == b.path);
        let connection = connection(&files.connections, &threads);
        let tracer = tracer(&folder, &mut unseen);
        // All of it is of this very process only if that is still there.
        let Some(first) = threads.first().filter(|first| first.tid == pid) else {
            return Ok(None);
        };
        if !process.is_alive()? {
            return Ok(None);
        }
        Ok(Some(Self {
            pid,
            command: first.name.clone(),
            state: first.state,
            tracer,
            thread_count,
            open_files: files.count,
            images,
            compressor,
            coordinator: connection,
            unseen: unseen.0,
            threads,
        }))
    }
}

fn folder_of(pid: i32) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}"))
}

/// How many there are, and those that are looked at.
fn threads(
    folder: &Path,
    pid: i32,
    unseen: &mut Unseen,
) -> Result<(usize, Vec<ThreadSituation>), ProcessError> {
    let path = folder.join("task");
    let entries = match fs::read_dir(&path) {
        Ok(entries) => entries,
        Err(error) if is_gone(&error) => return Ok((0, Vec::new())),
        Err(source) => return Err(ProcessError::Proc { path, source }),
    };
    let number = |entry: fs::DirEntry| entry.file_name().to_str()?.parse::<i32>().ok();
    let mut tids: Vec<i32> = entries.flatten().filter_map(number).collect();
    tids.sort_unstable_by_key(|&tid| (tid != pid, tid));
    let count = tids.len();
    tids.truncate(MAX_THREADS);
    let read = |tid: i32| ThreadSituation::read(&path.join(tid.to_string()), tid, unseen);
    Ok((count, tids.into_iter().filter_map(read).collect()))
}

/// A compressor among the children of any of its threads. Kernels without lists of children have
/// none.
fn compressor(folder: &Path, threads: &[ThreadSituation]) -> Option<i32> {
    threads.iter().find_map(|thread| {
        let children = read_at_most(&folder.join(format!("task/{}/children", thread.tid))).ok()?;
        let mut pids = children.split_ascii_whitespace();
        pids.find_map(|text| {
            let pid = text.parse().ok()?;
            let name = read_at_most(&folder_of(pid).join("comm")).ok()?;
            matches!(name.trim_end(), "gzip" | "pigz").then_some(pid)
        })
    })
}

fn connection(found: &[(u64, u64)], threads: &[ThreadSituation]) -> Option<Connection> {
    let reader = |descriptor: u64| {
        let reads = |thread: &&ThreadSituation| {
            let call = thread.syscall.as_ref();
            call.and_then(|call| call.reads_from) == Some(descriptor)
        };
        threads.iter().find(reads).map(|thread| thread.tid)
    };
    let connections = found.iter().map(|&(descriptor, unread)| Connection {
        unread,
        read_by: reader(descriptor),
    });
    // Side channels of user threads are connections to the same port.
    connections.max_by_key(|connection| (connection.read_by.is_some(), connection.unread))
}

fn tracer(folder: &Path, unseen: &mut Unseen) -> Option<Tracer> {
    let status = match read_at_most(&folder.join("status")) {
        Ok(status) => status,
        Err(error) => {
            if !is_gone(&error) {
                unseen.note("its tracer", &error);
            }
            return None;
        }
    };
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("TracerPid:"))?;
    let pid = line.trim().parse().ok().filter(|&pid| pid > 0)?;
    let command = read_at_most(&folder_of(pid).join("comm")).unwrap_or_default();
    Some(Tracer {
        pid,
        command: command.trim_end().to_owned(),
    })
}

impl ProcessState {
    fn of(letter: char) -> Self {
        match letter {
            'R' => Self::Running,
            // Idle kernel threads and parked ones sleep too, but are nobody's worker.
            'S' => Self::Sleeping,
            'D' => Self::Uninterruptible,
            'T' => Self::Stopped,
            't' => Self::Traced,
            'Z' | 'X' | 'x' => Self::Ended,
            letter => Self::Other(letter),
        }
    }
}

impl fmt::Display for ProcessState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running => "running",
            Self::Sleeping => "sleeping",
            Self::Uninterruptible => "in uninterruptible sleep",
            Self::Stopped => "stopped by a signal",
            Self::Traced => "stopped by its tracer",
            Self::Ended => "ended",
            Self::Other(letter) => return write!(f, "in state {letter}"),
        })
    }
}

impl fmt::Display for ThreadSituation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.state)?;
        let waits = !matches!(self.state, ProcessState::Running | ProcessState::Stopped);
        match (&self.syscall, &self.wait_channel) {
            (Some(call), _) if waits => write!(f, " in {call}"),
            (None, Some(channel)) if waits => write!(f, " in the kernel's {channel}"),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Situation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.threads.first() {
            Some(first) => write!(f, "{first}")?,
            None => write!(f, "{}", self.state)?,
        }
        if self.state == ProcessState::Stopped {
            write!(f, ": `kill -CONT {}` lets it go on", self.pid)?;
        }
        if let Some(tracer) = &self.tracer {
            write!(f, ", traced by {} (pid {})", tracer.command, tracer.pid)?;
        }
        let others = self.threads.iter().skip(1);
        let stuck = others.filter(|thread| thread.state == ProcessState::Uninterruptible);
        match stuck.count() {
            0 => {}
            count => write!(f, ", {count} more threads in uninterruptible sleep")?,
        }
        for image in &self.images {
            let name = image.path.file_name().unwrap_or(image.path.as_os_str());
            let name = name.to_string_lossy();
            write!(f, "; at byte {} of {name}", image.position)?;
            match image.grown {
                None => {}
                Some(0) => f.write_str(", not growing")?,
                Some(bytes) => write!(f, ", {bytes} more than before")?,
            }
        }
        if let Some(pid) = self.compressor {
            write!(f, "; compressed by pid {pid}")?;
        }
        match &self.coordinator {
            Some(Connection { unread, .. }) if *unread > 0 => {
                write!(f, "; it has not read {unread} bytes from the coordinator")?;
            }
            Some(Connection {
                read_by: Some(_), ..
            }) => {
                f.write_str("; its checkpoint thread waits for the coordinator")?;
            }
            Some(_) => f.write_str("; its checkpoint thread has not answered")?,
            None => {}
        }
        if !self.unseen.is_empty() {
            write!(f, "; not seen: {}", self.unseen.join(", "))?;
        }
        if f.alternate() {
            self.list_threads(f)?;
        }
        Ok(())
    }
}

impl Situation {
    fn list_threads(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for thread in &self.threads {
            write!(f, "\n  thread {} ({}) {thread}", thread.tid, thread.name)?;
            if Some(thread.tid) == self.coordinator.as_ref().and_then(|at| at.read_by) {
                f.write_str(", waiting for the coordinator")?;
            }
            if !thread.stack.is_empty() {
                write!(f, ": {}", thread.stack.join(" < "))?;
            }
        }
        match self.thread_count.saturating_sub(self.threads.len()) {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more threads"),
        }
    }
}

/// What may not be read; each kind of thing once.
#[derive(Debug, Default)]
struct Unseen(Vec<String>);

impl Unseen {
    fn note(&mut self, what: &str, error: &io::Error) {
        if !self.0.iter().any(|text| text.starts_with(what)) {
            self.0.push(format!("{what} ({})", error.kind()));
        }
    }
}

const MAX_THREADS: usize = 64;

#[cfg(test)]
mod tests;
