//! A coordinator in a process of its own, `dmtcpctl`, that outlives whoever started it.

#[expect(dead_code, reason = "other programs use the rest")]
#[path = "counter/mod.rs"]
mod counter;
#[expect(dead_code, reason = "other programs use the rest")]
#[path = "real/mod.rs"]
mod real;

use counter::Counter;
use dmtcp_client::coordinator::{Coordinator, Evidence};
use dmtcp_client::helper::{HelperError, HelperSettings};
use dmtcp_client::native::Options;
use dmtcp_client::process::Identity;
use dmtcp_client::{Dialect, Interval, with_causes};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use real::soon;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Longer than anything here takes unless it hangs.
const LONG: Duration = Duration::from_secs(60);
const PROGRAM: &str = env!("CARGO_BIN_EXE_dmtcpctl");

fn settings() -> HelperSettings {
    HelperSettings::new().program(PROGRAM)
}

fn gone(process: Identity) {
    soon("end of the helper", || {
        (!process.is_alive().unwrap()).then_some(())
    });
}

#[test]
#[ignore = "run by the other tests as a process of its own"]
fn counter_program() {
    counter::main_if_launched();
}

/// Starts a helper, says where it is, and waits to be killed.
#[test]
#[ignore = "run by the other tests as a process of its own"]
fn caller_program() {
    let Some(dir) = std::env::var_os(CALLER) else {
        return;
    };
    let helper = settings().checkpoint_dir(dir).start(LONG).unwrap();
    println!("\nhelper {} {}", helper.addr(), helper.pid());
    loop {
        std::thread::park();
    }
}

const CALLER: &str = "HELPER_TEST_CALLER";

#[test]
fn checkpoints_and_ends_when_it_is_told_to() {
    let dir = tempfile::tempdir().unwrap();
    let port_file = dir.path().join("port");
    fs::write(&port_file, "1").unwrap();
    let helper = settings()
        .checkpoint_dir(dir.path())
        .port_file(&port_file)
        .interval(Interval::Every(Duration::from_secs(7000)))
        .start(LONG)
        .unwrap();
    let (addr, process) = (helper.addr(), helper.process());
    assert_eq!(
        fs::read_to_string(&port_file).unwrap(),
        addr.port().to_string()
    );
    assert!(addr.ip().is_loopback() && helper.is_running().unwrap());
    assert_eq!(helper.pid(), process.pid());
    assert_eq!(helper.program(), Path::new(PROGRAM));
    let coordinator = helper.coordinator();
    let interval = coordinator.status().unwrap().interval;
    assert_eq!(interval, Interval::Every(Duration::from_secs(7000)));

    let options = Options::new(addr, Dialect::V5).checkpoint_dir(dir.path());
    let mut worker = Counter::launch(&options.barrier_limit(LONG));
    soon("worker", || {
        coordinator.status().unwrap().running.then_some(())
    });
    let report = coordinator.checkpoint(LONG).unwrap();
    assert_eq!(
        (report.peers, report.evidence),
        (1, Evidence::CoordinatorReply)
    );
    assert!(dir.path().join("dmtcp_restart_script.sh").exists());

    coordinator.quit().unwrap();
    gone(process);
    assert!(!helper.is_running().unwrap() && !port_file.exists());
    worker.line("end", LONG).unwrap();
    worker.child.wait().unwrap();
}

#[test]
fn outlives_its_caller_and_its_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let mut caller = Command::new(std::env::current_exe().unwrap());
    caller
        .args(["--ignored", "--exact", "caller_program", "--nocapture"])
        .env(CALLER, dir.path())
        // Must not reach it.
        .env("DMTCP_CHECKPOINT_INTERVAL", "5")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut caller = caller.spawn().unwrap();
    let mut lines = BufReader::new(caller.stdout.take().unwrap()).lines();
    let told = lines.find_map(|line| Some(line.unwrap().strip_prefix("helper ")?.to_owned()));
    let told = told.unwrap();
    let (addr, pid) = told.split_once(' ').unwrap();
    let pid: i32 = pid.parse().unwrap();
    let process = Identity::of(pid).unwrap().unwrap();

    killpg(Pid::from_raw(caller.id() as i32), Signal::SIGKILL).unwrap();
    caller.wait().unwrap();
    // Nobody else has the caller's output open, so that who reads it comes to an end.
    assert!(lines.next().is_none());
    // Of a terminal that goes away.
    kill(Pid::from_raw(pid), Signal::SIGHUP).unwrap();

    let coordinator = Coordinator::new(addr.parse().unwrap(), Dialect::V5);
    let status = coordinator.status().unwrap();
    assert_eq!((status.peers, status.interval), (0, Interval::Never));
    assert!(process.is_alive().unwrap());
    coordinator.quit().unwrap();
    gone(process);
}

