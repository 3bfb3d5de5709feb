//! The list of workers as text: what a coordinator answers to [`Command::List`](crate::Command).
//!
//! One header, one row a worker; from 3.1.0 on one empty line, from 3.0.0 on with barriers. The text has no escapes, so rows are read from
//! their right end, where the fields are simple; program names may contain anything but a line
//! break. [`write`](write()) replaces what would make its own rows ambiguous; stock coordinators do not.

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

use crate::command::WorkerInfo;
use crate::dialect::Dialect;
use crate::state::WorkerState;

/// The text is not a list of workers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the worker list is not {expected}: {text:?}")]
#[non_exhaustive]
pub struct WorkerListError {
    /// Number of the line, from 1.
    pub line: usize,
    /// What it should have been.
    pub expected: &'static str,
    /// The line, cut off after 200 characters.
    pub text: String,
}

/// The text of a list, as stock coordinators from 3.1.0 on write it.
///
/// Control characters in names become `?`, and so does what separates fields where a name must
/// not contain it (`]@` in host names, `, WorkerState::` in barriers). The generation of an
/// identity is not part of the text.
#[must_use]
pub fn write(workers: impl IntoIterator<Item = WorkerInfo>) -> String {
    let mut text = rows(true, workers);
    text.push('\n');
    text
}

/// The text of a list in the form that tools of this dialect know: 2.x has no column for barriers,
/// and no empty line behind the list; later dialects as [`write`](write()).
#[must_use]
pub fn write_for(dialect: Dialect, workers: impl IntoIterator<Item = WorkerInfo>) -> String {
    if dialect.phases().is_empty() {
        write(workers)
    } else {
        rows(false, workers)
    }
}

fn rows(barriers: bool, workers: impl IntoIterator<Item = WorkerInfo>) -> String {
    let mut text = String::from(TITLE);
    text.push('\n');
    text.push_str(COLUMNS);
    text.push_str(if barriers { BARRIER } else { "" });
    text.push('\n');
    for worker in workers {
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "{}, {}[{}:{}{HOST}{}, {}{STATE}{}",
            worker.number,
            one_line(&worker.program),
            worker.virtual_pid,
            worker.real_pid,
            one_line(&worker.host).replace(HOST, "?"),
            worker.id,
            worker.state,
        );
        if barriers {
            let barrier = worker.barrier.as_deref().unwrap_or_default();
            text.push_str(", ");
            text.push_str(&one_line(barrier).replace(STATE, "?"));
        }
        text.push('\n');
    }
    text
}

/// The workers in a list, in its order.
///
/// The final empty line, which 2.x and 3.0.0 do not send, may be missing, and so may the column of
/// barriers, which 2.x does not have. A build of DMTCP that adds
/// the address behind the host name has it as part of [`WorkerInfo::host`].
///
/// # Errors
///
/// [`WorkerListError`] names the first line that is not what its place demands.
pub fn parse(text: &str) -> Result<Vec<WorkerInfo>, WorkerListError> {
    let mut lines = Lines { text, number: 0 };
    lines.expect("the title", |line| (line == TITLE).then_some(()))?;
    lines.expect("the names of the columns", |line| {
        line.starts_with("#, PROG[").then_some(())
    })?;
    let mut workers = Vec::new();
    while !lines.text.is_empty() {
        if lines.text.starts_with('\n') {
            lines.expect("an empty line", |line| line.is_empty().then_some(()))?;
            break;
        }
        workers.push(lines.expect("a worker", row)?);
    }
    if lines.text.is_empty() {
        Ok(workers)
    } else {
        lines
            .expect("the end of the list", |_| None)
            .map(|()| workers)
    }
}

const TITLE: &str = "Client List:";
const COLUMNS: &str = "#, PROG[virtPID:realPID]@HOST, DMTCP-UNIQUEPID, STATE";
const BARRIER: &str = ", BARRIER";
const HOST: &str = "]@";
const STATE: &str = ", WorkerState::";

/// What is left of the text.
struct Lines<'a> {
    text: &'a str,
    number: usize,
}

