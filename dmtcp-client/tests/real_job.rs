//! Jobs of real DMTCP programs, for every installation that `DMTCP_BIN` (or PATH) names. Without one
//! each test says so and passes.

#[path = "killing/mod.rs"]
mod killing;

use dmtcp_client::job::pace::IntervalPolicy;
use dmtcp_client::job::{Job, JobControl, JobEvent, JobEvents, Outcome, OutcomeKind, Reason};
use dmtcp_client::process::{Child, Exit, Stream};
use dmtcp_client::server::Server;
use dmtcp_client::{Launch, Tools};
use killing::{Random, kill_tree, processes_about};
use std::env;
use std::fs;
use std::io::Read as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

/// Longer than anything here takes unless it hangs.
const LONG: Duration = Duration::from_secs(180);
/// Restarts of main hang at times, and are tried again.
const RESTART_LIMIT: Duration = Duration::from_secs(20);
const RESTART_TRIES: u32 = 8;

/// Sums up numbers until there is a goal and it is reached. It says each, and notes when it was.
const SUM: &str = r"
import os, sys, time
n = s = 0
while True:
    try:
        with open('goal') as goal:
            if n >= int(goal.read()):
                break
    except FileNotFoundError:
        pass
    s += n
    n += 1
    os.write(1, b'at %d\n' % n)
    steps = os.open('steps', os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o600)
    os.write(steps, b'%d %d\n' % (n, time.time() * 1000))
    os.close(steps)
    time.sleep(0.01)
os.write(1, b'sum %d\n' % s)
os.write(2, b'done\n')
sys.exit(7)
";

#[test]
#[ignore = "run by the other tests as a process of its own"]
fn runner_program() {
    let Some(base) = env::var_os(RUNNER) else {
        return;
    };
    let tools = Tools::in_dir(env::var_os("RUNNER_TOOLS").unwrap()).unwrap();
    let stage = Stage {
        tools,
        python: interpreter().unwrap(),
        base: Base::Borrowed(base.into()),
    };
    let job = stage
        .job()
        .interval(IntervalPolicy::Every(Duration::from_millis(INTERVAL_MS)))
        .restarts_without_progress(100);
    let outcome = job.run(&Server::start().unwrap()).unwrap();
    std::process::exit(outcome.code.into());
}

const RUNNER: &str = "RUNNER_BASE";

struct Stage {
    tools: Tools,
    python: PathBuf,
    base: Base,
}

enum Base {
    Owned(TempDir),
    Borrowed(PathBuf),
}

/// One stage after the other, one test at a time: several would starve each other.
fn on_each(test: impl Fn(&Stage)) {
    static ONE: Mutex<()> = Mutex::new(());
    let _one: MutexGuard<'_, ()> = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let all = Tools::all();
    if all.is_empty() {
        println!("SKIPPED: no DMTCP");
    }
    let Some(python) = interpreter() else {
        println!("SKIPPED: no Python interpreter in /usr/bin");
        return;
    };
    for tools in all {
        println!("--- {}", tools.dir().display());
        let base = tempfile::tempdir().unwrap();
        for dir in ["work", "tmp"] {
            fs::create_dir(base.path().join(dir)).unwrap();
        }
        test(&Stage {
            tools,
            python: python.clone(),
            base: Base::Owned(base),
        });
    }
}

/// Not a script that starts one: DMTCP would hold its shell.
fn interpreter() -> Option<PathBuf> {
    let path = fs::canonicalize("/usr/bin/python3").ok()?;
    let mut magic = [0; 4];
    fs::File::open(&path).ok()?.read_exact(&mut magic).ok()?;
    (magic == *b"\x7fELF").then_some(path)
}

impl Stage {
    fn base(&self) -> &Path {
        match &self.base {
            Base::Owned(base) => base.path(),
            Base::Borrowed(base) => base,
        }
    }

    fn dir(&self) -> PathBuf {
        self.base().join("job")
    }

    fn work(&self) -> PathBuf {
        self.base().join("work")
    }

    fn launch(&self, script: &str) -> Launch {
        let launch = Launch::new(&self.tools, &self.python).arg("-c").arg(script);
        launch.current_dir(self.work()).gzip(false)
    }

    fn job(&self) -> Job {
        self.job_of(self.launch(SUM))
    }

    fn job_of(&self, launch: Launch) -> Job {
        Job::new(self.dir(), launch)
            .tools(self.tools.clone())
            .interval(IntervalPolicy::Never)
            .grace(LONG)
            .configure(|attempts| attempts.restart_limit(RESTART_LIMIT).tries(RESTART_TRIES))
    }

