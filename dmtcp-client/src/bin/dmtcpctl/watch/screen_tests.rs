//! Frames of looks that were made up.

use super::*;
use crate::failure::Problem;
use crate::watch::snapshot::Set;
use dmtcp_proto::worker_list;

const PLAIN: Canvas = Canvas {
    columns: 80,
    rows: 24,
    colours: false,
    blocks: false,
};

fn worker(number: u64, state: WorkerState, barrier: Option<&str>) -> Worker {
    let text = format!(
        "Client List:\n#, PROG[virtPID:realPID]@HOST, DMTCP-UNIQUEPID, STATE, BARRIER\n\
         {number}, python3.11[40000:{}]@n17, 1-2-3, WorkerState::RUNNING, \n\n",
        4000 + number
    );
    let mut info = worker_list::parse(&text).unwrap().remove(0);
    info.state = state;
    info.barrier = barrier.map(str::to_owned);
    Worker {
        info,
        since: Duration::from_secs(number * 7),
    }
}

fn look(workers: Vec<Worker>) -> Snapshot {
    let running = workers
        .iter()
        .all(|worker| worker.info.state == WorkerState::Running);
    Snapshot {
        at: UNIX_EPOCH + Duration::from_secs(1_795_360_490),
        coordinator: Some(Seen {
            address: "127.0.0.1:7779".parse().unwrap(),
            dialect: "V3".to_owned(),
            release: Some("4.2.0".to_owned()),
            pid: Some(812),
            peers: u32::try_from(workers.len()).unwrap(),
            running,
            interval: Interval::Every(Duration::from_secs(600)),
            workers: Some(workers),
            stall: None,
            round: (!running).then_some((Duration::from_secs(3), None)),
        }),
        set: Some(Set {
            sequence: 12,
            sealed_unix_ms: 1_795_360_490_000 - 201_000,
            bytes: 1 << 30,
            images: 2,
            sets: 3,
        }),
        job: None,
        silent: None,
        ended: None,
    }
}

fn crowd() -> Snapshot {
    let place = |number| match number {
        0..3 => (WorkerState::Suspended, "DMT:SUSPEND"),
        3..400 => (WorkerState::Checkpointing, "DMT:CHECKPOINT"),
        _ => (WorkerState::Checkpointed, "DMT:WRITE_CKPT"),
    };
    let workers = (0..1000).map(|number| {
        let (state, barrier) = place(number);
        worker(number, state, Some(barrier))
    });
    look(workers.collect())
}

#[test]
fn a_few_that_run() {
    let workers = [1, 2].map(|number| worker(number, WorkerState::Running, Some("of before")));
    let expected = "\
127.0.0.1:7779  4.2.0, pid 812                                         15:14:50Z
set       12, 3m 21s ago, 1.0 GiB, 2 images; 3 in all
now       2 processes, all running; a checkpoint every 10m

#  PROGRAM     HOST   PID  STATE    BARRIER  FOR
1  python3.11  n17   4001  RUNNING  -         7s
2  python3.11  n17   4002  RUNNING  -        14s";
    assert_eq!(frame(&look(workers.into()), PLAIN).join("\n"), expected);
}

#[test]
fn a_thousand_in_a_checkpoint_are_summed_up_and_the_last_ones_named() {
    let lines = frame(&crowd(), PLAIN);
    let expected = "\
127.0.0.1:7779  4.2.0, pid 812                                         15:14:50Z
set       12, 3m 21s ago, 1.0 GiB, 2 images; 3 in all
now       1000 processes, in a checkpoint for 3s

   600 CHECKPOINTED at DMT:WRITE_CKPT  #####################..............  60 %
   397 CHECKPOINTING at DMT:CHECKPOINT ##############.....................  39 %
     3 SUSPENDED at DMT:SUSPEND        #..................................  <1 %

  #  PROGRAM     HOST   PID  STATE          BARRIER             FOR
  2  python3.11  n17   4002  SUSPENDED      DMT:SUSPEND         14s
  1  python3.11  n17   4001  SUSPENDED      DMT:SUSPEND          7s
  0  python3.11  n17   4000  SUSPENDED      DMT:SUSPEND          0s";
    assert_eq!(lines[..12].join("\n"), expected);
    assert_eq!(lines.last().unwrap(), "   987 more");
}

#[test]
fn images_grow_towards_the_size_of_the_last_set() {
    let mut look = look(vec![worker(1, WorkerState::Checkpointing, None)]);
    let mut images = |written| {
        let seen = look.coordinator.as_mut().unwrap();
        seen.round = Some((Duration::from_secs(3), Some(written)));
        let lines = frame(&look, PLAIN);
        let line = lines.iter().find(|line| line.starts_with("images"));
        line.cloned().unwrap()
    };
    let half = "images    ###############............... 512.0 MiB of about 1.0 GiB";
    assert_eq!(images(1 << 29), half);
    let more = "images    ############################## 2.0 GiB of about 1.0 GiB";
    assert_eq!(images(1 << 31), more);
    look.set = None;
    let lines = frame(&look, PLAIN);
    assert!(
        lines.contains(&"images    2.0 GiB written".to_owned()),
        "{lines:?}"
    );
}

#[test]
fn no_size_of_a_terminal_breaks_it() {
    let mut looks = vec![crowd(), look(Vec::new())];
    looks[0].silent = Some((
        Duration::from_secs(9),
        Problem {
            slug: "timed-out",
            text: "the coordinator\x1b[2J did not answer".repeat(5),
        },
    ));
    let strange = worker(1, WorkerState::Restarting, Some("\x1b]0;title\x07"));
    looks.push(look(vec![strange]));
    looks.push(Snapshot {
        coordinator: None,
        ..crowd()
    });
    for look in &looks {
        for (columns, rows) in [(80, 24), (1, 1), (0, 0), (20, 5), (40, 10), (300, 2000)] {
            let canvas = Canvas {
                columns,
                rows,
                ..PLAIN
            };
            let lines = frame(look, canvas);
            assert!(lines.len() <= rows, "{} lines in {rows}", lines.len());
            for line in &lines {
                assert!(!line.chars().any(char::is_control), "{line:?}");
                assert!(line.chars().count() <= columns, "{columns}: {line:?}");
            }
        }
    }
}

#[test]
fn bars_are_full_only_at_the_end() {
    for (share, bar) in [
        (0.0, ".........."),
        (0.001, "#........."),
        (0.5, "#####....."),
        (0.999, "#########."),
        (1.0, "##########"),
    ] {
        assert_eq!(PLAIN.bar(share, 10), bar);
    }
}

#[test]
fn the_end_is_told() {
    let gone = farewell(&crowd(), Some(Ended::Coordinator));
    assert_eq!(
        gone,
        "the coordinator at 127.0.0.1:7779 has ended; it had 1000 processes, in a checkpoint\n\
         set 12, 3m 21s ago, 1.0 GiB, 2 images; 3 in all\n"
    );
    assert_eq!(
        one_line(&look(Vec::new())),
        "no processes; set 12 of 1.0 GiB"
    );
}
