//! Jobs, sets, events and native workers: C programs on both sides.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::compiler::{Compiler, Linked, assert_no_findings, linked, run, succeed};

/// The example that is a native worker, as the program of jobs.
pub(crate) fn worker(cc: &Compiler) -> PathBuf {
    cc.wrapped(cc.program("examples/native_worker.c", Linked::Shared))
}

#[test]
fn jobs_and_sets_from_c() {
    let Some(cc) = Compiler::find() else { return };
    let worker = worker(&cc);
    for &linked in linked() {
        let program = cc.program("tests/c/jobs.c", linked);
        let dir = tempfile::tempdir().unwrap();
        succeed(run(&program).arg(dir.path()).arg(&worker));
        let log = dir.path().join("state/application.log");
        let log = fs::read_to_string(log).unwrap();
        assert!(
            log.contains("begins\n") && log.contains("restored at "),
            "{log}"
        );
        assert_no_findings(&log);
        let log = dir.path().join("state-end/application.log");
        let log = fs::read_to_string(log).unwrap();
        assert!(log.contains("sum 45\n"), "{log}");
        assert_no_findings(&log);
    }
}

#[test]
fn signals_of_the_program_are_left_alone_by_jobs() {
    let Some(cc) = Compiler::find() else { return };
    let worker = worker(&cc);
    let program = cc.program("tests/c/unread.c", Linked::Shared);
    let dir = tempfile::tempdir().unwrap();
    succeed(run(&program).arg(dir.path()).arg(&worker));
    assert!(!dir.path().join("ignored/sets/latest").exists());
}

#[test]
fn an_embedded_coordinator_with_events_and_sets_from_c() {
    let Some(cc) = Compiler::find() else { return };
    let worker = worker(&cc);
    for &linked in linked() {
        let program = cc.program("tests/c/embedded.c", linked);
        let dir = tempfile::tempdir().unwrap();
        succeed(run(&program).arg(dir.path()).arg(&worker));
    }
}

#[test]
fn a_worker_that_hands_its_state_in_as_bytes() {
    let Some(cc) = Compiler::find() else { return };
    for &linked in linked() {
        let worker = cc.wrapped(cc.program("tests/c/worker.c", linked));
        let dir = tempfile::tempdir().unwrap();
        succeed(Command::new(&worker).arg("alone"));
        let program = cc.program("tests/c/bytes.c", linked);
        succeed(run(&program).arg(dir.path()).arg(&worker));
        let log = dir.path().join("state/application.log");
        let log = fs::read_to_string(log).unwrap();
        assert!(log.contains("done after 3 lives\n"), "{log}");
        assert_no_findings(&log);
    }
}

/// A restart that cannot be used is none: the others of its computation must not go on with it.
#[test]
fn a_worker_that_does_not_know_its_memory_again_is_not_restored() {
    let Some(cc) = Compiler::find() else { return };
    let worker = cc.wrapped(cc.program("tests/c/changing.c", Linked::Shared));
    let program = cc.program("tests/c/changed.c", Linked::Shared);
    let dir = tempfile::tempdir().unwrap();
    succeed(run(&program).arg(dir.path()).arg(&worker));
    let log = dir.path().join("state/application.log");
    let log = fs::read_to_string(log).unwrap();
    let why = "\"state\" is registered with 16 bytes, and has 8 in the image";
    assert!(log.contains(why), "{log}");
    assert!(!log.contains("\nrestored\n"), "{log}");
    assert_no_findings(&log);
}

#[test]
fn owners_and_exceptions_in_cpp() {
    let Some(cpp) = Compiler::find_as("CXX", "c++") else {
        println!("SKIPPED: no C++ compiler");
        return;
    };
    let Some(cc) = Compiler::find() else { return };
    let worker = worker(&cc);
    for &linked in linked() {
        let source = crate::compiler::in_crate("tests/c/owners.cpp");
        let program = cpp.program_in("-std=c++11", &source, linked);
        let dir = tempfile::tempdir().unwrap();
        succeed(run(&program).arg(dir.path()).arg(&worker));
    }
}

/// By hand it is a program like any other.
#[test]
fn the_worker_runs_without_anybody() {
    let Some(cc) = Compiler::find() else { return };
    let shown = succeed(Command::new(worker(&cc)).arg("100"));
    assert_eq!(shown, "begins\nsum 4950\n");
}
