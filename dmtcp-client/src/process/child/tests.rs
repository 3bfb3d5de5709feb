//! Real children: how they end, and that nothing of them is left.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _},
    process::Stdio,
};

use nix::sys::wait::waitpid;

use super::*;
use crate::process::Identity;

const LONG: Duration = Duration::from_secs(60);

/// Runs a shell script and waits until it has printed `lines` lines, which are returned.
fn script(text: &str, lines: usize) -> (Child, Vec<String>) {
    let mut command = Command::new("sh");
    command
        .args(["-c", text])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = Child::spawn(command).unwrap();
    let output = BufReader::new(child.take_stdout().unwrap());
    let lines = output.lines().take(lines).map(Result::unwrap).collect();
    (child, lines)
}

fn identity(pid: &str) -> Identity {
    Identity::of(pid.parse().unwrap()).unwrap().unwrap()
}

/// The end of a group's members is announced to nobody here.
fn assert_ends(process: Identity) {
    eventually("it ends", || !process.is_alive().unwrap());
}

/// Not even a zombie is left.
fn assert_reaped(pid: i32) {
    eventually("it is reaped", || Stat::read(pid).unwrap().is_none());
}

fn eventually(what: &str, holds: impl Fn() -> bool) {
    let end = Deadline::after(LONG);
    let mut pause = Pause::default();
    while !holds() {
        assert!(pause.until(end), "not within {LONG:?}: {what}");
    }
}

#[test]
fn codes_and_signals_come_through() {
    for (text, expected) in [
        ("exit 0", Exit::Code(0)),
        ("exit 7", Exit::Code(7)),
        ("kill -TERM $$", Exit::Signal(15)),
        // A real-time signal, which `waitid` cannot name.
        ("kill -35 $$", Exit::Signal(35)),
    ] {
        let (child, _) = script(text, 0);
        assert_eq!(child.wait(LONG).unwrap(), expected, "{text}");
        assert_eq!(child.try_wait().unwrap(), Some(expected));
        assert_eq!(
            child.stop(LONG).unwrap(),
            expected,
            "stopping what has ended"
        );
    }
}

#[test]
fn a_missing_program_is_an_error_that_names_it() {
    let error = Child::spawn(Command::new("/no/such/program")).unwrap_err();
    assert_eq!(error.to_string(), "cannot start /no/such/program");
}

#[test]
fn waiting_ends_at_the_deadline_and_leaves_the_child_alone() {
    let (child, _) = script("exec sleep 600", 0);
    assert_eq!(child.try_wait().unwrap(), None);
    let error = child.wait(Duration::from_millis(20)).unwrap_err();
    assert!(matches!(error, ProcessError::TimedOut { pid, .. } if pid == child.id()));
    assert!(Identity::of(child.id()).unwrap().is_some());
}

#[test]
fn several_threads_may_wait() {
    let (child, _) = script("read line; exit 4", 0);
    thread::scope(|scope| {
        let waiters: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| child.wait(LONG).unwrap()))
            .collect();
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap(), Exit::Code(4));
        }
    });
}

#[test]
fn it_leads_a_group_of_its_own() {
    let (child, _) = script("exec sleep 600", 0);
    let stat = Stat::read(child.id()).unwrap().unwrap();
    assert_eq!(stat.group, child.id());
}

#[test]
fn one_that_listens_ends_in_its_own_way() {
    let (child, _) = script(
        "trap 'exit 3' TERM; echo ready; while :; do sleep 1; done",
        1,
    );
    assert_eq!(child.stop(LONG).unwrap(), Exit::Code(3));
}

#[test]
fn one_that_does_not_listen_is_killed_with_its_children() {
    let text = "trap '' TERM; sh -c 'echo $$; exec sleep 600' & read line </dev/null; \
                echo ready; while :; do wait; done";
    let (child, lines) = script(text, 2);
    let grandchild = lines.iter().find(|line| *line != "ready").unwrap();
    let grandchild = identity(grandchild);
    assert_eq!(
        child.stop(Duration::from_millis(50)).unwrap(),
        Exit::Signal(9)
    );
    assert!(!grandchild.is_alive().unwrap());
}

