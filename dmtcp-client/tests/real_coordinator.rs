//! The handle with real processes, against stock coordinators and the embedded one, for every
//! installation of DMTCP that `DMTCP_BIN` (or PATH) names. Without one each test says so and
//! passes.

mod real;

use std::time::{Duration, Instant};

use dmtcp_client::coordinator::{Coordinator, Error, Evidence};
use dmtcp_client::server::{ComputationConfig, Server};
use dmtcp_proto::{
    BlockingCheckpoint, CommandError, Dialect, ExchangeError, Interval, Strangers, WorkerInfo,
    WorkerState,
};
use real::{Installation, LONG as LIMIT, Stage, on_each, soon};

/// For what cannot succeed. Where the machine is so busy that it ends an earlier stage than the
/// one that is meant, there is another try with a longer one.
const SHORT: Duration = Duration::from_millis(700);

/// The first result, with limits that grow, that is not about an earlier stage.
fn with_growing_limits<T>(
    call: impl Fn(Duration) -> Result<T, Error>,
    too_early: impl Fn(&Error) -> bool,
) -> Result<T, Error> {
    let mut limit = SHORT;
    loop {
        match call(limit) {
            Err(error) if too_early(&error) && limit < LIMIT => limit *= 3,
            result => return result,
        }
    }
}

fn is_timeout(error: &Error) -> bool {
    matches!(error, Error::TimedOut { .. })
}

const SLEEP: &[&str] = &["sleep", "1000"];

/// 32 MB that gzip cannot shrink: some seconds to write.
const LARGE: &[&str] = &[
    "python3",
    "-c",
    "import os, time\nb = os.urandom(32 << 20)\nopen('ready', 'w').close()\nwhile True: time.sleep(0.05)",
];

/// `LARGE`, with the interpreter itself: a shell shim would put bash under DMTCP.
fn large() -> Vec<String> {
    let output = std::process::Command::new("python3")
        .args([
            "-c",
            "import os, sys; print(os.path.realpath(sys.executable))",
        ])
        .output()
        .unwrap();
    let interpreter = String::from_utf8(output.stdout).unwrap().trim().to_owned();
    let rest = LARGE.iter().skip(1).map(|&arg| arg.to_owned());
    std::iter::once(interpreter).chain(rest).collect()
}

fn launch_large(stock: &mut Stage) -> usize {
    let program = large();
    let program: Vec<&str> = program.iter().map(String::as_str).collect();
    stock.launch(&["--gzip"], &program)
}

/// What the handle must say about the end of a blocking checkpoint.
fn assert_evidence(installation: &Installation, evidence: Evidence) {
    match installation.quirks.blocking {
        BlockingCheckpoint::No => {
            assert!(matches!(evidence, Evidence::Observed { lists } if lists > 1));
        }
        _ => assert_eq!(evidence, Evidence::CoordinatorReply),
    }
}

/// The workers; `None` under 2.4, which says that it tells none.
fn listed(handle: &Coordinator) -> Option<Vec<WorkerInfo>> {
    match handle.workers() {
        Ok(workers) => Some(workers),
        Err(Error::Exchange {
            source: ExchangeError::NoList { dialect },
            ..
        }) => {
            assert_eq!(dialect, Dialect::V2_4);
            None
        }
        Err(error) => panic!("{error:?}"),
    }
}

/// Whether this worker (any: `None`) is in the midst of a checkpoint, as far as it is told.
fn is_stopped(handle: &Coordinator, pid: Option<i32>) -> bool {
    let Some(workers) = listed(handle) else {
        return !handle.status().unwrap().running;
    };
    let mut workers = workers.iter();
    workers.any(|worker| {
        let writes = [WorkerState::Checkpointing, WorkerState::Drained].contains(&worker.state);
        writes && pid.is_none_or(|pid| worker.real_pid == pid)
    })
}

