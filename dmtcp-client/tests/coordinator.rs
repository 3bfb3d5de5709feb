//! The handle against scripted coordinators: answers, deadlines, and every way to fail.

mod fake;

use std::fmt::Debug;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use dmtcp_client::coordinator::{Coordinator, Error, Evidence};
use dmtcp_client::server::{ComputationConfig, Server};
use dmtcp_proto::WorkerState::{Checkpointed, Checkpointing, PreSuspend, Running, Suspended};
use dmtcp_proto::{CommandError, Dialect, ExchangeError, Interval, Release, Verb, WorkerState};
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
        if dialect == Dialect::V2_4 {
            // No list is not a list of nobody.
            assert!(tells_no_list(handle.workers().unwrap_err()));
        } else {
            let workers = handle.workers().unwrap();
            assert_eq!(workers.len(), 1);
            assert_eq!(
                (workers[0].number, workers[0].program.as_str()),
                (1, "counter")
            );
        }
        assert_eq!(handle.request_checkpoint().unwrap(), 1);
        assert_eq!(fake.verbs(), [Verb::Status, Verb::List, Verb::Checkpoint]);
    }
}

fn tells_no_list(error: Error) -> bool {
    let Error::Exchange { source, .. } = error else {
        return false;
    };
    matches!(source, ExchangeError::NoList { .. })
}

/// 2.x and 3.0.0: a prefix is taken, and the answer to what it changes has default fields.
fn prefix_taken(dialect: Dialect) -> Vec<u8> {
    let name = if dialect == Dialect::V3 {
        "blocking-prefix"
    } else {
        "exit-after-prefix"
    };
    changed(dialect, name, |header| header.status = 0)
}

const WITH_PREFIXES: [Dialect; 4] = [Dialect::V2_4, Dialect::V2_5, Dialect::V2_6, Dialect::V3];

/// A status of so many workers.
fn status(dialect: Dialect, peers: u32, running: bool) -> Vec<u8> {
    changed(dialect, "status-1peers", |header| {
        (header.peers, header.running) = (peers, u32::from(running));
    })
}

#[test]
fn an_answer_that_is_held_back_counts() {
    for dialect in WITH_PREFIXES {
        let mut lists = 0;
        let mut looks = 0;
        let fake = Fake::start(dialect, move |verb| match verb {
            Verb::Status => {
                looks += 1;
                // 2.4 has no lists to tell that it goes on.
                let status = status(dialect, 2, looks == 1 || looks > 3);
                match (dialect, looks) {
                    (Dialect::V2_4, 3) => Answer::Release {
                        held: prefix_taken(dialect),
                        this: status,
                    },
                    _ => Answer::Send(status),
                }
            }
            Verb::List if dialect == Dialect::V2_4 => Answer::Send(answer(dialect, "list")),
            Verb::List => {
                lists += 1;
                let state = if lists == 1 { Running } else { Suspended };
                let this = list(dialect, &[state, state], false);
                match lists {
                    3 => Answer::Release {
                        held: prefix_taken(dialect),
                        this,
                    },
                    _ => Answer::Send(this),
                }
            }
            Verb::BlockingPrefix => Answer::Send(prefix_taken(dialect)),
            Verb::Checkpoint => Answer::Stall(Vec::new()),
            other => panic!("{other:?}"),
        });
        let report = fake.handle().checkpoint(LIMIT).unwrap();
        assert_eq!(
            (report.peers, report.evidence),
            (2, Evidence::CoordinatorReply),
            "{dialect:?}"
        );
        let asked = fake.verbs();
        assert_eq!(
            asked[..4],
            [
                Verb::Status,
                Verb::List,
                Verb::BlockingPrefix,
                Verb::Checkpoint
            ]
        );
    }
}

