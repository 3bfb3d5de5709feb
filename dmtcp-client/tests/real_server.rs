//! The embedded coordinator under unmodified DMTCP processes and DMTCP's own `dmtcp_command`,
//! for every installation that `DMTCP_BIN` (or PATH) names. Without one each test says so and
//! passes.

#[path = "chrome_trace/mod.rs"]
mod chrome_trace;

use std::{
    collections::BTreeSet,
    fs,
    io::Read as _,
    path::PathBuf,
    process::{Command, Stdio},
    rc::Rc,
    thread,
    time::{Duration, Instant},
};

use dmtcp_client::{
    Launch, Restart, Tools,
    process::{
        Child, ComputationTmp, Exit, Identity, ProcessState, Signal, Situation, Stream,
        kill_members, members,
    },
    server::{
        Computation, ComputationConfig, ComputationEvent, Events, RoundOutcome, Server,
        ServerError, Step, WorkerTrack,
    },
};
use dmtcp_proto::{Event, RoundError};
use nix::{sys::signal, unistd::Pid};
use tempfile::TempDir;

use chrome_trace::Trace;

const LONG: Duration = Duration::from_secs(60);

/// A restart that takes longer hangs: main's does at times.
const RESTART_LIMIT: Duration = Duration::from_secs(20);
const RESTART_TRIES: usize = 8;

const SLEEP: &[&str] = &["sleep", "600"];
/// Processes that were launched apart do not come back under one `dmtcp_restart`, whoever
/// coordinates them; a family does.
const FAMILY: &[&str] = &["bash", "-c", "sleep 600 & sleep 600 & wait"];

struct Stage {
    tools: Tools,
    tmp: ComputationTmp,
    dir: TempDir,
    computation: Computation,
    _server: Rc<Server>,
}

fn stages() -> impl Iterator<Item = Stage> {
    let all = Tools::all();
    if all.is_empty() {
        println!("SKIPPED: no DMTCP");
    }
    all.into_iter().map(|tools| {
        println!("--- {}", tools.dir().display());
        Stage::on(&Rc::new(Server::start().unwrap()), tools)
    })
}

impl Stage {
    fn on(server: &Rc<Server>, tools: Tools) -> Self {
        Self {
            tools,
            tmp: ComputationTmp::create().unwrap(),
            dir: tempfile::tempdir().unwrap(),
            computation: server.open(ComputationConfig::default()).unwrap(),
            _server: server.clone(),
        }
    }

    fn launch(&self, program: &[&str], peers: u32) -> Child {
        let log = Stream::File(self.dir.path().join("log"));
        let child = Launch::new(&self.tools, program[0])
            .args(program[1..].iter().copied())
            .join(self.computation.addr())
            .checkpoint_dir(self.dir.path())
            .tmpdir(self.tmp.path())
            .gzip(false)
            .stdout(log.clone())
            .stderr(log)
            .spawn()
            .unwrap();
        self.computation
            .wait_until_running(Some(peers), LONG)
            .unwrap();
        child
    }

    /// Runs again, and can be checkpointed again: a worker says that it resumes shortly before
    /// its threads can be suspended again. Without the pause one of a hundred dies of an
    /// assertion in its rwlock.cpp (main) or hangs in the next round's suspension (4.2.0).
    fn resumed(&self, peers: u32) {
        self.computation
            .wait_until_running(Some(peers), LONG)
            .unwrap();
        thread::sleep(Duration::from_millis(200));
    }

    fn real_pids(&self) -> BTreeSet<i32> {
        let workers = self.computation.workers().unwrap();
        workers.iter().map(|worker| worker.real_pid).collect()
    }

    fn command(&self, option: &str) -> String {
        self.command_of(&self.tools, option)
    }

