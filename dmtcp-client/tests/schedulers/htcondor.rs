//! HTCondor's protocol for self-checkpointing jobs, without it, as its manual has it ("Self-Checkpointing
//! Applications"): the job exits with `checkpoint_exit_code`, what `transfer_checkpoint_files` names goes
//! to the submit node, and the same command is started again in the same sandbox; when the machine
//! fails, in another sandbox, with those files.

use crate::processes::{eventually, kill_tree};
use crate::stage::{Stage, example, kinds};
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use tempfile::TempDir;

/// `name = value` lines of a submit file.
fn submit_file() -> HashMap<String, String> {
    let text = fs::read_to_string(example("htcondor/job.sub")).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let fields = lines.filter_map(|line| line.split_once(" = "));
    let field = |(name, value): (&str, &str)| (name.trim().to_owned(), value.trim().to_owned());
    fields.map(field).collect()
}

/// A job in the queue.
struct Job<'a> {
    submitted: HashMap<String, String>,
    stage: &'a Stage,
    /// What was transferred when it last exited with `checkpoint_exit_code`.
    spool: PathBuf,
    /// No two in the same directory.
    number: String,
}

impl Job<'_> {
    fn checkpoint_exit_code(&self) -> i32 {
        self.submitted["checkpoint_exit_code"].parse().unwrap()
    }

    /// A sandbox on another machine, with its input, or with what was transferred of its last
    /// checkpoint.
    fn sandbox(&self) -> TempDir {
        let sandbox = tempfile::tempdir().unwrap();
        let input = self.submitted["transfer_input_files"].as_str();
        transfer(
            &self.stage.folder().join(input),
            &sandbox.path().join(input),
        );
        if self.spool.exists() {
            transfer(&self.spool, sandbox.path());
        }
        sandbox
    }

    fn start(&self, sandbox: &TempDir) -> Child {
        let arguments = self.submitted["arguments"].replace("$(ClusterId).$(ProcId)", &self.number);
        let executable = &self.submitted["executable"];
        let mut command = self
            .stage
            .command(example(&format!("htcondor/{executable}")));
        command
            .args(arguments.split_whitespace())
            .env("INTERVAL", "2s")
            .env("RUN_OPTIONS", self.stage.run_options())
            .current_dir(sandbox);
        self.stage.spawn(&mut command)
    }

    /// To its end, and what HTCondor does then; its exit code.
    fn run(&self, sandbox: &TempDir) -> i32 {
        let mut run = self.start(sandbox);
        let status = eventually("the end of the run", || run.try_wait().unwrap());
        let code = status.code().unwrap();
        if code == self.checkpoint_exit_code() {
            for name in self.submitted["transfer_checkpoint_files"].split(", ") {
                // Whole: the old ones are replaced.
                let _ = fs::remove_dir_all(self.spool.join(name));
                transfer(&sandbox.path().join(name), &self.spool.join(name));
            }
        }
        code
    }
}

/// Copies a folder as HTCondor does: files and folders, no links to folders.
fn transfer(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        match (entry.file_type().unwrap().is_dir(), path.is_file()) {
            (true, _) => transfer(&path, &target),
            (false, true) => drop(fs::copy(&path, &target).unwrap()),
            (false, false) => {}
        }
    }
}

#[test]
fn a_self_checkpointing_job_goes_on_in_another_sandbox() {
    for (at, kind) in kinds().iter().enumerate() {
        println!("--- {kind}");
        let stage = Stage::new(kind);
        let files = stage.folder().join("files");
        fs::create_dir(&files).unwrap();
        fs::rename(stage.program(), files.join("my_program")).unwrap();
        let job = Job {
            submitted: submit_file(),
            stage: &stage,
            spool: stage.folder().join("spool"),
            number: format!("{}.{at}", std::process::id()),
        };
        {
            let sandbox = job.sandbox();
            let code = job.run(&sandbox);
            assert_eq!(code, job.checkpoint_exit_code(), "{}", stage.printed());
            // Started again in the same sandbox; then the machine fails.
            let mut second = job.start(&sandbox);
            stage.wait_half();
            kill_tree(i32::try_from(second.id()).unwrap());
            eventually("the end of a killed run", || second.try_wait().unwrap());
        }
        stage.let_go();
        let sandbox = job.sandbox();
        let mut code = job.checkpoint_exit_code();
        let mut runs = 0;
        while code == job.checkpoint_exit_code() {
            code = job.run(&sandbox);
            runs += 1;
            assert!(runs < 20);
        }
        assert_eq!(code, 0, "{}", stage.printed());
        assert!(job.submitted["on_exit_remove"].contains("=!= 75"));
        let output = &job.submitted["transfer_output_files"];
        stage.assert_right(&sandbox.path().join(output).join("result"));
    }
}
