//! Timelines, the traces made of them, and metrics, of rounds over real sockets.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt as _,
    sync::Arc,
    time::{Duration, Instant},
};

use dmtcp_client::server::{
    ChromeTrace, Computation, ComputationConfig, Exposition, RoundOutcome, RoundTimeline,
    SealError, SealRound, SealedSet, Step, WorkerTrack, raise_open_file_limit,
};
use dmtcp_proto::{Dialect, Event, RoundError, Verb, WorkerState};

use crate::{
    LONG,
    chrome_trace::Trace,
    exposition, for_each_barrier_dialect, for_each_dialect, open,
    peer::{Peer, Who, Worker, ask, go_through, resume_all, take_part},
};

fn join(computation: &Computation, dialect: Dialect, host: &str, real_pid: i32) -> Worker {
    let who = Who {
        host: host.to_owned(),
        real_pid,
    };
    let worker = Worker::join_as(Peer::connect(computation.addr(), dialect), &who);
    let peers = computation.workers().unwrap().len();
    let peers = u32::try_from(peers).unwrap();
    computation.wait_until_running(Some(peers), LONG).unwrap();
    worker
}

fn sealer() -> impl FnMut(&SealRound) -> Result<SealedSet, SealError> + Send {
    |round| Ok(SealedSet::new(round.round, "/sets").bytes(round.round * 1000))
}

/// Asks until it is so.
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(start.elapsed() < LONG, "{what}");
        std::thread::yield_now();
    }
}

fn timeline(
    computation: &Computation,
    round: u64,
    wanted: impl Fn(&RoundTimeline) -> bool,
) -> Arc<RoundTimeline> {
    until("the timeline never gets there", || {
        let timeline = computation.timeline(round).unwrap()?;
        wanted(&timeline).then_some(timeline)
    })
}

fn steps(track: &WorkerTrack) -> Vec<Step> {
    track.steps.iter().map(|step| step.step).collect()
}

fn trace(timelines: &[Arc<RoundTimeline>]) -> Trace {
    let mut text = Vec::new();
    ChromeTrace::of(timelines).write(&mut text).unwrap();
    Trace::parse(&text)
}

/// One round in which the last of the workers is the last everywhere.
fn round_with_a_laggard(computation: &Computation, workers: &mut [Worker], round: u64) {
    computation.request_checkpoint().unwrap();
    for worker in workers.iter_mut() {
        worker.order();
    }
    let (laggard, others) = workers.split_last_mut().unwrap();
    for (index, (barrier, state)) in laggard.steps().into_iter().enumerate() {
        for worker in others.iter_mut() {
            worker.arrive(&barrier, state);
        }
        timeline(computation, round, |timeline| {
            let there = |track: &&WorkerTrack| track.steps.len() == index + 1;
            timeline.tracks.iter().filter(there).count() == others.len()
        });
        laggard.arrive(&barrier, state);
        for worker in others.iter_mut() {
            worker.released(&barrier);
        }
        laggard.released(&barrier);
    }
    for worker in workers.iter_mut() {
        worker.report();
    }
    resume_all(workers);
}

