//! Trials of programs that need no DMTCP: native workers, which go through the same steps.

#[expect(dead_code, reason = "shared by several test crates")]
mod stepper;

use dmtcp_client::doctor::{Trial, TrialReport, Verdict};
use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use stepper::{BUSY, EXIT_AFTER, HANG_AFTER};
use tempfile::TempDir;

const SHORT: Duration = Duration::from_millis(100);
/// Longer than anything here takes unless it hangs.
const LONG: Duration = Duration::from_secs(60);

#[test]
#[ignore = "run by the other tests as a process of its own"]
fn stepper_program() {
    stepper::main_if_launched();
}

struct Stage {
    work: TempDir,
    base: TempDir,
}

impl Stage {
    fn new() -> Self {
        let [work, base] = [(), ()].map(|()| tempfile::tempdir().unwrap());
        Self { work, base }
    }

    fn trial(&self) -> Trial {
        Trial::native(stepper::command(self.work.path()))
            .dir(self.base.path())
            .run_for(SHORT)
            .settle(SHORT)
            .limit(LONG)
    }

    fn tell(&self, file: &str, text: &str) {
        fs::write(self.work.path().join(file), text).unwrap();
    }

    /// Runs it, and nothing of it is left.
    fn run(&self, trial: Trial) -> TrialReport {
        let report = trial.run();
        for step in &report.steps {
            println!("{step:?}");
        }
        assert_eq!(fs::read_dir(self.base.path()).unwrap().count(), 0);
        report
    }
}

fn slugs(report: &TrialReport) -> Vec<&str> {
    let steps = report.steps.iter();
    steps.map(|step| step.finding.slug.as_str()).collect()
}

#[test]
fn a_good_program_goes_through_all_steps_and_each_is_told_at_once() {
    let stage = Stage::new();
    let (sender, told) = std::sync::mpsc::channel();
    let trial = stage.trial().on_step(move |step| {
        sender.send(step.finding.slug.clone()).unwrap();
    });
    let report = stage.run(trial);
    let all = [
        "start",
        "join",
        "run",
        "checkpoint",
        "kill",
        "restart",
        "go-on",
        "clear",
    ];
    assert_eq!(slugs(&report), all);
    assert_eq!(told.iter().collect::<Vec<_>>(), all);
    assert_eq!(report.verdict(), Verdict::Ok, "{report:?}");
    assert_eq!(report.failure(), None);
    assert_eq!(report.processes, Some(1));
    assert!(report.set_bytes > Some(0));
    assert!(report.output.is_empty());
    // Its work went on behind the restart.
    assert_eq!(stepper::read_all(stage.work.path(), "restored-").len(), 1);
    let json = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<TrialReport>(&json).unwrap(), report);
}

#[test]
fn one_that_ends_by_itself_is_told_as_such() {
    let stage = Stage::new();
    stage.tell(stepper::STOP, "");
    let report = stage.run(stage.trial());
    assert_eq!(report.verdict(), Verdict::Note, "{report:?}");
    let causes: Vec<&str> = report
        .steps
        .iter()
        .filter_map(|s| s.cause.as_deref())
        .collect();
    assert_eq!(causes, ["ended"]);
    assert_eq!(slugs(&report).last(), Some(&"clear"));
}

#[test]
fn one_that_crashes_is_a_failure() {
    let stage = Stage::new();
    let mut command = Command::new("sh");
    command.args(["-c", "kill -SEGV $$"]);
    let report = stage.run(Trial::native(command).dir(stage.base.path()).limit(LONG));
    let failure = report.failure().unwrap();
    assert_eq!(failure.cause.as_deref(), Some("crashed"), "{report:?}");
    assert_eq!(failure.finding.slug, "join");
}

#[test]
fn one_that_never_comes_to_its_coordinator_is_named_within_the_limit() {
    let stage = Stage::new();
    let mut command = Command::new("sleep");
    command.arg("1000");
    let limit = Duration::from_millis(500);
    let report = stage.run(Trial::native(command).dir(stage.base.path()).limit(limit));
    // What it has in it is not looked at: it is no program of DMTCP's.
    let failure = report.failure().unwrap();
    assert_eq!(failure.finding.slug, "join", "{report:?}");
    assert!(failure.cause.is_some() && failure.finding.advice.is_some());
}

#[test]
fn one_that_does_not_answer_the_checkpoint_is_named() {
    let stage = Stage::new();
    stage.tell(BUSY, "");
    let report = stage.run(stage.trial().stall_after(Duration::from_secs(1)));
    let failure = report.failure().unwrap();
    assert_eq!(failure.finding.slug, "checkpoint", "{report:?}");
    assert_eq!(failure.cause.as_deref(), Some("checkpoint-stalled"));
}

#[test]
fn one_that_ends_or_hangs_at_its_restart_is_named() {
    let stage = Stage::new();
    stage.tell(EXIT_AFTER, "0");
    let report = stage.run(stage.trial().tries(2));
    let failure = report.failure().unwrap();
    assert_eq!(failure.finding.slug, "restart", "{report:?}");
    assert_eq!(failure.cause.as_deref(), Some("restart-failed"));
    assert!(failure.finding.seen.starts_with("2 tries failed"));

    let stage = Stage::new();
    stage.tell(HANG_AFTER, "0");
    // A limit for all: of what must succeed within it, none takes as long on a busy machine.
    let report = stage.run(stage.trial().tries(1).limit(Duration::from_secs(8)));
    let failure = report.failure().unwrap();
    assert_eq!(
        failure.cause.as_deref(),
        Some("restart-hangs"),
        "{report:?}"
    );
}

#[test]
fn a_trial_that_is_interrupted_ends() {
    let stage = Stage::new();
    let flag = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&flag);
    let trial = stage
        .trial()
        .run_for(LONG)
        .interrupted_by(flag)
        .on_step(move |step| {
            if step.finding.slug == "join" {
                set.store(true, Ordering::Release);
            }
        });
    let report = stage.run(trial);
    assert_eq!(slugs(&report), ["start", "join", "interrupt", "clear"]);
    assert_eq!(report.verdict(), Verdict::Failure);
}

#[test]
fn a_directory_that_cannot_be_written_is_told() {
    let mut command = Command::new("sleep");
    command.arg("1000");
    let report = Trial::native(command).dir("/proc").run();
    let failure = report.failure().unwrap();
    assert_eq!(failure.cause.as_deref(), Some("no-directory"), "{report:?}");
}
