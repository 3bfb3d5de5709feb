//! The handle against scripted coordinators: answers, deadlines, and every way to fail.

mod fake;

use std::fmt::Debug;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use dmtcp_client::coordinator::{Coordinator, Error, Evidence};
use dmtcp_client::server::{ComputationConfig, Server};
use dmtcp_proto::WorkerState::{Checkpointed, Checkpointing, PreSuspend, Running, Suspended};
use dmtcp_proto::{CommandError, Dialect, ExchangeError, Interval, Verb, WorkerState};
use fake::{Answer, Fake, GONE, LONG as LIMIT, answer, bytes, captured, list};
use socket2::{Domain, Socket, Type};

const SHORT: Duration = Duration::from_millis(300);

/// Calls until its limit, which hits the stage that `meant` is about: where the machine is so busy
/// that an earlier one is hit, it has another try with a longer limit.
fn assert_cut_off<T: Debug>(
    call: impl Fn(Duration) -> Result<T, Error>,
    meant: impl Fn(&Error) -> bool,
) {
    let mut limit = SHORT;
    loop {
        let start = Instant::now();
        let error = call(limit).unwrap_err();
        let took = start.elapsed();
        assert!(took < limit + LIMIT, "{limit:?} took {took:?}");
        if meant(&error) {
            return;
        }
        assert!(limit < LIMIT, "{error:?}");
        limit *= 3;
    }
}

/// A captured answer that says something else.
fn changed(dialect: Dialect, name: &str, change: impl FnOnce(&mut dmtcp_proto::Header)) -> Vec<u8> {
    let mut frame = captured(dialect, name);
    change(&mut frame.header);
    bytes(dialect, &frame)
}

/// A coordinator whose checkpoints are done by the script, and whose lists are these, one after
/// the other; the last one is repeated.
fn checkpointing(
    dialect: Dialect,
    lists: &[&[WorkerState]],
    names: bool,
    mut script: impl FnMut(Verb) -> Answer + Send + 'static,
) -> Fake {
    let lists: Vec<Vec<u8>> = lists.iter().map(|l| list(dialect, l, names)).collect();
    let mut next = 0;
    Fake::start(dialect, move |verb| match verb {
        Verb::Status => Answer::Send(answer(dialect, "status-1peers")),
        Verb::List => {
            let list = lists[next].clone();
            next = (next + 1).min(lists.len() - 1);
            Answer::Send(list)
        }
        verb => script(verb),
    })
}

/// 3.1.0 to 4.2.0.
fn without_blocking(verb: Verb) -> Answer {
    Answer::Send(match verb {
        Verb::BlockingPrefix => answer(Dialect::V3, "blocking-prefix"),
        Verb::Checkpoint => answer(Dialect::V3, "checkpoint"),
        Verb::CheckpointAndKill => answer(Dialect::V3, "kill-after-checkpoint"),
        other => panic!("{other:?}"),
    })
}

/// The development head, when nobody answers.
fn forgetful(verb: Verb) -> Answer {
    assert_eq!(verb, Verb::BlockingCheckpoint);
    Answer::Stall(Vec::new())
}

#[test]
fn one_question_one_answer() {
    for &dialect in Dialect::ALL {
        let fake = Fake::start(dialect, move |verb| {
            let name = match verb {
                Verb::Status => "status-1peers",
                Verb::List => "list",
                Verb::Checkpoint => "checkpoint",
                other => panic!("{other:?}"),
            };
            Answer::Send(answer(dialect, name))
        });
        let handle = fake.handle();
        let status = handle.status().unwrap();
        assert_eq!((status.peers, status.running), (1, true));
        assert_eq!(status.interval, Interval::Never);
        let workers = handle.workers().unwrap();
        assert_eq!(workers.len(), 1);
        assert_eq!(
            (workers[0].number, workers[0].program.as_str()),
            (1, "counter")
        );
        assert_eq!(handle.request_checkpoint().unwrap(), 1);
        assert_eq!(fake.verbs(), [Verb::Status, Verb::List, Verb::Checkpoint]);
    }
}

