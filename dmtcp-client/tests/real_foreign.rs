//! Sets out of stock coordinators, with real processes: what our calls return where the stock tools
//! return early, hang or forget. For every installation of DMTCP that `DMTCP_BIN` (or PATH) names;
//! without one each test says so and passes.
//!
//! `DMTCP_TEST_BIG` makes the large process 400 MB instead of 32.

#[expect(dead_code, reason = "shared by several test crates")]
mod real;

use dmtcp_client::with_causes;
use std::fmt::Debug;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use dmtcp_client::coordinator::Error;
use dmtcp_client::foreign::{ForeignError, ForeignSets, Stage};
use dmtcp_client::server::{ComputationConfig, Server};
use dmtcp_client::set::{CheckpointSet, SetStore};
use dmtcp_proto::{Strangers, WorkerState};
use real::{Installation, Stage as Stock, on_each, soon};

/// Longer than anything here takes unless it hangs; 400 MB through gzip takes half a minute.
const LIMIT: Duration = Duration::from_secs(180);

const SLEEP: &[&str] = &["sleep", "1000"];

/// Incompressible megabytes of the large process.
fn megabytes() -> u32 {
    match std::env::var_os("DMTCP_TEST_BIG") {
        Some(_) => 400,
        None => 32,
    }
}

fn launch_large(stock: &mut Stock, options: &[&str]) -> usize {
    // The interpreter itself: a shell shim would put bash under DMTCP.
    let output = std::process::Command::new("python3")
        .args([
            "-c",
            "import os, sys; print(os.path.realpath(sys.executable))",
        ])
        .output()
        .unwrap();
    let python = String::from_utf8(output.stdout).unwrap();
    let program = format!(
        "import os, time\nb = b''.join(os.urandom(1 << 20) for _ in range({}))\n\
         open('ready', 'w').close()\nwhile True: time.sleep(0.05)",
        megabytes()
    );
    let place = stock.launch(options, &[python.trim(), "-c", &program]);
    soon("the program", || stock.exists("ready").then_some(()));
    place
}

struct Sets {
    dir: tempfile::TempDir,
    sets: Arc<ForeignSets>,
}

fn sets(stock: &Stock) -> Sets {
    let dir = tempfile::tempdir().unwrap();
    let store = SetStore::open(dir.path()).unwrap();
    let sets = Arc::new(ForeignSets::new(stock.handle(), store));
    Sets { dir, sets }
}

/// Says what came of a call, and when.
fn report<T: Debug, E: std::error::Error>(
    installation: &Installation,
    what: &str,
    start: Instant,
    result: &Result<T, E>,
) {
    let outcome = match result {
        Ok(_) => "a true set".to_owned(),
        Err(error) => with_causes(error),
    };
    let took = start.elapsed().as_secs_f64();
    println!(
        "{}: {what}: after {took:.2} s: {outcome}",
        installation.version
    );
}

/// What a set is worth: all processes, whole and unchanged, and nothing unfinished beside.
fn assert_true(set: &CheckpointSet, images: usize) {
    set.verify().unwrap();
    let manifest = set.manifest();
    assert_eq!(manifest.images.len(), images, "{manifest:?}");
    assert_eq!(manifest.hosts.len(), 1);
    for image in set.images() {
        dmtcp_client::image::check_whole(&image).unwrap();
    }
    for entry in std::fs::read_dir(set.dir()).unwrap() {
        let name = entry.unwrap().file_name();
        assert!(!name.to_string_lossy().ends_with(".temp"), "{name:?}");
    }
}

/// A worker, any or this one, writes its image.
fn wait_for_writing(stock: &Stock, pid: Option<i32>) {
    let handle = stock.handle();
    soon("an image being written", || {
        let Ok(workers) = handle.workers() else {
            // 2.4 tells only this much.
            return (!handle.status().unwrap().running).then_some(());
        };
        let mut workers = workers.iter();
        let writes = [WorkerState::Checkpointing, WorkerState::Drained];
        let is_one = |w: &&dmtcp_proto::WorkerInfo| pid.is_none_or(|pid| w.real_pid == pid);
        workers
            .find(|w| is_one(w) && writes.contains(&w.state))
            .map(|_| ())
    });
}