    fn tell_goal(&self, goal: u64) {
        fs::write(self.work().join("goal"), goal.to_string()).unwrap();
    }

    /// The steps that were done, and when in milliseconds since 1970.
    fn steps(&self) -> Vec<(u64, u64)> {
        let text = fs::read_to_string(self.work().join("steps")).unwrap_or_default();
        let number = |text: &str| text.parse::<u64>().ok();
        let lines = text.lines().filter_map(|line| line.split_once(' '));
        lines
            .filter_map(|(step, at)| Some((number(step)?, number(at)?)))
            .collect()
    }

    /// Until it has done so many more steps.
    fn await_steps(&self, more: usize) {
        let before = self.steps().len();
        eventually("it works", || self.steps().len() >= before + more);
    }

    fn output(&self) -> String {
        fs::read_to_string(self.dir().join("application.log")).unwrap_or_default()
    }

    fn execution_log(&self) -> String {
        fs::read_to_string(self.dir().join("execution.log")).unwrap_or_default()
    }

    /// Runs it until it works, does something to it, and waits for the end.
    fn run_until(&self, job: Job, then: impl FnOnce(&JobControl)) -> Outcome {
        let running = job.start(&Arc::new(Server::start().unwrap())).unwrap();
        eventually("it is confirmed to run", || {
            assert!(running.outcome().is_none(), "{}", self.execution_log());
            running.computation().is_some()
        });
        self.await_steps(10);
        then(&running.control());
        let outcome = running.wait_timeout(LONG);
        outcome.unwrap_or_else(|| panic!("it does not end: {}", self.execution_log()))
    }

