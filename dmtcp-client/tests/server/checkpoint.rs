//! Whole rounds, with sealers that work, fail, panic and take their time.

use std::{
    io,
    sync::mpsc,
    thread::{self, JoinHandle},
    time::Duration,
};

use dmtcp_client::server::{
    Computation, ComputationConfig, ComputationEvent, SealError, SealRound, Sealed, SealedSet,
    ServerError,
};
use dmtcp_proto::{Event, Interval, RoundError, Verb};

use crate::{
    LONG, events_until, for_each_dialect, open,
    peer::{Worker, ask, go_through, go_through_all, take_part},
};

fn counting_sealer() -> impl FnMut(&SealRound) -> Result<SealedSet, SealError> + Send {
    let mut sequence = 0;
    move |round| {
        sequence += 1;
        assert_eq!(round.computation.generation, u32::try_from(round.round)?);
        Ok(SealedSet::new(
            sequence,
            format!("/sets/{}", round.images.len()),
        ))
    }
}

/// The call in a thread of its own, since it waits for the workers of this one.
fn checkpoint(computation: &Computation) -> JoinHandle<Result<Sealed, ServerError>> {
    let computation = computation.clone();
    thread::spawn(move || computation.checkpoint(LONG))
}

fn failure(result: Result<Sealed, ServerError>) -> RoundError {
    match result {
        Err(ServerError::CheckpointFailed { reason, .. }) => *reason,
        other => panic!("{other:?}"),
    }
}

fn complete(event: &ComputationEvent) -> bool {
    matches!(
        event,
        ComputationEvent::Coordinator(Event::CheckpointComplete { .. })
    )
}

fn resumed(event: &ComputationEvent) -> bool {
    matches!(event, ComputationEvent::Coordinator(Event::Resumed))
}

#[test]
fn a_checkpoint_returns_the_set_that_was_sealed() {
    for_each_dialect(|dialect| {
        let (_server, computation) = open(ComputationConfig::default().sealer(counting_sealer()));
        let events = computation.events();
        let mut workers = [(); 3].map(|()| Worker::join(computation.addr(), dialect));
        computation.wait_until_running(Some(3), LONG).unwrap();
        for sequence in 1..=2 {
            let asked = checkpoint(&computation);
            take_part(&mut workers);
            let sealed = asked.join().unwrap().unwrap();
            assert_eq!(
                (sealed.round, sealed.generation),
                (sequence, sequence as u32)
            );
            assert_eq!(sealed.images.len(), 3);
            assert_eq!(sealed.set, Some(SealedSet::new(sequence, "/sets/3")));
            let seen = events_until(&events, resumed);
            let place = |wanted: fn(&ComputationEvent) -> bool| seen.iter().position(wanted);
            let order = [
                place(|e| {
                    matches!(
                        e,
                        ComputationEvent::Coordinator(Event::CheckpointStarted { workers: 3, .. })
                    )
                }),
                place(|e| {
                    matches!(
                        e,
                        ComputationEvent::Coordinator(Event::ImagesReported { .. })
                    )
                }),
                place(|e| matches!(e, ComputationEvent::SetSealed { .. })),
                place(complete),
            ];
            // Workers need not wait for the seal, so when they have resumed is another matter.
            let order: Vec<usize> = match order {
                [Some(a), Some(b), Some(c), Some(d)] => vec![a, b, c, d],
                [Some(a), Some(b), ..] => {
                    events_until(&events, complete);
                    vec![a, b]
                }
                _ => panic!("{seen:#?}"),
            };
            assert!(order.is_sorted(), "{seen:#?}");
        }
    });
}

#[test]
fn tools_and_the_interval_start_checkpoints_too() {
    for_each_dialect(|dialect| {
        let (_server, computation) = open(ComputationConfig::default().sealer(counting_sealer()));
        let events = computation.events();
        let mut workers = [Worker::join(computation.addr(), dialect)];
        computation.wait_until_running(Some(1), LONG).unwrap();
        ask(computation.addr(), dialect, Verb::Checkpoint);
        take_part(&mut workers);
        events_until(&events, complete);
        computation.wait_until_running(Some(1), LONG).unwrap();
        computation
            .set_interval(Interval::Every(Duration::from_secs(1)))
            .unwrap();
        take_part(&mut workers);
        events_until(&events, complete);
    });
}