#[test]
fn the_grace_is_for_the_whole_group() {
    let dir = tempfile::tempdir().unwrap();
    let done = dir.path().join("done");
    // The leader ends at once; its child has work left, and is no zombie when it is done.
    let text = format!(
        "trap 'exit 0' TERM; sh -c 'trap \"sleep 0.3; echo x > {}; exit\" TERM; echo ready; \
         while :; do sleep 0.05; done' & wait",
        done.display()
    );
    let (child, _) = script(&text, 1);
    assert_eq!(child.stop(LONG).unwrap(), Exit::Code(0));
    assert_eq!(fs::read_to_string(done).unwrap(), "x\n");
}

#[test]
fn the_group_can_be_killed_after_its_leader_has_ended() {
    let (child, lines) = script(
        "sh -c 'echo $$; exec sleep 600' & read line </dev/null; exit 5",
        1,
    );
    assert_eq!(child.wait(LONG).unwrap(), Exit::Code(5));
    let grandchild = identity(&lines[0]);
    child.kill_group().unwrap();
    assert_ends(grandchild);
    assert_eq!(child.wait(LONG).unwrap(), Exit::Code(5));
}

#[test]
fn dropping_kills_the_group_and_leaves_no_zombie() {
    let (child, lines) = script("sh -c 'echo $$; exec sleep 600' & wait", 1);
    let (pid, grandchild) = (child.id(), identity(&lines[0]));
    drop(child);
    // Mostly at once; dropping does not wait long for what SIGKILL does not end.
    assert_reaped(pid);
    assert_ends(grandchild);
}

#[test]
fn a_detached_child_lives_on_and_is_reaped() {
    let mut command = Command::new("sh");
    command.args(["-c", "read line"]).stdin(Stdio::piped());
    let mut child = Child::spawn(command).unwrap();
    let (pid, stdin) = (child.id(), child.take_stdin());
    child.into_detached();
    assert!(Identity::of(pid).unwrap().is_some());
    drop(stdin);
    assert_reaped(pid);
}

#[test]
fn files_of_this_program_do_not_reach_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("private");
    let _open = File::create(&path).unwrap();
    let (child, _) = script("echo ready; exec sleep 600", 1);
    let descriptors = fs::read_dir(format!("/proc/{}/fd", child.id())).unwrap();
    // It may still be loading its program, and closes what it read that from.
    let targets: Vec<_> = descriptors
        .filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
        .collect();
    assert!(targets.len() >= 3, "{targets:?}");
    assert!(!targets.contains(&path), "{targets:?}");
}

#[test]
fn a_number_that_may_be_a_strangers_is_not_signalled() {
    let mut command = Command::new("true");
    let spawned = command.process_group(0).spawn().unwrap();
    // Somebody in this program waits for children that are not his.
    waitpid(Pid::from_raw(spawned.id() as i32), None).unwrap();
    let child = Child::adopt(&command, spawned).unwrap();
    let refused = |error: ProcessError| matches!(error, ProcessError::Wait { .. });
    assert!(refused(child.wait(LONG).unwrap_err()));
    assert!(refused(child.kill_group().unwrap_err()));
}

#[test]
#[ignore = "run by the other tests as a process of its own"]
fn where_children_are_reaped_by_the_system() {
    let refused = Child::spawn(Command::new("true")).unwrap_err();
    assert!(
        matches!(refused, ProcessError::ChildrenIgnored { .. }),
        "{refused}"
    );
    assert!(refused.to_string().contains("SIGCHLD"), "{refused}");
}

#[test]
fn nothing_is_started_whose_end_nobody_would_be_told() {
    let name = "process::child::tests::where_children_are_reaped_by_the_system";
    let ignoring = || {
        let mut command = Command::new("env");
        command.arg("--ignore-signal=CHLD");
        command
    };
    let mut probe = ignoring();
    probe.arg("true").stderr(Stdio::null());
    if !probe.status().is_ok_and(|status| status.success()) {
        println!("SKIPPED: this env(1) cannot ignore signals");
        return;
    }
    let mut command = ignoring();
    command
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", name])
        .stdout(Stdio::piped());
    let mut child = Child::spawn(command).unwrap();
    let mut said = String::new();
    let mut output = child.take_stdout().unwrap();
    output.read_to_string(&mut said).unwrap();
    assert_eq!(child.wait(LONG).unwrap(), Exit::Code(0), "{said}");
    assert!(said.contains("1 passed"), "{said}");
}
