//! A job's loop in virtual time: nothing here waits.

use super::*;
use crate::job::pace::AutoInterval;
use proptest::prelude::*;

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn at(seconds: u64) -> Instant {
    Instant::from_start(s(seconds))
}

fn took(seconds: u64) -> CheckpointTime {
    CheckpointTime::new(s(seconds), s(seconds))
}

fn wait(seconds: u64) -> Decision {
    Decision::Wait {
        until: Some(at(seconds)),
    }
}

#[test]
fn nothing_is_planned_without_an_interval_or_an_end() {
    let mut pace = Pace::new(IntervalPolicy::Never);
    let nothing = Decision::Wait { until: None };
    assert_eq!(pace.decide(at(5)), nothing);
    pace.running(at(10));
    assert_eq!(pace.decide(at(1_000_000)), nothing);
}

#[test]
fn every_so_often_from_beginning_to_beginning() {
    let mut pace = Pace::new(IntervalPolicy::Every(s(60)));
    pace.running(at(10));
    assert_eq!(pace.decide(at(10)), wait(70));
    assert_eq!(pace.decide(at(71)), Decision::Checkpoint { limit: None });
    pace.checkpointed(at(91), took(20));
    assert_eq!(pace.decide(at(91)), wait(131));
    pace.checkpointed(at(231), took(100));
    // It began at 131 and took longer than the interval: they work for as long as it took.
    assert_eq!(pace.decide(at(231)), wait(331));
}

#[test]
fn after_a_failure_it_waits_longer_each_time() {
    let mut pace = Pace::new(IntervalPolicy::Every(s(60)));
    pace.running(at(0));
    for (failed, next) in [
        (60, 65),
        (66, 76),
        (80, 100),
        (100, 140),
        (140, 200),
        (200, 260),
    ] {
        pace.checkpoint_failed(at(failed));
        assert_eq!(pace.decide(at(failed)), wait(next));
    }
    pace.checkpointed(at(261), took(1));
    assert_eq!(pace.decide(at(261)), wait(320));
}

#[test]
fn the_last_one_begins_early_enough_for_what_was_measured() {
    let mut pace = Pace::new(IntervalPolicy::Never).grace(s(30));
    pace.set_end(EndSource::SlurmEndTime, at(1000));
    pace.running(at(0));
    assert_eq!(pace.decide(at(0)), wait(970));
    for _ in 0..20 {
        pace.checkpointed(at(500), took(40));
    }
    // 40 s and a half, and 5 s.
    assert_eq!(pace.decide(at(500)), wait(935));
    let Decision::CheckpointAndStop { limit, source } = pace.decide(at(935)) else {
        panic!("{}", pace.decide(at(935)));
    };
    assert_eq!((limit, source), (s(63), EndSource::SlurmEndTime));
    let too_late = Decision::TooLate { source };
    assert_eq!(pace.decide(at(998)), too_late);
    assert_eq!(pace.decide(at(5000)), too_late);
}

#[test]
fn a_periodic_one_that_does_not_fit_is_left_out() {
    let mut pace = Pace::new(IntervalPolicy::Every(s(100))).grace(s(10));
    pace.set_end(EndSource::Asked, at(1000));
    pace.running(at(0));
    for _ in 0..20 {
        pace.checkpointed(at(810), took(10));
    }
    // The last one begins at 980. Another at 900 is over by then, one at 970 would not be.
    assert_eq!(pace.decide(at(810)), wait(900));
    pace.checkpointed(at(880), took(10));
    assert_eq!(pace.decide(at(880)), wait(980));
}

#[test]
fn a_short_limit_leaves_half_of_the_time_for_work() {
    let mut pace = Pace::new(IntervalPolicy::Never).grace(s(90));
    pace.set_end(EndSource::Asked, at(160));
    pace.running(at(100));
    assert_eq!(pace.decide(at(100)), wait(130));
}

#[test]
fn the_earliest_end_counts_and_a_new_word_replaces_the_old() {
    let mut pace = Pace::new(IntervalPolicy::Never).grace(s(10));
    pace.running(at(0));
    pace.set_end(EndSource::Asked, at(500));
    pace.set_end(EndSource::SlurmTimeLeft, at(400));
    assert_eq!(
        pace.stops_in(at(0)),
        Some((s(390), EndSource::SlurmTimeLeft))
    );
    pace.set_end(EndSource::SlurmTimeLeft, at(4000));
    assert_eq!(pace.stops_in(at(0)), Some((s(490), EndSource::Asked)));
    assert_eq!(
        pace.explain(at(0)),
        "checkpoints only when asked for; the last one in 8m 10s (as asked for)"
    );
}

#[test]
fn a_notice_stops_at_once_and_asking_again_gains_no_time() {
    let mut pace = Pace::new(IntervalPolicy::Every(s(60)));
    pace.running(at(0));
    pace.set_end(EndSource::Asked, at(4000));
    pace.stop_within(at(100), EndSource::Notice, s(30));
    pace.stop_within(at(110), EndSource::Notice, s(30));
    let stop = |limit| Decision::CheckpointAndStop {
        limit: s(limit),
        source: EndSource::Notice,
    };
    assert_eq!(pace.decide(at(110)), stop(18));
    // A failure is tried again, soon.
    pace.checkpoint_failed(at(112));
    assert_eq!(pace.decide(at(112)), wait(114));
    assert_eq!(pace.decide(at(114)), stop(14));
    pace.stop_within(at(115), EndSource::Notice, s(5));
    assert_eq!(
        pace.decide(at(120)),
        Decision::TooLate {
            source: EndSource::Notice
        }
    );
}

