//! What two checks of directories have in common: free space, and a directory to try things in.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use nix::sys::statvfs::statvfs;

/// What is free where a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::doctor) struct Free {
    /// For this user.
    pub(in crate::doctor) bytes: u64,
    /// Files that can be made; `None`: the file system does not count them.
    pub(super) files: Option<u64>,
}

impl Free {
    pub(in crate::doctor) fn at(path: &Path) -> Option<Self> {
        let found = statvfs(path).ok()?;
        Some(Self {
            bytes: found
                .blocks_available()
                .saturating_mul(found.fragment_size()),
            files: (found.files() > 0).then(|| found.files_available()),
        })
    }
}

/// A private directory in another one, **removed with all it holds on drop**.
#[derive(Debug)]
pub(in crate::doctor) struct Scratch(PathBuf);

impl Scratch {
    pub(in crate::doctor) fn in_dir(base: &Path) -> io::Result<Self> {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        loop {
            let count = COUNTER.fetch_add(1, Ordering::Relaxed);
            let path = base.join(format!(".dmtcpctl-doctor-{}-{count}", std::process::id()));
            match fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    pub(in crate::doctor) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nobody is left to tell.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The path itself, or the nearest directory above it that exists; without links.
pub(in crate::doctor) fn existing(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    let mut above = path.ancestors().filter(|dir| dir.exists());
    above.next().and_then(|dir| fs::canonicalize(dir).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scratch_leaves_nothing() {
        let base = tempfile::tempdir().unwrap();
        let first = Scratch::in_dir(base.path()).unwrap();
        let second = Scratch::in_dir(base.path()).unwrap();
        assert_ne!(first.path(), second.path());
        fs::write(first.path().join("file"), "x").unwrap();
        drop((first, second));
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 0);
        assert!(Scratch::in_dir(&base.path().join("missing")).is_err());
    }

    #[test]
    fn what_exists_of_a_path() {
        let base = tempfile::tempdir().unwrap();
        let real = fs::canonicalize(base.path()).unwrap();
        assert_eq!(existing(&base.path().join("a/b")), Some(real.clone()));
        assert_eq!(existing(base.path()), Some(real));
        assert!(Free::at(base.path()).unwrap().bytes > 0);
        assert_eq!(Free::at(&base.path().join("missing")), None);
    }
}
