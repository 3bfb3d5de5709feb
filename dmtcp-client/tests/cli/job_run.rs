//! `run`, `start` and `restart` with native workers: outcomes as exit codes, signals, names.

use crate::run::{Ran, command};
use crate::summation::{LONG, Stage, eventually, sum_to};
use dmtcp_client::job::{JobRecord, Outcome, OutcomeKind, Reason, Registry};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::ffi::OsStr;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// `VERB OPTIONS -- PROGRAM` in the working directory of the stage.
fn task(stage: &Stage, verb: &str, options: &[&str]) -> Command {
    let program = Stage::argv();
    let mut command = command([verb]);
    command
        .args(options)
        .arg("--native")
        .arg("--")
        .args(program);
    at_home(stage, &mut command);
    command
}

/// The same with the stage's own state directory.
fn on_dir(stage: &Stage, verb: &str, options: &[&str]) -> Command {
    let dir = stage.dir();
    let mut all = vec!["--state-dir", dir.to_str().unwrap()];
    all.extend(options);
    task(stage, verb, &all)
}

fn at_home(stage: &Stage, command: &mut Command) {
    command
        .current_dir(stage.work())
        .env("XDG_STATE_HOME", stage.base.path().join("home"));
}

fn to_its_end(mut command: Command) -> Ran {
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    Running { child }.end()
}

/// One that runs meanwhile.
struct Running {
    child: Child,
}

