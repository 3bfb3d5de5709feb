//! The private `DMTCP_TMPDIR` of one computation.

use std::{
    env, fs, io,
    os::unix::{ffi::OsStrExt, fs::DirBuilderExt as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use super::ProcessError;

/// A private directory for what DMTCP keeps outside its images, made 0700 and **removed with
/// all it holds on drop**.
///
/// DMTCP makes `<dir>/dmtcp-<user>@<host>/` in it, for the shared-area file of each run (about
/// 2.3 MB, removed by a stock coordinator when the last worker leaves and by nobody else) and
/// for log files. One directory for each computation keeps these apart, makes them removable
/// at once, and marks the processes: see [`members`](super::members). All processes of a
/// computation need the same one; a restart may use another.
///
/// DMTCP keeps the path in a field of `PATH_MAX` bytes and adds names of its own, so it can be
/// [`MAX_LEN`](Self::MAX_LEN) bytes long. DMTCP puts no Unix socket into it (its own ones have
/// abstract names), so the 107 bytes of a socket path do not matter.
///
/// End the processes first: one that still runs keeps its open files, but its next fork or
/// exec fails without the directory.
#[derive(Debug)]
pub struct ComputationTmp {
    path: PathBuf,
    removed: bool,
}

impl ComputationTmp {
    /// The longest path in bytes: `PATH_MAX` less 512 for DMTCP's own names in it.
    pub const MAX_LEN: usize = 4096 - 512;

    /// A new directory in the system's place for temporary files ([`std::env::temp_dir`]).
    ///
    /// # Errors
    /// As [`create_in`](Self::create_in).
    pub fn create() -> Result<Self, ProcessError> {
        Self::create_in(&env::temp_dir())
    }

    /// A new directory in `base`, which must exist. A local file system is best: the
    /// shared-area file is mapped by all workers of the host.
    ///
    /// # Errors
    /// [`ProcessError::Tmp`]; [`ProcessError::TmpTooLong`].
    pub fn create_in(base: &Path) -> Result<Self, ProcessError> {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let failed = |path: &Path, source: io::Error| ProcessError::Tmp {
            action: "create",
            path: path.to_owned(),
            source,
        };
        // Resolved, since the links in `/proc` show it so, and absolute for every directory.
        let base = fs::canonicalize(base).map_err(|error| failed(base, error))?;
        loop {
            let moment = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |time| time.subsec_nanos());
            let count = COUNTER.fetch_add(1, Ordering::Relaxed);
            let name = format!("{PREFIX}{}-{count}-{moment:08x}", std::process::id());
            let path = base.join(name);
            let len = path.as_os_str().as_bytes().len();
            if len > Self::MAX_LEN {
                return Err(ProcessError::TmpTooLong {
                    len,
                    max: Self::MAX_LEN,
                });
            }
            match fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => {
                    return Ok(Self {
                        path,
                        removed: false,
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed(&path, error)),
            }
        }
    }

    /// The directory, absolute: the value for `DMTCP_TMPDIR`.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether `path` is named as these directories are: a record of one can be trusted only so
    /// far that it never leads to the removal of anything else.
    pub(crate) fn is_one(path: &Path) -> bool {
        let name = path.file_name().map(OsStrExt::as_bytes);
        path.is_absolute() && name.is_some_and(|name| name.starts_with(PREFIX.as_bytes()))
    }

    /// Removes it with all it holds, and says when that fails (dropping cannot).
    ///
    /// # Errors
    /// [`ProcessError::Tmp`]; then what could not be removed stays.
    pub fn close(mut self) -> Result<(), ProcessError> {
        self.remove().map_err(|source| ProcessError::Tmp {
            action: "remove",
            path: self.path.clone(),
            source,
        })
    }

    fn remove(&mut self) -> io::Result<()> {
        if self.removed {
            return Ok(());
        }
        self.removed = true;
        match fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

const PREFIX: &str = "dmtcp-rs-";

impl Drop for ComputationTmp {
    fn drop(&mut self) {
        // Nobody is left to tell.
        let _ = self.remove();
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn private_while_it_lives_and_gone_after() {
        let base = tempfile::tempdir().unwrap();
        let first = ComputationTmp::create_in(base.path()).unwrap();
        let second = ComputationTmp::create_in(base.path()).unwrap();
        assert_ne!(first.path(), second.path());
        let mode = fs::metadata(first.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o700);
        let inner = first.path().join("dmtcp-me@here");
        fs::create_dir(&inner).unwrap();
        fs::write(inner.join("dmtcpSharedArea.1"), "x").unwrap();
        first.close().unwrap();
        drop(second);
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 0);
    }

    #[test]
    fn one_removed_by_somebody_else_closes() {
        let tmp = ComputationTmp::create().unwrap();
        fs::remove_dir(tmp.path()).unwrap();
        tmp.close().unwrap();
    }

    #[test]
    fn a_missing_base_and_a_long_one_are_refused() {
        let base = tempfile::tempdir().unwrap();
        let missing = base.path().join("missing");
        let error = ComputationTmp::create_in(&missing).unwrap_err();
        assert!(matches!(error, ProcessError::Tmp { path, .. } if path == missing));

        let mut long = base.path().to_owned();
        while long.as_os_str().len() <= ComputationTmp::MAX_LEN - 250 {
            long.push("x".repeat(200));
        }
        long.push("y".repeat(ComputationTmp::MAX_LEN - long.as_os_str().len() - 1));
        fs::create_dir_all(&long).unwrap();
        let error = ComputationTmp::create_in(&long).unwrap_err();
        assert!(matches!(error, ProcessError::TmpTooLong { .. }), "{error}");
    }
}
