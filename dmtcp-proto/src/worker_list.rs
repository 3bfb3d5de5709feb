//! The list of workers as text.
use crate::command::WorkerInfo;
use alloc::string::String;
use core::fmt::Write as _;

pub(crate) fn write(workers: impl Iterator<Item = WorkerInfo>) -> String {
    let mut text = String::from(
        "Client List:\n#, PROG[virtPID:realPID]@HOST, DMTCP-UNIQUEPID, STATE, BARRIER\n",
    );
    for w in workers {
        let barrier = w.barrier.as_deref().unwrap_or_default();
        let _ = writeln!(
            text,
            "{}, {}[{}:{}]@{}, {}, WorkerState::{}, {}",
            w.number, w.program, w.virtual_pid, w.real_pid, w.host, w.id, w.state, barrier
        );
    }
    text.push('\n');
    text
}
