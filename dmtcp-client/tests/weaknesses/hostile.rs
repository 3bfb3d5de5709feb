//! Peers that break the protocol, as a table: who says what, how it goes on, what becomes of it.

use std::io::Write as _;
use std::net::Shutdown;
use std::time::Duration;

use dmtcp_proto::{Body, CommandStatus, Dialect, Message, Reject, UniquePid, Verb};
use socket2::SockRef;

use crate::{
    Scene, for_each_dialect,
    peer::{Peer, Worker},
    store::read_back,
};

/// What it has said before.
#[derive(Clone, Copy, Debug)]
pub(crate) enum From {
    /// Nothing.
    Stranger,
    /// It is a worker that runs.
    Worker,
    /// It is the side channel of one.
    Side,
}

/// What it does then.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Then {
    Waits,
    Closes,
    Resets,
    ClosesAndResets,
}

/// What becomes of a peer that waits.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expect {
    /// Its connection ends without a word.
    CutOff,
    Refused(Reject),
    Told(CommandStatus),
    /// It is taken in as a worker.
    Accepted,
    /// It is a worker as before, and its next request is answered.
    Served,
    /// It goes by itself.
    Gone,
}

pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) from: From,
    /// Any number of peers, one after the other; none: the dialect has nothing like it.
    pub(crate) says: fn(Dialect) -> Vec<Vec<u8>>,
    pub(crate) then: Then,
    pub(crate) expect: Expect,
}

/// It waits until it is cut off.
pub(crate) fn cut_off(name: &'static str, from: From, says: fn(Dialect) -> Vec<Vec<u8>>) -> Case {
    waits(name, from, says, Expect::CutOff)
}

/// It waits for what becomes of it.
pub(crate) fn waits(
    name: &'static str,
    from: From,
    says: fn(Dialect) -> Vec<Vec<u8>>,
    expect: Expect,
) -> Case {
    Case {
        name,
        from,
        says,
        then: Then::Waits,
        expect,
    }
}

/// It does not.
pub(crate) fn goes(
    name: &'static str,
    from: From,
    says: fn(Dialect) -> Vec<Vec<u8>>,
    then: Then,
) -> Case {
    Case {
        name,
        from,
        says,
        then,
        expect: Expect::Gone,
    }
}

/// All of them, in every dialect that can say it: each gets what it should, and the others go on.
pub(crate) fn check(cases: &[Case]) {
    for case in cases {
        let said = Dialect::ALL
            .iter()
            .map(|&dialect| (case.says)(dialect).len());
        assert_ne!(
            said.sum::<usize>(),
            0,
            "{}: no dialect can say it",
            case.name
        );
    }
    for_each_dialect(|dialect| {
        let mut scene = Scene::open(dialect, 1);
        for case in cases {
            eprintln!("{}: {:?}, {:?}", case.name, case.from, case.then);
            for bytes in (case.says)(dialect) {
                meet(&scene, case, &bytes);
                scene.settle();
            }
            scene.goes_on();
            scene.empties();
        }
    });
}

fn meet(scene: &Scene, case: &Case, bytes: &[u8]) {
    let (addr, dialect) = (scene.computation.addr(), scene.dialect);
    let mut peer = match case.from {
        From::Stranger => Peer::connect(addr, dialect),
        From::Worker => Worker::join(addr, dialect).peer,
        From::Side => {
            let mut peer = Peer::connect(addr, dialect);
            peer.send(&Message::new(UniquePid::NULL, Body::NameServiceWorker));
            peer
        }
    };
    peer.stream.write_all(bytes).unwrap();
    match case.then {
        Then::Waits => await_end(scene, case.expect, peer),
        Then::Closes => drop(peer),
        Then::Resets => reset(peer),
        Then::ClosesAndResets => {
            peer.stream.shutdown(Shutdown::Write).unwrap();
            reset(peer);
        }
    }
}

/// Ends a connection as one of a process that is killed with unread bytes does.
pub(crate) fn reset(peer: Peer) {
    SockRef::from(&peer.stream)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
}

fn await_end(scene: &Scene, expect: Expect, mut peer: Peer) {
    let mut next = || peer.receive().map(|message| message.body);
    match expect {
        Expect::CutOff => assert_eq!(next(), None),
        Expect::Refused(reason) => {
            assert_eq!(next(), Some(Body::Reject(reason)));
            assert_eq!(next(), None);
        }
        Expect::Told(status) => {
            let Some(Body::UserResult(result)) = next() else {
                panic!("no answer");
            };
            assert_eq!(result.status, status);
            assert_eq!(next(), None);
        }
        Expect::Accepted => {
            let body = next();
            assert!(matches!(body, Some(Body::Accept(_))), "{body:?}");
        }
        Expect::Served => {
            peer.send(&read_back(scene.dialect));
            let body = peer.receive().map(|message| message.body);
            let is_answer = matches!(
                body,
                Some(Body::KeyValueResponse(_) | Body::NameServiceAnswer(_))
            );
            assert!(is_answer, "{body:?}");
            // As it has said.
            let list = scene.ask(Verb::List);
            assert_eq!(list.status, CommandStatus::Success);
        }
        Expect::Gone => panic!("it waits for something"),
    }
}