#[test]
fn without_workers() {
    on_each(|installation| {
        let mut stock = Stage::stock(installation, &[]);
        let handle = stock.handle();
        let status = handle.status().unwrap();
        assert_eq!((status.peers, status.running), (0, false));
        assert_eq!(status.interval, Interval::Never);
        assert_eq!(listed(&handle).unwrap_or_default(), []);
        handle.kill_workers().unwrap();
        let refused = |error| match error {
            Error::Command { source, .. } => assert_eq!(source, CommandError::NotRunning),
            other => panic!("{other:?}"),
        };
        refused(handle.request_checkpoint().unwrap_err());
        let checkpoint = |limit| handle.checkpoint(limit);
        refused(with_growing_limits(checkpoint, is_timeout).unwrap_err());
        let checkpoint = |limit| handle.checkpoint_and_kill(limit);
        refused(with_growing_limits(checkpoint, is_timeout).unwrap_err());
        handle.quit().unwrap();
        soon("end of the coordinator", || stock.has_ended().then_some(()));
    });
}

#[test]
fn status_and_workers() {
    on_each(|installation| {
        let mut stock = Stage::stock(installation, &["-i", "3600"]);
        let program = stock.launch(&[], SLEEP);
        stock.wait_running(1);
        let handle = stock.handle();
        let status = handle.status().unwrap();
        assert_eq!(status.interval, Interval::Every(Duration::from_secs(3600)));
        let Some(workers) = listed(&handle) else {
            assert!(!installation.quirks.lists_workers);
            return;
        };
        assert_eq!(workers.len(), 1);
        let worker = &workers[0];
        assert_eq!(worker.real_pid, stock.pid(program));
        assert_eq!(worker.virtual_pid, 40000);
        assert_eq!(worker.id.pid, 40000);
        assert_eq!(worker.program, "sleep");
        assert_eq!(worker.state, WorkerState::Running);
        assert_eq!(worker.barrier, None);
    });
}

#[test]
fn a_request_only_starts() {
    on_each(|installation| {
        let mut stock = Stage::stock(installation, &[]);
        stock.launch(&["--no-gzip"], SLEEP);
        stock.wait_running(1);
        assert_eq!(stock.handle().request_checkpoint().unwrap(), 1);
        soon("image", || (stock.images().len() == 1).then_some(()));
    });
}

#[test]
fn a_checkpoint_is_there_when_the_call_returns() {
    on_each(|installation| {
        let mut stock = Stage::stock(installation, &[]);
        stock.launch(&["--no-gzip"], SLEEP);
        // Nobody waits for the start but the handle.
        let report = stock.handle().checkpoint(LIMIT).unwrap();
        assert_eq!((report.peers, stock.images().len()), (1, 1));
        stock.launch(&["--no-gzip"], SLEEP);
        stock.wait_running(2);
        for round in 2..=5 {
            for image in stock.images() {
                std::fs::remove_file(image).unwrap();
            }
            let report = stock.handle().checkpoint(LIMIT).unwrap();
            let images = stock.images().len();
            assert_eq!((report.peers, images), (2, 2), "round {round}");
            assert_evidence(installation, report.evidence);
        }
        assert_eq!(stock.handle().status().unwrap().peers, 2);
    });
}

#[test]
fn a_long_checkpoint_is_waited_for() {
    on_each(|installation| {
        let mut stock = Stage::stock(installation, &[]);
        launch_large(&mut stock);
        stock.launch(&[], SLEEP);
        stock.wait_running(2);
        soon("program", || stock.exists("ready").then_some(()));
        let start = Instant::now();
        let report = stock.handle().checkpoint(LIMIT).unwrap();
        println!("took {:?}: {report:?}", start.elapsed());
        assert_eq!((report.peers, stock.images().len()), (2, 2));
        assert_evidence(installation, report.evidence);
        let largest = stock
            .images()
            .iter()
            .map(|path| path.metadata().unwrap().len())
            .max();
        assert!(largest > Some(30 << 20), "{largest:?}");
    });
}

fn too_early(error: &Error) -> bool {
    is_timeout(error) || matches!(error, Error::CheckpointTimedOut { begun: false, .. })
}

#[test]
fn a_deadline_ends_the_call_and_not_the_round() {
    on_each(|installation| {
        let mut stock = Stage::stock(installation, &[]);
        launch_large(&mut stock);
        stock.wait_running(1);
        soon("program", || stock.exists("ready").then_some(()));
        let checkpoint = |limit| {
            let start = Instant::now();
            let result = stock.handle().checkpoint(limit);
            assert!(start.elapsed() < limit + LIMIT, "{:?}", start.elapsed());
            // Of that round nobody shall see the end.
            if result.as_ref().is_err_and(too_early) {
                stock.wait_running(1);
            }
            result
        };
        match with_growing_limits(checkpoint, too_early).unwrap_err() {
            Error::CheckpointTimedOut { begun, workers, .. } => {
                assert!(begun);
                let listed = usize::from(installation.quirks.lists_workers);
                assert_eq!(workers.len(), listed);
            }
            other => panic!("{other:?}"),
        }
        // The next one waits for its turn.
        let report = stock.handle().checkpoint(LIMIT).unwrap();
        assert_evidence(installation, report.evidence);
    });
}

