//! A program hears its own signals: it was started with those blocked that stop its job, so that
//! `timeout`, process pools and MPI launchers could not end their children any more.

use crate::run::command;
use crate::state::nobody_starts;
use dmtcp_client::job::Outcome;
use dmtcp_client::process::Exit;
use std::ffi::OsStr;

#[test]
fn the_signals_that_stop_a_job_are_not_blocked_in_its_program() {
    for signal in ["HUP", "INT", "TERM", "USR1"] {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("job");
        let script = format!("kill -{signal} $$; exit 0");
        let words = [
            OsStr::new("run"),
            "--native".as_ref(),
            "--state-dir".as_ref(),
            state.as_os_str(),
            "--".as_ref(),
            "/bin/sh".as_ref(),
            "-c".as_ref(),
            script.as_ref(),
        ];
        let mut command = command(words);
        command.env("XDG_STATE_HOME", dir.path());
        let ran = {
            let _alone = nobody_starts();
            command.output().unwrap()
        };
        let outcome = Outcome::read(&state).unwrap().expect("an outcome");
        let exit = outcome.exit.expect("an end of its own");
        assert!(
            matches!(exit, Exit::Signal(_)),
            "{signal}: {exit:?}, {ran:?}"
        );
    }
}