impl Running {
    /// From when on its program works.
    fn start(stage: &Stage, mut command: Command) -> Self {
        let begun = || stage.said("fresh").len() + stage.said("restored ").len();
        let before = begun();
        let child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let running = Self { child };
        eventually("it begins", || begun() > before);
        eventually("it runs", || {
            let log = stage.dir().join("execution.log");
            let log = fs::read_to_string(log).unwrap_or_default();
            let run = log.rsplit("begins, process").next().unwrap_or_default();
            run.contains("a checkpoint every")
        });
        running
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    fn end(mut self) -> Ran {
        let mut out = self.child.stdout.take().unwrap();
        let read = thread::spawn(move || {
            let mut text = String::new();
            out.read_to_string(&mut text).unwrap();
            text
        });
        let end = Instant::now() + LONG;
        let code = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status.code().expect("an exit code");
            }
            assert!(Instant::now() < end, "it does not end");
            thread::sleep(Duration::from_millis(5));
        };
        let mut err = String::new();
        let mut stderr = self.child.stderr.take().unwrap();
        stderr.read_to_string(&mut err).unwrap();
        let out = read.join().unwrap();
        Ran { code, out, err }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn outcome(stage: &Stage) -> Outcome {
    Outcome::read(&stage.dir()).unwrap().unwrap()
}

#[test]
fn the_programs_end_and_both_its_streams_are_those_of_the_command() {
    for (file, number, code) in [("exit", 0, 0), ("exit", 7, 7), ("signal", 9, 137)] {
        let stage = Stage::with_goal(30);
        stage.tell(file, number);
        let ran = to_its_end(on_dir(&stage, "run", &["--quiet"]));
        assert_eq!(ran.code, code, "{ran:?}");
        assert!(ran.out.contains(&format!("sum {}", sum_to(30))), "{ran:?}");
        assert_eq!(ran.err, "done\n", "nothing of ours when it shall be quiet");
        assert_eq!(i32::from(outcome(&stage).code), code);
        stage.assert_clean();
    }
}

#[test]
fn who_starts_it_may_ignore_the_end_of_children() {
    let stage = Stage::with_goal(30);
    let here = on_dir(&stage, "run", &[]);
    let mut ignoring = Command::new("env");
    ignoring
        .arg("--ignore-signal=CHLD")
        .arg(here.get_program())
        .args(here.get_args());
    at_home(&stage, &mut ignoring);
    let ran = to_its_end(ignoring);
    if ran.code == 125 {
        println!("SKIPPED: this env(1) cannot ignore signals");
        return;
    }
    assert_eq!(ran.code, 0, "{ran:?}");
    // Once.
    assert_eq!(stage.said("sum "), [sum_to(30)]);
    stage.assert_clean();
}

#[test]
fn a_signal_checkpoints_and_the_same_command_goes_on() {
    let stage = Stage::new();
    for signal in [
        Signal::SIGTERM,
        Signal::SIGUSR1,
        Signal::SIGHUP,
        Signal::SIGINT,
    ] {
        let running = Running::start(&stage, on_dir(&stage, "run", &[]));
        running.signal(signal);
        let ran = running.end();
        assert_eq!(
            (ran.code, ran.slug()),
            (85, "checkpointed"),
            "{signal} {ran:?}"
        );
        let outcome = outcome(&stage);
        assert_eq!(outcome.reason, Reason::SignalReceived);
        stage.assert_clean();
    }
    stage.tell("goal", stage.count() + 20);
    let ran = to_its_end(on_dir(&stage, "run", &[]));
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(stage.said("sum "), [sum_to(stage.count())]);
    assert_eq!(
        (stage.said("fresh").len(), stage.said("restored ").len()),
        (1, 4)
    );
    let again = to_its_end(on_dir(&stage, "run", &[]));
    assert_eq!((again.code, again.slug()), (0, "finished"));
    assert_eq!(again.out, "");
}

#[test]
fn a_second_signal_kills_and_one_of_the_same_moment_does_not() {
    let stage = Stage::new();
    let running = Running::start(&stage, on_dir(&stage, "run", &["--grace", "50s"]));
    stage.tell("busy", 1);
    eventually("it is busy", || stage.number("is-busy").is_some());
    running.signal(Signal::SIGTERM);
    running.signal(Signal::SIGTERM);
    eventually("it stops", || {
        let log = fs::read_to_string(stage.dir().join("execution.log")).unwrap();
        log.contains("stopping")
    });
    // Only then it is another one.
    thread::sleep(Duration::from_millis(1100));
    assert!(
        !stage.dir().join("outcome.json").exists(),
        "it was taken for a second one"
    );
    running.signal(Signal::SIGTERM);
    let ran = running.end();
    assert_eq!((ran.code, ran.slug()), (75, "try-again"), "{ran:?}");
    assert_eq!(outcome(&stage).reason, Reason::Killed);
    let [begun, stopping] = [
        "run: starts afresh; all is in ",
        "run: SIGTERM: taking a last",
    ];
    assert!(
        ran.err.contains(begun) && ran.err.contains(stopping),
        "{ran:?}"
    );
    assert!(ran.err.contains("; there is no checkpoint set"), "{ran:?}");
    stage.assert_clean();
}

#[test]
fn signals_that_were_not_chosen_end_it_in_order() {
    let stage = Stage::new();
    let options = ["--on-signal", "USR1", "--exit-code", "try-again=33"];
    let running = Running::start(&stage, on_dir(&stage, "run", &options));
    running.signal(Signal::SIGTERM);
    let ran = running.end();
    assert_eq!(ran.code, 33, "{ran:?}");
    assert_eq!(outcome(&stage).reason, Reason::Killed);
    stage.assert_clean();
}

#[test]
fn every_outcome_has_its_code() {
    let stage = Stage::new();
    let running = Running::start(&stage, on_dir(&stage, "run", &[]));
    let held = to_its_end(on_dir(&stage, "run", &[]));
    assert_eq!((held.code, held.slug()), (75, "try-again"), "{held:?}");
    let pid = running.child.id();
    assert!(held.err.contains(&format!("process {pid} on ")), "{held:?}");
    running.signal(Signal::SIGTERM);
    assert_eq!(running.end().code, 85);

    let late = to_its_end(on_dir(&stage, "run", &["--timeout", "500ms"]));
    assert_eq!((late.code, late.slug()), (124, "timed-out"), "{late:?}");
    let there = to_its_end(on_dir(&stage, "start", &[]));
    assert_eq!((there.code, there.slug()), (2, "sets-there"), "{there:?}");
    let mut other = on_dir(&stage, "run", &[]);
    other.arg("another argument");
    let other = to_its_end(other);
    assert_eq!(
        (other.code, other.slug()),
        (2, "other-program"),
        "{other:?}"
    );
    let [before, now] = ["another command: ", "; now it is "].map(|text| other.err.find(text));
    let given = other.err.rfind("\"another argument\"");
    assert!(before.is_some() && before < now && now < given, "{other:?}");

    let image = dmtcp_client::set::list(&stage.dir()).unwrap().sets[0]
        .images()
        .remove(0);
    fs::write(image, "no image").unwrap();
    let damaged = to_its_end(on_dir(&stage, "run", &[]));
    assert_eq!((damaged.code, damaged.slug()), (171, "failed-to-restore"));
    assert!(damaged.err.contains("\n  hint: "), "{damaged:?}");

    stage.tell("goal", 10);
    let fresh = to_its_end(on_dir(&stage, "start", &["--fresh"]));
    assert_eq!(fresh.code, 0, "{fresh:?}");

    let stage = Stage::new();
    let options = [
        "run",
        "--native",
        "--state-dir",
        "state",
        "--",
        "/nowhere/program",
    ];
    let mut missing = command(options);
    at_home(&stage, &mut missing);
    let missing = to_its_end(missing);
    assert_eq!((missing.code, missing.slug()), (170, "failed-before-ready"));
    let mut no_dmtcp = command(["run", "--dmtcp-bin", "/nowhere", "--", "true"]);
    at_home(&stage, &mut no_dmtcp);
    let no_dmtcp = to_its_end(no_dmtcp);
    assert_eq!((no_dmtcp.code, no_dmtcp.slug()), (170, "no-dmtcp"));
    assert!(
        no_dmtcp.err.contains("\n  the given folder: "),
        "{no_dmtcp:?}"
    );
    let none = to_its_end(on_dir(&stage, "restart", &[]));
    assert_eq!(none.code, 2, "--native is not its: {none:?}");
    for arguments in [
        &["restart", "--state-dir", "nowhere"][..],
        &["restart", "--id", "b", "--", "true"],
    ] {
        let mut nowhere = command(arguments);
        at_home(&stage, &mut nowhere);
        let nowhere = to_its_end(nowhere);
        assert_eq!((nowhere.code, nowhere.slug()), (2, "no-job"), "{nowhere:?}");
    }
    assert!(!stage.work().join("nowhere").exists());
}

#[test]
fn a_program_that_cannot_be_started_is_named() {
    let stage = Stage::new();
    let bin = stage.base.path().join("bin");
    fs::create_dir(&bin).unwrap();
    // As DMTCP's, these do not say what is wrong with the program.
    for tool in ["launch", "restart", "command", "coordinator"] {
        let path = bin.join(format!("dmtcp_{tool}"));
        fs::write(&path, "#!/bin/sh\necho 'DMTCP Version 4.2.0'\n").unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::write(stage.work().join("train.py"), "#!/bin/sh\n").unwrap();
    let script = stage.work().join("script");
    fs::write(&script, "#!/nowhere/sh\n").unwrap();
    fs::set_permissions(script, fs::Permissions::from_mode(0o755)).unwrap();
    let bin = bin.to_str().unwrap();
    let work = fs::canonicalize(stage.work()).unwrap();
    let nope = work.join("nope");
    let nope = format!("the program ./nope is not there: {} does", nope.display());
    for (program, words, hint) in [
        ("./nope", nope.as_str(), "relative name"),
        ("./train.py", "train.py may not be executed", "chmod +x"),
        (
            "./script",
            "\"/nowhere/sh\", which is not there",
            "first line",
        ),
        ("no-such-program", "no directory of PATH", "`./`"),
    ] {
        let dir = stage.dir();
        let options = ["run", "--dmtcp-bin", bin, "--state-dir"];
        let mut run = command(options);
        run.arg(&dir).args(["--", program]);
        at_home(&stage, &mut run);
        let ran = to_its_end(run);
        assert_eq!(
            (ran.code, ran.slug()),
            (170, "failed-before-ready"),
            "{ran:?}"
        );
        let outcome = outcome(&stage);
        assert_eq!(outcome.reason, Reason::NotStarted);
        for text in [&outcome.text, &ran.err] {
            assert!(text.contains(words) && text.contains(program), "{text}");
        }
        // The next command has the same directory: nothing was started there.
        assert!(outcome.hint.unwrap().contains(hint), "{program}");
    }
}

#[test]
fn a_damaged_state_directory_is_no_programs_end_and_can_be_mended() {
    let stage = Stage::new();
    let stop = ["--stop-after-checkpoint", "--interval", "100ms"];
    assert_eq!(to_its_end(on_dir(&stage, "run", &stop)).code, 85);
    for (name, text, options, code, slug) in [
        ("job.json", "{", &[][..], 170, "state-damaged"),
        ("job.json", "{\"schema\": 9}", &[], 170, "state-schema"),
        (
            "outcome.json",
            "",
            &["--exit-code", "failed-before-ready=42"],
            42,
            "state-damaged",
        ),
    ] {
        let path = stage.dir().join(name);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, text).unwrap();
        let ran = to_its_end(on_dir(&stage, "run", options));
        assert_eq!((ran.code, ran.slug()), (code, slug), "{ran:?}");
        assert!(ran.err.contains("  hint: "), "{}", ran.err);
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        fs::write(path, whole).unwrap();
    }
    // As the hint says.
    fs::remove_file(stage.dir().join("job.json")).unwrap();
    stage.tell("goal", stage.count() + 5);
    let ran = to_its_end(on_dir(&stage, "run", &[]));
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(stage.said("restored ").len(), 1);
}

#[test]
fn sites_have_codes_of_their_own() {
    let stage = Stage::new();
    let options = ["--exit-code", "checkpointed=99", "--interval", "100ms"];
    let mut all = options.to_vec();
    all.push("--stop-after-checkpoint");
    let ran = to_its_end(on_dir(&stage, "run", &all));
    assert_eq!(ran.code, 99, "{ran:?}");
    let outcome = outcome(&stage);
    assert_eq!(outcome.kind, OutcomeKind::Checkpointed);
    assert_eq!(
        (outcome.reason, outcome.code),
        (Reason::StopAfterCheckpoint, 99)
    );
}

#[test]
fn a_walltime_stops_it_in_time() {
    let stage = Stage::new();
    let ran = to_its_end(on_dir(&stage, "run", &["--walltime-end", "+20s"]));
    assert_eq!(ran.code, 85, "{ran:?}");
    assert_eq!(outcome(&stage).reason, Reason::Deadline);
    // As in a job of Slurm's.
    let end = crate::summation::unix_ms() / 1000 + 20;
    let mut slurm = on_dir(&stage, "run", &[]);
    slurm
        .env("SLURM_JOB_ID", "7")
        .env("SLURM_JOB_END_TIME", end.to_string());
    let ran = to_its_end(slurm);
    assert_eq!(ran.code, 85, "{ran:?}");
    assert_eq!(outcome(&stage).reason, Reason::Deadline);
}

#[test]
fn without_a_directory_it_has_the_name_of_the_command() {
    let stage = Stage::new();
    stage.tell("goal", 1_000_000);
    let command = || {
        task(
            &stage,
            "start",
            &[
                "--id",
                "mine",
                "--stop-after-checkpoint",
                "--interval",
                "100ms",
            ],
        )
    };
    let ran = to_its_end(command());
    assert_eq!(ran.code, 85, "{ran:?}");
    let entries = fs::read_dir(stage.work()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let dirs: Vec<String> = names.filter(|name| name.starts_with("output_")).collect();
    let [dir] = &dirs[..] else { panic!("{dirs:?}") };
    assert!(dir.contains("_mine_--ignored"), "{dir}");
    let state = stage.work().join(dir);
    let record = JobRecord::read(&state).unwrap().unwrap();
    assert_eq!(record.id.as_deref(), Some("mine"));
    // The same name leads there again, and all jobs of the user are known.
    assert_eq!(to_its_end(command()).slug(), "sets-there");
    let mut restart = crate::run::command(["restart", "--id", "mine", "--"]);
    restart.args(Stage::argv());
    at_home(&stage, &mut restart);
    stage.tell("goal", stage.count() + 5);
    let ran = to_its_end(restart);
    assert_eq!(ran.code, 0, "{ran:?}");
    let registry = Registry::at(stage.base.path().join("home/dmtcp-rs/jobs"));
    let jobs = registry.jobs().unwrap();
    assert_eq!(jobs.len(), 1);
    assert!(jobs[0].directory.ends_with(dir), "{jobs:?}");
}

#[test]
fn it_reads_nothing_unless_it_shall() {
    for (options, expected) in [(&[][..], ""), (&["--stdin"], "some words\n")] {
        let stage = Stage::new();
        let dir = stage.dir();
        let mut command = command([OsStr::new("run"), "--native".as_ref()]);
        command.args(options).arg("--state-dir").arg(dir);
        at_home(&stage, &mut command);
        // Not a worker: all that it says comes through all the same.
        let mut child = command
            .args(["--", "cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(b"some words\n").unwrap();
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
        assert_eq!(output.status.code(), Some(170));
    }
}

#[test]
fn where_the_time_of_its_checkpoints_went_is_written_down() {
    let stage = Stage::new();
    let [trace, metrics] = ["trace.json", "m.prom"].map(|name| stage.base.path().join(name));
    let [trace, metrics] = [&trace, &metrics].map(|path| path.to_str().unwrap());
    let files = ["--trace", trace, "--metrics", metrics];
    let stop = ["--stop-after-checkpoint", "--interval", "100ms"];
    let ran = to_its_end(on_dir(&stage, "run", &[&files[..], &stop].concat()));
    assert_eq!(ran.code, 85, "{ran:?}");
    let json = crate::run::run(["trace", "--json", trace]).json("trace");
    let round = &json["rounds"][0];
    assert_eq!(
        (&round["workers"], &round["outcome"]),
        (&1.into(), &"complete".into())
    );
    let text = fs::read_to_string(metrics).unwrap();
    assert!(text.contains("dmtcp_rounds_complete_total{"), "{text}");

    let nowhere = ["--trace", "/dev/null/trace", "-v"];
    let ran = to_its_end(on_dir(&stage, "run", &[&nowhere[..], &stop].concat()));
    assert_eq!(ran.code, 85, "{ran:?}");
    assert!(ran.err.contains("/dev/null/trace"), "{}", ran.err);
}
