//! Messages whose contents end a stock coordinator, and with it all its workers.

use std::io::Write as _;

use dmtcp_proto::{
    Body, CheckpointFile, Dialect, Event, Frame, Kind, Reject, Text, UniquePid, WorkerState,
};

use crate::frames::{SOMEBODY, changed, frame, harmless, hello, one, raw, with};
use crate::hostile::{Expect, From, Then, check, cut_off, goes, waits};
use crate::peer::{Peer, go_through_all, resume_all};
use crate::{Scene, for_each_dialect};

#[test]
fn w12_a_program_without_a_name_ends_its_connection() {
    let unnamed = |dialect| one(dialect, Kind::ProcessAfterExec, b"");
    check(&[cut_off("no name", From::Worker, unnamed)]);
}

#[test]
fn w13_files_and_directories_without_names_end_their_connection() {
    check(&[
        cut_off("no file", From::Worker, |dialect| {
            one(dialect, Kind::CheckpointFile, b"")
        }),
        cut_off("no directory", From::Worker, |dialect| {
            one(dialect, Kind::SetCheckpointDir, b"")
        }),
        cut_off("a shell nobody knows", From::Worker, |dialect| {
            one(dialect, Kind::CheckpointFile, b"/d/f\0zsh\0host\0")
        }),
        cut_off("no image was asked for", From::Worker, |dialect| {
            one(dialect, Kind::CheckpointFile, b"/d/f\0\0host\0")
        }),
        goes(
            "asks and goes",
            From::Worker,
            |dialect| one(dialect, Kind::GetCheckpointDir, b""),
            Then::Resets,
        ),
    ]);
}

/// How its host is reached: stock coordinators know `ssh` and `rsh`, and nothing else comes.
#[test]
fn w13_an_image_counts_whatever_shell_it_names() {
    for_each_dialect(|dialect| {
        let mut scene = Scene::open(dialect, 1);
        scene.computation.request_checkpoint().unwrap();
        go_through_all(&mut scene.honest);
        let file = CheckpointFile {
            path: Text::from("/images/ckpt_counter.dmtcp"),
            shell: Some(Text::from("zsh; touch canary")),
            host: Text::from("elsewhere"),
            unique: false,
        };
        let reporting = scene.honest[0].steps().pop().unwrap().1;
        scene.honest[0].say(reporting, Body::CheckpointFile(file));
        resume_all(&mut scene.honest);
        let images = scene.until(|event| match event {
            Event::CheckpointComplete { images, .. } => Some(images.len()),
            _ => None,
        });
        assert_eq!(images, 1);
        scene.goes_on();
    });
}

#[test]
fn w14_texts_without_an_end_end_their_connection() {
    const TEXT: &[u8] = &[b'A'; 32];
    check(&[
        cut_off("hello", From::Stranger, |dialect| {
            one(dialect, Kind::NewWorker, TEXT)
        }),
        cut_off("file", From::Worker, |dialect| {
            one(dialect, Kind::CheckpointFile, TEXT)
        }),
        cut_off("program", From::Worker, |dialect| {
            one(dialect, Kind::ProcessAfterExec, TEXT)
        }),
        cut_off("directory", From::Worker, |dialect| {
            one(dialect, Kind::SetCheckpointDir, TEXT)
        }),
        goes(
            "barrier",
            From::Worker,
            |dialect| {
                let barrier = frame(dialect, Kind::Barrier, b"");
                let long = barrier.map(|frame| with(frame, |header| header.name = [b'B'; 64]));
                long.iter().map(|frame| raw(dialect, frame)).collect()
            },
            Then::Closes,
        ),
    ]);
}

/// Numbers that are no state in any dialect.
const NO_STATES: [u32; 4] = [99, u32::MAX - 4, i32::MAX as u32, 1 << 31];

fn unknown_states(dialect: Dialect) -> Vec<Vec<u8>> {
    fn started(dialect: Dialect) -> Frame {
        frame(dialect, Kind::ProcessAfterExec, b"counter\0").unwrap()
    }
    changed(dialect, started, &NO_STATES, |header, state| {
        header.state = state;
    })
}

