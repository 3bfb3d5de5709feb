use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::fd::OwnedFd,
    process::{Command, Stdio},
};

use nix::{
    sys::{ptrace, signal, wait},
    unistd::Pid,
};

use super::*;
use crate::{
    deadline::Deadline,
    process::{Child, Exit},
};

const LONG: Duration = Duration::from_secs(60);

fn sleeper(stdin: Stdio) -> Child {
    let mut command = Command::new("sleep");
    command.arg("600").stdin(stdin);
    Child::spawn(command).unwrap()
}

/// What the host tells once it is as wanted: nothing announces that a process fell asleep.
fn eventually(child: &Child, wanted: impl Fn(&Situation) -> bool) -> Situation {
    let end = Deadline::after(LONG);
    loop {
        let situation = Situation::of(child.id()).unwrap().unwrap();
        if wanted(&situation) {
            return situation;
        }
        assert!(!end.has_passed(), "{situation:#}");
        end.pause(Duration::from_millis(5));
    }
}

#[test]
fn one_that_sleeps_is_seen_where_it_sleeps() {
    let child = sleeper(Stdio::null());
    let asleep = |situation: &Situation| {
        situation.command == "sleep" && situation.state == ProcessState::Sleeping
    };
    let situation = eventually(&child, asleep);
    assert_eq!((situation.pid, situation.thread_count), (child.id(), 1));
    assert!(situation.open_files.is_some_and(|count| count >= 3));
    let text = situation.to_string();
    let call = situation.threads[0].syscall.as_ref();
    match call {
        Some(call) => {
            assert_eq!(call.name.as_deref(), Some("clock_nanosleep"));
            assert!(text.starts_with("sleeping in clock_nanosleep"), "{text}");
        }
        // Not permitted here; then that is said.
        None => assert!(text.contains("not seen: "), "{text}"),
    }
    let json = serde_json::to_string(&situation).unwrap();
    assert_eq!(serde_json::from_str::<Situation>(&json).unwrap(), situation);
}

#[test]
fn one_that_is_stopped_is_told_from_one_that_is_traced() {
    let child = sleeper(Stdio::null());
    let pid = Pid::from_raw(child.id());
    signal::kill(pid, signal::Signal::SIGSTOP).unwrap();
    let stopped = |situation: &Situation| situation.state == ProcessState::Stopped;
    let situation = eventually(&child, stopped);
    assert!(situation.to_string().starts_with("stopped by a signal"));
    assert_eq!(situation.tracer, None);
    signal::kill(pid, signal::Signal::SIGCONT).unwrap();

    if ptrace::attach(pid).is_err() {
        println!("SKIPPED: tracing is forbidden here");
        return;
    }
    let traced = |situation: &Situation| situation.state == ProcessState::Traced;
    let situation = eventually(&child, traced);
    let tracer = situation.tracer.as_ref().unwrap();
    // The thread that traces is this test's; its process has the number of the whole.
    assert!(!tracer.command.is_empty());
    assert!(situation.to_string().contains("traced by"), "{situation}");
    wait::waitpid(pid, Some(wait::WaitPidFlag::__WALL)).unwrap();
    ptrace::detach(pid, None).unwrap();
}

#[test]
fn what_it_has_not_read_of_the_coordinator_is_counted() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let coordinator = listener.local_addr().unwrap();
    let theirs = TcpStream::connect(coordinator).unwrap();
    let (mut ours, _) = listener.accept().unwrap();
    let child = sleeper(Stdio::from(OwnedFd::from(theirs)));
    let process = Identity::of(child.id()).unwrap().unwrap();
    let look = |wanted: &dyn Fn(&Connection) -> bool| {
        let end = Deadline::after(LONG);
        loop {
            let found = Situation::of_process(process, Some(coordinator));
            let found = found.unwrap().unwrap();
            if found.coordinator.as_ref().is_some_and(wanted) {
                return found;
            }
            assert!(!end.has_passed(), "{found:#}");
        }
    };
    let found = look(&|connection| connection.unread == 0);
    assert!(found.to_string().contains("has not answered"), "{found}");
    ours.write_all(&[0; 208]).unwrap();
    let found = look(&|connection| connection.unread == 208);
    assert!(
        found.to_string().contains("has not read 208 bytes"),
        "{found}"
    );
    // A connection to somebody else is none to the coordinator.
    let other = SocketAddr::new(coordinator.ip(), 1);
    let found = Situation::of_process(process, Some(other))
        .unwrap()
        .unwrap();
    assert_eq!(found.coordinator, None);
}

