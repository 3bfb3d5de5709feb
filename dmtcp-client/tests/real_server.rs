//! The embedded coordinator under unmodified DMTCP processes and DMTCP's own `dmtcp_command`,
//! for every installation that `DMTCP_BIN` (or PATH) names. Without one each test says so and
//! passes.

use std::{
    fs,
    path::PathBuf,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use dmtcp_client::{
    Launch, Restart, Tools,
    process::{Child, ComputationTmp, Exit, Identity, Signal, Stream, kill_members, members},
    server::{Computation, ComputationConfig, ComputationEvent, Events, Server, ServerError},
};
use dmtcp_proto::{Event, RoundError};
use tempfile::TempDir;

const LONG: Duration = Duration::from_secs(30);

/// A restart that takes longer hangs: main's does at times.
const RESTART_LIMIT: Duration = Duration::from_secs(8);
const RESTART_TRIES: usize = 8;

struct Stage {
    tools: Tools,
    tmp: ComputationTmp,
    dir: TempDir,
    computation: Computation,
    _server: Server,
}

fn stages() -> impl Iterator<Item = Stage> {
    let all = Tools::all();
    if all.is_empty() {
        println!("SKIPPED: no DMTCP");
    }
    all.into_iter().map(|tools| {
        println!("--- {}", tools.dir().display());
        let server = Server::start().unwrap();
        let computation = server.open(ComputationConfig::default()).unwrap();
        Stage {
            tools,
            tmp: ComputationTmp::create().unwrap(),
            dir: tempfile::tempdir().unwrap(),
            computation,
            _server: server,
        }
    })
}

impl Stage {
    fn launch(&self, count: u32) -> Vec<Child> {
        let children = (0..count)
            .map(|_| {
                let log = Stream::File(self.dir.path().join("log"));
                Launch::new(&self.tools, "sleep")
                    .arg("600")
                    .join(self.computation.addr())
                    .checkpoint_dir(self.dir.path())
                    .tmpdir(self.tmp.path())
                    .gzip(false)
                    .stdout(log.clone())
                    .stderr(log)
                    .spawn()
                    .unwrap()
            })
            .collect();
        self.computation
            .wait_until_running(Some(count), LONG)
            .unwrap();
        children
    }

    fn command(&self, option: &str) -> String {
        let port = self.computation.port().to_string();
        let mut command = Command::new(self.tools.command());
        command.args(["-h", "127.0.0.1", "-p", &port, option]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{option}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Whatever a failed test left behind.
        let _ = kill_members(self.tmp.path(), LONG);
    }
}

fn event(events: &Events, wanted: impl Fn(&Event) -> bool) -> Event {
    loop {
        match events.recv_timeout(LONG).unwrap() {
            ComputationEvent::Coordinator(event) if wanted(&event) => return event,
            _ => {}
        }
    }
}

#[test]
fn processes_are_checkpointed_killed_and_restarted() {
    for stage in stages() {
        let children = stage.launch(3);
        let listed = stage.computation.workers().unwrap();
        let mut pids: Vec<i32> = listed.iter().map(|worker| worker.real_pid).collect();
        pids.sort_unstable();
        let mut expected: Vec<i32> = children.iter().map(Child::id).collect();
        expected.sort_unstable();
        assert_eq!(pids, expected);

        let mut images = Vec::new();
        for round in 1..=3 {
            let start = Instant::now();
            let sealed = stage.computation.checkpoint(LONG).unwrap();
            println!("checkpoint of 3: {:?}", start.elapsed());
            assert_eq!((sealed.round, sealed.images.len()), (round, 3));
            images = sealed
                .images
                .iter()
                .map(|image| PathBuf::from(image.path.to_string()))
                .collect();
            stage.computation.wait_until_running(Some(3), LONG).unwrap();
        }
        for image in &images {
            assert!(fs::metadata(image).unwrap().len() > 1 << 20, "{image:?}");
        }
        stage.computation.kill_workers(LONG).unwrap();
        for child in children {
            assert_eq!(child.wait(LONG).unwrap(), Exit::Code(0));
        }

        let restarted = restart(&stage, &images);
        assert_eq!(members(stage.tmp.path()).unwrap().len(), 3);
        let sealed = stage.computation.checkpoint(LONG).unwrap();
        assert_eq!((sealed.round, sealed.generation), (4, 4));
        stage.computation.quit(LONG).unwrap();
        restarted.wait(LONG).unwrap();
    }
}

fn restart(stage: &Stage, images: &[PathBuf]) -> Child {
    for attempt in 1..=RESTART_TRIES {
        let log = Stream::File(stage.dir.path().join("log"));
        let child = Restart::new(&stage.tools, images.iter().cloned())
            .join(stage.computation.addr())
            .tmpdir(stage.tmp.path())
            .stdout(log.clone())
            .stderr(log)
            .spawn()
            .unwrap();
        let peers = u32::try_from(images.len()).ok();
        match stage.computation.wait_until_running(peers, RESTART_LIMIT) {
            Ok(_) => return child,
            Err(ServerError::TimedOut { .. }) => println!("restart {attempt} hangs"),
            Err(error) => panic!("{error}"),
        }
        drop(child);
        kill_members(stage.tmp.path(), LONG).unwrap();
        let events = stage.computation.events();
        while stage.computation.status().unwrap().peers > 0 {
            events.recv_timeout(LONG).unwrap();
        }
    }
    panic!("no restart of {RESTART_TRIES} came to run");
}

/// The survivor waits for the dead in a barrier of DMTCP's own that no message opens.
#[test]
fn when_one_dies_while_writing_its_image_the_other_is_killed() {
    for stage in stages() {
        let children = stage.launch(2);
        let events = stage.computation.events();
        let asking = stage.computation.clone();
        let asked = thread::spawn(move || asking.checkpoint(LONG));
        event(
            &events,
            |event| matches!(event, Event::BarrierReleased { name, .. } if name.as_bytes() == b"DMT:CHECKPOINT"),
        );
        let victim = Identity::of(children[0].id()).unwrap().unwrap();
        assert!(victim.kill(Signal::Kill).unwrap());
        match asked.join().unwrap() {
            Err(ServerError::CheckpointFailed {
                reason: RoundError::PeerLost(worker),
                ..
            }) => assert_eq!(worker.real_pid, children[0].id()),
            other => panic!("{other:?}"),
        }
        for child in children {
            assert_eq!(child.wait(LONG).unwrap(), Exit::Signal(9));
        }
        assert_eq!(stage.computation.status().unwrap().peers, 0);
        // The next computation on the same coordinator is not affected.
        let children = stage.launch(1);
        stage.computation.checkpoint(LONG).unwrap();
        stage.computation.quit(LONG).unwrap();
        drop(children);
    }
}

#[test]
fn the_stock_command_is_answered() {
    for stage in stages() {
        let children = stage.launch(1);
        assert!(stage.command("-s").contains("RUNNING=yes"));
        assert!(stage.command("-l").contains("sleep"));
        let events = stage.computation.events();
        for option in ["-c", "-bc"] {
            stage.command(option);
            event(&events, |event| {
                matches!(event, Event::CheckpointComplete { .. })
            });
            stage.computation.wait_until_running(Some(1), LONG).unwrap();
        }
        stage.command("-i5");
        assert_eq!(
            stage.computation.status().unwrap().interval,
            dmtcp_proto::Interval::Every(Duration::from_secs(5))
        );
        stage.command("-k");
        event(&events, |event| {
            matches!(event, Event::ComputationEnded { .. })
        });
        stage.command("-q");
        assert!(events.into_iter().count() > 0);
        drop(children);
    }
}
