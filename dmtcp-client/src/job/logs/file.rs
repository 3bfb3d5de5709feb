//! A file to which lines are added, readable by its owner only.

use std::{
    fs::{File, OpenOptions, Permissions},
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use nix::{errno::Errno, fcntl::OFlag};

use super::LogError;
use crate::standalone::utc_millis;

/// Opens or makes it; what is there stays, with a mode of 0600 from now on.
pub(super) fn open(path: &Path) -> Result<File, LogError> {
    let not_a_file = || LogError::NotAFile {
        path: path.to_owned(),
    };
    let failed = |source: io::Error| match source.raw_os_error().map(Errno::from_raw) {
        // A link; a FIFO that nobody reads.
        Some(Errno::ELOOP | Errno::ENXIO) => not_a_file(),
        _ => LogError::Open {
            path: path.to_owned(),
            source,
        },
    };
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(OWNER_ONLY)
        .custom_flags(flags.bits())
        .open(path)
        .map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(not_a_file());
    }
    if metadata.permissions().mode() & 0o777 != OWNER_ONLY {
        file.set_permissions(Permissions::from_mode(OWNER_ONLY))
            .map_err(failed)?;
    }
    Ok(file)
}

/// A log of lines, each with its time and written in one piece, so that several processes can add to
/// it.
#[derive(Debug)]
pub(super) struct LineLog {
    path: PathBuf,
    file: File,
    trouble: Mutex<Trouble>,
}

#[derive(Debug, Default)]
enum Trouble {
    #[default]
    None,
    Untold(io::Error),
    Told,
}

impl LineLog {
    pub(super) fn open(path: &Path) -> Result<Self, LogError> {
        Ok(Self {
            path: path.to_owned(),
            file: open(path)?,
            trouble: Mutex::default(),
        })
    }

    /// Adds a line; whatever text holds stays within it.
    pub(super) fn add(&self, time: SystemTime, text: &str) {
        let mut line = utc_millis(time);
        line.push(' ');
        for character in text.chars() {
            if character.is_control() {
                line.extend(character.escape_default());
            } else {
                line.push(character);
            }
            if line.len() > LONGEST_LINE {
                line.push('…');
                break;
            }
        }
        line.push('\n');
        self.note(write_line(&self.file, line.as_bytes()));
    }

    pub(super) fn sync(&self) {
        self.note(self.file.sync_data());
    }

    /// The first failure since the log was written last; told once.
    pub(super) fn trouble(&self) -> Option<LogError> {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *trouble, Trouble::Told) {
            Trouble::Untold(source) => Some(LogError::Write {
                path: self.path.clone(),
                source,
            }),
            other => {
                *trouble = other;
                None
            }
        }
    }

    fn note(&self, done: io::Result<()>) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        match (done, &*trouble) {
            (Err(error), Trouble::None) => *trouble = Trouble::Untold(error),
            (Ok(()), Trouble::Told) => *trouble = Trouble::None,
            _ => {}
        }
    }
}

/// In one call where the system takes it, as it does unless the disk is full.
fn write_line(mut file: &File, line: &[u8]) -> io::Result<()> {
    file.write_all(line)
}

const OWNER_ONLY: u32 = 0o600;
/// Bytes; enough for whatever is known of a stall.
const LONGEST_LINE: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink, time::UNIX_EPOCH};

    use nix::{sys::stat::Mode, unistd::mkfifo};

    use super::*;

    #[test]
    fn lines_are_whole_added_and_for_the_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        fs::write(&path, "before\n").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let (log, other) = (LineLog::open(&path).unwrap(), LineLog::open(&path).unwrap());
        log.add(UNIX_EPOCH, "a\nb\x1b[2J");
        other.add(UNIX_EPOCH, &"é".repeat(LONGEST_LINE));
        log.sync();
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(
            lines[..2],
            ["before", r"1970-01-01T00:00:00.000Z a\nb\u{1b}[2J"]
        );
        assert!(lines[2].ends_with('…') && lines[2].len() < LONGEST_LINE + 16);
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert!(log.trouble().is_none());
    }

    #[test]
    fn what_has_its_name_and_is_no_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        symlink(path("elsewhere"), path("link")).unwrap();
        mkfifo(&path("fifo"), Mode::S_IRWXU).unwrap();
        for name in ["link", "fifo"] {
            let refused = open(&path(name));
            assert!(matches!(refused, Err(LogError::NotAFile { .. })), "{name}");
        }
        assert!(!path("elsewhere").exists());
        assert!(matches!(open(dir.path()), Err(LogError::Open { .. })));
    }

    #[test]
    fn a_full_disk_is_told_once() {
        if !Path::new("/dev/full").exists() {
            println!("SKIPPED: no /dev/full");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let mut log = LineLog::open(&dir.path().join("log")).unwrap();
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let good = std::mem::replace(&mut log.file, full);
        log.add(UNIX_EPOCH, "a");
        log.add(UNIX_EPOCH, "b");
        assert!(matches!(log.trouble(), Some(LogError::Write { .. })));
        log.add(UNIX_EPOCH, "c");
        assert!(log.trouble().is_none());
        let full = std::mem::replace(&mut log.file, good);
        log.add(UNIX_EPOCH, "d");
        log.file = full;
        log.add(UNIX_EPOCH, "e");
        assert!(log.trouble().is_some());
    }
}
