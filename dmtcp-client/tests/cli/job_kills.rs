//! The same `run` again and again, everything of it killed at a random moment each time: the result is
//! right in the end, little work is lost, and nothing is left.

#[path = "../killing/mod.rs"]
mod killing;

use crate::run;
use crate::summation::{Stage, eventually, sum_to, unix_ms};
use killing::{Random, kill_tree, processes_about};
use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

const KILLS: usize = 20;
const INTERVAL_MS: u64 = 300;
/// A checkpoint that was under way, and a machine that is busy.
const SLACK_MS: u64 = 5000;

#[test]
fn twenty_kills_of_everything_lose_an_interval_each_at_most() {
    let stage = Stage::new();
    fs::write(stage.work().join("steps"), "").unwrap();
    let tmp = stage.base.path().join("tmp");
    fs::create_dir(&tmp).unwrap();
    let command = || -> Command {
        let state = stage.dir();
        let interval = format!("{INTERVAL_MS}ms");
        let mut command = run::command([
            "run".as_ref(),
            "--native".as_ref(),
            "--restarts".as_ref(),
            "100".as_ref(),
            "--interval".as_ref(),
            interval.as_ref(),
            "--state-dir".as_ref(),
            state.as_os_str(),
            "--".as_ref(),
        ]);
        command
            .args(Stage::argv())
            .current_dir(stage.work())
            .env("TMPDIR", &tmp)
            .env("XDG_STATE_HOME", stage.base.path().join("home"))
            .stdout(Stdio::null())
            .stderr(Stdio::inherit());
        command
    };
    let seed = 0x0dd5_eed5;
    let mut random = Random(seed);
    let (mut restores, mut killed_at) = (0, None);
    for kill in 1..=KILLS {
        let child = command().spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let mut child = ChildGuard(child);
        if let Some(killed_at) = killed_at {
            // Whatever was last sealed is what it goes on from, if anything was.
            eventually("it goes on", || begun(&stage) > restores);
            check_loss(&stage, killed_at);
        } else {
            eventually("it begins", || begun(&stage) > restores);
        }
        restores = begun(&stage);
        thread::sleep(Duration::from_millis(random.within(0, 4 * INTERVAL_MS)));
        let processes = kill_tree(pid, &mut random);
        assert!(
            processes >= 2,
            "seed {seed}, kill {kill}: {processes} processes"
        );
        let _ = child.0.wait();
        killed_at = Some(unix_ms());
    }
    let goal = stage.count() + 100;
    stage.tell("goal", goal);
    let mut child = ChildGuard(command().spawn().unwrap());
    let mut code = None;
    eventually("it finishes", || {
        code = child.0.try_wait().unwrap();
        code.is_some()
    });
    assert_eq!(code.unwrap().code(), Some(0));
    assert_eq!(stage.said("sum "), [sum_to(goal)]);
    assert!(
        stage.said("restored ").len() > KILLS / 2,
        "{}",
        stage.output()
    );
    stage.assert_clean();
    eventually("no process is left", || {
        processes_about(stage.base.path()).is_empty()
    });
    let left: Vec<_> = fs::read_dir(&tmp).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

struct ChildGuard(std::process::Child);

impl Drop for ChildGuard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How often the program has begun, afresh or from a set.
fn begun(stage: &Stage) -> usize {
    stage.said("fresh").len() + stage.said("restored ").len()
}

/// What was done before the kill and not restored took no longer than an interval and a checkpoint.
fn check_loss(stage: &Stage, killed_at: u64) {
    let restored = stage.said("restored ");
    let restored = restored.last().map_or("0", String::as_str);
    let steps = fs::read_to_string(stage.work().join("steps")).unwrap();
    let mut kept_until = killed_at;
    for (step, at) in steps.lines().filter_map(|line| line.split_once(' ')) {
        let Ok(at) = at.parse::<u64>() else { continue };
        if at <= killed_at && (step == "begin" || step == restored) {
            kept_until = at;
        }
    }
    let lost = killed_at - kept_until;
    println!("{lost} ms of work were lost, back to step {restored}");
    assert!(lost <= INTERVAL_MS + SLACK_MS, "{lost} ms");
}
