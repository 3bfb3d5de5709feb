//! Runs the built example as its users do. What needs DMTCP is done for every installation that
//! `DMTCP_BIN` (or PATH) names; without one those tests say so and pass.

mod built;

use built::example;
use dmtcp_client::{
    Tools,
    process::{Child, Exit, Identity, Signal},
    set,
};
use nix::{
    sys::signal::{self, killpg},
    unistd::Pid,
};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Longer than any run here takes unless it hangs: some of them have seconds of work to do.
const LONG: Duration = Duration::from_secs(300);

/// Counts in a file until it is told to stop, and ends with 7.
///
/// It starts no processes: one that is forked in the middle of a checkpoint can make that fail,
/// and the next one has to do, but which exit code that gives is a matter of luck.
const COUNTER: &str = r#"
import os, signal, sys, time
os.chdir(sys.argv[1])
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda *_: open('interrupted', 'w').close())
count = 0
while not os.path.exists('stop'):
    count += 1
    with open('count.new', 'w') as file:
        file.write(str(count))
    os.rename('count.new', 'count')
    time.sleep(0.05)
print('counted to', count, flush=True)
sys.exit(7)
"#;

/// A run of the example, in a process group of its own as a shell makes it.
struct Run {
    child: Child,
    dir: PathBuf,
    name: String,
}

impl Run {
    fn start(dir: &Path, name: &str, args: &[&str], environment: &[(&str, &str)]) -> Self {
        let output = |kind: &str| File::create(dir.join(format!("{name}.{kind}"))).unwrap();
        let mut command = Command::new(example("checkpoint_every"));
        command
            .args(args)
            .envs(environment.iter().copied())
            .current_dir(dir)
            .stdout(output("out"))
            .stderr(output("err"));
        Self {
            child: Child::spawn(command).unwrap(),
            dir: dir.to_owned(),
            name: name.to_owned(),
        }
    }

    fn out(&self) -> String {
        fs::read_to_string(self.dir.join(format!("{}.out", self.name))).unwrap()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.join(format!("{}.err", self.name))).unwrap()
    }

    fn await_log(&self, text: &str) {
        eventually(&format!("{text:?} in the log"), || {
            let ended = self.child.try_wait().unwrap();
            let log = self.log();
            assert!(
                log.contains(text) || ended.is_none(),
                "ended ({ended:?}): {log}"
            );
            log.contains(text)
        });
    }

    /// As Ctrl-C or a scheduler does.
    fn signal_group(&self, signal: signal::Signal) {
        killpg(Pid::from_raw(self.child.id()), signal).unwrap();
    }

    fn code(&self) -> i32 {
        match self.child.wait(LONG) {
            Ok(Exit::Code(code)) => code,
            other => panic!("{other:?}: {}", self.log()),
        }
    }
}

