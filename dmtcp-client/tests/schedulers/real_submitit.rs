//! Under a real submitit, where a Python in PATH has it: on its local executor, and on a real Slurm.

use crate::processes::{Daemons, arguments, descendants, eventually, find, output};
use crate::slurm::Cluster;
use crate::stage::{Kind, Stage, example, kinds};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// `None`, and says so: there is none.
fn python() -> Option<PathBuf> {
    let has_it = |python: &PathBuf| {
        let mut look = Command::new(python);
        output(look.args(["-c", "import submitit"])).is_ok()
    };
    let found = find("python3", &[]).filter(has_it);
    if found.is_none() {
        println!("SKIPPED: no submitit");
    }
    found
}

fn submission(stage: &Stage, python: &Path, options: &[&str]) -> Command {
    let mut command = stage.command(python);
    command
        .arg(example("submitit/checkpointed.py"))
        .args(options)
        .arg(format!("--run={}", stage.run_options()))
        .args(["jobs", "./my_program", "result"]);
    command
}

#[test]
fn a_function_that_submitit_preempts_goes_on() {
    let Some(python) = python() else { return };
    for kind in kinds() {
        println!("--- {kind}");
        let stage = Stage::new(&kind);
        let mut daemons = Daemons::new(stage.folder());
        let options = ["--cluster", "local", "--minutes", "30"];
        let submitter = daemons.start("submitit", &mut submission(&stage, &python, &options));
        stage.wait_half();
        let all = descendants(i32::try_from(submitter.id()).unwrap());
        let is_job = |pid: &i32| {
            arguments(*pid)
                .iter()
                .any(|word| word == "submitit.core._submit")
        };
        let job = all
            .into_iter()
            .find(is_job)
            .expect("the process of the job");
        kill(Pid::from_raw(job), Signal::SIGUSR1).unwrap();
        let state = stage.folder().join("jobs/state");
        // It takes no other within its first minute.
        eventually("the set of the stop", || stage.newest_set(&state));
        stage.let_go();
        let status = eventually("the end", || submitter.try_wait().unwrap());
        let log = fs::read_to_string(stage.folder().join("submitit.out")).unwrap();
        assert!(status.success() && log.contains("exit code 0"), "{log}");
        stage.assert_right(&stage.folder().join("result"));
    }
}

/// Slurm sends its signal to each process of the step, the program included.
#[test]
fn a_function_at_the_time_limit_of_slurm_goes_on() {
    let Some(python) = python() else { return };
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let jobs: Vec<(Stage, Daemons)> = kinds()
        .iter()
        .map(|kind| {
            let stage = Stage::new(kind);
            let mut daemons = Daemons::new(stage.folder());
            let options = ["--cluster", "slurm", "--minutes", "1", "--warning", "25"];
            let mut command = submission(&stage, &python, &options);
            daemons.start("submitit", command.envs(cluster.environment()));
            (stage, daemons)
        })
        .collect();
    for (stage, _) in &jobs {
        stage.wait_half();
        eventually("a job that is in the queue again", || {
            let log = stage.read_all("jobs");
            log.contains("Requeued job").then_some(())
        });
        stage.let_go();
    }
    for (stage, daemons) in &jobs {
        eventually("the end", || {
            let log = fs::read_to_string(stage.folder().join("submitit.out")).unwrap();
            log.contains("exit code").then_some(())
        });
        let log = fs::read_to_string(stage.folder().join("submitit.out")).unwrap();
        assert!(log.contains("exit code 0"), "{log}{}", daemons.logs());
        stage.assert_right(&stage.folder().join("result"));
    }
    let native = jobs
        .iter()
        .any(|(stage, _)| matches!(stage.kind, Kind::Native));
    assert!(native, "not even the native worker ran");
}
