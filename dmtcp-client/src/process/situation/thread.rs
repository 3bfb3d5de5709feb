//! One thread as `/proc/PID/task/TID` tells it.

use std::{fs, io, path::Path};

use serde::{Deserialize, Serialize};

use super::{ProcessState, Unseen, syscall};
use crate::process::{is_gone, stat::Stat};

/// A thread of a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ThreadSituation {
    /// Its number, as the system knows it.
    pub tid: i32,
    /// Its name, 15 bytes at most; the program's, unless it gave itself one.
    pub name: String,
    /// What it is doing.
    pub state: ProcessState,
    /// The function in the kernel in which it waits; `None`: it does not, or this may not be read.
    pub wait_channel: Option<String>,
    /// The system call in which it is; `None`: in none, or this may not be read.
    pub syscall: Option<Syscall>,
    /// What the kernel is doing for it, innermost first; empty where only root may read that.
    pub stack: Vec<String>,
}

/// A system call in which a thread is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Syscall {
    /// Its number on this machine.
    pub number: u64,
    /// Its name; `None`: it is not a common one to wait in.
    pub name: Option<String>,
    /// The descriptor from which it reads, where it is such a call.
    pub reads_from: Option<u64>,
}

impl std::fmt::Display for Syscall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.name {
            Some(name) => f.write_str(name),
            None => write!(f, "system call {}", self.number),
        }
    }
}

impl ThreadSituation {
    /// `None`: it has ended. What may not be read is noted.
    pub(super) fn read(folder: &Path, tid: i32, unseen: &mut Unseen) -> Option<Self> {
        let stat = Stat::at(&folder.join("stat")).ok()??;
        let state = ProcessState::of(stat.state);
        let mut read = |name, what| match read_at_most(&folder.join(name)) {
            Ok(text) => Some(text),
            Err(error) if is_gone(&error) => None,
            Err(error) => {
                unseen.note(what, &error);
                None
            }
        };
        let comm = read("comm", "names of threads");
        let channel = read("wchan", "wait channels");
        let call = read("syscall", "system calls");
        let stack = read("stack", "kernel stacks");
        Some(Self {
            tid,
            name: comm.map_or_else(String::new, |text| text.trim_end().to_owned()),
            state,
            wait_channel: channel.filter(|name| !matches!(name.as_str(), "" | "0")),
            syscall: call.as_deref().and_then(parse_syscall),
            stack: stack.as_deref().map(parse_stack).unwrap_or_default(),
        })
    }
}

/// `running`; `-1 …` outside of a call; else the number and six arguments.
fn parse_syscall(line: &str) -> Option<Syscall> {
    let mut fields = line.split_ascii_whitespace();
    let number = fields.next()?.parse().ok()?;
    let name = syscall::name(number);
    let first = fields.next().and_then(|text| text.strip_prefix("0x"));
    let reads_from = first
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .filter(|_| name.is_some_and(syscall::reads_descriptor));
    Some(Syscall {
        number,
        name: name.map(str::to_owned),
        reads_from,
    })
}

/// Lines like `[<0>] futex_wait+0xa/0xb`.
fn parse_stack(text: &str) -> Vec<String> {
    let name = |line: &str| {
        let place = line.split_ascii_whitespace().nth(1)?;
        let name = place.split_once('+').map_or(place, |(name, _)| name);
        Some(name.to_owned())
    };
    text.lines().take(MAX_FRAMES).filter_map(name).collect()
}

pub(super) fn read_at_most(path: &Path) -> io::Result<String> {
    use io::Read as _;
    let mut bytes = Vec::new();
    fs::File::open(path)?
        .take(MAX_FILE)
        .read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    // Names are chosen by the process, and end on a terminal.
    let clean = |c: char| if c.is_control() && c != '\n' { ' ' } else { c };
    Ok(text.chars().map(clean).collect())
}

const MAX_FILE: u64 = 8 << 10;
const MAX_FRAMES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_kernel_are_read() {
        assert_eq!(parse_syscall("running\n"), None);
        assert_eq!(parse_syscall("-1 0x7ffc 0x7f00\n"), None);
        assert_eq!(parse_syscall(""), None);
        let call = parse_syscall("99999 0x335 0x1 0x2 0x0 0x0 0x0 0x7 0x8\n").unwrap();
        assert_eq!(call.to_string(), "system call 99999");
        assert_eq!(call.reads_from, None);
        let text = "[<0>] futex_wait_queue+0x5a/0x90\n[<0>] do_futex+0x1/0x2\n";
        assert_eq!(parse_stack(text), ["futex_wait_queue", "do_futex"]);
        assert_eq!(parse_stack("\n"), Vec::<String>::new());
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn the_descriptor_of_a_read_is_known() {
        let call = parse_syscall("0 0x335 0x7fd9 0xd0 0x0 0x0 0x0 0x7 0x8\n").unwrap();
        assert_eq!(
            (call.to_string(), call.reads_from),
            ("read".into(), Some(821))
        );
        let call = parse_syscall("202 0x335 0x7fd9 0xd0 0x0 0x0 0x0 0x7 0x8\n").unwrap();
        assert_eq!((call.to_string(), call.reads_from), ("futex".into(), None));
    }
}