#[test]
fn a_large_process_with_gzip() {
    on_each(|installation| {
        let mut stock = Stock::stock(installation, &[]);
        launch_large(&mut stock, &["--gzip"]);
        let sets = sets(&stock);
        for _ in 0..2 {
            let start = Instant::now();
            let made = sets.sets.checkpoint(LIMIT);
            let what = format!("{} MB, gzip", megabytes());
            report(installation, &what, start, &made);
            let set = made.unwrap();
            assert_true(&set, 1);
            assert!(set.manifest().images[0].compressed);
            assert!(set.total_bytes() > u64::from(megabytes()) << 20);
            assert_eq!(set.manifest().dmtcp.as_ref(), Some(&installation.version));
        }
    });
}

/// The child of a forked checkpoint writes on when the round is over.
#[test]
fn a_forked_checkpoint() {
    on_each(|installation| {
        let mut stock = Stock::stock(installation, &[]);
        stock.set_variable("DMTCP_FORKED_CHECKPOINT", "1");
        launch_large(&mut stock, &["--gzip"]);
        let sets = sets(&stock);
        for _ in 0..2 {
            let start = Instant::now();
            let made = sets.sets.checkpoint(LIMIT);
            report(installation, "forked", start, &made);
            match made {
                Ok(set) => assert_true(&set, 1),
                // Where the process does not survive it; seen with 3.2.0 and later on Linux 6.18.
                Err(ForeignError::ComputationEnded { .. } | ForeignError::Coordinator(_)) => {
                    assert_eq!(stock.handle().status().unwrap().peers, 0);
                    return;
                }
                Err(error) => panic!("{error:?}"),
            }
        }
    });
}

#[test]
fn children_that_come_and_go() {
    on_each(|installation| {
        let mut stock = Stock::stock(installation, &[]);
        stock.launch(
            &["--no-gzip"],
            &[
                "bash",
                "-c",
                "sleep 1000 & while true; do /bin/true; sleep 0.02; done",
            ],
        );
        soon("the workers", || {
            (stock.handle().status().unwrap().peers >= 2).then_some(())
        });
        let sets = sets(&stock);
        for _ in 0..5 {
            let start = Instant::now();
            let made = sets.sets.checkpoint(LIMIT / 6);
            report(installation, "children that come and go", start, &made);
            match made {
                Ok(set) => {
                    let images = set.images();
                    assert!(images.len() >= 2);
                    let header = dmtcp_client::image::read_header(&images[0]).unwrap();
                    assert_eq!(usize::try_from(header.peers).unwrap(), images.len());
                    assert_true(&set, images.len());
                }
                // DMTCP's own races with processes that start or end have killed or stopped it.
                Err(
                    ForeignError::PeerLost { .. }
                    | ForeignError::ComputationEnded { .. }
                    | ForeignError::TimedOut { .. },
                ) => return,
                // Or the coordinator.
                Err(ForeignError::Coordinator(_)) => {
                    soon("its end", || stock.has_ended().then_some(()));
                    return;
                }
                Err(error) => panic!("{error:?}"),
            }
        }
    });
}

#[test]
fn two_callers() {
    on_each(|installation| {
        let mut stock = Stock::stock(installation, &[]);
        for _ in 0..2 {
            stock.launch(&["--no-gzip"], SLEEP);
        }
        stock.wait_running(2);
        let (one, other) = (sets(&stock), sets(&stock));
        let start = Instant::now();
        let calls = [&one.sets, &other.sets].map(|sets| {
            let sets = Arc::clone(sets);
            thread::spawn(move || sets.checkpoint(LIMIT))
        });
        for call in calls {
            let made = call.join().unwrap();
            report(installation, "two callers", start, &made);
            assert_true(&made.unwrap(), 2);
        }
    });
}

#[test]
fn a_single_process_that_dies_in_the_middle() {
    on_each(|installation| {
        let mut stock = Stock::stock(installation, &[]);
        let program = launch_large(&mut stock, &["--gzip"]);
        let sets = sets(&stock);
        let call = thread::spawn({
            let sets = Arc::clone(&sets.sets);
            move || sets.checkpoint(LIMIT)
        });
        wait_for_writing(&stock, None);
        let start = Instant::now();
        stock.kill(program);
        let made = call.join().unwrap();
        report(installation, "death in the middle", start, &made);
        let error = made.unwrap_err();
        assert!(
            matches!(error, ForeignError::ComputationEnded { .. }),
            "{error:?}"
        );
        assert!(start.elapsed() < LIMIT / 4);
        assert!(sets.sets.store().list().unwrap().sets.is_empty());
    });
}

