use std::{
    io::Write as _,
    net::{TcpListener, TcpStream},
    os::fd::OwnedFd,
    process::{Command, Stdio},
};

use dmtcp_proto::worker_list;
use nix::{
    sys::signal::{self, Signal},
    unistd::Pid,
};

use super::*;
use crate::process::{Child, ProcessState};

/// Nobody listens there.
const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1);

fn worker(real_pid: i32, host: &str) -> WorkerInfo {
    let text = format!(
        "Client List:\n#, PROG[virtPID:realPID]@HOST, DMTCP-UNIQUEPID, STATE, BARRIER\n\
         1, python3[40000:{real_pid}]@{host}, 1-2-3, WorkerState::RUNNING, \n\n"
    );
    worker_list::parse(&text).unwrap().remove(0)
}

fn here() -> String {
    host_name().unwrap().to_string_lossy().into_owned()
}

fn late(worker: WorkerInfo, seconds: u64) -> Late {
    Late {
        worker,
        since: Duration::from_secs(seconds),
        process: None,
    }
}

fn standing(late: Vec<Late>) -> Standing {
    Standing {
        round: Some(1),
        awaited: Awaited::At("DMT:SUSPEND".to_owned()),
        peers: 4,
        missing: 0,
        quiet: Duration::from_secs(12),
        late,
    }
}

fn watch(seconds: u64) -> StallWatch {
    StallWatch::new(Duration::from_secs(seconds))
}

#[test]
fn only_those_that_are_late_for_long_are_named() {
    let elsewhere = |seconds| late(worker(4123, "n17"), seconds);
    let now = || standing(vec![elsewhere(12), elsewhere(3)]);
    assert_eq!(watch(13).stall(now(), NOWHERE), None);
    let stall = watch(12).stall(now(), NOWHERE).unwrap();
    assert_eq!((stall.laggards.len(), stall.arrived), (1, 2));
    assert_eq!(
        stall.to_string(),
        "2 of 4 at DMT:SUSPEND for 12 s; waiting for python3 (pid 4123 on n17), which only its own \
         host can look into"
    );
    assert!(!stall.may_progress());
    let many = standing((0..20).map(|_| elsewhere(20)).collect());
    let stall = watch(1).stall(many, NOWHERE).unwrap();
    assert_eq!((stall.laggards.len(), stall.more), (8, 12));
    assert!(stall.to_string().ends_with("; and for 12 more"), "{stall}");
}

#[test]
fn those_that_have_not_joined_a_restart_are_counted() {
    let restart = |quiet| Standing {
        round: None,
        missing: 1,
        quiet: Duration::from_secs(quiet),
        ..standing(Vec::new())
    };
    assert_eq!(watch(10).stall(restart(9), NOWHERE), None);
    let stall = watch(10).stall(restart(10), NOWHERE).unwrap();
    assert_eq!(
        stall.to_string(),
        "3 of 4 at DMT:SUSPEND for 10 s; 1 have not joined"
    );
}

#[test]
fn a_stranger_of_that_number_is_not_described() {
    let own = i32::try_from(std::process::id()).unwrap();
    let seen = |pid: i32| {
        let stall = watch(1).stall(standing(vec![late(worker(pid, &here()), 5)]), NOWHERE);
        stall.unwrap().laggards.remove(0).seen
    };
    assert_eq!(seen(own), Seen::NotTheWorker);
    assert_eq!(seen(-1), Seen::Untold);
    assert_eq!(seen(i32::MAX), Seen::Ended);
}

#[test]
fn one_that_is_stopped_is_named_with_what_it_has_not_read() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let theirs = TcpStream::connect(addr).unwrap();
    let (mut ours, _) = listener.accept().unwrap();
    let mut command = Command::new("sleep");
    command.arg("600").stdin(Stdio::from(OwnedFd::from(theirs)));
    let child = Child::spawn(command).unwrap();
    signal::kill(Pid::from_raw(child.id()), Signal::SIGSTOP).unwrap();
    ours.write_all(&[0; 208]).unwrap();
    let process = Identity::of(child.id()).unwrap();
    let mut watch = watch(1);
    let deadline = Deadline::after(Duration::from_secs(60));
    loop {
        let late = Late {
            process,
            ..late(worker(child.id(), &here()), 12)
        };
        let stall = watch.stall(standing(vec![late]), addr).unwrap();
        let Seen::Here(situation) = &stall.laggards[0].seen else {
            panic!("{stall}")
        };
        let unread = situation.coordinator.as_ref().map(|found| found.unread);
        if situation.state == ProcessState::Stopped && unread == Some(208) {
            let pid = child.id();
            let expected = format!(
                "3 of 4 at DMT:SUSPEND for 12 s; waiting for python3 (pid {pid} on {}), stopped by a \
                 signal: `kill -CONT {pid}` lets it go on; it has not read 208 bytes from the \
                 coordinator",
                here()
            );
            assert!(stall.to_string().starts_with(&expected), "{stall}");
            let json = serde_json::to_string(&stall).unwrap();
            assert_eq!(serde_json::from_str::<Stall>(&json).unwrap(), stall);
            return;
        }
        assert!(!deadline.has_passed(), "{stall}");
    }
}