impl<'a> Lines<'a> {
    fn expect<T>(
        &mut self,
        expected: &'static str,
        read: impl FnOnce(&'a str) -> Option<T>,
    ) -> Result<T, WorkerListError> {
        let (line, rest) = self.text.split_once('\n').unwrap_or((self.text, ""));
        self.text = rest;
        self.number += 1;
        read(line).ok_or_else(|| WorkerListError {
            line: self.number,
            expected,
            text: line.chars().take(200).collect(),
        })
    }
}

fn row(line: &str) -> Option<WorkerInfo> {
    let (number, line) = line.split_once(", ")?;
    let (line, state) = line.rsplit_once(STATE)?;
    // 2.x has no column for the barrier; some editors strip the space behind an empty one.
    let (state, barrier) = state
        .split_once(", ")
        .or_else(|| state.split_once(','))
        .unwrap_or((state, ""));
    let (process, id) = line.rsplit_once(", ")?;
    let (process, host) = process.rsplit_once(HOST)?;
    let (process, real_pid) = process.rsplit_once(':')?;
    let (program, virtual_pid) = process.rsplit_once('[')?;
    Some(WorkerInfo {
        number: number.parse().ok()?,
        id: id.parse().ok()?,
        virtual_pid: virtual_pid.parse().ok()?,
        real_pid: real_pid.parse().ok()?,
        host: host.to_owned(),
        program: program.to_owned(),
        state: WorkerState::from_word(state)?,
        barrier: (!barrier.is_empty()).then(|| barrier.to_owned()),
    })
}

/// Control characters would break the row, or the terminal it is shown on.
fn one_line(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use crate::ids::UniquePid;
    use alloc::string::ToString as _;
    use alloc::{format, vec};
    use proptest::prelude::*;

    fn counter() -> WorkerInfo {
        WorkerInfo {
            number: 1,
            id: "98ff-40000-3c56b2b7515".parse().unwrap(),
            virtual_pid: 40000,
            real_pid: 18740,
            host: "vm".to_string(),
            program: "counter".to_string(),
            state: WorkerState::Running,
            barrier: None,
        }
    }

    const CAPTURED: &str = "Client List:\n\
        #, PROG[virtPID:realPID]@HOST, DMTCP-UNIQUEPID, STATE, BARRIER\n\
        1, counter[40000:18740]@vm, 98ff-40000-3c56b2b7515, WorkerState::RUNNING, \n\n";

    #[test]
    fn writes_what_stock_coordinators_write() {
        assert_eq!(write([counter()]), CAPTURED);
        assert_eq!(parse(CAPTURED), Ok(vec![counter()]));
    }

    #[test]
    fn tools_of_2_x_get_their_form() {
        let captured = "Client List:\n\
            #, PROG[virtPID:realPID]@HOST, DMTCP-UNIQUEPID, STATE\n\
            1, counter[40000:18740]@vm, 98ff-40000-3c56b2b7515, WorkerState::RUNNING\n";
        let stopped = WorkerInfo {
            barrier: Some("DMT:SUSPEND".to_string()),
            state: WorkerState::Drained,
            ..counter()
        };
        for dialect in [Dialect::V2_4, Dialect::V2_5, Dialect::V2_6] {
            assert_eq!(write_for(dialect, [counter()]), captured);
            let read = parse(&write_for(dialect, [stopped.clone()])).unwrap();
            assert_eq!((read[0].state, &read[0].barrier), (stopped.state, &None));
            assert_eq!(parse(&write_for(dialect, [])), Ok(vec![]));
        }
        for dialect in [Dialect::V3, Dialect::V5] {
            assert_eq!(write_for(dialect, [counter()]), CAPTURED);
        }
    }

    #[test]
    fn an_empty_list_has_its_header() {
        assert_eq!(parse(&write([])), Ok(vec![]));
        assert_eq!(parse("").unwrap_err().line, 1);
        assert_eq!(parse("Client List:\n").unwrap_err().line, 2);
    }

    #[test]
    fn rows_of_other_releases() {
        // 3.0.0: no empty line at the end.
        assert_eq!(parse(&CAPTURED[..CAPTURED.len() - 1]), Ok(vec![counter()]));
        // Trailing space stripped; no barrier column.
        for tail in [",", ""] {
            let text = CAPTURED.replace("RUNNING, ", &format!("RUNNING{tail}"));
            assert_eq!(parse(&text), Ok(vec![counter()]));
        }
    }

    #[test]
    fn names_that_look_like_other_fields() {
        for program in [
            "python3 -u x.py",
            "a, b",
            "bash_(forked)",
            "[1:2]@host, 1-2-3, WorkerState::RUNNING, ",
            "",
        ] {
            let worker = WorkerInfo {
                program: program.to_string(),
                barrier: Some("Socket::Ckpt_Register_Peer_Info".to_string()),
                ..counter()
            };
            assert_eq!(parse(&write([worker.clone()])), Ok(vec![worker]));
        }
    }

    #[test]
    fn a_line_that_is_no_worker_is_named() {
        let text = CAPTURED.replace("40000:18740", "40000");
        let error = parse(&text).unwrap_err();
        assert_eq!((error.line, error.expected), (3, "a worker"));
        assert!(error.to_string().contains("counter[40000]@vm"), "{error}");
        let error = parse(&format!("{CAPTURED}more")).unwrap_err();
        assert_eq!((error.line, error.expected), (5, "the end of the list"));
    }

    #[test]
    fn names_cannot_forge_rows() {
        let worker = WorkerInfo {
            program: "x\n2, y[1:2]@vm, 1-2-3, WorkerState::RUNNING, ".to_string(),
            host: "vm]@\u{1b}".to_string(),
            barrier: Some("b, WorkerState::RUNNING".to_string()),
            ..counter()
        };
        let read = parse(&write([worker.clone()])).unwrap();
        assert_eq!(read.len(), 1);
        assert_eq!(read[0].program, worker.program.replace('\n', "?"));
        assert_eq!(read[0].host, "vm??");
        assert_eq!(read[0].barrier.as_deref(), Some("b?RUNNING"));
    }

    /// Names of printable characters, rich in those that separate fields.
    fn nasty() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just(", ".to_string()),
            Just("]@".to_string()),
            Just("[1:-2]@h".to_string()),
            Just("1-2-3".to_string()),
            Just(STATE.to_string()),
            Just("RUNNING".to_string()),
            "[ -~]{0,4}",
            "\\PC{0,3}",
        ];
        proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
    }

    fn state() -> impl Strategy<Value = WorkerState> {
        prop_oneof![
            Just(WorkerState::Unknown),
            Just(WorkerState::Running),
            Just(WorkerState::PreSuspend),
            Just(WorkerState::Suspended),
            Just(WorkerState::Checkpointing),
            Just(WorkerState::Checkpointed),
            Just(WorkerState::Restarting),
            (7..=u32::MAX).prop_map(WorkerState::Other),
        ]
    }

    fn worker() -> impl Strategy<Value = WorkerInfo> {
        let ids = (any::<u64>(), any::<u64>(), any::<i32>());
        let pids = (any::<i32>(), any::<i32>());
        (any::<u64>(), ids, pids, nasty(), nasty(), state(), nasty()).prop_map(
            |(number, (host_id, time, pid), pids, host, program, state, barrier)| WorkerInfo {
                number,
                id: UniquePid {
                    host_id,
                    time,
                    pid,
                    generation: 0,
                },
                virtual_pid: pids.0,
                real_pid: pids.1,
                host: host.replace(HOST, "?"),
                program,
                state,
                barrier: Some(barrier.replace(STATE, "?")).filter(|name| !name.is_empty()),
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(workers in proptest::collection::vec(worker(), 0..4)) {
            prop_assert_eq!(parse(&write(workers.clone())), Ok(workers));
        }

        #[test]
        fn no_text_is_a_panic(text in "(\\PC|\n){0,200}") {
            let _ = parse(&text);
            let _ = parse(&format!("{TITLE}\n{COLUMNS}\n{text}"));
        }
    }
}