    /// The command of any release.
    fn command_of(&self, tools: &Tools, option: &str) -> String {
        let port = self.computation.port().to_string();
        let mut command = Command::new(tools.command());
        command.args(["-h", "127.0.0.1", "-p", &port, option]);
        command.stdout(Stdio::piped());
        let mut child = Child::spawn(command).unwrap();
        let mut stdout = child.take_stdout().unwrap();
        assert_eq!(child.wait(LONG).unwrap(), Exit::Code(0), "{option}");
        let mut text = String::new();
        stdout.read_to_string(&mut text).unwrap();
        text
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
        let events = stage.computation.events();
        let child = stage.launch(FAMILY, 3);
        // A child counts from before its fork, and tells its own pid behind it.
        while stage.real_pids().len() < 3 {
            events.recv_timeout(LONG).unwrap();
        }
        let members = members(stage.tmp.path()).unwrap();
        let expected: BTreeSet<i32> = members.iter().map(Identity::pid).collect();
        assert_eq!(stage.real_pids(), expected);

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
            stage.resumed(3);
        }
        for image in &images {
            assert!(fs::metadata(image).unwrap().len() > 1 << 20, "{image:?}");
        }
        stage.computation.kill_workers(LONG).unwrap();
        assert_eq!(child.wait(LONG).unwrap(), Exit::Code(0));
        drop(child);

