//! Peers that go while something of theirs is under way.

use std::thread;
use std::time::Duration;

use dmtcp_client::server::ServerError;
use dmtcp_proto::{Event, RoundError, Verb};
use socket2::SockRef;

use crate::hostile::reset;
use crate::peer::{Peer, Who, Worker, resume_all, take_part};
use crate::{LONG, Scene, for_each_dialect};

#[test]
fn w27_an_asker_that_hangs_up_does_not_end_the_round() {
    for_each_dialect(|dialect| {
        let mut scene = Scene::open(dialect, 2);
        for abruptly in [false, true] {
            let mut asker = Peer::connect(scene.computation.addr(), dialect);
            let blocking = match dialect.verb_number(Verb::BlockingCheckpoint) {
                Some(_) => Verb::BlockingCheckpoint,
                // What a tool says first, and its asking for a checkpoint.
                None => {
                    scene.ask(Verb::BlockingPrefix);
                    Verb::Checkpoint
                }
            };
            asker.command(blocking);
            scene.until(|event| matches!(event, Event::CheckpointStarted { .. }).then_some(()));
            match abruptly {
                true => reset(asker),
                false => drop(asker),
            }
            take_part(&mut scene.honest);
            let images = scene.until(|event| match event {
                Event::CheckpointComplete { images, .. } => Some(images.len()),
                Event::CheckpointFailed { reason, .. } => panic!("{reason}"),
                _ => None,
            });
            assert_eq!(images, 2);
            scene.computation.wait_until_running(None, LONG).unwrap();
        }
        scene.goes_on();
    });
}

/// Its end and the release of the barrier cross: whether it counts as released does not matter, but
/// that the other is, and that no set lacks its image.
#[test]
fn w31_who_goes_at_the_release_of_a_barrier_holds_nobody() {
    for_each_dialect(|dialect| {
        let mut scene = Scene::open(dialect, 0);
        let addr = scene.computation.addr();
        // On another host, so that no process is to be killed beside it.
        let elsewhere = Who {
            host: "apart".to_owned(),
            ..Who::default()
        };
        scene.honest = vec![Worker::join(addr, dialect)];
        for abruptly in [false, true, false, true, false, true] {
            let other = Worker::join_as(Peer::connect(addr, dialect), &elsewhere);
            scene.computation.wait_until_running(Some(2), LONG).unwrap();
            let asking = scene.computation.clone();
            let asked = thread::spawn(move || asking.checkpoint(LONG));
            let steps = scene.honest[0].steps();
            let (name, state) = &steps[1];
            let mut both = [scene.honest.remove(0), other];
            crate::peer::go_through(&mut both, 1);
            let [mut honest, mut leaving] = both;
            leaving.arrive(name, *state);
            honest.arrive(name, *state);
            if abruptly {
                let linger = Some(Duration::ZERO);
                SockRef::from(&leaving.peer.stream)
                    .set_linger(linger)
                    .unwrap();
            }
            drop(leaving);
            honest.released(name);
            for (name, state) in &steps[2..] {
                honest.arrive(name, *state);
                honest.released(name);
            }
            honest.report();
            scene.honest = vec![honest];
            resume_all(&mut scene.honest);
            match asked.join().unwrap() {
                Err(ServerError::CheckpointFailed { reason, .. }) => {
                    assert!(matches!(*reason, RoundError::PeerLost(_)), "{reason}");
                }
                other => panic!("{other:?}"),
            }
            let is_failure = |event: &Event| matches!(event, Event::CheckpointFailed { .. });
            scene.until(|event| is_failure(event).then_some(()));
            scene.goes_on();
        }
    });
}