#[test]
fn a_round_tells_who_was_where_when_and_whom_the_others_waited_for() {
    for_each_dialect(|dialect| {
        let (_server, computation) = open(ComputationConfig::default().sealer(sealer()));
        let mut workers = [("one", 11), ("two", 22), ("one", 33)]
            .map(|(host, pid)| join(&computation, dialect, host, pid));
        assert!(computation.timelines().unwrap().is_empty());
        round_with_a_laggard(&computation, &mut workers, 1);
        let timeline = timeline(&computation, 1, |timeline| {
            timeline.resumed.is_some() && timeline.outcome != RoundOutcome::UnderWay
        });
        assert_eq!((timeline.round, timeline.generation), (1, 1));
        assert_eq!((timeline.workers, timeline.workers_cut), (3, 0));
        let who = |track: &WorkerTrack| (track.host.to_string(), track.real_pid);
        let who: Vec<_> = timeline.tracks.iter().map(who).collect();
        let expected = [("one", 11), ("two", 22), ("one", 33)];
        assert_eq!(who, expected.map(|(host, pid)| (host.to_owned(), pid)));
        assert!(
            timeline
                .tracks
                .iter()
                .all(|track| &*track.program == "counter")
        );
        let laggard = timeline.tracks[2].number;

        let names = workers[0].steps();
        let mut before = Duration::ZERO;
        for (barrier, (name, _)) in timeline.barriers.iter().zip(&names) {
            assert_eq!(barrier.name.to_string(), *name);
            assert_eq!((barrier.last_worker, barrier.peers), (laggard, 3));
            let released = barrier.released.unwrap();
            let order = [before, barrier.first, barrier.last, released];
            assert!(order.is_sorted(), "{timeline:#?}");
            before = released;
        }
        assert!(timeline.barriers.len() >= names.len());
        for track in &timeline.tracks {
            assert_eq!(steps(track), steps(&timeline.tracks[0]));
            assert!(track.steps.is_sorted_by_key(|step| step.at));
            assert_eq!(track.steps.last().unwrap().step, Step::Running);
        }
        let sealing = timeline.sealing.unwrap();
        let reported = timeline.images_reported.unwrap();
        let RoundOutcome::Complete { at } = timeline.outcome else {
            panic!("{timeline:#?}");
        };
        let order = [reported, sealing.began, sealing.ended.unwrap(), at];
        assert!(order.is_sorted(), "{timeline:#?}");
        assert!(timeline.length() >= at.max(timeline.resumed.unwrap()));

        let trace = trace(&[timeline]);
        assert_eq!(trace.groups, ["coordinator", "one", "two"]);
        assert_eq!(trace.slices("coordinator", "rounds"), ["round 1"]);
        assert_eq!(trace.slices("coordinator", "sealing"), ["sealing"]);
        let mut of_laggard = Vec::new();
        for (name, _) in &names {
            of_laggard.push(format!("to {name} (last)"));
            of_laggard.push(name.clone());
        }
        of_laggard.push("image".to_owned());
        let seen = trace.slices("one", "counter (pid 33)");
        assert_eq!(seen[..of_laggard.len()], of_laggard);
        assert_eq!(seen.last(), Some(&"resume"));
        let other = trace.slices("two", "counter (pid 22)");
        assert_eq!(other[0], format!("to {}", names[0].0));
        assert_eq!(other.len(), seen.len());
    });
}

#[test]
fn a_failed_round_shows_who_was_lost() {
    for_each_barrier_dialect(|dialect| {
        let (_server, computation) = open(ComputationConfig::default());
        let mut workers = ["one", "two"].map(|host| join(&computation, dialect, host, 7));
        computation.request_checkpoint().unwrap();
        go_through(&mut workers, 1);
        let [_survivor, lost] = workers;
        drop(lost);
        let timeline = timeline(&computation, 1, |timeline| {
            timeline.outcome != RoundOutcome::UnderWay
        });
        assert!(matches!(
            &timeline.outcome,
            RoundOutcome::Failed { reason: RoundError::PeerLost(lost), .. } if lost.host == "two"
        ));
        assert!(timeline.tracks[1].left.is_some());
        assert_eq!(timeline.sealing, None);
        let trace = trace(&[timeline]);
        assert!(trace.instants.contains(&"connection ended".to_owned()));
        let metrics = computation.metrics().unwrap();
        assert_eq!(metrics.rounds_failed.peer_lost, 1);
        assert_eq!((metrics.rounds_started, metrics.rounds_complete), (1, 0));
    });
}

/// More than are entered in one turn, and none of them does anything.
#[test]
fn a_crowd_that_only_waits_is_shown_whole() {
    raise_open_file_limit().unwrap();
    for_each_dialect(|dialect| {
        let (_server, computation) = open(ComputationConfig::default());
        let pids = 1..=300;
        let mut workers: Vec<Worker> = pids
            .clone()
            .map(|pid| join(&computation, dialect, "one", pid))
            .collect();
        computation.request_checkpoint().unwrap();
        workers[0].order();
        drop(workers.pop());
        let timeline = timeline(&computation, 1, |timeline| {
            let is_last = |track: &WorkerTrack| track.left.is_some();
            timeline.tracks.len() == 300 && timeline.tracks.last().is_some_and(is_last)
        });
        let seen = timeline.tracks.iter().map(|track| track.real_pid);
        assert!(seen.eq(pids));
        let mut tracks = timeline.tracks.iter();
        assert!(tracks.all(|track| &*track.host == "one" && track.joined.is_none()));
        assert_eq!((timeline.workers, timeline.workers_cut), (300, 0));
    });
}

