//! What is looked at: the system's files below one directory, an environment, a user.
//!
//! So that tests can show it any machine. Not here: what is asked of the system by calls, such as
//! free space or the address of a host.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use nix::unistd::geteuid;

/// A machine and the environment that a program would start in.
#[derive(Clone, Debug)]
pub struct World {
    root: PathBuf,
    environment: BTreeMap<OsString, OsString>,
    user: u32,
}

impl World {
    /// This host, the environment and the user of this process.
    #[must_use]
    pub fn of_this_process() -> Self {
        Self::new("/", std::env::vars_os())
    }

    /// One whose `/proc` and `/sys` are below `root`, with these variables, for the user of this
    /// process. What a variable names, such as a directory, is looked for where it says.
    pub fn new(
        root: impl Into<PathBuf>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Self {
        Self {
            root: root.into(),
            environment: environment.into_iter().collect(),
            user: geteuid().as_raw(),
        }
    }

    /// The user for whom it is looked.
    pub(super) fn user(&self) -> u32 {
        self.user
    }

    /// Where the file of this absolute path is.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// The text of a file of the system.
    pub(super) fn read(&self, path: &str) -> io::Result<String> {
        read_text(&self.path(path))
    }

    /// The number that a file of the system consists of.
    pub(super) fn read_number(&self, path: &str) -> Option<i64> {
        self.read(path).ok()?.trim().parse().ok()
    }

    /// A variable that is set and not empty.
    pub(super) fn variable(&self, name: &str) -> Option<&OsStr> {
        let value = self.environment.get(OsStr::new(name))?;
        (!value.is_empty()).then_some(value)
    }

    /// All variables, by name.
    pub(super) fn variables(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        let variables = self.environment.iter();
        variables.map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }

    /// Where this program, and those that it starts, put temporary files.
    pub(super) fn temp_dir(&self) -> PathBuf {
        self.variable("TMPDIR")
            .map_or_else(|| PathBuf::from("/tmp"), PathBuf::from)
    }
}

/// The beginning of a file as text; what is not UTF-8 is replaced.
pub(super) fn read_text(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// More than any file that is looked at has.
const MOST: u64 = 8 << 20;

/// What a file has behind `name:`, in the kernel's usual form of one field a line.
pub(super) fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        (found.trim() == name).then(|| value.trim())
    })
}

/// Bytes of a field such as `MemTotal:  16384 kB`.
pub(super) fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let number = field(text, name)?.split_whitespace().next()?;
    number.parse::<u64>().ok()?.checked_mul(1024)
}

/// A size for people.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..0x40_0000 => format!("{} KiB", bytes >> 10),
        0x40_0000..0x1_0000_0000 => format!("{} MiB", bytes >> 20),
        _ => format!("{} GiB", bytes >> 30),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_below_the_root_and_variables_are_its_own() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("proc/sys/kernel")).unwrap();
        std::fs::write(root.path().join("proc/sys/kernel/n"), "42\n").unwrap();
        let environment = [("EMPTY", ""), ("TMPDIR", "/t")];
        let environment = environment.map(|(name, value)| (name.into(), value.into()));
        let world = World::new(root.path(), environment);
        assert_eq!(world.read_number("/proc/sys/kernel/n"), Some(42));
        assert_eq!(world.read_number("/proc/sys/kernel/other"), None);
        assert_eq!(world.variable("EMPTY"), None);
        assert_eq!(world.variable("PATH"), None);
        assert_eq!(world.temp_dir(), Path::new("/t"));
        assert_eq!(World::new("/", []).temp_dir(), Path::new("/tmp"));
    }

    #[test]
    fn fields_and_sizes() {
        let text = "MemTotal:       16 kB\nMemFree:   x kB\n";
        assert_eq!(kilobytes(text, "MemTotal"), Some(16 << 10));
        assert_eq!(kilobytes(text, "MemFree"), None);
        assert_eq!(kilobytes(text, "Mem"), None);
        assert_eq!(
            [size(2048), size(5 << 20), size(7 << 30)],
            ["2 KiB", "5 MiB", "7 GiB"]
        );
    }
}
