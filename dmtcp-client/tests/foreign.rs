//! Sets out of a coordinator in another process, without DMTCP: the embedded one with native workers
//! for what goes well, scripted ones for what does not.

#[expect(dead_code, reason = "shared by several test crates")]
mod counter;
#[expect(dead_code, reason = "shared by several test crates")]
mod fake;
mod late_image;

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use counter::Counter;
use dmtcp_client::coordinator::{Coordinator, Error};
use dmtcp_client::foreign::{ForeignError, ForeignSets, Refusal, Stage};
use dmtcp_client::image::native::{self, NativeHeader};
use dmtcp_client::native::{Options, restart_command};
use dmtcp_client::server::{Computation, ComputationConfig, Server};
use dmtcp_client::set::{CheckpointSet, SetStore};
use dmtcp_proto::WorkerState::{Checkpointed, Checkpointing, PreSuspend, Running, Suspended};
use dmtcp_proto::{
    Dialect, RestartHost, RestartScript, Text, UniquePid, Verb, WorkerInfo, WorkerState,
    worker_list,
};
use fake::{Answer, Fake, LONG, answer, bytes, captured};
use late_image::LateImage;

#[test]
#[ignore = "run by the other tests as a process of its own"]
fn counter_program() {
    counter::main_if_launched();
}

/// Directories of a test.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("images")).unwrap();
        Self { dir }
    }

    fn images(&self) -> PathBuf {
        self.dir.path().join("images")
    }

    fn store(&self, name: &str) -> SetStore {
        SetStore::open(&self.dir.path().join(name)).unwrap()
    }
}

fn counters(computation: &Computation, dialect: Dialect, dir: &Path, count: u32) -> Vec<Counter> {
    let options = Options::new(computation.addr(), dialect)
        .checkpoint_dir(dir)
        .barrier_limit(LONG);
    let counters = (0..count).map(|_| Counter::launch(&options)).collect();
    computation.wait_until_running(Some(count), LONG).unwrap();
    counters
}

fn handle(computation: &Computation, dialect: Dialect) -> Coordinator {
    Coordinator::new(computation.addr(), dialect).timeout(LONG)
}

/// A set of so many images, as it says.
fn assert_true(set: &CheckpointSet, images: usize, generation: u32) {
    set.verify().unwrap();
    let manifest = set.manifest();
    assert_eq!(manifest.images.len(), images);
    assert_eq!(manifest.computation.generation, generation);
    let names: Vec<&str> = manifest.phases.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["wait", "round", "find", "settle", "check"]);
}

/// Nothing but the environments of the processes says where their images are.
#[test]
fn native_workers_in_every_dialect() {
    let server = Server::start().unwrap();
    for &dialect in Dialect::ALL {
        let place = Place::new();
        let computation = server.open(ComputationConfig::default()).unwrap();
        let mut workers = counters(&computation, dialect, &place.images(), 3);
        let sets = ForeignSets::new(handle(&computation, dialect), place.store("sets"));
        for generation in 1..=2 {
            let set = sets.checkpoint(LONG).unwrap();
            assert_true(&set, 3, generation);
            assert_eq!(set.manifest().hosts.len(), 1);
            let image = &set.manifest().images[0];
            assert!(image.real_pid > 0 && !image.host.is_empty(), "{image:?}");
        }
        let last = sets.checkpoint_and_kill(LONG).unwrap();
        assert_true(&last, 3, 3);
        assert_eq!(computation.status().unwrap().peers, 0);
        for worker in &mut workers {
            worker.child.wait().unwrap();
        }

        let computation = server.open(ComputationConfig::default()).unwrap();
        let next = Options::new(computation.addr(), dialect)
            .checkpoint_dir(place.images())
            .barrier_limit(LONG);
        let again = |image: &PathBuf| Counter::spawn(restart_command(image, &next).unwrap());
        let again: Vec<_> = last.images().iter().map(again).collect();
        computation.wait_until_running(Some(3), LONG).unwrap();
        for worker in &again {
            worker.line("restored ", LONG).expect("restored");
        }
    }
}