#[test]
fn only_so_many_rounds_and_workers_are_kept() {
    let dialect = Dialect::V5;
    let config = ComputationConfig::default()
        .timelines(2)
        .timeline_workers(2);
    let (_server, computation) = open(config);
    let mut workers = [1, 2, 3].map(|pid| join(&computation, dialect, "one", pid));
    for round in 1..=3 {
        computation.request_checkpoint().unwrap();
        take_part(&mut workers);
        timeline(&computation, round, |timeline| timeline.resumed.is_some());
    }
    let timelines = computation.timelines().unwrap();
    let rounds: Vec<u64> = timelines.iter().map(|timeline| timeline.round).collect();
    assert_eq!(rounds, [2, 3]);
    assert_eq!(computation.timeline(1).unwrap(), None);
    for timeline in &timelines {
        assert_eq!((timeline.tracks.len(), timeline.workers_cut), (2, 1));
        assert_eq!((timeline.workers, timeline.barriers[0].peers), (3, 3));
    }
    let trace = trace(&timelines);
    assert_eq!(
        trace.slices("coordinator", "rounds"),
        ["round 2", "round 3"]
    );
    let counted = |name: &str| trace.slices("one", name).len();
    assert_eq!(counted("counter (pid 1)"), counted("counter (pid 2)"));

    let (_server, computation) = open(ComputationConfig::default().timelines(0));
    let mut workers = [join(&computation, dialect, "one", 1)];
    computation.request_checkpoint().unwrap();
    take_part(&mut workers);
    computation.wait_until_running(Some(1), LONG).unwrap();
    assert!(computation.timelines().unwrap().is_empty());
}

#[test]
fn a_timeline_that_was_asked_for_does_not_change_any_more() {
    let (_server, computation) = open(ComputationConfig::default());
    let mut workers = [join(&computation, Dialect::V5, "one", 1)];
    computation.request_checkpoint().unwrap();
    go_through(&mut workers, 1);
    let early = timeline(&computation, 1, |timeline| timeline.barriers.len() == 1);
    let copy = RoundTimeline::clone(&early);
    for (barrier, state) in &workers[0].steps()[1..] {
        workers[0].arrive(barrier, *state);
        workers[0].released(barrier);
    }
    workers[0].report();
    resume_all(&mut workers);
    let late = timeline(&computation, 1, |timeline| timeline.resumed.is_some());
    assert_eq!(*early, copy);
    assert!(late.barriers.len() > early.barriers.len());
}

#[test]
fn listeners_hear_as_much_of_a_round_however_many_workers_there_are() {
    let heard = |count: usize| {
        let (_server, computation) = open(ComputationConfig::default());
        let mut workers: Vec<Worker> = (0..count)
            .map(|_| join(&computation, Dialect::V5, "one", 1))
            .collect();
        let before = computation.metrics().unwrap().events;
        computation.request_checkpoint().unwrap();
        take_part(&mut workers);
        timeline(&computation, 1, |timeline| timeline.resumed.is_some());
        computation.metrics().unwrap().events - before
    };
    assert_eq!(heard(1), heard(6));
}

