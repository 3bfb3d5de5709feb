//! Nextflow's way to try a task again, without it, as its documentation has it (`errorStrategy`,
//! `maxRetries`) and its wrapper does it: each try runs `.command.sh` in a directory of its own, and at the
//! end of a task's time SIGTERM goes to each process below the wrapper.

use crate::processes::{descendants, eventually, wait_ended};
use crate::stage::{Stage, example, kinds};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Child;

/// The script of the process, with its parameters put in, as Groovy does for the string it is in.
fn script(stage: &Stage) -> String {
    let text = fs::read_to_string(example("nextflow/main.nf")).unwrap();
    let script = text.split("\"\"\"").nth(1).unwrap().to_owned();
    let value = |name: &str| match name {
        "params.program" => stage.program().display().to_string(),
        "params.state" => stage.folder().join("state").display().to_string(),
        "params.run" => format!("--grace 90s {}", stage.run_options()),
        "case_name" => "a".to_owned(),
        other => panic!("{other}"),
    };
    let mut parts = script.split("${");
    let mut put_in = parts.next().unwrap().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}').unwrap();
        put_in += &(value(name) + rest);
    }
    put_in.replace("\\$", "$").replace("\\\\", "\\")
}

/// The codes for which a task is tried again.
fn retried() -> Vec<i32> {
    let text = fs::read_to_string(example("nextflow/nextflow.config")).unwrap();
    let list = text.split_once("task.exitStatus in [").unwrap().1;
    let list = list.split_once("] ? 'retry'").unwrap().0;
    list.split(", ").map(|code| code.parse().unwrap()).collect()
}

fn start(stage: &Stage, work: &Path) -> Child {
    fs::create_dir_all(work).unwrap();
    fs::write(work.join(".command.sh"), script(stage)).unwrap();
    let mut command = stage.command("/bin/bash");
    command.args(["-ue", ".command.sh"]).current_dir(work);
    stage.spawn(&mut command)
}

fn code(run: &mut Child) -> i32 {
    let status = eventually("the end of the task", || run.try_wait().unwrap());
    // As a shell that waits for it has it.
    status
        .code()
        .or_else(|| Some(128 + status.signal()?))
        .unwrap()
}

#[test]
fn a_task_whose_time_is_over_goes_on_in_the_directory_of_its_next_try() {
    let retried = retried();
    for kind in kinds() {
        println!("--- {kind}");
        let stage = Stage::new(&kind);
        let work = |attempt: u32| stage.folder().join(format!("work/{attempt}"));
        let mut first = start(&stage, &work(1));
        stage.wait_half();
        let wrapped = i32::try_from(first.id()).unwrap();
        let below = descendants(wrapped);
        for pid in std::iter::once(wrapped).chain(below.iter().copied()) {
            // One that has just ended is as good.
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        let code_of_first = code(&mut first);
        // The wrapper waits for all who can write to the task's output.
        wait_ended(&below);
        assert!(
            retried.contains(&code_of_first),
            "{code_of_first} is not in {retried:?}"
        );

        stage.let_go();
        let mut last = code_of_first;
        let mut attempt = 1;
        while retried.contains(&last) {
            attempt += 1;
            assert!(attempt < 100, "{last}");
            last = code(&mut start(&stage, &work(attempt)));
        }
        assert_eq!(last, 0, "{}", stage.printed());
        stage.assert_right(&work(attempt).join("a.txt"));
        let state = stage.folder().join("state/simulate-a/job");
        assert!(stage.newest_set(&state).is_some());
    }
}