#[test]
fn the_thread_that_reads_the_connection_is_found() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let coordinator = listener.local_addr().unwrap();
    let theirs = TcpStream::connect(coordinator).unwrap();
    let mut command = Command::new("cat");
    command.stdin(Stdio::from(OwnedFd::from(theirs)));
    let child = Child::spawn(command).unwrap();
    let process = Identity::of(child.id()).unwrap().unwrap();
    let end = Deadline::after(LONG);
    loop {
        let found = Situation::of_process(process, Some(coordinator));
        let found = found.unwrap().unwrap();
        if let Some(thread) = found.checkpoint_thread() {
            assert_eq!(thread.tid, child.id());
            assert!(found.to_string().contains("waits for the coordinator"));
            assert!(format!("{found:#}").contains(", waiting for the coordinator"));
            return;
        }
        if found
            .unseen
            .iter()
            .any(|text| text.contains("system calls"))
        {
            println!("SKIPPED: system calls may not be read here");
            return;
        }
        assert!(!end.has_passed(), "{found:#}");
    }
}

#[test]
fn an_image_that_grows_is_told_from_one_that_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ckpt_x_1-2-3.dmtcp.temp");
    let mut command = Command::new("sh");
    command
        .args([
            "-c",
            "while read word; do echo $word >&9; echo; done 9>\"$0\"",
        ])
        .arg(&path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = Child::spawn(command).unwrap();
    let (mut input, mut output) = (child.take_stdin().unwrap(), child.take_stdout().unwrap());
    let mut write = |word: &str| {
        writeln!(input, "{word}").unwrap();
        output.read_exact(&mut [0]).unwrap();
        Situation::of(child.id()).unwrap().unwrap()
    };
    let first = write("1234");
    assert_eq!((first.images[0].position, first.images[0].grown), (5, None));
    let mut second = write("12");
    second.compare(&first);
    assert_eq!(second.images[0].grown, Some(3));
    assert!(second.is_writing(), "{second}");
    let mut third = Situation::of(child.id()).unwrap().unwrap();
    third.compare(&second);
    assert!(!third.is_writing());
    assert!(third.to_string().contains("not growing"), "{third}");
    assert_eq!(third.images[0].path, path);
}

#[test]
fn one_that_has_ended_is_not_described() {
    let child = sleeper(Stdio::null());
    let process = Identity::of(child.id()).unwrap().unwrap();
    child.kill_group().unwrap();
    assert_eq!(child.wait(LONG).unwrap(), Exit::Signal(9));
    assert_eq!(Situation::of_process(process, None).unwrap(), None);
    assert_eq!(Situation::of(child.id()).unwrap(), None);
    assert!(matches!(Situation::of(1), Err(ProcessError::InvalidPid(1))));
}

#[test]
fn every_thread_has_its_name() {
    let (ready, is_ready) = mpsc::channel();
    let (end, ended) = mpsc::channel::<()>();
    let thread = std::thread::Builder::new().name("a-named-thread".to_owned());
    let thread = thread.spawn(move || {
        ready.send(()).unwrap();
        let _ = ended.recv();
    });
    is_ready.recv().unwrap();
    let own = i32::try_from(std::process::id()).unwrap();
    let situation = Situation::of(own).unwrap().unwrap();
    let mut names = situation.threads.iter().map(|thread| &thread.name);
    assert!(names.any(|name| name == "a-named-thread") || situation.thread_count > MAX_THREADS);
    drop(end);
    thread.unwrap().join().unwrap();
}