#[test]
fn metrics_count_what_happened_and_can_be_read_by_prometheus() {
    for_each_dialect(|dialect| {
        let (server, computation) = open(ComputationConfig::default().sealer(sealer()));
        let other = server.open(ComputationConfig::default()).unwrap();
        let empty = other.metrics().unwrap();
        assert_eq!((empty.last_complete, empty.last_set_bytes), (None, None));
        let mut workers = [1, 2].map(|pid| join(&computation, dialect, "one", pid));
        for round in 1..=2 {
            computation.request_checkpoint().unwrap();
            take_part(&mut workers);
            timeline(&computation, round, |timeline| {
                timeline.resumed.is_some() && timeline.outcome != RoundOutcome::UnderWay
            });
        }
        ask(computation.addr(), dialect, Verb::Status);
        let metrics = computation.metrics().unwrap();
        let running = WorkerState::Running.to_string();
        assert_eq!(
            metrics.workers.into_iter().collect::<Vec<_>>(),
            [(running, 2)]
        );
        assert_eq!(
            (metrics.last_set, metrics.last_set_bytes),
            (Some(2), Some(2000))
        );
        assert!(metrics.since_complete.unwrap() < LONG * 10);

        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("dmtcp.prom");
        let all = [computation.metrics().unwrap(), empty];
        Exposition::of(&all[..1]).write_file(&path).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let names = fs::read_dir(directory.path()).unwrap().count();
        assert_eq!(names, 1, "nothing is left aside");
        // The owner can always read it; the others if this process's umask lets them.
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o700,
            0o600
        );

        let families = exposition::parse(&text);
        let value = |name: &str, labels: &[(&str, &str)]| {
            let family = &families[name];
            let addr = computation.addr().to_string();
            let mut wanted: Vec<_> = vec![("coordinator".to_owned(), addr)];
            let own = labels.iter();
            wanted.extend(own.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
            let found = family.samples.iter().find(|(labels, _)| *labels == wanted);
            found
                .unwrap_or_else(|| panic!("no {name}{labels:?} in {text}"))
                .1
        };
        assert_eq!(value("dmtcp_workers", &[("state", "RUNNING")]), 2.0);
        // The tool's end may not have been seen.
        assert!(value("dmtcp_connections", &[]) >= 2.0);
        assert_eq!(value("dmtcp_rounds_started_total", &[]), 2.0);
        assert_eq!(value("dmtcp_rounds_complete_total", &[]), 2.0);
        assert_eq!(
            value("dmtcp_rounds_failed_total", &[("reason", "seal")]),
            0.0
        );
        assert_eq!(value("dmtcp_workers_joined_total", &[]), 2.0);
        assert_eq!(value("dmtcp_connections_accepted_total", &[]), 3.0);
        assert_eq!(value("dmtcp_commands_total", &[]), 1.0);
        assert_eq!(value("dmtcp_last_set_bytes", &[]), 2000.0);
        assert_eq!(value("dmtcp_last_set_number", &[]), 2.0);
        assert!(value("dmtcp_messages_total", &[]) > 10.0);
        assert!(value("dmtcp_last_round_duration_seconds", &[]) > 0.0);
        assert!(value("dmtcp_last_complete_timestamp_seconds", &[]) > 1.6e9);

        // Families are not repeated for the second computation.
        exposition::parse(&Exposition::of(&all).to_string());
    });
}

#[test]
fn why_rounds_fail_and_peers_are_cut_off_is_counted() {
    let config = ComputationConfig::default();
    let (_server, computation) =
        open(config.sealer(|_: &SealRound| Err(SealError::from("the disk is full"))));
    let events = computation.events();
    let mut workers = [join(&computation, Dialect::V5, "one", 1)];
    computation.request_checkpoint().unwrap();
    take_part(&mut workers);
    timeline(&computation, 1, |timeline| {
        matches!(
            &timeline.outcome,
            RoundOutcome::Failed {
                reason: RoundError::Seal(_),
                ..
            }
        ) && timeline
            .sealing
            .is_some_and(|sealing| sealing.ended.is_some())
    });
    let mut nonsense = Peer::connect(computation.addr(), Dialect::V5);
    std::io::Write::write_all(&mut nonsense.stream, &[0x55; 4096]).unwrap();
    crate::events_until(&events, |event| {
        use dmtcp_client::server::ComputationEvent::Coordinator;
        matches!(event, Coordinator(Event::PeerMisbehaved { .. }))
    });
    let metrics = computation.metrics().unwrap();
    assert_eq!(
        (metrics.rounds_failed.seal, metrics.rounds_complete),
        (1, 0)
    );
    assert_eq!((metrics.peers.misbehaved, metrics.last_set), (1, None));
    let text = Exposition::of(&[metrics]).to_string();
    let families = exposition::parse(&text);
    let reasons = |name: &str| {
        let samples = families[name].samples.iter();
        let reasons = samples.map(|(labels, _)| labels[1].1.clone());
        reasons.collect::<BTreeSet<_>>()
    };
    assert!(reasons("dmtcp_rounds_failed_total").contains("peer_lost"));
    assert!(reasons("dmtcp_peers_refused_total").contains("protocol_error"));
}
