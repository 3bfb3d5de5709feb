//! Whether a process has a certain file open. Not here: what for.

use std::{fs, io, os::unix::fs::MetadataExt as _, path::Path};

/// Whether `pid` has the very file at `path` open, under whatever name; false if there is no such file
/// or process.
///
/// # Errors
/// When the process may not be looked into.
pub(crate) fn has_open(pid: i32, path: &Path) -> io::Result<bool> {
    let Some(wanted) = unless_gone(fs::metadata(path))? else {
        return Ok(false);
    };
    let Some(descriptors) = unless_gone(fs::read_dir(format!("/proc/{pid}/fd")))? else {
        return Ok(false);
    };
    for descriptor in descriptors {
        // The process ends, or closes it, while they are looked at.
        let Ok(found) = descriptor.and_then(|descriptor| fs::metadata(descriptor.path())) else {
            continue;
        };
        if (found.dev(), found.ino()) == (wanted.dev(), wanted.ino()) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn unless_gone<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Err(error) if super::is_gone(&error) => Ok(None),
        found => found.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;
    use crate::identity;

    #[test]
    fn the_very_file_under_any_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let file = File::create(path("a")).unwrap();
        fs::write(path("copy"), "").unwrap();
        fs::rename(path("a"), path("b")).unwrap();
        let own = identity::real_pid();
        assert!(has_open(own, &path("b")).unwrap());
        for (pid, name) in [(own, "a"), (own, "copy"), (i32::MAX, "b")] {
            assert!(!has_open(pid, &path(name)).unwrap(), "{name}");
        }
        drop(file);
    }
}
