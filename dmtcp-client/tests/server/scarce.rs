//! A process without file descriptors to spare.

use std::{
    fs::File, net::TcpStream, os::unix::fs::FileExt as _, process::Command,
    sync::mpsc::TryRecvError,
};

use dmtcp_client::server::{ComputationConfig, ComputationEvent};
use dmtcp_proto::{Dialect, Verb};
use socket2::{Domain, Socket, Type};

use crate::{LONG, events_until, open, peer::ask};

/// Runs the test below in a process of its own: the limit holds for all of a process.
#[test]
fn without_descriptors_the_others_are_served_and_newcomers_wait() {
    let output = Command::new("sh")
        .args(["-c", "ulimit -n 48 && exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "scarce::with_few_descriptors", "--ignored"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1 passed"), "{text}");
}

#[test]
#[ignore = "run by the test above, with few descriptors"]
fn with_few_descriptors() {
    let (_server, computation) = open(ComputationConfig::default());
    let events = computation.events();
    // Later there is no descriptor for it.
    let stat = File::open("/proc/self/stat").unwrap();
    let (last, mut peers) = (
        Socket::new(Domain::IPV4, Type::STREAM, None).unwrap(),
        Vec::new(),
    );
    let refused = loop {
        match TcpStream::connect(computation.addr()) {
            Ok(stream) => peers.push(stream),
            Err(error) => break error,
        }
        assert!(peers.len() < 100, "there is no limit");
    };
    assert_eq!(refused.raw_os_error(), Some(nix::libc::EMFILE));
    // The others may all have been accepted.
    last.connect(&computation.addr().into()).unwrap();
    let seen = events_until(&events, |event| {
        matches!(event, ComputationEvent::AcceptPaused { .. })
    });
    assert_eq!(seen.len(), 1, "{seen:?}");
    // It does not spin, and says so once however often it tries.
    let before = cpu_ticks(&stat);
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert!(cpu_ticks(&stat) - before < 10, "it spins");
    assert_eq!(events.try_recv().unwrap_err(), TryRecvError::Empty);
    assert_eq!(computation.status().unwrap().peers, 0);
    peers.clear();
    drop(last);
    events_until(&events, |event| {
        matches!(event, ComputationEvent::AcceptResumed)
    });
    assert_eq!(ask(computation.addr(), Dialect::V5, Verb::Status).peers, 0);
    computation.close(LONG).unwrap();
}

/// Time this process has used so far, in hundredths of a second.
fn cpu_ticks(stat: &File) -> u64 {
    let mut bytes = [0; 1024];
    let len = stat.read_at(&mut bytes, 0).unwrap();
    let text = String::from_utf8_lossy(&bytes[..len]);
    let fields: Vec<&str> = text.rsplit(')').next().unwrap().split(' ').collect();
    // proc(5) counts from 1, and two fields are before the rest.
    fields[12].parse::<u64>().unwrap() + fields[13].parse::<u64>().unwrap()
}