    /// A stock tool's command to the job's coordinator.
    fn command(&self, control: &JobControl, word: &str) {
        let addr = control.computation().unwrap().addr();
        let mut command = Command::new(self.tools.command());
        command
            .args(["-h", &addr.ip().to_string(), "-p", &addr.port().to_string()])
            .arg(word)
            .env("DMTCP_TMPDIR", self.base().join("tmp"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // What it returns differs from release to release.
        let child = Child::spawn(command).unwrap();
        child.wait(LONG).unwrap();
    }

    fn assert_clean(&self) {
        // Where nothing was started there is no directory either.
        let attempts = fs::read_dir(self.dir().join("attempts"));
        assert_eq!(attempts.into_iter().flatten().count(), 0);
        eventually("no process is left", || {
            processes_about(self.base()).is_empty()
        });
    }
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + LONG;
    while !holds() {
        assert!(Instant::now() < end, "not within {LONG:?}: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

fn kinds(outcome: &Outcome) -> (OutcomeKind, Reason, u8) {
    (outcome.kind, outcome.reason, outcome.code)
}

fn sum_to(goal: u64) -> u64 {
    (0..goal).sum()
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_millis() as u64
}

#[test]
fn a_program_goes_on_run_after_run_and_all_its_output_is_kept() {
    on_each(|stage| {
        let outcome = stage.run_until(stage.job(), |control| control.checkpoint_and_stop(None));
        let expected = (OutcomeKind::Checkpointed, Reason::Requested, 85);
        assert_eq!(kinds(&outcome), expected, "{}", stage.execution_log());
        stage.assert_clean();
        // A stock tool stops it in the same way; that of 2.x knows no such word.
        let has_word = stage.tools.version().unwrap().major >= 3;
        let outcome = stage.run_until(stage.job(), |control| match has_word {
            true => stage.command(control, "-kc"),
            false => control.checkpoint_and_stop(None),
        });
        let reason = match has_word {
            true => Reason::Command,
            false => Reason::Requested,
        };
        let expected = (OutcomeKind::Checkpointed, reason, 85);
        assert_eq!(kinds(&outcome), expected, "{}", stage.execution_log());
        assert_eq!(outcome.restarts, 1);
        stage.assert_clean();
        let set = outcome.set;
        assert_eq!(set, Some(2));
        for word in ["-k", "-q"] {
            let outcome = stage.run_until(stage.job(), |control| stage.command(control, word));
            let expected = (OutcomeKind::TryAgain, Reason::Command, 75);
            assert_eq!(kinds(&outcome), expected, "{}", stage.execution_log());
            assert_eq!(outcome.set, set);
            stage.assert_clean();
        }
        let goal = stage.steps().last().unwrap().0 + 50;
        stage.tell_goal(goal);
        let outcome = stage.job().run(&Server::start().unwrap()).unwrap();
        let expected = (OutcomeKind::Finished, Reason::Exit, 7);
        assert_eq!(kinds(&outcome), expected, "{}", stage.execution_log());
        stage.assert_clean();
        let output = stage.output();
        for line in [format!("\nsum {}\n", sum_to(goal)), "\ndone\n".to_owned()] {
            assert!(output.contains(&line), "no {line} in {output}");
        }
        // Every step that was done, as often as it was done.
        let said = output
            .lines()
            .filter(|line| line.starts_with("at "))
            .count();
        let done = stage.steps().len();
        // One may have been said and not noted by a process that was killed there.
        assert!(
            (done..=done + 2).contains(&said),
            "{said} said, {done} done"
        );
    });
}

#[test]
fn a_signal_to_the_program_and_a_program_that_is_none_are_told() {
    on_each(|stage| {
        let script = "import os; os.kill(os.getpid(), 15)";
        let job = stage.job_of(stage.launch(script));
        let outcome = job.run(&Server::start().unwrap()).unwrap();
        let expected = (OutcomeKind::KilledBySignal, Reason::Signal, 143);
        assert_eq!(kinds(&outcome), expected, "{}", stage.execution_log());
        stage.assert_clean();
        fs::remove_dir_all(stage.dir()).unwrap();

        let launch = Launch::new(&stage.tools, "/nowhere/program");
        let outcome = stage.job_of(launch).run(&Server::start().unwrap()).unwrap();
        assert_eq!(
            (outcome.kind, outcome.code),
            (OutcomeKind::FailedBeforeReady, 170),
            "{outcome:?}"
        );
        stage.assert_clean();
    });
}

/// Behind what it writes to its coordinator, that drops it, and DMTCP ends it.
#[test]
fn dmtcps_own_end_is_told_from_a_programs_with_the_same_code() {
    const SPOILER: &str = r"
import os, time
n = 0
while not os.path.exists('end'):
    n += 1
    steps = os.open('steps', os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o600)
    os.write(steps, b'%d 0\n' % n)
    os.close(steps)
    time.sleep(0.01)
    try:
        os.unlink('spoil')
    except FileNotFoundError:
        continue
    for fd in [int(fd) for fd in os.listdir('/proc/self/fd')]:
        try:
            if os.readlink('/proc/self/fd/%d' % fd).startswith('socket:'):
                os.write(fd, b'x' * 100000)
        except OSError:
            pass
os._exit(198)
";
    on_each(|stage| {
        let tell = |name: &str| fs::write(stage.work().join(name), "").unwrap();
        let fails = |events: &mut JobEvents| {
            tell("spoil");
            let text = events.find_map(|(_, event)| match event {
                JobEvent::Again { text, .. } => Some(text),
                JobEvent::Ended(outcome) => panic!("{outcome:?}"),
                _ => None,
            });
            assert!(text.unwrap().starts_with("DMTCP failed"));
        };
        let job = stage.job_of(stage.launch(SPOILER));
        let mut events = job.control().subscribe();
        let running = job.start(&Arc::new(Server::start().unwrap())).unwrap();
        stage.await_steps(10);
        fails(&mut events);
        stage.await_steps(10);
        running.checkpoint(LONG).unwrap();
        fails(&mut events);
        stage.await_steps(10);
        tell("end");
        let outcome = running.wait_timeout(LONG).expect("it does not end");
        let expected = (OutcomeKind::Finished, Reason::Exit, 198);
        assert_eq!(kinds(&outcome), expected, "{}", stage.execution_log());
        assert_eq!(outcome.restarts, 1, "{}", stage.execution_log());
        let said = stage.output().matches(": read invalid message").count();
        assert_eq!(said, 2, "{}", stage.output());
        stage.assert_clean();
    });
}

/// A parent that waits for a child: both are restored, and the parent's end is the job's.
#[test]
fn a_family_ends_as_its_parent_does() {
    const FAMILY: &str = r"
import os, sys
child = os.fork()
if child == 0:
    exec(open('sum.py').read())
_, status = os.waitpid(child, 0)
print('the child ended with', os.waitstatus_to_exitcode(status), flush=True)
sys.exit(9)
";
    on_each(|stage| {
        let release = stage.tools.version().unwrap();
        if (release.major, release.minor) < (2, 5) {
            println!("SKIPPED: its dmtcp_restart restores one process only");
            return;
        }
        fs::write(stage.work().join("sum.py"), SUM).unwrap();
        let job = || stage.job_of(stage.launch(FAMILY));
        let steps = || stage.steps().len();
        for _ in 0..2 {
            let before = steps();
            let running = job().start(&Arc::new(Server::start().unwrap())).unwrap();
            eventually("both run", || {
                assert!(running.outcome().is_none(), "{}", stage.execution_log());
                let computation = running.computation();
                let status = computation.and_then(|computation| computation.status().ok());
                let both = status.is_some_and(|status| status.running && status.peers == 2);
                both && steps() > before + 10
            });
            running.checkpoint_and_stop(None);
            let outcome = running.wait().unwrap();
            assert_eq!(outcome.code, 85, "{}", stage.execution_log());
            stage.assert_clean();
        }
        stage.tell_goal(10);
        let outcome = job().run(&Server::start().unwrap()).unwrap();
        assert_eq!(
            outcome.exit,
            Some(Exit::Code(9)),
            "{}",
            stage.execution_log()
        );
        let output = stage.output();
        assert!(output.contains("\nthe child ended with 7\n"), "{output}");
    });
}

#[test]
fn periodic_checkpoints_are_measured() {
    on_each(|stage| {
        let job = stage
            .job()
            .stdin(Stream::Null)
            .interval(IntervalPolicy::Every(Duration::from_millis(500)));
        let events = job.control().subscribe();
        let outcome = stage.run_until(job, |control| {
            let mut sealed = 0;
            for (_, event) in events {
                sealed += usize::from(matches!(event, JobEvent::Sealed { .. }));
                if sealed == 3 {
                    break;
                }
            }
            control.kill();
        });
        assert!(outcome.sets_sealed >= 3, "{outcome:?}");
        let record = dmtcp_client::job::JobRecord::read(&stage.dir())
            .unwrap()
            .unwrap();
        for time in record.checkpoints.times() {
            assert!(!time.paused().is_zero() && time.paused() <= time.sealed());
        }
        stage.assert_clean();
    });
}

const KILLS: usize = 20;
const INTERVAL_MS: u64 = 1000;
/// A checkpoint that was under way, and a machine that is busy.
const SLACK_MS: u64 = 15_000;

#[test]
fn twenty_kills_of_everything_lose_an_interval_each_at_most() {
    on_each(|stage| {
        let seed = 0x0dd5_eed5;
        let mut random = Random(seed);
        let (mut worst, mut killed_at) = (0, None);
        for _ in 0..KILLS {
            let before = stage.steps().len();
            let mut runner = Runner::start(stage);
            stage.await_steps_of(&mut runner, before + 5);
            if let Some(killed_at) = killed_at {
                worst = worst.max(lost(&stage.steps(), killed_at));
            }
            thread::sleep(Duration::from_millis(random.within(0, 3 * INTERVAL_MS)));
            let killed = kill_tree(runner.0.id() as i32, &mut random);
            assert!(killed >= 2, "seed {seed}: {killed} processes");
            runner.end();
            killed_at = Some(unix_ms());
        }
        println!("at most {worst} ms of work were lost by one of {KILLS} kills");
        assert!(worst <= INTERVAL_MS + SLACK_MS, "{worst} ms");
        let goal = stage.steps().last().unwrap().0 + 200;
        stage.tell_goal(goal);
        let code = Runner::start(stage).end();
        assert_eq!(code, Some(7), "{}", stage.execution_log());
        let line = format!("\nsum {}\n", sum_to(goal));
        assert!(stage.output().contains(&line), "no {line}");
        stage.assert_clean();
        let left: Vec<_> = fs::read_dir(stage.base().join("tmp")).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    });
}

/// How much work before the kill was not kept, in milliseconds.
fn lost(steps: &[(u64, u64)], killed_at: u64) -> u64 {
    let next = steps.iter().find(|(_, at)| *at > killed_at);
    let restored = next.map_or(0, |(step, _)| step - 1);
    let (mut kept_until, mut before) = (0, 0);
    for (step, at) in steps.iter().filter(|(_, at)| *at <= killed_at) {
        // It had begun again there, or had come by what was restored.
        if *step <= before || *step == restored || kept_until == 0 {
            kept_until = *at;
        }
        before = *step;
    }
    killed_at - kept_until
}

/// This test binary again, running the job.
struct Runner(std::process::Child);

impl Runner {
    fn start(stage: &Stage) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command
            .args(["--ignored", "--exact", "runner_program", "--nocapture"])
            .env(RUNNER, stage.base())
            .env("RUNNER_TOOLS", stage.tools.dir())
            .env("TMPDIR", stage.base().join("tmp"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }

    /// Its exit code; `None`: it was killed.
    fn end(mut self) -> Option<i32> {
        let end = Instant::now() + LONG;
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                assert!(status.code().is_some() || status.signal() == Some(9));
                return status.code();
            }
            assert!(Instant::now() < end, "the runner does not end");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Stage {
    fn await_steps_of(&self, runner: &mut Runner, count: usize) {
        eventually("it works", || {
            let ended = runner.0.try_wait().unwrap();
            assert!(ended.is_none(), "{ended:?}: {}", self.execution_log());
            self.steps().len() >= count
        });
    }
}