/// They would never answer, and what they remember would change somebody else's checkpoint.
#[test]
fn no_prefix_is_sent_where_nothing_can_start() {
    for dialect in WITH_PREFIXES {
        let fake = Fake::start(dialect, move |verb| match verb {
            Verb::Status => Answer::Send(status(dialect, 2, false)),
            Verb::List => Answer::Send(answer(dialect, "list")),
            other => panic!("{other:?}"),
        });
        fake.handle().checkpoint(SHORT).unwrap_err();
        fake.handle().checkpoint_and_kill(SHORT).unwrap_err();
        let looks = [Verb::Status, Verb::List];
        assert!(fake.verbs().iter().all(|verb| looks.contains(verb)));
    }
}

/// 2.4, whose workers are these, one look after the other; the last one is repeated.
fn counting(looks: &'static [(u32, bool)], release_at: usize) -> Fake {
    let dialect = Dialect::V2_4;
    let mut next = 0;
    Fake::start(dialect, move |verb| match verb {
        Verb::Status => {
            let (peers, running) = looks[next.min(looks.len() - 1)];
            let this = status(dialect, peers, running);
            next += 1;
            if next == release_at {
                let held = prefix_taken(dialect);
                Answer::Release { held, this }
            } else {
                Answer::Send(this)
            }
        }
        Verb::List => Answer::Send(answer(dialect, "list")),
        Verb::BlockingPrefix | Verb::KillingPrefix => Answer::Send(prefix_taken(dialect)),
        Verb::Kill => Answer::Send(answer(dialect, "kill")),
        Verb::Checkpoint if release_at > 0 => Answer::Stall(Vec::new()),
        Verb::Checkpoint => Answer::Send(answer(dialect, "checkpoint")),
        other => panic!("{other:?}"),
    })
}

#[test]
fn without_lists_the_workers_are_counted() {
    let never = usize::MAX;
    let gone = counting(&[(2, true), (2, false), (0, false)], never);
    let error = gone.handle().checkpoint(LIMIT).unwrap_err();
    assert!(matches!(error, Error::ComputationEnded { .. }), "{error:?}");

    let fewer = counting(&[(2, true), (2, false), (1, false), (1, true)], 3);
    match fewer.handle().checkpoint(LIMIT).unwrap_err() {
        Error::FewerPeers { before, after, .. } => assert_eq!((before, after), (2, 1)),
        other => panic!("{other:?}"),
    }

    assert_cut_off(
        |limit| {
            let slow = counting(&[(2, true), (2, false)], never);
            slow.handle().checkpoint(limit)
        },
        |error| matches!(error, Error::CheckpointTimedOut { begun: true, .. }),
    );

    // Somebody else's round has used the prefix up: the answer comes at once.
    let stolen = counting(&[(1, true), (1, true), (1, false), (1, true)], 0);
    let report = stolen.handle().checkpoint(LIMIT).unwrap();
    assert!(matches!(report.evidence, Evidence::Observed { .. }));
}

#[test]
fn without_lists_a_kill_behind_a_checkpoint_is_never_confirmed() {
    let exit = counting(&[(2, true), (2, true), (2, false), (0, false)], 0);
    match exit.handle().checkpoint_and_kill(LIMIT).unwrap_err() {
        Error::Unconfirmed { unseen, .. } => assert!(unseen.is_empty()),
        other => panic!("{other:?}"),
    }
    let asked = exit.verbs();
    assert_eq!(asked[2..4], [Verb::KillingPrefix, Verb::Checkpoint]);

    let stay = counting(&[(2, true), (2, false), (2, true)], 0);
    let error = stay.handle().checkpoint_and_kill(LIMIT).unwrap_err();
    assert!(matches!(error, Error::PeersRemain { peers: 2, .. }));
    let end = counting(&[(2, true), (0, false)], 0);
    let error = end.handle().checkpoint_and_kill(LIMIT).unwrap_err();
    assert!(matches!(error, Error::ComputationEnded { .. }));
}

