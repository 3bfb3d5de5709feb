//! One line of `/proc/PID/stat`: the few fields this crate needs. Only parsing and reading;
//! what the fields mean for a caller is said in `identity` and `child`.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{Exit, ProcessError};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(super) state: char,
    pub(crate) parent: i32,
    pub(super) group: i32,
    /// What all its threads have used, in clock ticks.
    pub(crate) processor_time: u64,
    pub(crate) threads: u64,
    /// Clock ticks since boot.
    pub(crate) start_time: u64,
    /// 0 unless the process has ended (or may not be looked into).
    pub(super) wait_status: i32,
}

impl Stat {
    /// `None`: there is no such process.
    pub(super) fn read(pid: i32) -> Result<Option<Self>, ProcessError> {
        Self::at(&PathBuf::from(format!("/proc/{pid}/stat")))
    }

    /// The same of the process or thread whose file this is.
    pub(crate) fn at(path: &Path) -> Result<Option<Self>, ProcessError> {
        let path = path.to_owned();
        match fs::read(&path) {
            Ok(line) => match Self::parse(&line) {
                Some(stat) => Ok(Some(stat)),
                None => Err(ProcessError::ProcFormat { path }),
            },
            Err(error) if is_gone(&error) => Ok(None),
            Err(source) => Err(ProcessError::Proc { path, source }),
        }
    }

    /// The name in the second field is chosen by the process and may hold blanks, parentheses
    /// and bytes that are no UTF-8; only its last `)` ends it.
    fn parse(line: &[u8]) -> Option<Self> {
        let name_end = line.iter().rposition(|&byte| byte == b')')?;
        let rest = std::str::from_utf8(line.get(name_end + 1..)?).ok()?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // proc(5) counts from 1, and two fields are before the rest.
        let field = |number: usize| fields.get(number - 3).copied();
        let count = |number: usize| field(number)?.parse::<u64>().ok();
        Some(Self {
            state: field(3)?.chars().next()?,
            parent: field(4)?.parse().ok()?,
            group: field(5)?.parse().ok()?,
            processor_time: count(14)?.checked_add(count(15)?)?,
            threads: count(20)?,
            start_time: field(22)?.parse().ok()?,
            wait_status: field(52).map_or(Some(0), |text| text.parse().ok())?,
        })
    }

    /// A zombie has ended: only its number is left.
    pub(crate) fn is_running(&self) -> bool {
        !matches!(self.state, 'Z' | 'X' | 'x')
    }

    pub(super) fn exit(&self) -> Option<Exit> {
        (!self.is_running() && self.wait_status != 0)
            .then(|| Exit::from_wait_status(self.wait_status))
    }
}

/// A process can end between the opening of its file and the reading of it (ESRCH).
pub(crate) fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
        || error.raw_os_error() == Some(nix::errno::Errno::ESRCH as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str, state: &str) -> String {
        let tail: Vec<String> = (4..=52).map(|number| number.to_string()).collect();
        format!("4711 ({name}) {state} {}\n", tail.join(" "))
    }

    #[test]
    fn names_cannot_confuse_it() {
        for name in ["sh", "a b", "a) R 1 2 3", "((", ")", ""] {
            let stat = Stat::parse(line(name, "S").as_bytes()).unwrap();
            assert_eq!((stat.state, stat.group, stat.start_time), ('S', 5, 22));
            let more = (stat.parent, stat.processor_time, stat.threads);
            assert_eq!(more, (4, 14 + 15, 20));
        }
        let mut bytes = line("X", "Z").into_bytes();
        bytes[6] = 0xff;
        let stat = Stat::parse(&bytes).unwrap();
        assert!(!stat.is_running());
        assert_eq!(stat.exit(), Some(Exit::from_wait_status(52)));
    }

    #[test]
    fn broken_lines_are_refused() {
        let whole = line("sh", "S");
        for text in [
            "",
            "4711",
            "4711 (sh",
            "4711 (sh)",
            "4711 (sh) S 1 2",
            "4711 (sh) S x y z",
        ] {
            assert_eq!(Stat::parse(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(Stat::parse(whole.replace(" 22 ", " -22 ").as_bytes()), None);
    }

    #[test]
    fn reads_this_process_and_no_other() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(Stat::read(own).unwrap().unwrap().is_running());
        assert_eq!(Stat::read(i32::MAX).unwrap(), None);
    }
}
