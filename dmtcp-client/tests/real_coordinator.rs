//! The handle with real processes, against stock coordinators and the embedded one, for every
//! installation of DMTCP that `DMTCP_BIN` (or PATH) names. Without one each test says so and
//! passes.

mod real;

use std::time::{Duration, Instant};

use dmtcp_client::coordinator::{Error, Evidence};
use dmtcp_client::server::{ComputationConfig, Server};
use dmtcp_proto::{CommandError, Dialect, Interval, WorkerState};
use real::{LONG as LIMIT, Stage, on_each, soon};

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
fn assert_evidence(dialect: Dialect, evidence: Evidence) {
    match dialect {
        Dialect::V5 => assert_eq!(evidence, Evidence::CoordinatorReply),
        _ => assert!(matches!(evidence, Evidence::Observed { lists } if lists > 1)),
    }
}

#[test]
fn without_workers() {
    on_each(|installation| {
        let mut stock = Stage::stock(installation, &[]);
        let handle = stock.handle();
        let status = handle.status().unwrap();
        assert_eq!((status.peers, status.running), (0, false));
        assert_eq!(status.interval, Interval::Never);
        assert_eq!(handle.workers().unwrap(), []);
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
        let workers = handle.workers().unwrap();
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
            assert_evidence(installation.dialect, report.evidence);
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
        assert_evidence(installation.dialect, report.evidence);
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
                assert_eq!(workers.len(), 1);
            }
            other => panic!("{other:?}"),
        }
        // The next one waits for its turn.
        let report = stock.handle().checkpoint(LIMIT).unwrap();
        assert_evidence(installation.dialect, report.evidence);
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
            let report = stock.handle().checkpoint_and_kill(LIMIT).unwrap();
            assert_eq!((report.peers, stock.images().len()), (2, 2));
            assert!(matches!(report.evidence, Evidence::Observed { .. }));
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
            let workers = handle.workers().unwrap();
            (workers[0].state == WorkerState::Checkpointing).then_some(())
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
            let workers = handle.workers().unwrap();
            let worker = workers.iter().find(|worker| worker.real_pid == pid)?;
            (worker.state == WorkerState::Checkpointing).then_some(())
        });
        stock.kill(program);
        let result = call.join().unwrap();
        match result {
            Err(Error::WorkerLost { worker, .. }) => assert_eq!(worker.real_pid, pid),
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
        match (installation.dialect, handle.set_interval(hour)) {
            (Dialect::V5, result) => {
                result.unwrap();
                assert_eq!(handle.status().unwrap().interval, hour);
                handle.set_interval(Interval::Never).unwrap();
                assert_eq!(handle.status().unwrap().interval, Interval::Never);
            }
            // 3.1.1 to 4.2.0.
            (_, Err(Error::IntervalIgnored { asked, found, .. })) => {
                assert_eq!((asked, found), (hour, Interval::Never));
            }
            (_, result) => {
                result.unwrap();
                assert!(["3.0.0", "3.1.0"].contains(&installation.version.as_str()));
            }
        }
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
        // Asked in the dialect of the development head, 3.x ends; 4.x and the head do not mind.
        if installation.version.starts_with("3.") {
            return;
        }
        let mut stock = Stage::stock(installation, &[]);
        let other = match installation.dialect {
            Dialect::V3 => Dialect::V5,
            _ => Dialect::V3,
        };
        let handle = dmtcp_client::coordinator::Coordinator::new(stock.handle().addr(), other);
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