#[test]
fn without_lists_a_kill_waits_for_the_count() {
    counting(&[(2, true), (1, false), (0, false)], 0)
        .handle()
        .kill_workers()
        .unwrap();
    assert_cut_off(
        |limit| {
            let stay = counting(&[(2, true)], 0);
            stay.handle().timeout(limit).kill_workers()
        },
        |error| matches!(error, Error::PeersRemain { peers: 2, .. }),
    );
}

/// 3.0.0 and 2.x do not count the workers in the answer that they hold back.
#[test]
fn who_is_gone_at_the_answer_is_lost() {
    for dialect in [Dialect::V2_5, Dialect::V2_6, Dialect::V3] {
        let mut lists = 0;
        let fake = Fake::start(dialect, move |verb| match verb {
            Verb::Status => Answer::Send(answer(dialect, "status-1peers")),
            Verb::List => {
                lists += 1;
                let two = |state| list(dialect, &[state, state], false);
                match lists {
                    1 => Answer::Send(two(Running)),
                    2 => Answer::Release {
                        held: prefix_taken(dialect),
                        this: two(Checkpointed),
                    },
                    _ => Answer::Send(list(dialect, &[Running, GONE], false)),
                }
            }
            Verb::BlockingPrefix => Answer::Send(prefix_taken(dialect)),
            _ => Answer::Stall(Vec::new()),
        });
        match fake.handle().checkpoint(LIMIT).unwrap_err() {
            Error::WorkerLost { worker, .. } => assert_eq!(worker.number, 2),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_a_release_cannot_do_is_not_even_asked() {
    let rounds: &[&[WorkerState]] = &[&[Running], &[Suspended], &[Running]];
    let fake = checkpointing(Dialect::V3, rounds, false, without_blocking);
    let release = Release::parse("dmtcp_coordinator (DMTCP) 4.1.1").unwrap();
    let handle = fake.handle().with_release(release);
    let report = handle.checkpoint(LIMIT).unwrap();
    assert!(matches!(report.evidence, Evidence::Observed { .. }));
    assert!(!fake.verbs().contains(&Verb::BlockingPrefix));
    // What it calls itself never overrules the dialect.
    let release = Release::parse("dmtcp_coordinator (DMTCP) 5.0").unwrap();
    let handle = fake.handle().with_release(release);
    assert_eq!(handle.release().unwrap().dialect, Some(Dialect::V3));
}

#[test]
fn settings_that_only_2_5_and_2_6_have() {
    for &dialect in Dialect::ALL {
        let fake = Fake::start(dialect, move |verb| match verb {
            // Stock coordinators leave this connection open.
            Verb::SetLogMask => Answer::Stall(answer(dialect, "logmask")),
            Verb::GetCheckpointDir => {
                let mut frame = captured(dialect, "get-ckptdir");
                frame.payload = b"/images\0".to_vec().into();
                Answer::Send(bytes(dialect, &frame))
            }
            other => panic!("{other:?}"),
        });
        let handle = fake.handle();
        if matches!(dialect, Dialect::V2_5 | Dialect::V2_6) {
            handle.set_log_mask(3).unwrap();
            assert_eq!(handle.checkpoint_dir().unwrap().as_bytes(), b"/images");
        } else {
            for error in [
                handle.set_log_mask(3).unwrap_err(),
                handle.checkpoint_dir().unwrap_err(),
            ] {
                let Error::Exchange { source, .. } = error else {
                    panic!("{error:?}");
                };
                assert!(matches!(source, ExchangeError::Encode(_)));
            }
            assert_eq!(fake.verbs(), []);
        }
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
        // Whole questions only: a connection without a word ends coordinators before 4.0.0.
        let verbs = fake.verbs();
        let mut looks = verbs.iter().skip(1);
        assert!(verbs.first().is_none_or(|&verb| verb == Verb::Quit));
        assert!(looks.all(|&verb| verb == Verb::Status), "{verbs:?}");
        assert_eq!(fake.silent(), 0);
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
            let state = if (2..=4).contains(&lists) {
                PreSuspend
            } else {
                Running
            };
            let this = list(dialect, &[state], false);
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