/// Each gets a set of a round that began after it asked, be it the same one.
#[test]
fn two_callers_get_two_sets() {
    let server = Server::start().unwrap();
    let place = Place::new();
    let computation = server.open(ComputationConfig::default()).unwrap();
    let _workers = counters(&computation, Dialect::V5, &place.images(), 2);
    let shared = Arc::new(place.store("shared"));
    let stores = [Arc::clone(&shared), shared, Arc::new(place.store("own"))];
    let start = Arc::new(Barrier::new(stores.len()));
    let calls = stores.map(|store| {
        let sets = ForeignSets::new(handle(&computation, Dialect::V5), store);
        let start = Arc::clone(&start);
        thread::spawn(move || {
            start.wait();
            [(); 5].map(|()| sets.checkpoint(LONG).unwrap())
        })
    });
    for call in calls {
        let sets = call.join().unwrap();
        let generations = sets.each_ref().map(|set| {
            set.verify().unwrap();
            assert_eq!(set.images().len(), 2);
            set.manifest().computation.generation
        });
        assert!(generations.is_sorted_by(|a, b| a < b), "{generations:?}");
    }
}

#[test]
fn a_store_has_one_owner() {
    let place = Place::new();
    let fake = Fake::start(Dialect::V3, |verb| panic!("{verb:?}"));
    let sets = ForeignSets::new(fake.handle(), place.store("sets"));
    let other = SetStore::open(&place.dir.path().join("sets")).unwrap_err();
    assert!(other.to_string().contains("belongs to another owner"));
    drop(sets);
    place.store("sets");
}

/// A shared directory is as good as an own one; none is an error that says so.
#[test]
fn processes_of_another_host() {
    let server = Server::start().unwrap();
    for is_shared in [true, false] {
        let place = Place::new();
        let computation = server.open(ComputationConfig::default()).unwrap();
        let worker = LateImage::join(computation.addr(), &place.images());
        computation.wait_until_running(Some(1), LONG).unwrap();
        let mut sets = ForeignSets::new(handle(&computation, Dialect::V5), place.store("sets"));
        if is_shared {
            sets = sets.image_dir(place.images());
        }
        thread::scope(|scope| {
            let call = scope.spawn(|| sets.checkpoint(LONG));
            worker.write();
            match call.join().unwrap() {
                Ok(set) => {
                    assert!(is_shared);
                    assert_true(&set, 1, 1);
                    assert_eq!(set.manifest().images[0].host, "elsewhere");
                    assert!(set.manifest().hosts.is_empty());
                }
                Err(ForeignError::Elsewhere { host, workers, .. }) => {
                    assert!(!is_shared);
                    assert_eq!((host.as_str(), workers.len()), ("elsewhere", 1));
                }
                Err(error) => panic!("{error:?}"),
            }
        });
        computation.close(LONG).unwrap();
        worker.gone();
    }
}

// What follows has a script.

fn process(pid: i32) -> UniquePid {
    UniquePid {
        host_id: 0x98ff,
        time: 0xe235_cb49c5,
        pid,
        generation: 0,
    }
}

fn computation(generation: u32) -> UniquePid {
    UniquePid {
        time: 0xe233_a7fff0,
        ..process(40000)
    }
    .with_generation(generation)
}

fn image_of(dir: &Path, pid: i32) -> PathBuf {
    dir.join(format!("ckpt_counter_{}.dmtcp", process(pid)))
}

/// The image of a process of such a round, where DMTCP would put it.
fn write_image(dir: &Path, pid: i32, generation: u32, peers: u32) {
    let mut header = NativeHeader::new(process(pid), computation(generation));
    header.peers = peers;
    native::write(&image_of(dir, pid), &header, b"state").unwrap();
}

fn workers(states: &[WorkerState]) -> Vec<WorkerInfo> {
    let pattern = captured(Dialect::V3, "list");
    let text = String::from_utf8(pattern.payload.to_vec()).unwrap();
    let pattern = worker_list::parse(&text).unwrap().swap_remove(0);
    let host = nix::unistd::gethostname().unwrap_or_else(|_| OsString::from("vm"));
    let numbered = (40000..).zip(states);
    let worker = |(pid, &state): (i32, &WorkerState)| {
        let mut worker = pattern.clone();
        worker.number = u64::try_from(pid).unwrap();
        worker.id = process(pid);
        worker.state = state;
        worker.host = host.to_string_lossy().into_owned();
        // Nobody's.
        worker.real_pid = -1;
        worker
    };
    let numbered = numbered.filter(|(_, state)| **state != fake::GONE);
    numbered.map(worker).collect()
}