        let restarted = restart(&stage, &images);
        stage.resumed(3);
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

/// From 3.0.0 on the survivor waits for the dead in a barrier of DMTCP's own that no message
/// opens; 2.x has none.
#[test]
fn when_one_dies_while_writing_its_image_the_other_goes_on_or_is_killed() {
    for stage in stages() {
        let is_lockstep = !stage.tools.dialect().unwrap().phases().is_empty();
        let last = match is_lockstep {
            true => "DRAINED",
            false => "DMT:CHECKPOINT",
        };
        let children = [stage.launch(SLEEP, 1), stage.launch(SLEEP, 2)];
        let events = stage.computation.events();
        let asking = stage.computation.clone();
        let asked = thread::spawn(move || asking.checkpoint(LONG));
        event(
            &events,
            |event| matches!(event, Event::BarrierReleased { name, .. } if name.as_bytes() == last.as_bytes()),
        );
        let victim = Identity::of(children[0].id()).unwrap().unwrap();
        assert!(victim.kill(Signal::Kill).unwrap());
        match asked.join().unwrap() {
            Err(ServerError::CheckpointFailed { reason, .. }) => assert!(
                matches!(&*reason, RoundError::PeerLost(worker) if worker.real_pid == children[0].id()),
                "{reason:?}"
            ),
            other => panic!("{other:?}"),
        }
        let [victim, survivor] = children;
        assert_eq!(victim.wait(LONG).unwrap(), Exit::Signal(9));
        if is_lockstep {
            stage.resumed(1);
            stage.computation.checkpoint(LONG).unwrap();
            stage.resumed(1);
            stage.computation.kill_workers(LONG).unwrap();
            assert_eq!(survivor.wait(LONG).unwrap(), Exit::Code(0));
        } else {
            assert_eq!(survivor.wait(LONG).unwrap(), Exit::Signal(9));
        }
        assert_eq!(stage.computation.status().unwrap().peers, 0);
        // The next computation on the same coordinator is not affected.
        let child = stage.launch(SLEEP, 1);
        stage.computation.checkpoint(LONG).unwrap();
        stage.computation.quit(LONG).unwrap();
        assert_eq!(child.wait(LONG).unwrap(), Exit::Code(0));
    }
}

#[test]
fn the_stock_command_is_answered() {
    for stage in stages() {
        let child = stage.launch(SLEEP, 1);
        assert!(stage.command("-s").contains("RUNNING=yes"));
        assert!(stage.command("-l").contains("sleep"));
        let events = stage.computation.events();
        for option in ["-c", "-bc"] {
            stage.command(option);
            event(&events, |event| {
                matches!(event, Event::CheckpointComplete { .. })
            });
            stage.resumed(1);
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
        // Ends with the computation.
        let _ = events.count();
        assert_eq!(child.wait(LONG).unwrap(), Exit::Code(0));
    }
}

/// Each release's processes in a computation of their own, all on one server and checkpointed at
/// the same time; each computation is asked by the commands of all releases.
#[test]
fn computations_of_all_releases_share_one_server() {
    let server = Rc::new(Server::start().unwrap());
    let stages: Vec<Stage> = Tools::all()
        .into_iter()
        .map(|tools| Stage::on(&server, tools))
        .collect();
    if stages.is_empty() {
        println!("SKIPPED: no DMTCP");
    }
    let children: Vec<Child> = stages.iter().map(|stage| stage.launch(SLEEP, 1)).collect();
    for (stage, tools) in stages
        .iter()
        .flat_map(|stage| stages.iter().map(move |other| (stage, &other.tools)))
    {
        let status = stage.command_of(tools, "-s");
        assert!(status.contains("NUM_PEERS=1") && status.contains("RUNNING=yes"));
        assert!(stage.command_of(tools, "-l").contains("sleep"));
    }
    thread::scope(|scope| {
        for stage in &stages {
            let computation = stage.computation.clone();
            scope.spawn(move || computation.checkpoint(LONG).unwrap());
        }
    });
    for (stage, child) in stages.iter().zip(children) {
        stage.resumed(1);
        let sealed = stage.computation.checkpoint_and_kill(LONG).unwrap();
        assert_eq!(child.wait(LONG).unwrap(), Exit::Code(0));
        let image = PathBuf::from(sealed.images[0].path.to_string());
        let restarted = restart(stage, &[image]);
        stage.computation.quit(LONG).unwrap();
        restarted.wait(LONG).unwrap();
    }
}

/// One of them is stopped until the other waits for it: in the trace, that is the one to be seen.
#[test]
fn a_trace_has_all_workers_and_barriers_and_shows_the_slow_one() {
    for stage in stages() {
        let children = [stage.launch(SLEEP, 1), stage.launch(SLEEP, 2)];
        let slow = children[0].id();
        let send = |signal| signal::kill(Pid::from_raw(slow), signal).unwrap();
        send(signal::Signal::SIGSTOP);
        until("it is stopped", || {
            let situation = Situation::of(slow).unwrap().unwrap();
            let mut threads = situation.threads.iter();
            threads.all(|thread| thread.state == ProcessState::Stopped)
        });
        stage.computation.request_checkpoint().unwrap();
        let round = 1;
        until("the other one waits", || {
            let timeline = stage.computation.timeline(round).unwrap();
            timeline.is_some_and(|timeline| !timeline.barriers.is_empty())
        });
        send(signal::Signal::SIGCONT);
        until("the round is over", || {
            let timeline = stage.computation.timeline(round).unwrap();
            timeline.is_some_and(|timeline| timeline.resumed.is_some())
        });
        let timeline = stage.computation.timeline(round).unwrap().unwrap();
        assert!(matches!(timeline.outcome, RoundOutcome::Complete { .. }));
        let pids: BTreeSet<i32> = timeline.tracks.iter().map(|track| track.real_pid).collect();
        assert_eq!(pids, stage.real_pids());
        let laggard = timeline.track(timeline.barriers[0].last_worker).unwrap();
        assert_eq!(laggard.real_pid, slow);
        let steps = |track: &WorkerTrack| -> Vec<Step> {
            assert!(track.steps.is_sorted_by_key(|step| step.at));
            track.steps.iter().map(|step| step.step).collect()
        };
        let all = steps(laggard);
        let barriers: Vec<Step> = (0..)
            .take(timeline.barriers.len())
            .map(Step::Barrier)
            .collect();
        let is_barrier = |step: &&Step| matches!(step, Step::Barrier(_));
        assert!(all.iter().filter(is_barrier).eq(&barriers), "{timeline:#?}");
        assert!(all.contains(&Step::ImageReported));
        assert_eq!(all.last(), Some(&Step::Running));
        let mut before = Duration::ZERO;
        for (index, barrier) in timeline.barriers.iter().enumerate() {
            let released = barrier.released.unwrap();
            let order = [before, barrier.first, barrier.last, released];
            assert!(order.is_sorted(), "{timeline:#?}");
            assert_eq!(barrier.peers, 2, "{index}");
            before = released;
        }
        for track in &timeline.tracks {
            assert_eq!(steps(track), all);
        }

        let mut text = Vec::new();
        timeline.write_chrome_trace(&mut text).unwrap();
        let trace = Trace::parse(&text);
        let names: Vec<String> = timeline
            .barriers
            .iter()
            .map(|b| b.name.to_string())
            .collect();
        println!("{names:?}");
        assert_eq!(trace.slices("coordinator", "barriers"), names);
        for pid in pids {
            let line = format!("{} (pid {pid})", laggard.program);
            let first = trace.slices(&laggard.host, &line)[0].to_owned();
            let mark = if pid == slow { " (last)" } else { "" };
            assert_eq!(first, format!("to {}{mark}", names[0]));
        }
        stage.computation.quit(LONG).unwrap();
    }
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < LONG, "not in time: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
