use WorkerState::{
    Checkpointed, Checkpointing, Drained, FdLeaderElection, PreSuspend, Refilled, Restarting,
    Running, Suspended,
};

use super::*;

type Row = (WorkerState, &'static str);

const RUNS: Row = (Running, "");
const SUSPEND: Row = (PreSuspend, "DMT:SUSPEND");
const CHECKPOINT: Row = (Suspended, "DMT:CHECKPOINT");
const REGISTER: Row = (Checkpointing, "Socket::Ckpt_Register_Peer_Info");
const WRITE: Row = (Checkpointed, "DMT:WriteCkpt");

fn list(rows: &[Row]) -> Vec<WorkerInfo> {
    let lines: String = rows
        .iter()
        .enumerate()
        .map(|(at, (state, barrier))| {
            let number = at + 1;
            format!(
                "{number}, x[{number}:{number}]@h, 1-{number}-3, WorkerState::{state}, {barrier}\n"
            )
        })
        .collect();
    let empty = dmtcp_proto::worker_list::write([]);
    let head = empty.trim_end_matches('\n');
    dmtcp_proto::worker_list::parse(&format!("{head}\n{lines}\n")).unwrap()
}

/// A clock that the test turns.
struct Clock {
    start: Instant,
    lists: Lists,
}

/// What is told of a list: awaited, and who is late for how many seconds.
type Told = Option<(Awaited, Vec<(u64, u64)>)>;

impl Clock {
    fn new() -> Self {
        Self {
            start: Instant::now(),
            lists: Lists::default(),
        }
    }

    fn at(&mut self, seconds: u64, rows: &[Row]) -> Told {
        let now = self.start + Duration::from_secs(seconds);
        let standing = self.lists.see(&list(rows), now)?;
        let late = standing.late.iter();
        let late = late.map(|late| (late.worker.number, late.since.as_secs()));
        Some((standing.awaited, late.collect()))
    }
}

fn told(awaited: Awaited, late: &[(u64, u64)]) -> Told {
    Some((awaited, late.to_vec()))
}

fn at(barrier: &str, late: &[(u64, u64)]) -> Told {
    told(Awaited::At(barrier.to_owned()), late)
}

fn behind(barrier: &str, late: &[(u64, u64)]) -> Told {
    told(Awaited::Behind(barrier.to_owned()), late)
}

#[test]
fn who_has_not_answered_is_late_since_the_round_began() {
    let mut clock = Clock::new();
    assert_eq!(clock.at(0, &[RUNS; 3]), None);
    assert_eq!(clock.at(90, &[RUNS; 3]), None);
    let rows = [SUSPEND, RUNS, SUSPEND];
    assert_eq!(clock.at(100, &rows), at("DMT:SUSPEND", &[(2, 0)]));
    assert_eq!(clock.at(112, &rows), at("DMT:SUSPEND", &[(2, 12)]));
}

#[test]
fn who_is_at_the_barrier_before_is_late_since_somebody_was_further() {
    let mut clock = Clock::new();
    clock.at(0, &[SUSPEND, RUNS]);
    assert_eq!(
        clock.at(5, &[SUSPEND, SUSPEND]),
        behind("DMT:SUSPEND", &[(1, 0), (2, 0)])
    );
    assert_eq!(
        clock.at(8, &[SUSPEND, SUSPEND]),
        behind("DMT:SUSPEND", &[(1, 3), (2, 3)])
    );
    let rows = [CHECKPOINT, SUSPEND];
    assert_eq!(clock.at(10, &rows), at("DMT:CHECKPOINT", &[(2, 0)]));
    assert_eq!(clock.at(14, &rows), at("DMT:CHECKPOINT", &[(2, 4)]));
}

/// Plug-ins have barriers of their own, in the states of others.
#[test]
fn of_two_barriers_in_one_state_the_one_seen_later_is_further() {
    let mut clock = Clock::new();
    let own = (Checkpointing, "Plugin::Own");
    clock.at(0, &[REGISTER; 2]);
    assert_eq!(clock.at(3, &[REGISTER, own]), at("Plugin::Own", &[(1, 0)]));
    assert_eq!(clock.at(7, &[REGISTER, own]), at("Plugin::Own", &[(1, 4)]));
    assert_eq!(
        clock.at(9, &[own, own]),
        behind("Plugin::Own", &[(1, 0), (2, 0)])
    );
}

#[test]
fn behind_the_images_those_that_run_are_through() {
    let mut clock = Clock::new();
    clock.at(0, &[REGISTER; 3]);
    clock.at(1, &[WRITE; 3]);
    let rows = [RUNS, WRITE, RUNS];
    assert_eq!(clock.at(2, &rows), told(Awaited::Resumed, &[(2, 0)]));
    assert_eq!(clock.at(6, &rows), told(Awaited::Resumed, &[(2, 4)]));
    assert_eq!(clock.at(7, &[RUNS; 3]), None);
    // The next round: they have not answered its order.
    assert_eq!(
        clock.at(9, &[SUSPEND, RUNS, RUNS]),
        at("DMT:SUSPEND", &[(2, 0), (3, 0)])
    );
}

#[test]
fn a_watch_that_begins_in_the_middle_knows_who_is_ahead() {
    let rows = [RUNS, WRITE];
    let expected = told(Awaited::Resumed, &[(2, 0)]);
    assert_eq!(Clock::new().at(0, &rows), expected);
    let rows = [SUSPEND, CHECKPOINT, CHECKPOINT];
    assert_eq!(Clock::new().at(0, &rows), at("DMT:CHECKPOINT", &[(1, 0)]));
}

#[test]
fn phases_of_2_x_are_places() {
    let mut clock = Clock::new();
    let phase = |state| (state, "");
    let rows = [phase(Suspended), RUNS];
    assert_eq!(clock.at(1, &rows), at("SUSPENDED", &[(2, 0)]));
    clock.at(2, &[phase(Suspended); 2]);
    let rows = [phase(FdLeaderElection), phase(Suspended)];
    assert_eq!(clock.at(3, &rows), at("FD_LEADER_ELECTION", &[(2, 0)]));
    let rows = [phase(Drained), phase(Checkpointed)];
    assert_eq!(clock.at(4, &rows), at("CHECKPOINTED", &[(1, 0)]));
    let rows = [RUNS, phase(Refilled)];
    assert_eq!(clock.at(9, &rows), told(Awaited::Resumed, &[(2, 0)]));
}

#[test]
fn a_restart_is_watched_like_a_round() {
    let mut clock = Clock::new();
    let rows = [(Restarting, "DMT:Restart"), (Restarting, "")];
    clock.at(0, &[(Restarting, ""); 2]);
    assert_eq!(clock.at(2, &rows), at("DMT:Restart", &[(2, 0)]));
    assert_eq!(clock.at(5, &rows), at("DMT:Restart", &[(2, 3)]));
}

#[test]
fn who_leaves_is_waited_for_no_more() {
    let mut clock = Clock::new();
    clock.at(0, &[SUSPEND, RUNS]);
    assert_eq!(clock.at(4, &[SUSPEND]), behind("DMT:SUSPEND", &[(1, 4)]));
    assert_eq!(clock.at(5, &[]), None);
}

#[test]
fn one_list_tells_who_is_late() {
    let begun = Duration::from_secs(12);
    assert_eq!(standing_of(&list(&[RUNS; 2]), begun), None);
    let standing = standing_of(&list(&[CHECKPOINT, SUSPEND]), begun).unwrap();
    assert_eq!(standing.late[0].worker.number, 2);
    assert_eq!(standing.awaited, Awaited::At("DMT:CHECKPOINT".to_owned()));
    assert!(standing.quiet >= begun);
}

#[test]
fn where_all_run_all_are_late_with_an_order_that_was_given() {
    let asked = Duration::from_secs(4);
    let standing = unanswered(&list(&[RUNS; 2]), asked).unwrap();
    assert_eq!((standing.peers, standing.late.len()), (2, 2));
    assert_eq!(standing.awaited, Awaited::FirstStep);
    assert_eq!((standing.quiet, standing.late[1].since), (asked, asked));
    assert_eq!(unanswered(&list(&[RUNS, SUSPEND]), asked), None);
    assert_eq!(unanswered(&list(&[RUNS, (Restarting, "")]), asked), None);
    assert_eq!(unanswered(&[], asked), None);
}