#[test]
fn one_of_two_that_dies_in_the_middle() {
    on_each(|installation| {
        let mut stock = Stock::stock(installation, &[]);
        stock.launch(&["--no-gzip"], SLEEP);
        let program = launch_large(&mut stock, &["--gzip"]);
        stock.wait_running(2);
        let pid = stock.pid(program);
        let sets = sets(&stock);
        let call = thread::spawn({
            let sets = Arc::clone(&sets.sets);
            move || sets.checkpoint(LIMIT)
        });
        wait_for_writing(&stock, Some(pid));
        let start = Instant::now();
        stock.kill(program);
        let made = call.join().unwrap();
        report(installation, "one of two dies", start, &made);
        match made.unwrap_err() {
            ForeignError::PeerLost { worker } => assert_eq!(worker.real_pid, pid),
            // 2.4 tells no names; its images tell that one is missing, or its script that there is none.
            ForeignError::Incomplete { .. } | ForeignError::Unlisted { .. } => {
                assert!(!installation.quirks.lists_workers);
            }
            other => panic!("{other:?}"),
        }
        assert!(start.elapsed() < LIMIT / 4);
    });
}

/// Stock coordinators answer nobody while a connection says nothing; the development head gives it a
/// second.
#[test]
fn an_idle_connection() {
    on_each(|installation| {
        let mut stock = Stock::stock(installation, &[]);
        stock.launch(&["--no-gzip"], SLEEP);
        stock.wait_running(1);
        let dir = tempfile::tempdir().unwrap();
        let store = SetStore::open(dir.path()).unwrap();
        let limit = Duration::from_secs(5);
        let sets = ForeignSets::new(stock.handle().timeout(limit), store);
        // It is the next to be served, and says nothing.
        let _idle = TcpStream::connect(stock.handle().addr()).unwrap();
        let start = Instant::now();
        let made = sets.checkpoint(LIMIT);
        report(installation, "an idle connection", start, &made);
        if installation.quirks.strangers == Strangers::AreRefused {
            assert_true(&made.unwrap(), 1);
            return;
        }
        match made.unwrap_err() {
            ForeignError::Coordinator(error) => {
                assert!(matches!(*error, Error::TimedOut { .. }), "{error:?}");
                assert!(
                    error.to_string().contains("somebody else's connection"),
                    "{error}"
                );
            }
            other => panic!("{other:?}"),
        }
        assert!(start.elapsed() < LIMIT / 4);
    });
}

#[test]
fn a_kill_behind_the_checkpoint() {
    on_each(|installation| {
        let mut stock = Stock::stock(installation, &[]);
        stock.launch(&["--no-gzip"], SLEEP);
        launch_large(&mut stock, &["--gzip"]);
        stock.wait_running(2);
        let sets = sets(&stock);
        let start = Instant::now();
        let made = sets.sets.checkpoint_and_kill(LIMIT);
        report(installation, "kill after the checkpoint", start, &made);
        match made {
            Ok(set) => assert_true(&set, 2),
            // The script is written when the last image is reported, if the workers live so long.
            Err(ForeignError::Unlisted { .. }) => assert!(!installation.quirks.lists_workers),
            Err(error) => panic!("{error:?}"),
        }
        assert_eq!(stock.handle().status().unwrap().peers, 0);
    });
}

#[test]
fn a_limit_that_passes_in_the_round() {
    on_each(|installation| {
        let mut stock = Stock::stock(installation, &[]);
        launch_large(&mut stock, &["--gzip"]);
        let sets = sets(&stock);
        let start = Instant::now();
        let mut limit = Duration::from_millis(400);
        loop {
            let made = sets.sets.checkpoint(limit);
            report(installation, &format!("a limit of {limit:?}"), start, &made);
            match made.unwrap_err() {
                ForeignError::TimedOut { stage, .. } if stage != Stage::Waiting => break,
                // The machine is slow.
                ForeignError::TimedOut { .. } | ForeignError::Coordinator(_) => limit *= 2,
                other => panic!("{other:?}"),
            }
        }
        let busy = sets.sets.checkpoint(LIMIT).unwrap_err();
        assert!(matches!(busy, ForeignError::Busy), "{busy:?}");
        let made = sets.sets.finish(LIMIT);
        report(installation, "and its end", start, &made);
        assert_true(&made.unwrap(), 1);
    });
}

