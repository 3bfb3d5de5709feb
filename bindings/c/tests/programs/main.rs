//! C programs that use the library, against real coordinators, jobs and workers.

mod compiler;
mod coordinators;
#[expect(
    dead_code,
    reason = "these tests need the simplest of its scripts only"
)]
#[path = "../../../../dmtcp-client/tests/fake/mod.rs"]
mod fake;
mod helper;
mod install;
mod jobs;
mod layout;
mod null;
mod page;
mod unmodified;

use std::time::Duration;
use std::{env, thread};

use dmtcp_client::native::{Options, Worker, variable};

/// Longer than anything here takes unless it hangs.
const LONG: Duration = Duration::from_secs(120);

#[test]
#[ignore = "run by the other tests as a process of its own"]
fn worker_program() {
    if env::var_os(variable::COORDINATOR).is_none() {
        return;
    }
    let mut worker = Worker::join(Options::from_env().unwrap()).unwrap();
    for count in 0_u64.. {
        if let Err(error) = worker.safe_point_bytes(&count.to_le_bytes()) {
            std::process::exit(i32::from(error.exit_code()));
        }
        // The work of a step.
        thread::sleep(Duration::from_millis(1));
    }
}
