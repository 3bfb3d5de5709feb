//! Who may connect to the embedded coordinator.

use dmtcp_client::coordinator::{Coordinator, Error};
use dmtcp_client::server::{
    Access, CommandAccess, ComputationConfig, ComputationEvent, Events, Interval, PeerRefusal,
    Server, ServerError,
};
use dmtcp_proto::{Command as Order, CommandError, Dialect, Event, Exchange, Step, UniquePid};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);
const SOMEBODY: u32 = 12_345;

/// A process of another user connects, sends what is no message, and tells what it got.
fn knock(port: u16) -> Option<Vec<u8>> {
    let mut knock = Command::new("bash");
    knock
        .arg("-c")
        .arg(format!(
            "exec 3<>/dev/tcp/127.0.0.1/{port} && echo in && printf %0999d 0 >&3; cat <&3"
        ))
        .uid(SOMEBODY)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = match knock.spawn() {
        Ok(child) => child,
        Err(error) => {
            println!("SKIPPED: cannot become another user: {error}");
            return None;
        }
    };
    let mut told = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut told).unwrap();
    child.wait().unwrap();
    assert_eq!(told, b"in\n", "it did not connect");
    Some(told)
}

fn next(events: &Events) -> ComputationEvent {
    events.recv_timeout(LIMIT).unwrap()
}

#[test]
fn w01_another_user_of_this_host_is_cut_off_unread() {
    let server = Server::start().unwrap();
    let computation = server.open(ComputationConfig::default()).unwrap();
    let events = computation.events();
    if knock(computation.port()).is_none() {
        return;
    }
    let event = next(&events);
    let ComputationEvent::PeerRefused { reason, peer } = event else {
        panic!("{event:?}");
    };
    assert!(peer.ip().is_loopback());
    assert!(
        matches!(reason, PeerRefusal::OtherUser { uid: SOMEBODY }),
        "{reason}"
    );
}

#[test]
fn other_users_are_let_in_if_it_is_said() {
    let server = Server::start().unwrap();
    for access in [Access::default().other_users(), Access::everybody()] {
        let config = ComputationConfig::default().access(access);
        let computation = server.open(config).unwrap();
        let events = computation.events();
        if knock(computation.port()).is_none() {
            return;
        }
        let event = next(&events);
        // It was read, and was no message.
        let read = matches!(
            &event,
            ComputationEvent::Coordinator(Event::PeerMisbehaved { .. })
        );
        assert!(read, "{event:?}");
    }
}

#[test]
fn w02_an_address_for_others_needs_a_network() {
    let server = Server::start().unwrap();
    let open = |access: Access| {
        let config = ComputationConfig::default().addr("0.0.0.0:0".parse().unwrap());
        server.open(config.access(access))
    };
    let error = open(Access::default()).unwrap_err();
    assert!(
        matches!(error, ServerError::NobodyMayCome { .. }),
        "{error}"
    );
    open(Access::default().network("192.0.2.0/24".parse().unwrap())).unwrap();
    open(Access::everybody()).unwrap();
}

#[test]
fn w01_commands_are_taken_from_whom_it_is_said() {
    let server = Server::start().unwrap();
    let open = |access: Access| {
        server
            .open(ComputationConfig::default().access(access))
            .unwrap()
    };
    for dialect in Dialect::ALL.iter().copied() {
        let commanded = |access: Access| {
            let computation = open(access);
            let tool = Coordinator::new(computation.addr(), dialect).timeout(LIMIT);
            tool.status().unwrap();
            let minute = Interval::Every(Duration::from_secs(60));
            let set = tool.set_interval(minute);
            let kept = computation.status().unwrap().interval;
            assert_eq!(set.is_ok(), kept == minute);
            set
        };
        let owner = Access::default().commands(CommandAccess::Owner);
        commanded(owner).unwrap();
        let nobody = Access::default().commands(CommandAccess::Nobody);
        let refused = |error: &Error| {
            let source = CommandError::NotPermitted;
            matches!(error, Error::Command { source: s, .. } if *s == source)
        };
        let error = commanded(nobody.clone()).unwrap_err();
        assert!(refused(&error), "{dialect:?}: {error:?}");
        // Who embeds it may.
        let computation = open(nobody);
        let tool = Coordinator::new(computation.addr(), dialect).timeout(LIMIT);
        let error = tool.quit().unwrap_err();
        assert!(refused(&error), "{dialect:?}: {error:?}");
        computation.status().unwrap();
        computation.quit(LIMIT).unwrap();
    }
}

/// Stock `dmtcp_command --quit` does this: it sends, and is gone.
#[test]
fn a_quit_whose_sender_has_hung_up_counts() {
    let server = Server::start().unwrap();
    // Mostly it is gone before it can be looked at.
    for _ in 0..20 {
        let computation = server.open(ComputationConfig::default()).unwrap();
        let events = computation.events();
        let me = UniquePid {
            host_id: 1,
            time: 1,
            pid: 1,
            generation: 0,
        };
        let mut exchange = Exchange::new(Dialect::V5, me, Order::Quit);
        assert_eq!(exchange.step(), Step::Connect);
        let Step::Send(quit) = exchange.step() else {
            panic!("nothing to send");
        };
        let mut stream = TcpStream::connect(computation.addr()).unwrap();
        stream.write_all(&quit).unwrap();
        drop(stream);
        loop {
            let event = next(&events);
            if matches!(event, ComputationEvent::Coordinator(Event::QuitRequested)) {
                break;
            }
        }
    }
}