#[test]
fn w15_a_state_that_is_none_can_be_listed() {
    check(&[
        waits("no state", From::Worker, unknown_states, Expect::Served),
        waits(
            "no state to run in",
            From::Worker,
            |dialect| match dialect.phases().is_empty() {
                true => changed(dialect, harmless, &NO_STATES, |header, state| {
                    header.state = state;
                }),
                false => Vec::new(),
            },
            Expect::Served,
        ),
        // Where the state is what the message says, it is none.
        waits(
            "no phase",
            From::Worker,
            |dialect| match dialect.phases().is_empty() {
                true => Vec::new(),
                false => changed(dialect, harmless, &NO_STATES, |header, state| {
                    header.state = state;
                }),
            },
            Expect::CutOff,
        ),
        waits(
            "it runs already",
            From::Worker,
            |dialect| vec![raw(dialect, &harmless(dialect))],
            Expect::Served,
        ),
    ]);
}

/// Two barriers at once end stock coordinators; this one goes away with who was there.
#[test]
fn w17_a_barrier_that_only_one_knows_is_forgotten_with_it() {
    fn rogue(dialect: Dialect) -> Vec<Vec<u8>> {
        let barrier = frame(dialect, Kind::Barrier, b"");
        let named = barrier.map(|frame| {
            with(frame, |header| {
                header.name[..5].copy_from_slice(b"rogue");
            })
        });
        named.iter().map(|frame| raw(dialect, frame)).collect()
    }
    check(&[
        goes("a barrier", From::Worker, rogue, Then::Closes),
        goes("a barrier", From::Worker, rogue, Then::Resets),
    ]);
}

fn restores(dialect: Dialect, state: WorkerState, group: UniquePid) -> Vec<Vec<u8>> {
    let base = frame(dialect, Kind::RestartWorker, b"host\0program\0").unwrap();
    let number = dialect.state_number(state).unwrap();
    let changed = with(base, |header| {
        (header.state, header.group, header.peers) = (number, group, 3);
    });
    vec![raw(dialect, &changed)]
}

fn in_a_state(dialect: Dialect) -> Vec<Vec<u8>> {
    let own = [WorkerState::Suspended, WorkerState::Checkpointed];
    let own = own.map(|state| dialect.state_number(state).unwrap());
    let states: Vec<u32> = own.into_iter().chain(NO_STATES).collect();
    changed(dialect, hello, &states, |header, state| {
        header.state = state;
    })
}

#[test]
fn w22_who_is_not_taken_in_is_told_or_cut_off() {
    const RUNNING: WorkerState = WorkerState::Running;
    const RESTARTING: WorkerState = WorkerState::Restarting;
    check(&[
        cut_off("state", From::Stranger, in_a_state),
        waits(
            "virtual pid",
            From::Stranger,
            |dialect| {
                changed(dialect, hello, &[4242, 0, -2], |header, pid| {
                    header.virtual_pid = pid;
                })
            },
            Expect::CutOff,
        ),
        waits(
            "another computation",
            From::Stranger,
            |dialect| {
                changed(dialect, hello, &[SOMEBODY], |header, id| {
                    header.group = id;
                })
            },
            Expect::Refused(Reject::WrongComputation),
        ),
        waits(
            "restored into what runs",
            From::Stranger,
            |dialect| restores(dialect, RESTARTING, SOMEBODY),
            Expect::Refused(Reject::NotRestarting),
        ),
        waits(
            "restored and running",
            From::Stranger,
            |dialect| restores(dialect, RUNNING, SOMEBODY),
            Expect::CutOff,
        ),
    ]);
}

/// An empty coordinator cannot know what is restored.
#[test]
fn w22_who_is_restored_into_nothing_says_what() {
    for_each_dialect(|dialect| {
        let mut scene = Scene::open(dialect, 0);
        let mut peer = Peer::connect(scene.computation.addr(), dialect);
        let bytes = restores(dialect, WorkerState::Restarting, UniquePid::NULL);
        peer.stream.write_all(&bytes[0]).unwrap();
        assert_eq!(peer.receive(), None);
        scene.goes_on();
    });
}
