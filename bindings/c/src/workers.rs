//! `dmtcp_workers`: a list of workers as it was when asked for. It owns its strings.

use std::ffi::{CString, c_char};
use std::ptr;

use dmtcp_proto::{WorkerInfo, WorkerState};

use crate::boundary::{c_string, call, contain};
use crate::codes::ResultCode;
use crate::failure::Failure;
use crate::ffi::{GrowingOut, In, Owned, growing};

/// A list of workers, as it was when it was asked for.
pub struct Workers(Vec<Entry>);

/// A worker with its texts as C reads them.
struct Entry {
    number: u64,
    id: CString,
    host: CString,
    program: CString,
    barrier: Option<CString>,
    state_name: CString,
    state: i32,
    virtual_pid: i32,
    real_pid: i32,
}

/// What a worker says it is doing.
#[expect(non_camel_case_types, reason = "the names are those of the header")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
#[non_exhaustive]
pub enum WorkerStateName {
    /// Before its program runs.
    DMTCP_WORKER_UNKNOWN = 0,
    /// The program runs.
    DMTCP_WORKER_RUNNING = 1,
    /// Told to checkpoint; its threads still run.
    DMTCP_WORKER_PRESUSPEND = 2,
    /// Its threads are stopped.
    DMTCP_WORKER_SUSPENDED = 3,
    /// Preparing or writing its image.
    DMTCP_WORKER_CHECKPOINTING = 4,
    /// Its image is written.
    DMTCP_WORKER_CHECKPOINTED = 5,
    /// Being restored from an image.
    DMTCP_WORKER_RESTARTING = 6,
    /// A number without a word: see state_name.
    DMTCP_WORKER_OTHER = 99,
}

/// A [`WorkerStateName`] as a number.
///
/// cbindgen:no-export
pub type WorkerStateNumber = i32;

/// One worker. The texts belong to the list and live as long as it.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
#[non_exhaustive]
pub struct Worker {
    /// In: sizeof(dmtcp_worker).
    pub size: usize,
    /// In the coordinator's list; never used twice by one coordinator.
    pub number: u64,
    /// Identity, as HOST-PID-TIME; host and time are hexadecimal.
    pub id: *const c_char,
    /// Host name as the worker gave it.
    pub host: *const c_char,
    /// Program name as the worker gave it.
    pub program: *const c_char,
    /// Last barrier in this checkpoint or restart; NULL: none.
    pub barrier: *const c_char,
    /// What it is doing, in DMTCP's word, such as "RUNNING".
    pub state_name: *const c_char,
    /// The same as a number.
    pub state: WorkerStateNumber,
    /// Pid that the program itself sees.
    pub virtual_pid: i32,
    /// Pid on its host; -1: unknown.
    pub real_pid: i32,
    /// 0.
    pub reserved: u32,
}

growing!(Worker, oldest = reserved);

/// How many there are; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_workers_count(workers: In<Workers>) -> usize {
    contain(0, || workers.get("workers").map_or(0, |list| list.0.len()))
}

/// The worker at an index from 0; its texts belong to the list.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_workers_get(
    workers: In<Workers>,
    index: usize,
    worker: GrowingOut<Worker>,
) -> ResultCode {
    call(|| {
        let list = &workers.get("workers")?.0;
        let place = worker.place("worker")?;
        let entry = list.get(index).ok_or_else(|| {
            Failure::argument(format!(
                "there is no index {index} in a list of {}",
                list.len()
            ))
        })?;
        place.put(entry.to_c());
        Ok(())
    })
}

/// Frees a list and the texts of its workers.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_workers_free(workers: Owned<Workers>) {
    contain((), || drop(workers.take()));
}

impl From<Vec<WorkerInfo>> for Workers {
    fn from(found: Vec<WorkerInfo>) -> Self {
        Self(found.iter().map(Entry::new).collect())
    }
}

impl Entry {
    fn new(found: &WorkerInfo) -> Self {
        Self {
            number: found.number,
            id: c_string(&found.id.to_string()),
            host: c_string(&found.host),
            program: c_string(&found.program),
            barrier: found.barrier.as_deref().map(c_string),
            state_name: c_string(&found.state.to_string()),
            state: state_of(found.state) as i32,
            virtual_pid: found.virtual_pid,
            real_pid: found.real_pid,
        }
    }

    fn to_c(&self) -> Worker {
        Worker {
            size: size_of::<Worker>(),
            number: self.number,
            id: self.id.as_ptr(),
            host: self.host.as_ptr(),
            program: self.program.as_ptr(),
            barrier: self.barrier.as_ref().map_or(ptr::null(), |b| b.as_ptr()),
            state_name: self.state_name.as_ptr(),
            state: self.state,
            virtual_pid: self.virtual_pid,
            real_pid: self.real_pid,
            reserved: 0,
        }
    }
}

fn state_of(state: WorkerState) -> WorkerStateName {
    use WorkerStateName as S;
    match state {
        WorkerState::Unknown => S::DMTCP_WORKER_UNKNOWN,
        WorkerState::Running => S::DMTCP_WORKER_RUNNING,
        WorkerState::PreSuspend => S::DMTCP_WORKER_PRESUSPEND,
        WorkerState::Suspended => S::DMTCP_WORKER_SUSPENDED,
        WorkerState::Checkpointing => S::DMTCP_WORKER_CHECKPOINTING,
        WorkerState::Checkpointed => S::DMTCP_WORKER_CHECKPOINTED,
        WorkerState::Restarting => S::DMTCP_WORKER_RESTARTING,
        _ => S::DMTCP_WORKER_OTHER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(state: &str, barrier: &str) -> Entry {
        let head = dmtcp_proto::worker_list::write([]);
        let row = format!("7, a\0b[40000:12]@host, 98ff-40000-1, WorkerState::{state}, {barrier}");
        let text = format!("{}\n{row}\n\n", head.trim_end_matches('\n'));
        let found = dmtcp_proto::worker_list::parse(&text).unwrap();
        Entry::new(&found[0])
    }

    #[test]
    fn texts_and_states_of_a_worker() {
        let worker = entry("SUSPENDED", "DMT:CHECKPOINT");
        assert_eq!(worker.program.as_c_str(), c"a?b");
        assert_eq!(worker.id.as_c_str(), c"98ff-40000-1");
        assert_eq!(worker.barrier.as_deref(), Some(c"DMT:CHECKPOINT"));
        assert_eq!(worker.state, 3);
        let worker = entry("42", "");
        assert_eq!(worker.state, WorkerStateName::DMTCP_WORKER_OTHER as i32);
        assert_eq!(worker.state_name.as_c_str(), c"42");
        assert!(worker.to_c().barrier.is_null());
    }
}