fn list(states: &[WorkerState]) -> Vec<u8> {
    let mut frame = captured(Dialect::V3, "list");
    let text = worker_list::write_for(Dialect::V3, workers(states));
    frame.payload = text.into_bytes().into();
    bytes(Dialect::V3, &frame)
}

/// A coordinator of 4.2.0 with these lists, one after the other, the last one again and again; before
/// it answers one, `before` is told which.
fn stock(
    lists: &'static [&'static [WorkerState]],
    mut before: impl FnMut(usize) + Send + 'static,
) -> Fake {
    let mut next = 0;
    Fake::start(Dialect::V3, move |verb| {
        Answer::Send(match verb {
            Verb::Status => answer(Dialect::V3, "status-1peers"),
            Verb::List => {
                before(next);
                let states = lists[next.min(lists.len() - 1)];
                next += 1;
                list(states)
            }
            Verb::BlockingPrefix => answer(Dialect::V3, "blocking-prefix"),
            Verb::Checkpoint => answer(Dialect::V3, "checkpoint"),
            Verb::CheckpointAndKill => answer(Dialect::V3, "kill-after-checkpoint"),
            other => panic!("{other:?}"),
        })
    })
}

/// One round of two processes.
const ROUND: &[&[WorkerState]] = &[
    &[Running, Running],
    &[PreSuspend, Suspended],
    &[Checkpointing, Checkpointed],
    &[Running, Running],
];

fn sets_of(fake: &Fake, place: &Place) -> ForeignSets {
    let sets = ForeignSets::new(fake.handle(), place.store("sets"));
    sets.image_dir(place.images())
}

#[test]
fn a_round_that_was_only_observed() {
    let place = Place::new();
    let dir = place.images();
    let fake = stock(ROUND, move |at| {
        if at == 3 {
            write_image(&dir, 40000, 7, 2);
            write_image(&dir, 40001, 7, 2);
        }
    });
    let sets = sets_of(&fake, &place);
    assert_true(&sets.checkpoint(LONG).unwrap(), 2, 7);
    let idle = sets.finish(LONG).unwrap_err();
    assert!(matches!(idle, ForeignError::Idle), "{idle:?}");
}

/// It joined behind the last list before the round and was gone before the next, but for its image.
#[test]
fn who_was_never_listed_belongs_to_it_all_the_same() {
    let place = Place::new();
    let dir = place.images();
    let fake = stock(ROUND, move |at| {
        if at == 2 {
            for pid in 40000..40003 {
                write_image(&dir, pid, 1, 3);
            }
        }
    });
    assert_true(&sets_of(&fake, &place).checkpoint(LONG).unwrap(), 3, 1);
}

#[test]
fn fewer_images_than_the_round_had_processes() {
    let place = Place::new();
    let dir = place.images();
    let fake = stock(ROUND, move |at| {
        if at == 2 {
            write_image(&dir, 40000, 1, 3);
            write_image(&dir, 40001, 1, 3);
        }
    });
    match sets_of(&fake, &place).checkpoint(LONG).unwrap_err() {
        ForeignError::Incomplete {
            expected, found, ..
        } => assert_eq!((expected, found), (3, 2)),
        other => panic!("{other:?}"),
    }
}

/// The round was too fast to be seen, and the coordinator let the other go on.
#[test]
fn who_was_lost_unseen_is_named_by_what_lacks() {
    let place = Place::new();
    let dir = place.images();
    let fake = stock(
        &[
            &[Running, Running],
            &[Suspended, Running],
            &[Running, fake::GONE],
        ],
        move |at| {
            if at == 2 {
                write_image(&dir, 40000, 1, 2);
            }
        },
    );
    match sets_of(&fake, &place).checkpoint(LONG).unwrap_err() {
        ForeignError::PeerLost { worker } => assert_eq!(worker.id, process(40001)),
        other => panic!("{other:?}"),
    }
}