#[test]
fn a_checkpoint_that_kills() {
    on_each(|installation| {
        for options in [&[][..], &["--exit-on-last"][..]] {
            let mut stock = Stage::stock(installation, options);
            stock.launch(&["--no-gzip"], SLEEP);
            stock.launch(&["--no-gzip"], SLEEP);
            stock.wait_running(2);
            match stock.handle().checkpoint_and_kill(LIMIT) {
                Ok(report) => {
                    assert_eq!(report.peers, 2);
                    assert!(matches!(report.evidence, Evidence::Observed { .. }));
                }
                // In 2.x the last worker is killed at the moment in which it has written its image.
                Err(Error::Unconfirmed { unseen, .. }) => {
                    println!("not seen: {unseen:?}");
                    assert_eq!(unseen.is_empty(), !installation.quirks.lists_workers);
                    assert!(installation.dialect < Dialect::V3);
                }
                Err(error) => panic!("{error:?}"),
            }
            assert_eq!(stock.images().len(), 2);
        }
    });
}

#[test]
fn a_computation_that_dies_in_the_middle_ends_the_call() {
    on_each(|installation| {
        let mut stock = Stage::stock(installation, &[]);
        let program = launch_large(&mut stock);
        stock.wait_running(1);
        soon("program", || stock.exists("ready").then_some(()));
        let handle = stock.handle();
        let call = std::thread::spawn(move || handle.checkpoint(LIMIT));
        let handle = stock.handle();
        soon("image being written", || {
            is_stopped(&handle, None).then_some(())
        });
        stock.kill(program);
        let result = call.join().unwrap();
        assert!(
            matches!(result, Err(Error::ComputationEnded { .. })),
            "{result:?}"
        );
    });
}

#[test]
fn a_worker_that_dies_in_the_middle_is_named() {
    on_each(|installation| {
        let mut stock = Stage::stock(installation, &[]);
        let program = launch_large(&mut stock);
        stock.launch(&["--no-gzip"], SLEEP);
        stock.wait_running(2);
        soon("program", || stock.exists("ready").then_some(()));
        let pid = stock.pid(program);
        let handle = stock.handle();
        let call = std::thread::spawn(move || handle.checkpoint(LIMIT));
        let handle = stock.handle();
        soon("image being written", || {
            is_stopped(&handle, Some(pid)).then_some(())
        });
        stock.kill(program);
        let result = call.join().unwrap();
        match result {
            Err(Error::WorkerLost { worker, .. }) => assert_eq!(worker.real_pid, pid),
            Err(Error::FewerPeers { before, after, .. }) => {
                assert!(!installation.quirks.lists_workers);
                assert_eq!((before, after), (2, 1));
            }
            other => panic!("{other:?}"),
        }
    });
}

/// The development head forgets the first of two that wait, and refuses the second.
#[test]
fn two_at_once_both_get_an_answer() {
    on_each(|installation| {
        let mut stock = Stage::stock(installation, &[]);
        stock.launch(&["--no-gzip"], SLEEP);
        stock.wait_running(1);
        let calls: Vec<_> = (0..2)
            .map(|_| stock.handle())
            .map(|handle| std::thread::spawn(move || handle.checkpoint(LIMIT)))
            .collect();
        for call in calls {
            println!("{:?}", call.join().unwrap().unwrap());
        }
        assert_eq!(stock.images().len(), 1);
    });
}