#[test]
fn leaves_no_zombie_and_ends_in_order_by_a_signal() {
    let dir = tempfile::tempdir().unwrap();
    let (port_file, log) = (dir.path().join("port"), dir.path().join("log"));
    let helper = settings()
        .checkpoint_dir(dir.path())
        .port_file(&port_file)
        .log_file(&log)
        .start(LONG)
        .unwrap();
    kill(Pid::from_raw(helper.pid()), Signal::SIGTERM).unwrap();
    let stat = format!("/proc/{}", helper.pid());
    soon("end without a zombie", || {
        (!Path::new(&stat).exists()).then_some(())
    });
    assert!(!port_file.exists());
    let text = fs::read_to_string(&log).unwrap();
    assert!(text.contains("told to quit"), "{text}");
    assert_eq!(
        fs::metadata(&log).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[test]
fn ends_by_itself_as_it_was_set() {
    let dir = tempfile::tempdir().unwrap();
    let idle = settings()
        .checkpoint_dir(dir.path())
        .stale_timeout(Some(Duration::from_secs(1)))
        .start(LONG)
        .unwrap();
    gone(idle.process());
}

#[test]
fn who_stops_the_last_process_with_a_checkpoint_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let helper = settings()
        .checkpoint_dir(dir.path())
        .exit_on_last()
        .start(LONG)
        .unwrap();
    let coordinator = helper.coordinator();
    let options = Options::new(helper.addr(), Dialect::V5).checkpoint_dir(dir.path());
    let mut worker = Counter::launch(&options.barrier_limit(LONG));
    soon("worker", || {
        coordinator.status().unwrap().running.then_some(())
    });
    let report = coordinator.checkpoint_and_kill(LONG).unwrap();
    assert_eq!(report.peers, 1);
    assert!(dir.path().join("dmtcp_restart_script.sh").exists());
    gone(helper.process());
    worker.child.wait().unwrap();
}

#[test]
fn an_address_that_cannot_be_had() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    let error = settings().listen(addr).start(LONG).unwrap_err();
    assert!(matches!(error, HelperError::Listen { addr: seen, .. } if seen == addr));
    let error = settings().listen("[::1]:0".parse().unwrap()).start(LONG);
    assert!(matches!(error, Err(HelperError::NotIpv4(_))));
}

#[test]
fn what_the_program_says_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    fs::write(&log, "of yesterday\n").unwrap();
    for wrong in [
        settings().raw_option("--unheard-of"),
        settings().raw_option("--unheard-of").log_file(&log),
    ] {
        let error = wrong.start(LONG).unwrap_err();
        assert!(matches!(error, HelperError::Ended { .. }), "{error:?}");
        let text = with_causes(&error);
        assert!(text.contains("--unheard-of is not known"), "{text}");
        assert!(!text.contains("yesterday"), "{text}");
    }
    let nowhere = dir.path().join("none").join("port");
    let error = settings().port_file(&nowhere).start(LONG).unwrap_err();
    let text = with_causes(&error);
    assert!(text.contains("none/port"), "{text}");
}

#[test]
fn another_program_is_no_coordinator_and_does_not_stay() {
    let dir = tempfile::tempdir().unwrap();
    let pid_file = dir.path().join("pid");
    let program = dir.path().join("sleeper");
    // By another process: a child of this one that has the file open when it is executed, for the
    // moment before it executes its own, would keep it from being executed.
    let made = Command::new("sh")
        .args(["-c", MAKE_SLEEPER, "sh"])
        .args([&program, &pid_file])
        .status()
        .unwrap();
    assert!(made.success());
    let error = HelperSettings::new()
        .program(&program)
        .start(Duration::from_secs(5))
        .unwrap_err();
    assert!(matches!(error, HelperError::TimedOut { .. }), "{error:?}");
    let pid = fs::read_to_string(&pid_file).unwrap();
    assert_eq!(Identity::of(pid.trim().parse().unwrap()).unwrap(), None);

    let error = HelperSettings::new().program("true").start(LONG);
    assert!(matches!(error, Err(HelperError::Ended { .. })));
}

const MAKE_SLEEPER: &str = r#"
printf '#!/bin/sh\necho $$ > "%s"\nexec sleep 600\n' "$2" > "$1" && chmod +x "$1"
"#;
