//! The program `dmtcpctl`, run as a process of its own: text, JSON, errors, exit codes.

mod command_json;
mod coordinator;
mod coordinators;
#[expect(dead_code, reason = "other programs use the rest")]
#[path = "../counter/mod.rs"]
mod counter;
mod describe;
mod doctor;
mod drop_in;
mod error_names;
mod images;
mod job_kills;
mod job_run;
mod jobs;
mod language_page;
#[expect(dead_code, reason = "other programs use the rest")]
#[path = "../real/mod.rs"]
mod real;
mod real_dmtcp;
mod real_drop_in;
mod reports;
mod run;
#[path = "../sample_images/mod.rs"]
mod sample_images;
mod sets;
mod signal_mask;
#[path = "../state/mod.rs"]
mod state;
#[path = "../summation/mod.rs"]
mod summation;
mod usage;
mod verbs;
mod watch;
mod weaknesses;

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