#[test]
fn an_interval_is_set_or_the_call_says_that_it_is_not() {
    on_each(|installation| {
        let stock = Stage::stock(installation, &[]);
        let handle = stock.handle();
        let hour = Interval::Every(Duration::from_secs(3600));
        match handle.set_interval(hour) {
            Ok(()) => {
                assert!(installation.quirks.interval_command);
                assert_eq!(handle.status().unwrap().interval, hour);
                handle.set_interval(Interval::Never).unwrap();
                assert_eq!(handle.status().unwrap().interval, Interval::Never);
            }
            // 3.1.1 to 4.2.0.
            Err(Error::IntervalIgnored { asked, found, .. }) => {
                assert!(!installation.quirks.interval_command);
                assert_eq!((asked, found), (hour, Interval::Never));
            }
            Err(error) => panic!("{error:?}"),
        }
    });
}

#[test]
fn settings_of_2_5_and_2_6() {
    on_each(|installation| {
        let mut stock = Stage::stock(installation, &[]);
        stock.launch(&[], SLEEP);
        stock.wait_running(1);
        let handle = stock.handle();
        if matches!(installation.dialect, Dialect::V2_5 | Dialect::V2_6) {
            // A relative one, as the coordinator was given none.
            assert!(!handle.checkpoint_dir().unwrap().is_empty());
            handle.set_log_mask(0).unwrap();
        } else {
            for error in [
                handle.checkpoint_dir().unwrap_err(),
                handle.set_log_mask(0).unwrap_err(),
            ] {
                assert!(matches!(error, Error::Exchange { .. }), "{error:?}");
            }
        }
        assert_eq!(handle.status().unwrap().peers, 1);
        assert!(!stock.has_ended());
    });
}

#[test]
fn kill_waits_until_the_workers_are_gone() {
    on_each(|installation| {
        for options in [&[][..], &["--exit-on-last"][..]] {
            let mut stock = Stage::stock(installation, options);
            for _ in 0..3 {
                stock.launch(&[], SLEEP);
            }
            stock.wait_running(3);
            stock.handle().kill_workers().unwrap();
            if options.is_empty() {
                assert_eq!(stock.handle().status().unwrap().peers, 0);
            }
        }
    });
}

#[test]
fn quit_in_the_wrong_dialect_does_not_pass_for_the_end() {
    on_each(|installation| {
        // Asked in the dialect of the development head, those before 4.0.0 end.
        if installation.quirks.strangers == Strangers::EndIt {
            return;
        }
        let mut stock = Stage::stock(installation, &[]);
        let other = match installation.dialect {
            Dialect::V3 => Dialect::V5,
            _ => Dialect::V3,
        };
        let handle = Coordinator::new(stock.handle().addr(), other);
        let error = handle.clone().timeout(LIMIT).status().unwrap_err();
        assert!(matches!(error, Error::Exchange { .. }), "{error:?}");
        let quit = |limit| handle.clone().timeout(limit).quit();
        let error = with_growing_limits(quit, is_timeout).unwrap_err();
        assert!(matches!(error, Error::StillListening { .. }), "{error:?}");
        assert!(!stock.has_ended());
    });
}

/// The embedded coordinator answers blocking checkpoints in every dialect.
#[test]
fn on_the_embedded_coordinator_every_answer_is_its_own() {
    on_each(|installation| {
        let server = Server::start().unwrap();
        let computation = server.open(ComputationConfig::default()).unwrap();
        let mut stage = Stage::on(installation, computation.port());
        let handle = stage.handle();
        for _ in 0..2 {
            stage.launch(&["--no-gzip"], SLEEP);
        }
        stage.wait_running(2);
        assert_eq!(handle.workers().unwrap(), computation.workers().unwrap());
        for _ in 0..3 {
            let report = handle.checkpoint(LIMIT).unwrap();
            assert_eq!((report.peers, stage.images().len()), (2, 2));
            assert_eq!(report.evidence, Evidence::CoordinatorReply);
        }
        let hour = Interval::Every(Duration::from_secs(3600));
        handle.set_interval(hour).unwrap();
        assert_eq!(computation.status().unwrap().interval, hour);
        handle.kill_workers().unwrap();
        assert_eq!(computation.status().unwrap().peers, 0);

        for _ in 0..2 {
            stage.launch(&["--no-gzip"], SLEEP);
        }
        stage.wait_running(2);
        let report = handle.checkpoint_and_kill(LIMIT).unwrap();
        assert_eq!(
            (report.peers, report.evidence),
            (2, Evidence::CoordinatorReply)
        );
        assert_eq!(computation.status().unwrap().peers, 0);
        assert_eq!(stage.images().len(), 4);
        handle.quit().unwrap();
    });
}
