//! `dmtcp._native`: what the Python package `dmtcp` calls. Private; the package is the interface.
//!
//! Here are handles and plain values: seconds as floats, paths as they are, records as dictionaries
//! and tuples. Names, defaults, time spans, documentation and `asyncio` are the package's, in
//! `python/dmtcp`. Every call that waits is made through `calling`: without the interpreter's lock,
//! for a caller that waits as for one that is told by a callback.
//!
//! Not here: any decision about checkpoints, which are `dmtcp-client`'s.

#![deny(unsafe_code)]

mod answer;
mod background;
mod bell;
mod calling;
mod computation;
mod coordinator;
mod events;
mod failure;
mod failures;
mod foreign;
mod helper;
mod images;
mod interpreter;
mod job;
mod job_events;
mod json;
mod lender;
mod limits;
mod one_thread;
mod owned;
mod process;
mod program;
mod run;
mod server;
mod sets;
mod state;
mod tools;
mod worker;

use pyo3::prelude::*;

/// Private: use the package `dmtcp`.
#[pymodule]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        crate::interpreter::take(module.py())
    }

    #[pymodule_export]
    use crate::background::Pending;
    #[pymodule_export]
    use crate::computation::Computation;
    #[pymodule_export]
    use crate::coordinator::Coordinator;
    #[pymodule_export]
    use crate::events::Events;
    #[pymodule_export]
    use crate::foreign::ForeignSets;
    #[pymodule_export]
    use crate::helper::{is_running, start_helper};
    #[pymodule_export]
    use crate::images::inspect;
    #[pymodule_export]
    use crate::job::{checkpoint_and_stop, contact, contact_coordinator, kill, wait_for_outcome};
    #[pymodule_export]
    use crate::job_events::JobEvents;
    #[pymodule_export]
    use crate::process::{Child, launch, restart};
    #[pymodule_export]
    use crate::run::{Run, start};
    #[pymodule_export]
    use crate::server::Server;
    #[pymodule_export]
    use crate::sets::{CheckpointSet, SetStore, list_sets, would_retain};
    #[pymodule_export]
    use crate::state::StateBuffer;
    #[pymodule_export]
    use crate::tools::find_tools;
    #[pymodule_export]
    use crate::worker::{NativeWorker, join, was_launched};
}