#[test]
fn only_interruptions_count_as_such() {
    let mut pace = Pace::new(IntervalPolicy::Auto(AutoInterval::new()));
    pace.running(at(0));
    pace.checkpointed(at(50), took(1));
    pace.interrupted(at(100));
    pace.interrupted(at(100));
    pace.running(at(200));
    assert_eq!(pace.interruptions(at(250)).ran(), s(150));
    pace.ended(at(300));
    let seen = pace.interruptions(at(1000));
    assert_eq!((seen.count(), seen.ran()), (1, s(200)));
}

/// A job whose checkpoints take what the list says, and fail where it says zero.
#[derive(Debug)]
struct Simulated {
    pace: Pace,
    now: Instant,
    /// Those that a periodic checkpoint took, and the last one.
    periodic: Vec<(Instant, Duration)>,
    last: Option<(Instant, Duration)>,
    too_late: bool,
}

impl Simulated {
    fn run(pace: Pace, until: Instant, times: &[u64]) -> Self {
        let mut job = Self {
            pace,
            now: Instant::ZERO,
            periodic: Vec::new(),
            last: None,
            too_late: false,
        };
        job.pace.running(job.now);
        for time in times.iter().cycle().take(5000) {
            let time = s(*time);
            match job.pace.decide(job.now) {
                Decision::Wait { until: Some(later) } => {
                    assert!(later > job.now, "it would not come any further");
                    job.now = later;
                }
                Decision::Wait { until: None } => break,
                Decision::Checkpoint { limit } => {
                    job.periodic.push((job.now, time));
                    job.checkpoint(time, limit);
                }
                Decision::CheckpointAndStop { limit, .. } => {
                    job.last = Some((job.now, time));
                    if job.checkpoint(time, Some(limit)) {
                        break;
                    }
                }
                Decision::TooLate { .. } => {
                    job.too_late = true;
                    break;
                }
            }
            if job.now > until {
                break;
            }
        }
        job
    }

    fn checkpoint(&mut self, time: Duration, limit: Option<Duration>) -> bool {
        let done = !time.is_zero() && limit.is_none_or(|limit| time <= limit);
        self.now = self.now + limit.unwrap_or(time).min(time.max(s(1)));
        if done {
            self.pace
                .checkpointed(self.now, CheckpointTime::new(time, time));
        } else {
            self.pace.checkpoint_failed(self.now);
        }
        done
    }
}

proptest! {
    /// Whatever checkpoints take, the job is over before its end.
    #[test]
    fn it_is_over_in_time(
        every in 1u64..2000, end in 1u64..20_000, grace in 0u64..600,
        times in prop::collection::vec(0u64..300, 1..20),
    ) {
        let mut pace = Pace::new(IntervalPolicy::Every(s(every))).grace(s(grace));
        pace.set_end(EndSource::Asked, at(end));
        let job = Simulated::run(pace, at(end), &times);
        prop_assert!(job.now <= at(end), "{job:?}");
        prop_assert!(job.last.is_some() || job.too_late, "{job:?}");
    }

    /// Where checkpoints take about as long as those before, the last one succeeds, begins no
    /// earlier than it must, and no periodic one is in its way.
    #[test]
    fn steady_checkpoints_never_fail_for_want_of_time(
        every in 50u64..2000, time in 1u64..100, jitter in 0u64..30, grace in 0u64..600,
        auto: bool,
    ) {
        let policy = if auto {
            IntervalPolicy::Auto(AutoInterval::new().shortest(s(every)))
        } else {
            IntervalPolicy::Every(s(every))
        };
        let end = 10_000;
        let mut pace = Pace::new(policy).grace(s(grace));
        pace.set_end(EndSource::SlurmEndTime, at(end));
        let times = [time, time + time * jitter / 100, time + time * jitter / 200];
        let job = Simulated::run(pace, at(end), &times);
        prop_assert!(!job.too_late);
        let (began, took) = job.last.unwrap();
        prop_assert!(began + took <= at(end));
        let lead = at(end) - began;
        prop_assert!(lead <= s(grace.max(time * 4 + 6)), "{lead:?}");
        for (began, took) in &job.periodic {
            prop_assert!(*began + *took <= job.last.unwrap().0);
        }
        prop_assert!(!job.periodic.is_empty());
    }

    /// Any order of events, any times: it always comes to a decision, and waits forwards.
    #[test]
    fn any_history(
        events in prop::collection::vec((0u8..8, any::<Duration>(), any::<Duration>()), 0..40),
    ) {
        let mut pace = Pace::new(IntervalPolicy::Auto(AutoInterval::new()));
        for (kind, when, how_long) in events {
            let now = Instant::from_start(when);
            match kind {
                0 => pace.running(now),
                1 => pace.checkpointed(now, CheckpointTime::new(how_long, how_long)),
                2 => pace.checkpoint_failed(now),
                3 => pace.ended(now),
                4 => pace.interrupted(now),
                5 => pace.set_end(EndSource::Asked, now + how_long),
                6 => pace.stop_within(now, EndSource::Notice, how_long),
                _ => pace.stop_within(now, EndSource::Request, how_long),
            }
            if let Decision::Wait { until: Some(until) } = pace.decide(now) {
                prop_assert!(until > now);
            }
            prop_assert!(!pace.explain(now).is_empty());
        }
    }
}