#[test]
fn without_a_sealer_there_is_no_set() {
    for_each_dialect(|dialect| {
        let (_server, computation) = open(ComputationConfig::default());
        let mut workers = [Worker::join(computation.addr(), dialect)];
        computation.wait_until_running(Some(1), LONG).unwrap();
        let asked = checkpoint(&computation);
        take_part(&mut workers);
        let sealed = asked.join().unwrap().unwrap();
        assert_eq!((sealed.images.len(), sealed.set), (1, None));
    });
}

#[test]
fn a_sealer_that_fails_fails_the_round_and_no_other() {
    for_each_dialect(|dialect| {
        let sealer = |round: &SealRound| -> Result<SealedSet, SealError> {
            if round.round > 1 {
                return Ok(SealedSet::new(1, "/sets/1"));
            }
            let full = io::Error::new(io::ErrorKind::StorageFull, "no space");
            let source = dmtcp_client::process::ProcessError::Proc {
                path: "/sets".into(),
                source: full,
            };
            Err(Box::new(source))
        };
        let (_server, computation) = open(ComputationConfig::default().sealer(sealer));
        let mut workers = [Worker::join(computation.addr(), dialect)];
        computation.wait_until_running(Some(1), LONG).unwrap();
        let asked = checkpoint(&computation);
        take_part(&mut workers);
        assert_eq!(
            failure(asked.join().unwrap()),
            RoundError::Seal("cannot read /sets: no space".to_owned())
        );
        computation.wait_until_running(Some(1), LONG).unwrap();
        let asked = checkpoint(&computation);
        take_part(&mut workers);
        assert_eq!(asked.join().unwrap().unwrap().round, 2);
    });
}

#[test]
fn a_sealer_that_panics_fails_all_rounds_and_nothing_else() {
    for_each_dialect(|dialect| {
        let sealer = |_: &SealRound| -> Result<SealedSet, SealError> { panic!("on purpose") };
        let (_server, computation) = open(ComputationConfig::default().sealer(sealer));
        let mut workers = [Worker::join(computation.addr(), dialect)];
        for _ in 0..2 {
            computation.wait_until_running(Some(1), LONG).unwrap();
            let asked = checkpoint(&computation);
            take_part(&mut workers);
            assert_eq!(
                failure(asked.join().unwrap()),
                RoundError::Seal("the sealer panicked".to_owned())
            );
        }
        drop(workers);
        computation.close(LONG).unwrap();
    });
}

/// Seals when it is told to.
fn gated_sealer() -> (
    mpsc::Sender<()>,
    impl FnMut(&SealRound) -> Result<SealedSet, SealError> + Send,
) {
    let (gate, opened) = mpsc::channel();
    let sealer = move |_: &SealRound| -> Result<SealedSet, SealError> {
        opened.recv_timeout(LONG)?;
        Ok(SealedSet::new(1, "/sets/1"))
    };
    (gate, sealer)
}

#[test]
fn while_a_slow_sealer_works_all_else_goes_on_and_a_second_checkpoint_is_refused() {
    for_each_dialect(|dialect| {
        let (gate, sealer) = gated_sealer();
        let (_server, computation) = open(ComputationConfig::default().sealer(sealer));
        let events = computation.events();
        let mut workers = [Worker::join(computation.addr(), dialect)];
        computation.wait_until_running(Some(1), LONG).unwrap();
        let asked = checkpoint(&computation);
        take_part(&mut workers);
        // They run again although their set is not sealed.
        computation.wait_until_running(Some(1), LONG).unwrap();
        for error in [
            computation.checkpoint(LONG).unwrap_err(),
            computation.request_checkpoint().unwrap_err(),
        ] {
            assert!(
                matches!(
                    error,
                    ServerError::Busy {
                        round: 1,
                        generation: 1
                    }
                ),
                "{error:?}"
            );
        }
        assert!(ask(computation.addr(), dialect, Verb::Status).running);
        assert!(!asked.is_finished());
        gate.send(()).unwrap();
        assert!(asked.join().unwrap().unwrap().set.is_some());
        events_until(&events, complete);
    });
}