/// What has no image, and what lies where it should be.
fn refusals(prepare: impl FnOnce(&Path), round: fn(&Path)) -> Vec<Refusal> {
    let place = Place::new();
    let dir = place.images();
    prepare(&dir);
    let fake = stock(ROUND, move |at| {
        if at == 2 {
            round(&dir);
        }
    });
    let sets = sets_of(&fake, &place);
    match sets.checkpoint(LONG).unwrap_err() {
        ForeignError::NoImage {
            worker,
            refused,
            looked_in,
        } => {
            assert_eq!(worker.id, process(40001));
            assert_eq!(looked_in[0], fs::canonicalize(place.images()).unwrap());
            assert_eq!(sets.store().list().unwrap().sets.len(), 0);
            refused.into_iter().map(|refused| refused.why).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn no_image_is_no_set() {
    let refused = refusals(|_| {}, |dir| write_image(dir, 40000, 2, 2));
    assert!(refused.is_empty(), "{refused:?}");
}

#[test]
fn an_image_of_before_is_no_image() {
    let refused = refusals(
        |dir| write_image(dir, 40001, 2, 2),
        |dir| write_image(dir, 40000, 2, 2),
    );
    assert!(matches!(refused[..], [Refusal::Older]), "{refused:?}");
}

#[test]
fn the_image_of_another_process_is_no_image() {
    let refused = refusals(
        |_| {},
        |dir| {
            write_image(dir, 40000, 2, 2);
            write_image(dir, 49999, 2, 2);
            fs::rename(image_of(dir, 49999), image_of(dir, 40001)).unwrap();
        },
    );
    match refused[..] {
        [Refusal::OtherProcess(found)] => assert_eq!(found, process(49999)),
        _ => panic!("{refused:?}"),
    }
}

#[test]
fn what_is_no_image_or_left_unfinished_is_named() {
    let refused = refusals(
        |_| {},
        |dir| {
            write_image(dir, 40000, 2, 2);
            fs::write(image_of(dir, 40001), "no space left").unwrap();
        },
    );
    assert!(
        matches!(refused[..], [Refusal::Unreadable(_)]),
        "{refused:?}"
    );
    let refused = refusals(
        |_| {},
        |dir| {
            write_image(dir, 40000, 2, 2);
            fs::write(image_of(dir, 40001).with_extension("dmtcp.temp"), "x").unwrap();
        },
    );
    assert!(matches!(refused[..], [Refusal::Unfinished]), "{refused:?}");
}

/// A forked checkpoint: the round is over, and a child of the process still writes.
#[test]
fn an_image_that_comes_late_is_waited_for() {
    let place = Place::new();
    let dir = place.images();
    let (temp, image) = (
        image_of(&dir, 40001).with_extension("dmtcp.temp"),
        image_of(&dir, 40001),
    );
    // Of the round before; it is replaced at last.
    write_image(&dir, 40001, 1, 2);
    let late = thread::spawn({
        let (dir, temp) = (dir.clone(), temp.clone());
        move || {
            let start = Instant::now();
            while !temp.exists() {
                assert!(start.elapsed() < LONG);
                thread::sleep(Duration::from_millis(5));
            }
            // Longer than nothing may come, if nobody were seen to write it.
            let writer = fs::File::options().append(true).open(&temp).unwrap();
            thread::sleep(Duration::from_secs(6));
            fs::remove_file(&temp).unwrap();
            drop(writer);
            write_image(&dir, 40001, 2, 2);
        }
    });
    let fake = stock(ROUND, move |at| {
        if at == 2 {
            write_image(&dir, 40000, 2, 2);
            fs::write(&temp, "begun").unwrap();
        }
    });
    let set = sets_of(&fake, &place).checkpoint(LONG).unwrap();
    assert_true(&set, 2, 2);
    assert!(image.exists());
    late.join().unwrap();
}

/// The lists of a round that a test lets go on when it wants.
fn held(place: &Place) -> (Fake, Arc<AtomicUsize>) {
    let gate = Arc::new(AtomicUsize::new(0));
    let (dir, open) = (place.images(), Arc::clone(&gate));
    let mut at = 0;
    let fake = Fake::start(Dialect::V3, move |verb| {
        Answer::Send(match verb {
            Verb::Status => answer(Dialect::V3, "status-1peers"),
            Verb::List => {
                at += 1;
                if at == 1 {
                    list(&[Running, Running])
                } else if open.load(Ordering::Acquire) == 0 {
                    list(&[Checkpointing, Suspended])
                } else {
                    if open.swap(2, Ordering::AcqRel) == 1 {
                        write_image(&dir, 40000, 1, 2);
                        write_image(&dir, 40001, 1, 2);
                    }
                    list(&[Running, Running])
                }
            }
            Verb::BlockingPrefix => answer(Dialect::V3, "blocking-prefix"),
            Verb::Checkpoint => answer(Dialect::V3, "checkpoint"),
            other => panic!("{other:?}"),
        })
    });
    (fake, gate)
}

/// Calls with a limit that ends it in the round, however slow the machine is.
fn cut_off_in_the_round(sets: &ForeignSets) {
    let mut limit = Duration::from_millis(500);
    loop {
        let start = Instant::now();
        let error = sets.checkpoint(limit).unwrap_err();
        assert!(start.elapsed() >= limit);
        match error {
            ForeignError::TimedOut {
                stage: Stage::Round,
                workers,
                ..
            } => {
                assert_eq!(workers.len(), 2);
                return;
            }
            ForeignError::TimedOut { stage, .. } => assert_eq!(stage, Stage::Waiting),
            other => panic!("{other:?}"),
        }
        assert!(limit < LONG);
        limit *= 3;
    }
}

#[test]
fn a_round_that_outlives_its_caller_is_followed_to_its_set() {
    let place = Place::new();
    let (fake, gate) = held(&place);
    let sets = sets_of(&fake, &place);
    cut_off_in_the_round(&sets);
    let busy = sets.checkpoint(LONG).unwrap_err();
    assert!(matches!(busy, ForeignError::Busy), "{busy:?}");
    let again = sets.finish(Duration::from_millis(100)).unwrap_err();
    assert!(again.to_string().contains("the round goes on"), "{again}");

    gate.store(1, Ordering::Release);
    let set = sets.finish(LONG).unwrap();
    assert_true(&set, 2, 1);
    let idle = sets.finish(LONG).unwrap_err();
    assert!(matches!(idle, ForeignError::Idle), "{idle:?}");
}

/// A round that never ends is given up at last, and the handle can be used again.
#[test]
fn a_round_is_not_followed_for_ever() {
    let place = Place::new();
    let (fake, _gate) = held(&place);
    let sets = sets_of(&fake, &place).follow_for(Duration::from_secs(1));
    cut_off_in_the_round(&sets);
    match sets.finish(LONG) {
        Err(ForeignError::TimedOut { limit, stage, .. }) => {
            assert_eq!(stage, Stage::Round);
            assert!(limit < LONG);
        }
        // A slow machine has come to it before.
        Err(ForeignError::Idle) => {}
        other => panic!("{other:?}"),
    }
    let idle = sets.finish(LONG).unwrap_err();
    assert!(matches!(idle, ForeignError::Idle), "{idle:?}");
}

/// The thread lets go of the store.
#[test]
fn a_dropped_handle_follows_nothing() {
    let place = Place::new();
    let (fake, _gate) = held(&place);
    let sets = sets_of(&fake, &place);
    cut_off_in_the_round(&sets);
    drop(sets);
    let start = Instant::now();
    while SetStore::open(&place.dir.path().join("sets")).is_err() {
        assert!(start.elapsed() < LONG);
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_computation_that_is_not_ready_is_waited_for_until_the_limit() {
    let place = Place::new();
    let not_ready = || {
        let mut frame = captured(Dialect::V3, "status-1peers");
        frame.header.running = 0;
        bytes(Dialect::V3, &frame)
    };
    let fake = Fake::start(Dialect::V3, move |verb| {
        Answer::Send(match verb {
            Verb::Status => not_ready(),
            Verb::List => list(&[WorkerState::Restarting]),
            other => panic!("{other:?}"),
        })
    });
    let sets = sets_of(&fake, &place);
    let mut limit = Duration::from_millis(300);
    loop {
        match sets.checkpoint(limit).unwrap_err() {
            ForeignError::TimedOut { stage, workers, .. } => {
                assert_eq!(stage, Stage::Waiting);
                if workers.iter().any(|w| w.state == WorkerState::Restarting) {
                    break;
                }
            }
            // The machine is so slow that the first question was cut off.
            ForeignError::Coordinator(_) => {}
            other => panic!("{other:?}"),
        }
        assert!(limit < LONG);
        limit *= 3;
    }
    // Nothing was asked for, so nothing is in the way.
    let idle = sets.finish(LONG).unwrap_err();
    assert!(matches!(idle, ForeignError::Idle), "{idle:?}");

    let place = Place::new();
    let dir = place.images();
    let mut looks = 0;
    let mut at = 0;
    let fake = Fake::start(Dialect::V3, move |verb| {
        Answer::Send(match verb {
            Verb::Status => {
                looks += 1;
                if looks < 4 {
                    not_ready()
                } else {
                    answer(Dialect::V3, "status-1peers")
                }
            }
            Verb::List => {
                assert!(looks >= 4);
                let states = ROUND[at.min(ROUND.len() - 1)];
                at += 1;
                if at == 3 {
                    write_image(&dir, 40000, 1, 2);
                    write_image(&dir, 40001, 1, 2);
                }
                list(states)
            }
            Verb::BlockingPrefix => answer(Dialect::V3, "blocking-prefix"),
            Verb::Checkpoint => answer(Dialect::V3, "checkpoint"),
            other => panic!("{other:?}"),
        })
    });
    assert_true(&sets_of(&fake, &place).checkpoint(LONG).unwrap(), 2, 1);
}

#[test]
fn who_is_lost_in_the_middle_is_named_at_once() {
    let lists: &[&[WorkerState]] = &[
        &[Running, Running],
        &[Suspended, Suspended],
        &[Checkpointing, Checkpointing],
        &[Checkpointing, fake::GONE],
    ];
    for is_killed in [false, true] {
        let place = Place::new();
        let fake = stock(lists, |_| {});
        let sets = sets_of(&fake, &place);
        let lost = match is_killed {
            false => sets.checkpoint(LONG),
            true => sets.checkpoint_and_kill(LONG),
        };
        match lost.unwrap_err() {
            ForeignError::PeerLost { worker } => assert_eq!(worker.id, process(40001)),
            other => panic!("{other:?}"),
        }
    }

    let place = Place::new();
    let fake = stock(&[&[Running], &[Checkpointing], &[]], |_| {});
    let error = sets_of(&fake, &place).checkpoint(LONG).unwrap_err();
    assert!(
        matches!(error, ForeignError::ComputationEnded { .. }),
        "{error:?}"
    );
}

/// One that exits behind its image looks the same at first; but then the others exit, too.
#[test]
fn who_is_lost_where_all_shall_exit_is_named_when_nothing_moves() {
    let place = Place::new();
    let lists: &[&[WorkerState]] = &[
        &[Running, Running],
        &[Checkpointing, Checkpointing],
        &[Checkpointed, fake::GONE],
    ];
    let fake = stock(lists, |_| {});
    let error = sets_of(&fake, &place)
        .checkpoint_and_kill(LONG)
        .unwrap_err();
    match error {
        ForeignError::PeerLost { worker } => assert_eq!(worker.id, process(40001)),
        other => panic!("{other:?}"),
    }
}

/// It looks like a loss; the images prove that it was none.
#[test]
fn who_ends_as_soon_as_it_goes_on_was_in_the_round() {
    for left in [&[Checkpointed, fake::GONE][..], &[Running, fake::GONE], &[]] {
        let place = Place::new();
        let dir = place.images();
        let lists = [
            &[Running, Running][..],
            &[Checkpointing, Checkpointed],
            left,
        ];
        let fake = stock(Box::leak(Box::new(lists)), move |at| {
            for pid in (40000..40002).filter(|_| at == 2) {
                write_image(&dir, pid, 1, 2);
            }
        });
        assert_true(&sets_of(&fake, &place).checkpoint(LONG).unwrap(), 2, 1);
    }
}

/// Too fast to be followed, and their images prove it all the same.
#[test]
fn exits_that_were_not_seen_behind_the_images() {
    for images in [2, 1] {
        let place = Place::new();
        let dir = place.images();
        let fake = stock(
            &[&[Running, Running], &[Checkpointing, Checkpointed], &[]],
            move |at| {
                for pid in (0..images).filter(|_| at == 2) {
                    write_image(&dir, 40000 + pid, 4, 2);
                }
            },
        );
        match sets_of(&fake, &place).checkpoint_and_kill(LONG) {
            Ok(set) => {
                assert_eq!(images, 2);
                assert_true(&set, 2, 4);
            }
            Err(ForeignError::NoImage { worker, .. }) => {
                assert_eq!((images, worker.id), (1, process(40001)));
            }
            Err(other) => panic!("{other:?}"),
        }
    }
}

/// Another round has replaced one image when they are looked for: its set is as good.
#[test]
fn a_later_round_takes_the_place_of_one_that_it_has_begun_to_replace() {
    let place = Place::new();
    let dir = place.images();
    let fake = stock(
        &[
            &[Running, Running],
            &[Suspended, Suspended],
            // Theirs is over when it is asked for, and another one begins behind it.
            &[Running, Running],
            &[Running, Running],
            &[Running, Running],
            &[Running, Running],
        ],
        move |at| match at {
            2 => {
                write_image(&dir, 40000, 2, 2);
                write_image(&dir, 40001, 1, 2);
            }
            4 => write_image(&dir, 40001, 2, 2),
            _ => {}
        },
    );
    assert_true(&sets_of(&fake, &place).checkpoint(LONG).unwrap(), 2, 2);
}

#[test]
fn the_coordinator_s_own_troubles_are_passed_on() {
    let place = Place::new();
    // Accepts, and answers nobody: blocked by somebody else's connection.
    let fake = Fake::start(Dialect::V3, |_| Answer::Stall(Vec::new()));
    let coordinator = fake.handle().timeout(Duration::from_millis(300));
    let sets = ForeignSets::new(coordinator, place.store("sets"));
    match sets.checkpoint(LONG).unwrap_err() {
        ForeignError::Coordinator(error) => {
            assert!(matches!(*error, Error::TimedOut { .. }), "{error:?}");
            let text = error.to_string();
            assert!(
                text.contains("blocked by somebody else's connection"),
                "{text}"
            );
        }
        other => panic!("{other:?}"),
    }
    drop(fake);
    let error = sets.checkpoint(LONG).unwrap_err();
    assert!(matches!(error, ForeignError::Coordinator(_)), "{error:?}");
}

/// 2.4 lists nobody: its script says which images are its own.
#[test]
fn the_script_of_a_coordinator_without_lists() {
    // The one that a short script leaves out is of the round all the same: the images say so.
    for (named, port_is_ours) in [(2, true), (1, true), (2, false)] {
        let place = Place::new();
        let dir = place.images();
        let port = Arc::new(AtomicUsize::new(0));
        let theirs = Arc::clone(&port);
        let mut looks = 0;
        let fake = Fake::start(Dialect::V2_4, move |verb| {
            let mut status = captured(Dialect::V2_4, "status-1peers");
            status.header.peers = 2;
            match verb {
                Verb::Status => {
                    looks += 1;
                    status.header.running = u32::from(looks != 2);
                    let this = bytes(Dialect::V2_4, &status);
                    if looks != 3 {
                        return Answer::Send(this);
                    }
                    write_image(&dir, 40000, 1, 2);
                    write_image(&dir, 40001, 1, 2);
                    let paths = (0..named).map(|pid| {
                        let path = image_of(&dir, 40000 + pid);
                        (
                            "vm".into(),
                            None,
                            Text::from(path.to_str().unwrap().to_owned()),
                        )
                    });
                    let hosts = RestartHost::group(paths.collect::<Vec<_>>());
                    let port = u16::try_from(theirs.load(Ordering::Acquire)).unwrap();
                    let script = RestartScript::new("vm".into(), port, hosts).to_text();
                    let name = RestartScript::file_name(computation(1), false);
                    fs::write(dir.join(&name), script).unwrap();
                    symlink(name, dir.join(RestartScript::LINK_NAME)).unwrap();
                    let mut done = captured(Dialect::V2_4, "exit-after-prefix");
                    done.header.status = 0;
                    let held = bytes(Dialect::V2_4, &done);
                    Answer::Release { held, this }
                }
                Verb::List => Answer::Send(answer(Dialect::V2_4, "list")),
                Verb::BlockingPrefix => {
                    let mut taken = captured(Dialect::V2_4, "exit-after-prefix");
                    taken.header.status = 0;
                    Answer::Send(bytes(Dialect::V2_4, &taken))
                }
                Verb::Checkpoint => Answer::Stall(Vec::new()),
                other => panic!("{other:?}"),
            }
        });
        let ours = usize::from(fake.handle().addr().port());
        port.store(
            if port_is_ours { ours } else { ours ^ 1 },
            Ordering::Release,
        );
        match sets_of(&fake, &place).checkpoint(LONG) {
            Ok(set) => {
                assert!(port_is_ours);
                assert_true(&set, 2, 1);
            }
            Err(ForeignError::Unlisted { .. }) => assert!(!port_is_ours),
            Err(other) => panic!("{other:?}"),
        }
    }
}
