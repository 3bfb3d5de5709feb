use dmtcp_proto::{CoordinatorConfig, RoundError, UniquePid};

use super::*;

const LIMITS: Limits = Limits {
    rounds: 2,
    workers: 3,
};

fn at(seconds: u64) -> Instant {
    Instant::from_start(Duration::from_secs(seconds))
}

fn worker(number: u64) -> WorkerInfo {
    let list = format!(
        "Client List:\n#, PROG[virtPID:realPID]@HOST, DMTCP-UNIQUEPID, STATE, BARRIER\n\
         {number}, counter[40000:{}]@here, 1-2-3, WorkerState::RUNNING, \n\n",
        100 + number
    );
    dmtcp_proto::worker_list::parse(&list).unwrap().remove(0)
}

fn barrier(name: &str, index: u32) -> WorkerStep {
    let name = Name::new(name).unwrap();
    WorkerStep::Barrier { name, index }
}

fn started(round: u64) -> Event {
    Event::CheckpointStarted {
        round,
        generation: 1,
        workers: 2,
    }
}

fn failed(round: u64) -> Event {
    Event::CheckpointFailed {
        round,
        generation: 1,
        reason: RoundError::Killed,
    }
}

#[test]
fn times_count_from_the_order_and_the_last_at_a_barrier_is_named() {
    let mut recorder = Recorder::new(LIMITS);
    recorder.note(at(10), &started(1));
    recorder.step(at(11), 7, barrier("a", 0));
    recorder.step(at(14), 5, barrier("a", 0));
    let name = Name::new("a").unwrap();
    recorder.note(at(15), &Event::BarrierReleased { name, peers: 2 });
    // A child that was forked meanwhile: nobody waited for it.
    recorder.step(at(16), 9, barrier("a", 0));
    let timelines = recorder.timelines();
    let [passage] = &timelines[0].barriers[..] else {
        panic!("{timelines:#?}");
    };
    let seconds = |time: Duration| time.as_secs();
    assert_eq!((seconds(passage.first), seconds(passage.last)), (1, 4));
    assert_eq!((passage.last_worker, passage.peers), (5, 2));
    assert_eq!(passage.released.map(seconds), Some(5));
    let order: Vec<u64> = timelines[0].tracks.iter().map(|t| t.number).collect();
    assert_eq!(order, [5, 7, 9]);
    assert_eq!(seconds(timelines[0].track(9).unwrap().steps[0].at), 6);
}

#[test]
fn what_a_peer_can_make_us_hold_is_bounded() {
    let mut recorder = Recorder::new(LIMITS);
    recorder.note(at(0), &started(1));
    // Nobody can have been there.
    recorder.step(at(1), 1, barrier("z", 5));
    for _ in 0..10 * MAX_STEPS {
        recorder.step(at(1), 1, WorkerStep::Running);
    }
    for worker in 2..100 {
        recorder.step(at(1), worker, WorkerStep::ImageReported);
    }
    let timelines = recorder.timelines();
    assert_eq!(
        (timelines[0].barriers.len(), timelines[0].tracks.len()),
        (0, 3)
    );
    let track = timelines[0].track(1).unwrap();
    assert_eq!(track.steps.len(), MAX_STEPS);
    assert_eq!(track.steps_cut as usize, 9 * MAX_STEPS);
}

/// Before it was its turn to be entered.
#[test]
fn one_that_leaves_at_once_is_shown_or_counted() {
    let core = CoordinatorCore::new(CoordinatorConfig::default(), at(0));
    let told = |workers| Event::CheckpointStarted {
        round: 1,
        generation: 1,
        workers,
    };
    let mut recorder = Recorder::new(LIMITS);
    recorder.note(at(1), &told(1));
    recorder.note(at(2), &Event::WorkerLeft(worker(7)));
    assert!(recorder.enroll(&core));
    let timelines = recorder.timelines();
    let track = timelines[0].track(7).unwrap();
    assert_eq!((&*track.host, track.real_pid), ("here", 107));
    assert!(track.left.is_some());
    assert_eq!(timelines[0].workers_cut, 0);

    // With more than there is room for.
    let mut recorder = Recorder::new(LIMITS);
    recorder.note(at(1), &told(5));
    for number in 1..=3 {
        recorder.step(at(2), number, WorkerStep::ImageReported);
    }
    recorder.note(at(2), &Event::WorkerLeft(worker(5)));
    recorder.note(at(2), &Event::WorkerJoined(worker(6)));
    assert!(recorder.enroll(&core));
    recorder.note(at(3), &Event::WorkerJoined(worker(7)));
    let timelines = recorder.timelines();
    assert_eq!(
        (timelines[0].tracks.len(), timelines[0].workers_cut),
        (3, 4)
    );
}

#[test]
fn what_is_not_of_a_round_is_not_noted() {
    let mut recorder = Recorder::new(LIMITS);
    recorder.step(at(1), 1, barrier("a", 0));
    recorder.note(at(2), &started(1));
    recorder.note(at(3), &failed(1));
    recorder.note(at(4), &Event::Resumed);
    recorder.step(at(5), 1, WorkerStep::Running);
    let restart = Event::RestartStarted {
        computation: UniquePid::NULL,
        expected: 1,
    };
    recorder.note(at(6), &started(2));
    recorder.note(at(7), &restart);
    recorder.step(at(8), 1, barrier("a", 0));
    for timeline in recorder.timelines() {
        assert_eq!((timeline.tracks.len(), timeline.barriers.len()), (0, 0));
    }
}

#[test]
fn a_round_that_fails_before_anybody_is_told_is_kept_too() {
    let mut recorder = Recorder::new(LIMITS);
    recorder.note(at(1), &failed(4));
    let timelines = recorder.timelines();
    assert_eq!((timelines[0].round, timelines[0].workers), (4, 0));
    assert!(matches!(timelines[0].outcome, RoundOutcome::Failed { .. }));
}