/// The images of a set run again, and what has no environment to show is found all the same.
#[test]
fn a_set_is_restarted_and_checkpointed_again() {
    on_each(|installation| {
        // These options do not bring the `dmtcp_restart` of 2.4 to run.
        if !installation.quirks.lists_workers {
            return;
        }
        let mut stock = Stock::stock(installation, &[]);
        // One tree: 2.6.0 does not restart two at once.
        let program = ["bash", "-c", "sleep 1000 & wait"];
        stock.launch(&["--no-gzip"], &program);
        stock.wait_running(2);
        let first = sets(&stock);
        let set = first.sets.checkpoint_and_kill(LIMIT);
        let set = set.unwrap();
        drop(stock);

        let mut stock = Stock::stock(installation, &[]);
        let images = set.stage_into(&first.dir.path().join("again")).unwrap();
        let images: Vec<&Path> = images.iter().map(PathBuf::as_path).collect();
        stock.restart(&images);
        stock.wait_running(2);
        let again = sets(&stock);
        for _ in 0..2 {
            let start = Instant::now();
            let made = again.sets.checkpoint(LIMIT);
            report(installation, "restarted", start, &made);
            let made = made.unwrap();
            assert_true(&made, 2);
            assert!(made.manifest().computation.generation > set.manifest().computation.generation);
        }
    });
}

/// Ours as the coordinator of another program.
#[test]
fn under_the_embedded_coordinator() {
    on_each(|installation| {
        let server = Server::start().unwrap();
        let computation = server.open(ComputationConfig::default()).unwrap();
        let mut stage = Stock::on(installation, computation.port());
        let large = launch_large(&mut stage, &["--gzip"]);
        stage.wait_running(1);
        let (one, other) = (sets(&stage), sets(&stage));
        let start = Instant::now();
        let made = one.sets.checkpoint(LIMIT);
        report(installation, "ours: large, gzip", start, &made);
        assert_true(&made.unwrap(), 1);

        let start = Instant::now();
        let calls = [&one.sets, &other.sets].map(|sets| {
            let sets = Arc::clone(sets);
            thread::spawn(move || sets.checkpoint(LIMIT))
        });
        for call in calls {
            let made = call.join().unwrap();
            report(installation, "ours: two callers", start, &made);
            assert_true(&made.unwrap(), 1);
        }

        stage.launch(&["--no-gzip"], SLEEP);
        stage.wait_running(2);
        let start = Instant::now();
        let idle = TcpStream::connect(stage.handle().addr()).unwrap();
        let made = one.sets.checkpoint(LIMIT);
        report(installation, "ours: an idle connection", start, &made);
        assert_true(&made.unwrap(), 2);
        drop(idle);

        let pid = stage.pid(large);
        let call = thread::spawn({
            let sets = Arc::clone(&one.sets);
            move || sets.checkpoint(LIMIT)
        });
        wait_for_writing(&stage, Some(pid));
        let start = Instant::now();
        stage.kill(large);
        let made = call.join().unwrap();
        report(installation, "ours: one of two dies", start, &made);
        match made.unwrap_err() {
            ForeignError::PeerLost { worker } => assert_eq!(worker.real_pid, pid),
            // It ends the others, which would be stuck.
            ForeignError::ComputationEnded { .. } => {}
            other => panic!("{other:?}"),
        }
        computation.kill_workers(LIMIT).unwrap();
        stage.launch(&["--no-gzip"], SLEEP);
        stage.wait_running(1);

        let start = Instant::now();
        let made = one.sets.checkpoint_and_kill(LIMIT);
        report(
            installation,
            "ours: kill after the checkpoint",
            start,
            &made,
        );
        assert_true(&made.unwrap(), 1);
        assert_eq!(computation.status().unwrap().peers, 0);
    });
}
