//! The awaited verbs: on the embedded server with native workers, against scripted coordinators, and
//! what is left behind when their futures are dropped. Stock coordinators are in `real_aio.rs`.

#[expect(dead_code, reason = "shared by several test crates")]
#[path = "../counter/mod.rs"]
mod counter;
mod dropping;
#[expect(dead_code, reason = "shared by several test crates")]
#[path = "../fake/mod.rs"]
mod fake;
mod jobs;
#[path = "../polls/mod.rs"]
mod polls;
#[path = "../summation/mod.rs"]
mod summation;
mod unblocked;
mod verbs;

use std::future::Future;
use std::time::Duration;

/// Longer than anything here takes unless it hangs.
const LONG: Duration = Duration::from_secs(60);

#[test]
#[ignore = "run by the other tests as a process of its own"]
fn counter_program() {
    counter::main_if_launched();
}

#[test]
#[ignore = "run by the other tests as a process of its own"]
fn summation_program() {
    summation::main_if_launched();
}

/// One thread for all tasks: what blocks it is seen by all.
fn on_one_thread<F: Future>(future: F) -> F::Output {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap().block_on(future)
}