#[test]
fn a_call_that_gives_up_leaves_the_round_running() {
    for_each_dialect(|dialect| {
        let (_server, computation) = open(ComputationConfig::default().sealer(counting_sealer()));
        let events = computation.events();
        let mut workers = [Worker::join(computation.addr(), dialect)];
        assert!(matches!(
            Worker::join(computation.addr(), dialect)
                .peer
                .stream
                .shutdown(std::net::Shutdown::Both),
            Ok(())
        ));
        computation.wait_until_running(Some(1), LONG).unwrap();
        let limit = Duration::from_millis(30);
        let error = computation.checkpoint(limit).unwrap_err();
        assert!(
            matches!(error, ServerError::TimedOut { limit: l, .. } if l == limit),
            "{error:?}"
        );
        let error = computation.checkpoint(LONG).unwrap_err();
        assert!(
            matches!(error, ServerError::Busy { round: 1, .. }),
            "{error:?}"
        );
        take_part(&mut workers);
        let seen = events_until(&events, complete);
        assert!(
            seen.iter()
                .any(|event| matches!(event, ComputationEvent::SetSealed { round: 1, .. }))
        );
        computation.wait_until_running(Some(1), LONG).unwrap();
        let asked = checkpoint(&computation);
        take_part(&mut workers);
        assert_eq!(asked.join().unwrap().unwrap().round, 2);
    });
}

#[test]
fn a_lost_worker_is_named() {
    for_each_dialect(|dialect| {
        let (_server, computation) = open(ComputationConfig::default().sealer(counting_sealer()));
        let mut workers = vec![
            Worker::join(computation.addr(), dialect),
            Worker::join(computation.addr(), dialect),
        ];
        computation.wait_until_running(Some(2), LONG).unwrap();
        let asked = checkpoint(&computation);
        go_through(&mut workers, 2);
        let state = workers[1].steps()[1].1;
        drop(workers.pop());
        match failure(asked.join().unwrap()) {
            RoundError::PeerLost(worker) => {
                assert_eq!((worker.number, worker.state), (2, state))
            }
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn w31_what_workers_say_last_is_heard_when_they_exit_at_once() {
    for_each_dialect(|dialect| {
        let (_server, computation) = open(ComputationConfig::default().sealer(counting_sealer()));
        let mut workers: Vec<Worker> = (0..8)
            .map(|_| Worker::join(computation.addr(), dialect))
            .collect();
        computation.wait_until_running(Some(8), LONG).unwrap();
        let other = computation.clone();
        let asked = thread::spawn(move || other.checkpoint_and_kill(LONG));
        go_through_all(&mut workers);
        workers.into_iter().for_each(Worker::report_and_exit);
        let sealed = asked.join().unwrap().unwrap();
        assert_eq!(sealed.images.len(), 8);
        assert_eq!(computation.status().unwrap().peers, 0);
    });
}

#[test]
fn without_workers_there_is_nothing_to_checkpoint() {
    let (_server, computation) = open(ComputationConfig::default());
    let error = computation.checkpoint(LONG).unwrap_err();
    assert!(matches!(error, ServerError::NotRunning), "{error:?}");
    let error = computation
        .wait_until_running(None, Duration::from_millis(10))
        .unwrap_err();
    assert!(matches!(error, ServerError::TimedOut { .. }), "{error:?}");
}

#[test]
fn closing_waits_for_the_sealer() {
    for_each_dialect(|dialect| {
        let (gate, sealer) = gated_sealer();
        let (_server, computation) = open(ComputationConfig::default().sealer(sealer));
        let events = computation.events();
        let mut workers = [Worker::join(computation.addr(), dialect)];
        computation.wait_until_running(Some(1), LONG).unwrap();
        let asked = checkpoint(&computation);
        take_part(&mut workers);
        events_until(&events, |event| {
            matches!(
                event,
                ComputationEvent::Coordinator(Event::ImagesReported { .. })
            )
        });
        drop(workers);
        let error = computation.close(Duration::from_millis(30)).unwrap_err();
        assert!(matches!(error, ServerError::TimedOut { .. }), "{error:?}");
        gate.send(()).unwrap();
        computation.close(LONG).unwrap();
        // The set was made, so whoever asked for it gets it.
        assert!(asked.join().unwrap().unwrap().set.is_some());
        assert!(events.into_iter().any(|event| complete(&event)));
    });
}
