//! Structs are the same in Rust and in C.

use std::mem::offset_of;

use dmtcp_rs::checkpoint::CheckpointReport;
use dmtcp_rs::events::Event;
use dmtcp_rs::job_settings::JobSettings;
use dmtcp_rs::outcome::OutcomeInfo;
use dmtcp_rs::set::SetInfo;
use dmtcp_rs::status::Status;
use dmtcp_rs::workers::Worker;

use crate::compiler::{Compiler, Linked, run, succeed};

#[test]
fn structs_are_laid_out_as_in_c() {
    let Some(cc) = Compiler::find() else { return };
    let program = cc.program("tests/c/layout.c", Linked::Shared);
    let mut lines = Vec::new();
    macro_rules! layout {
        ($text:literal $type:ident: $($field:ident)*) => {
            lines.push(format!("{} - 0 {}", $text, size_of::<$type>()));
            $(
                let size = size_of_field(|this: &$type| &this.$field);
                let offset = offset_of!($type, $field);
                lines.push(format!("{} {} {offset} {size}", $text, stringify!($field)));
            )*
        };
    }
    layout!("dmtcp_status" Status: size peers running interval_s reserved);
    layout!("dmtcp_checkpoint_report" CheckpointReport: size peers evidence lists reserved);
    layout!("dmtcp_worker" Worker: size number id host program barrier state_name state
        virtual_pid real_pid reserved);
    layout!("dmtcp_event" Event: size sequence unix_ms round set text kind peers real_pid
        generation);
    layout!("dmtcp_job_settings" JobSettings: size state_dir argv env directory tools id input
        notice_file on_event context interval_ms ends_at_unix_s grace_ms time_limit_ms
        ready_limit_ms keep_sets native begin show_output stop_after_checkpoint no_gzip
        restarts_without_progress);
    layout!("dmtcp_outcome_info" OutcomeInfo: size set restarts sets_sealed took_ms name reason
        text hint kind code exit_code exit_signal);
    layout!("dmtcp_set_info" SetInfo: size number total_bytes sealed_unix_ms round parent dir dmtcp
        images generation);
    let found = succeed(&mut run(&program));
    assert_eq!(found.lines().collect::<Vec<_>>(), lines);
}

fn size_of_field<T, F>(_: fn(&T) -> &F) -> usize {
    size_of::<F>()
}

#[test]
fn the_header_is_c_and_cpp() {
    let Some(cc) = Compiler::find() else { return };
    for standard in ["-std=c99", "-std=c11", "-std=c17"] {
        cc.accept_header("c", standard);
    }
    match Compiler::find_as("CXX", "c++") {
        Some(cpp) => cpp.accept_header("c++", "-std=c++11"),
        None => println!("SKIPPED: no C++ compiler"),
    }
}