#[test]
fn a_refusal_is_the_coordinators_word() {
    for &dialect in Dialect::ALL {
        let refused = answer(dialect, "checkpoint-refused");
        let fake = Fake::start(dialect, move |_| Answer::Send(refused.clone()));
        match fake.handle().request_checkpoint().unwrap_err() {
            Error::Command { source, .. } => assert_eq!(source, CommandError::NotRunning),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn silence_half_an_answer_and_a_trickle_end_with_the_deadline() {
    for &dialect in Dialect::ALL {
        let whole = answer(dialect, "status-1peers");
        for kind in 0..3 {
            let status = |limit| {
                let whole = whole.clone();
                let fake = Fake::start(dialect, move |_| match kind {
                    0 => Answer::Stall(Vec::new()),
                    1 => Answer::Stall(whole[..100].to_vec()),
                    _ => Answer::Dribble(whole.clone()),
                });
                fake.handle().timeout(limit).status()
            };
            assert_cut_off(
                status,
                |error| matches!(error, Error::TimedOut { awaited, .. } if *awaited == "the answer"),
            );
        }
    }
}

#[test]
fn a_listener_that_never_accepts_ends_with_the_deadline() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let handle = Coordinator::new(listener.local_addr().unwrap(), Dialect::V5).timeout(SHORT);
    // Whichever stage the limit of a single question ends.
    for error in [
        handle.checkpoint(Duration::MAX).unwrap_err(),
        handle.kill_workers().unwrap_err(),
    ] {
        assert!(
            matches!(error, Error::TimedOut { limit, .. } if limit <= SHORT),
            "{error:?}"
        );
    }
}

#[test]
fn nobody_listens() {
    // Taken, so that nobody else comes to listen there.
    let taken = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    taken.bind(&any.into()).unwrap();
    let addr = taken.local_addr().unwrap().as_socket().unwrap();
    let handle = Coordinator::new(addr, Dialect::V3).timeout(LIMIT);
    match handle.status().unwrap_err() {
        Error::Connect {
            addr: named,
            source,
        } => {
            assert_eq!(named, addr);
            assert_eq!(source.kind(), ErrorKind::ConnectionRefused);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_no_answer_is_named() {
    let exchange = |script: Vec<u8>| {
        let fake = Fake::start(Dialect::V3, move |_| Answer::Send(script.clone()));
        match fake.handle().status().unwrap_err() {
            Error::Exchange { source, .. } => source,
            other => panic!("{other:?}"),
        }
    };
    assert!(matches!(
        exchange(Vec::new()),
        ExchangeError::NoReply { .. }
    ));
    assert_eq!(
        exchange(answer(Dialect::V5, "status-1peers")),
        ExchangeError::WrongDialect {
            spoken: Dialect::V3,
            found: Dialect::V5,
        }
    );
    assert!(matches!(
        exchange(b"SSH-2.0-OpenSSH_9.2p1\r\n".to_vec()),
        ExchangeError::Decode { .. }
    ));
}

#[test]
fn an_interval_that_is_not_taken_is_reported() {
    let fake = Fake::start(Dialect::V3, |verb| {
        Answer::Send(match verb {
            Verb::SetInterval => answer(Dialect::V3, "interval"),
            _ => answer(Dialect::V3, "status-1peers"),
        })
    });
    let handle = fake.handle();
    let hour = Interval::Every(Duration::from_secs(3600));
    match handle.set_interval(hour).unwrap_err() {
        Error::IntervalIgnored { asked, found, .. } => {
            assert_eq!((asked, found), (hour, Interval::Never));
        }
        other => panic!("{other:?}"),
    }
    handle.set_interval(Interval::Never).unwrap();
    let before = fake.verbs().len();
    handle.set_interval(Interval::Unchanged).unwrap();
    assert_eq!(fake.verbs().len(), before);
}

#[test]
fn a_blocking_answer_counts() {
    let done = answer(Dialect::V5, "blocking-checkpoint");
    let rounds: &[&[WorkerState]] = &[&[Running]];
    let fake = checkpointing(Dialect::V5, rounds, false, move |verb| {
        assert_eq!(verb, Verb::BlockingCheckpoint);
        Answer::Send(done.clone())
    });
    let report = fake.handle().checkpoint(LIMIT).unwrap();
    assert_eq!(
        (report.peers, report.evidence),
        (1, Evidence::CoordinatorReply)
    );
}

#[test]
fn without_a_blocking_answer_the_workers_are_watched() {
    let rounds: &[&[WorkerState]] = &[
        &[Running, Running],
        &[Running, Running],
        &[PreSuspend, Running],
        &[Suspended, Suspended],
        &[Checkpointing, Checkpointed],
        &[Checkpointed, Running],
        &[Running, Running],
    ];
    let fake = checkpointing(Dialect::V3, rounds, false, without_blocking);
    let report = fake.handle().checkpoint(LIMIT).unwrap();
    assert_eq!(report.evidence, Evidence::Observed { lists: 6 });
    assert_eq!(
        fake.verbs()[..4],
        [
            Verb::Status,
            Verb::List,
            Verb::BlockingPrefix,
            Verb::Checkpoint,
        ]
    );
}

#[test]
fn a_round_that_nobody_saw_is_not_taken_for_one() {
    let rounds: &[&[WorkerState]] = &[&[Running]];
    let checkpoint = |limit| {
        let fake = checkpointing(Dialect::V3, rounds, false, without_blocking);
        fake.handle().checkpoint(limit)
    };
    assert_cut_off(checkpoint, |error| match error {
        Error::CheckpointTimedOut { begun, workers, .. } => !begun && workers.len() == 1,
        _ => false,
    });
}

#[test]
fn the_end_of_the_workers_ends_the_wait() {
    let all: &[&[WorkerState]] = &[&[Running, Running], &[Checkpointing, Checkpointing], &[]];
    let one: &[&[WorkerState]] = &[
        &[Running, Running],
        &[Checkpointing, Checkpointing],
        &[Checkpointed, GONE],
    ];
    for dialect in [Dialect::V3, Dialect::V5] {
        let start = |rounds| match dialect {
            Dialect::V3 => checkpointing(dialect, rounds, false, without_blocking),
            _ => checkpointing(dialect, rounds, false, forgetful),
        };
        let error = start(all).handle().checkpoint(LIMIT).unwrap_err();
        assert!(matches!(error, Error::ComputationEnded { .. }), "{error:?}");
        match start(one).handle().checkpoint(LIMIT).unwrap_err() {
            Error::WorkerLost { worker, .. } => {
                assert_eq!((worker.number, worker.state), (2, Checkpointing));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn who_is_forgotten_by_the_coordinator_gets_an_answer() {
    let rounds: &[&[WorkerState]] = &[&[Running], &[Checkpointing], &[Running]];
    let fake = checkpointing(Dialect::V5, rounds, false, forgetful);
    let report = fake.handle().checkpoint(LIMIT).unwrap();
    assert_eq!(
        (report.peers, report.evidence),
        (1, Evidence::Observed { lists: 2 })
    );
}

/// This library's coordinator answers when the set is sealed, long after the workers run again.
#[test]
fn a_coordinator_that_never_forgets_is_waited_for() {
    let dialect = Dialect::V5;
    let mut lists = 0;
    let started = Instant::now();
    let fake = Fake::start(dialect, move |verb| match verb {
        Verb::Status => Answer::Send(answer(dialect, "status-1peers")),
        Verb::List => {
            lists += 1;
            let state = if lists == 2 { Checkpointing } else { Running };
            let this = list(dialect, &[state], true);
            if started.elapsed() < Duration::from_secs(2) {
                Answer::Send(this)
            } else {
                let held = answer(dialect, "blocking-checkpoint");
                Answer::Release { held, this }
            }
        }
        _ => Answer::Stall(Vec::new()),
    });
    let report = fake.handle().checkpoint(LIMIT).unwrap();
    assert_eq!(report.evidence, Evidence::CoordinatorReply);
}

#[test]
fn a_round_that_the_coordinator_gave_up_is_not_asked_for_again() {
    let dialect = Dialect::V5;
    let mut lists = 0;
    let fake = Fake::start(dialect, move |verb| match verb {
        Verb::Status => Answer::Send(answer(dialect, "status-1peers")),
        Verb::List => {
            lists += 1;
            let this = list(dialect, &[[Running, PreSuspend][lists.min(2) - 1]], true);
            let held = changed(dialect, "blocking-checkpoint", |header| header.status = -4);
            if lists < 4 {
                Answer::Send(this)
            } else {
                Answer::Release { held, this }
            }
        }
        _ => Answer::Stall(Vec::new()),
    });
    let error = fake.handle().checkpoint(LIMIT).unwrap_err();
    assert!(matches!(error, Error::CheckpointFailed { .. }), "{error:?}");
    let asked = fake.verbs();
    let asked = asked
        .iter()
        .filter(|&&verb| verb == Verb::BlockingCheckpoint);
    assert_eq!(asked.count(), 1);
}

#[test]
fn a_refusal_before_the_start_is_asked_again() {
    let dialect = Dialect::V5;
    let mut asked = 0;
    let rounds: &[&[WorkerState]] = &[&[Running]];
    let fake = checkpointing(dialect, rounds, false, move |_| {
        asked += 1;
        Answer::Send(if asked < 3 {
            answer(dialect, "checkpoint-refused")
                .into_iter()
                .enumerate()
                .map(|(at, byte)| if at == 176 { 4 } else { byte })
                .collect()
        } else {
            answer(dialect, "blocking-checkpoint")
        })
    });
    let report = fake.handle().checkpoint(LIMIT).unwrap();
    assert_eq!(report.evidence, Evidence::CoordinatorReply);
}

#[test]
fn fewer_at_the_end_than_were_stopped_is_a_loss() {
    let dialect = Dialect::V5;
    let lists: [&[WorkerState]; 3] = [
        &[Running, Running],
        &[Checkpointing, Checkpointing],
        &[Checkpointed, Checkpointed],
    ];
    let mut next = 0;
    let fake = Fake::start(dialect, move |verb| match verb {
        Verb::Status => Answer::Send(answer(dialect, "status-1peers")),
        Verb::List => {
            next += 1;
            match lists.get(next - 1) {
                Some(states) if next < 3 => Answer::Send(list(dialect, states, false)),
                Some(states) => Answer::Release {
                    held: answer(dialect, "blocking-checkpoint"),
                    this: list(dialect, states, false),
                },
                None => Answer::Send(list(dialect, &[Running, GONE], false)),
            }
        }
        _ => Answer::Stall(Vec::new()),
    });
    match fake.handle().checkpoint(LIMIT).unwrap_err() {
        Error::WorkerLost { worker, .. } => assert_eq!(worker.number, 2),
        other => panic!("{other:?}"),
    }
}

#[test]
fn exit_behind_a_checkpoint() {
    let dialect = Dialect::V3;
    let seen: &[&[WorkerState]] = &[&[Running], &[Checkpointing], &[Checkpointed], &[]];
    let fake = checkpointing(dialect, seen, false, without_blocking);
    let report = fake.handle().checkpoint_and_kill(LIMIT).unwrap();
    assert_eq!(
        (report.peers, report.evidence),
        (1, Evidence::Observed { lists: 3 })
    );

    let unseen: &[&[WorkerState]] = &[&[Running], &[Checkpointing], &[]];
    let fake = checkpointing(dialect, unseen, false, without_blocking);
    match fake.handle().checkpoint_and_kill(LIMIT).unwrap_err() {
        Error::Unconfirmed { unseen, .. } => assert_eq!(unseen.len(), 1),
        other => panic!("{other:?}"),
    }

    let survivor: &[&[WorkerState]] = &[&[Running], &[Checkpointed], &[Running]];
    let fake = checkpointing(dialect, survivor, false, without_blocking);
    match fake.handle().checkpoint_and_kill(LIMIT).unwrap_err() {
        Error::WorkersRemain { workers, .. } => assert_eq!(workers.len(), 1),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_refused_killing_is_remembered_by_the_coordinator() {
    let dialect = Dialect::V3;
    let rounds: &[&[WorkerState]] = &[&[Running]];
    let checkpoint = |limit| {
        let fake = checkpointing(dialect, rounds, false, move |_| {
            Answer::Send(answer(dialect, "checkpoint-refused"))
        });
        fake.handle().checkpoint_and_kill(limit)
    };
    assert_cut_off(checkpoint, |error| {
        matches!(error, Error::RefusedButArmed { .. })
    });
}

#[test]
fn workers_that_do_not_obey_are_named() {
    let dialect = Dialect::V5;
    let rounds: &[&[WorkerState]] = &[&[Checkpointed, Running], &[Checkpointed, GONE]];
    let kill = |limit| {
        let fake = checkpointing(dialect, rounds, false, move |_| {
            Answer::Send(answer(dialect, "kill"))
        });
        fake.handle().timeout(limit).kill_workers()
    };
    assert_cut_off(kill, |error| match error {
        Error::WorkersRemain { workers, .. } => workers.len() == 1 && workers[0].number == 1,
        _ => false,
    });
}

/// That the coordinator does not answer any more says less.
#[test]
fn workers_that_were_left_are_named_whatever_is_cut_off() {
    let dialect = Dialect::V5;
    let kill = |limit| {
        let mut lists = 0;
        let fake = Fake::start(dialect, move |verb| {
            lists += u32::from(verb == Verb::List);
            match verb {
                Verb::Kill => Answer::Send(answer(dialect, "kill")),
                _ if lists == 1 => Answer::Send(list(dialect, &[Running], false)),
                _ => Answer::Stall(Vec::new()),
            }
        });
        fake.handle().timeout(limit).kill_workers()
    };
    assert_cut_off(kill, |error| match error {
        Error::WorkersRemain { workers, .. } => workers.len() == 1,
        _ => false,
    });
}

#[test]
fn quit_is_believed_when_nobody_listens_any_more() {
    let dialect = Dialect::V5;
    let quit = |limit| {
        let fake = Fake::start(dialect, |_| Answer::Send(Vec::new()));
        let result = fake.handle().timeout(limit).quit();
        let verbs = fake.verbs();
        assert!(matches!(verbs[..], [] | [Verb::Quit]), "{verbs:?}");
        result
    };
    assert_cut_off(quit, |error| matches!(error, Error::StillListening { .. }));
}

#[test]
fn the_embedded_coordinator_is_one_of_them() {
    let server = Server::start().unwrap();
    for &dialect in Dialect::ALL {
        let computation = server.open(ComputationConfig::default()).unwrap();
        let handle = Coordinator::new(computation.addr(), dialect).timeout(LIMIT);
        assert_eq!(handle.status().unwrap().peers, 0);
        assert_eq!(handle.workers().unwrap(), []);
        let hour = Interval::Every(Duration::from_secs(3600));
        handle.set_interval(hour).unwrap();
        assert_eq!(computation.status().unwrap().interval, hour);
        let error = handle.request_checkpoint().unwrap_err();
        assert!(matches!(error, Error::Command { .. }), "{error:?}");
        handle.kill_workers().unwrap();
        handle.quit().unwrap();
    }
}

/// A stock coordinator's refusal, however late it comes, is never the end of a round: what was
/// seen to begin meanwhile was somebody else's.
#[test]
fn a_late_refusal_by_a_stock_coordinator_is_asked_again() {
    let dialect = Dialect::V5;
    let (mut lists, mut asked) = (0, 0);
    let fake = Fake::start(dialect, move |verb| match verb {
        Verb::Status => Answer::Send(answer(dialect, "status-1peers")),
        Verb::List => {
            lists += 1;
            let this = list(dialect, &[[Running, PreSuspend][lists.min(2) - 1]], false);
            let held = changed(dialect, "blocking-checkpoint", |header| header.status = -2);
            if lists < 4 {
                Answer::Send(this)
            } else {
                Answer::Release { held, this }
            }
        }
        _ => {
            asked += 1;
            if asked == 1 {
                Answer::Stall(Vec::new())
            } else {
                Answer::Send(answer(dialect, "blocking-checkpoint"))
            }
        }
    });
    let report = fake.handle().checkpoint(LIMIT).unwrap();
    assert_eq!(report.evidence, Evidence::CoordinatorReply);
}