/// The number that follows this text.
fn number_behind(text: &str, log: &str) -> Option<u64> {
    let (_, rest) = log.split_once(text)?;
    let end = rest.find(|c: char| !c.is_ascii_digit());
    rest.get(..end.unwrap_or(rest.len()))?.parse().ok()
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + LONG;
    while !holds() {
        assert!(Instant::now() < end, "not within {LONG:?}: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_built_in_run_needs_nothing_and_proves_its_result() {
    let base = tempfile::tempdir().unwrap();
    let without_dmtcp = [("DMTCP_BIN", ""), ("PATH", "")];
    let args = [
        "--dir",
        "job",
        "--trace",
        "trace.json",
        "--metrics",
        "m.prom",
    ];
    let run = Run::start(base.path(), "run", &args, &without_dmtcp);
    assert_eq!(run.code(), 0, "{}", run.log());
    let out = run.out();
    assert!(out.contains("\n the result is right"), "{out}");
    let log = run.log();
    for event in ["set 3 is sealed", "SIGKILL"] {
        assert!(log.contains(event), "{event}: {log}");
    }
    // A fourth may have come in before the kill.
    let from = number_behind("restarted from set ", &log);
    assert!(from >= Some(3), "{log}");
    let attempts = fs::read_dir(base.path().join("job/attempts")).unwrap();
    assert_eq!(attempts.count(), 0);
    let sets = set::list(&base.path().join("job")).unwrap().sets;
    assert_eq!(sets.len(), 3, "--keep");
    sets.first().unwrap().verify().unwrap();

    let trace = fs::read(base.path().join("trace.json")).unwrap();
    let trace: serde_json::Value = serde_json::from_slice(&trace).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    let lines = |event: &&serde_json::Value| {
        let name = event["args"]["name"].as_str().unwrap_or_default();
        event["name"] == "thread_name" && name.contains("(pid ")
    };
    assert_eq!(events.iter().filter(lines).count(), 3, "worker processes");
    assert!(events.iter().any(|event| event["name"] == "image"));
    let metrics = fs::read_to_string(base.path().join("m.prom")).unwrap();
    let value = |name: &str| {
        let mut lines = metrics.lines();
        let line = lines.find(|line| line.starts_with(name)).unwrap();
        line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()
    };
    assert!(value("dmtcp_last_set_bytes{") > 0.0, "{metrics}");
    assert_eq!(value("dmtcp_restarts_complete_total{"), 1.0, "{metrics}");
}

#[test]
fn without_dmtcp_it_is_said_what_was_looked_for() {
    let base = tempfile::tempdir().unwrap();
    let nowhere = base.path().join("nowhere");
    let nowhere = nowhere.to_str().unwrap();
    for (name, args, environment) in [
        (
            "path",
            &["true"][..],
            [("DMTCP_BIN", ""), ("PATH", nowhere)],
        ),
        (
            "variable",
            &["true"][..],
            [("DMTCP_BIN", nowhere), ("PATH", "")],
        ),
        (
            "option",
            &["--dmtcp-bin", nowhere, "true"][..],
            [("DMTCP_BIN", ""), ("PATH", "")],
        ),
    ] {
        let run = Run::start(base.path(), name, args, &environment);
        assert_eq!(run.code(), 2);
        let log = run.log();
        for text in [
            nowhere,
            "no DMTCP found",
            "cargo run --example checkpoint_every",
        ] {
            assert!(log.contains(text), "{text}: {log}");
        }
    }
    // Nothing was made for a program that was never started.
    assert!(!base.path().join("checkpoint_every-true").exists());
}

#[test]
fn mistakes_in_the_command_line_end_with_2_and_the_usage() {
    let base = tempfile::tempdir().unwrap();
    for (name, args) in [
        ("unknown", &["--nonsense"][..]),
        ("value", &["--interval"][..]),
        ("time", &["--interval", "soon", "true"][..]),
        ("number", &["--keep", "-1"][..]),
    ] {
        let run = Run::start(base.path(), name, args, &[]);
        assert_eq!(run.code(), 2);
        assert!(
            run.log().contains("usage: checkpoint_every"),
            "{}",
            run.log()
        );
    }
    let help = Run::start(base.path(), "help", &["--help"], &[]);
    assert_eq!(help.code(), 0);
    assert!(help.out().contains("usage: checkpoint_every"));
}

/// A job of the counter under one DMTCP.
struct Job {
    base: TempDir,
    bin: String,
    python: String,
}

fn jobs() -> impl Iterator<Item = Job> {
    let all = Tools::all();
    if all.is_empty() {
        println!("SKIPPED: no DMTCP");
    }
    let python = interpreter();
    if python.is_none() {
        println!("SKIPPED: no Python interpreter in /usr/bin");
    }
    all.into_iter().filter_map(move |tools| {
        println!("--- {}", tools.dir().display());
        Some(Job {
            base: tempfile::tempdir().unwrap(),
            bin: tools.dir().to_str().unwrap().to_owned(),
            python: python.clone()?,
        })
    })
}

/// Not a script that starts one: DMTCP would hold its shell.
fn interpreter() -> Option<String> {
    let path = fs::canonicalize("/usr/bin/python3").ok()?;
    let is_program = fs::read(&path).ok()?.starts_with(b"\x7fELF");
    is_program.then(|| path.to_str().map(str::to_owned))?
}

impl Job {
    fn dir(&self) -> &Path {
        self.base.path()
    }

    fn run(&self, name: &str, program: &[&str]) -> Run {
        let mut args = vec!["--dir", "job", "--interval", "1s", "--no-gzip"];
        args.extend(["--dmtcp-bin", &self.bin]);
        args.extend(program);
        Run::start(self.dir(), name, &args, &[])
    }

    fn counter(&self, name: &str) -> Run {
        let dir = self.dir().to_str().unwrap();
        self.run(name, &[&self.python, "-c", COUNTER, dir])
    }

    fn count(&self) -> u64 {
        let text = fs::read_to_string(self.dir().join("count")).unwrap_or_default();
        text.trim().parse().unwrap_or(0)
    }

    fn await_count(&self, count: u64) {
        eventually("it counts", || self.count() >= count);
    }

    /// Waits for a set that holds all that is counted now, which it returns.
    fn await_set(&self, run: &Run) -> u64 {
        let (count, sets) = (self.count(), run.log().matches(" is sealed").count());
        // The one after this one may have begun already.
        eventually("two more sets", || {
            run.log().matches(" is sealed").count() >= sets + 2
        });
        count
    }

    /// The first count of a run that goes on.
    fn next_count(&self) -> u64 {
        fs::remove_file(self.dir().join("count")).unwrap();
        self.await_count(1);
        self.count()
    }
}

#[test]
fn a_program_goes_on_however_it_was_stopped_and_keeps_its_exit_code() {
    for job in jobs() {
        // SIGKILL for the program and for who watches it, without a word.
        let run = job.counter("killed");
        run.await_log("set 2 is sealed");
        let at_set = job.await_set(&run);
        let owner = Identity::of(run.child.id()).unwrap().unwrap();
        assert!(owner.kill(Signal::Kill).unwrap());
        assert_eq!(run.child.wait(LONG).unwrap(), Exit::Signal(9));

        // Ctrl-C for the whole group of who watches it.
        let run = job.counter("interrupted");
        run.await_log("restarted from set");
        let first = job.next_count();
        assert!(first >= at_set, "{first}, not {at_set}: {}", run.log());
        job.await_count(at_set + 5);
        run.signal_group(signal::Signal::SIGINT);
        assert_eq!(run.code(), 85, "{}", run.log());
        let stopped_at = job.count();
        assert!(
            !job.dir().join("interrupted").exists(),
            "the program saw the signal"
        );

        let run = job.counter("terminated");
        run.await_log("restarted from set");
        let first = job.next_count();
        assert!(first >= stopped_at, "{first}, not {stopped_at}");
        job.await_count(stopped_at + 2);
        run.signal_group(signal::Signal::SIGTERM);
        assert_eq!(run.code(), 85, "{}", run.log());

        let run = job.counter("ended");
        run.await_log("restarted from set");
        fs::write(job.dir().join("stop"), "").unwrap();
        assert_eq!(run.code(), 7, "{}", run.log());
        assert_eq!(run.out(), format!("counted to {}\n", job.count()));
        assert!(
            !job.dir().join("interrupted").exists(),
            "the program saw the signal"
        );

        // It is not run twice.
        let run = job.counter("again");
        assert_eq!(run.code(), 7);
        assert!(run.log().contains("has ended before"), "{}", run.log());
        // Another command must not get its sets.
        let run = job.run("other", &["sleep", "0"]);
        assert_eq!(run.code(), 2);
        assert!(run.log().contains("--dir"), "{}", run.log());
        let attempts = fs::read_dir(job.dir().join("job/attempts")).unwrap();
        assert_eq!(attempts.count(), 0);
    }
}

#[test]
fn what_is_no_end_of_the_program_is_not_taken_for_one() {
    for job in jobs() {
        let run = job.run("missing", &["/no/such/program"]);
        assert_eq!(run.code(), 170, "{}", run.log());

        // Killed through its coordinator, the program exits with 0.
        let run = job.counter("killed");
        run.await_log(", port ");
        job.await_count(1);
        let log = run.log();
        let port = log.split_once(", port ").unwrap().1;
        let port = port
            .split(|c: char| !c.is_ascii_digit())
            .next()
            .unwrap()
            .to_owned();
        let dmtcp_command = |option: &str| {
            let mut command = Command::new(Path::new(&job.bin).join("dmtcp_command"));
            command.args(["-h", "127.0.0.1", "-p", &port, option]);
            assert!(command.output().unwrap().status.success());
        };
        run.await_log("is sealed");
        dmtcp_command("-k");
        // With a set or without a new one, as it happens.
        assert!([75, 85].contains(&run.code()), "{}", run.log());

        // Killed itself, it says so and goes on when asked to.
        let run = job.counter("shot");
        run.await_log("restarted from set");
        let program = fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
            .find(|pid| is_child_of(*pid, run.child.id()))
            .expect("the counter");
        assert!(
            Identity::of(program)
                .unwrap()
                .unwrap()
                .kill(Signal::Kill)
                .unwrap()
        );
        assert_eq!(run.code(), 137, "{}", run.log());

        fs::write(job.dir().join("stop"), "").unwrap();
        let run = job.counter("ended");
        assert_eq!(run.code(), 7, "{}", run.log());
        assert!(run.log().contains("restarted from set"), "{}", run.log());
    }
}

fn is_child_of(pid: i32, parent: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status
        .lines()
        .any(|line| line == format!("PPid:\t{parent}"))
}
