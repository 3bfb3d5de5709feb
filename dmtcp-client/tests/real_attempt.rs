//! Attempts at real DMTCP computations on the embedded coordinator, for every installation that
//! `DMTCP_BIN` (or PATH) names. Without one each test says so and passes.

mod stepper;

use dmtcp_client::attempt::{Attempt, AttemptError, Attempts, Program, Recovered};
use dmtcp_client::host::HostFingerprint;
use dmtcp_client::process::{Exit, Stream};
use dmtcp_client::server::Server;
use dmtcp_client::set::ImageKind;
use dmtcp_client::{Launch, Tools};
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use stepper::eventually;
use tempfile::TempDir;

const LONG: Duration = Duration::from_secs(60);
/// A restart that takes longer hangs: main's does at times.
const RESTART_LIMIT: Duration = Duration::from_secs(20);
const RESTART_TRIES: u32 = 8;

/// A parent and two children, one in a session of its own, that count until told to stop.
const FAMILY: &str = r"
import os, sys, time
dir = sys.argv[1]
children = []
for name in ('a', 'b'):
    pid = os.fork()
    if pid == 0:
        if name == 'b':
            os.setsid()
        break
    children.append(pid)
else:
    name = 'parent'
count = 0
# In place: before 3.1, a process whose open file has been renamed since is not restored.
file = os.open(dir + '/count-' + name, os.O_CREAT | os.O_WRONLY, 0o600)
while not os.path.exists(dir + '/stop'):
    count += 1
    os.pwrite(file, b'%012d' % count, 0)
    time.sleep(0.02)
if name == 'parent':
    for pid in children:
        os.waitpid(pid, 0)
    print('the end', flush=True)
    sys.exit(7)
os._exit(3)
";

#[test]
#[ignore = "run by the other tests as a process of its own"]
fn stepper_program() {
    stepper::main_if_launched();
}

struct Stage {
    tools: Tools,
    python: PathBuf,
    base: TempDir,
    server: Server,
}

/// One stage after the other, so that only one computation runs at a time in each test.
fn stages() -> impl Iterator<Item = Stage> {
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
        let base = tempfile::tempdir().unwrap();
        fs::create_dir(base.path().join("work")).unwrap();
        Some(Stage {
            tools,
            python: python.clone()?,
            base,
            server: Server::start().unwrap(),
        })
    })
}

/// Not a script that starts one: DMTCP would hold its shell.
fn interpreter() -> Option<PathBuf> {
    let path = fs::canonicalize("/usr/bin/python3").ok()?;
    let mut magic = [0; 4];
    fs::File::open(&path).ok()?.read_exact(&mut magic).ok()?;
    (magic == *b"\x7fELF").then_some(path)
}

impl Stage {
    fn job(&self) -> PathBuf {
        self.base.path().join("job")
    }

    fn work(&self) -> PathBuf {
        self.base.path().join("work")
    }

    fn attempts(&self) -> Attempts<'_> {
        Attempts::open(&self.server, &self.job())
            .unwrap()
            .tools(self.tools.clone())
            .restart_limit(RESTART_LIMIT)
            .tries(RESTART_TRIES)
    }

    fn family(&self, gzip: bool) -> Launch {
        self.family_in(&self.work(), gzip)
    }

    fn family_in(&self, dir: &Path, gzip: bool) -> Launch {
        let log = Stream::File(self.base.path().join("log"));
        Launch::new(&self.tools, &self.python)
            .args(["-c", FAMILY])
            .arg(dir)
            .gzip(gzip)
            .stdout(log.clone())
            .stderr(log)
    }

    fn counts(&self) -> Vec<u64> {
        stepper::read_all(&self.work(), "count-")
    }

    fn assert_clean(&self) {
        let left = fs::read_dir(self.job().join("attempts")).unwrap();
        assert_eq!(left.count(), 0);
    }
}

fn checkpoint(attempt: &Attempt, workers: u32) -> u64 {
    let running = || {
        attempt
            .computation()
            .wait_until_running(Some(workers), LONG)
    };
    running().unwrap();
    let sealed = attempt.computation().checkpoint(LONG).unwrap();
    assert_eq!(sealed.images.len(), workers as usize);
    running().unwrap();
    sealed.set.unwrap().sequence
}

fn tell(recovered: &Recovered) {
    for failure in &recovered.failed {
        println!("{failure}");
    }
    println!("running after {:?}", recovered.took);
}

fn await_end(attempt: &Attempt) -> Vec<Exit> {
    let mut exits = None;
    eventually("all end", LONG, || {
        exits = attempt.finished().unwrap();
        exits.is_some()
    });
    exits.unwrap()
}

#[test]
fn a_family_goes_on_from_its_newest_set_and_keeps_its_exit_code() {
    for stage in stages() {
        for gzip in [false, true] {
            let attempts = stage.attempts();
            let attempt = attempts.start([stage.family(gzip).into()]).unwrap();
            let first = checkpoint(&attempt, 3);
            let at_first = stage.counts();
            eventually("all count on", LONG, || {
                stage
                    .counts()
                    .iter()
                    .zip(&at_first)
                    .all(|(now, then)| now > then)
            });
            let before = stage.counts();
            assert_eq!(checkpoint(&attempt, 3), first + 1);
            attempt.kill().unwrap();
            stage.assert_clean();
            for name in ["a", "b", "parent"] {
                fs::write(stage.work().join(format!("count-{name}")), "0").unwrap();
            }

            let recovered = attempts.restart().unwrap();
            tell(&recovered);
            assert_eq!(recovered.set.sequence(), first + 1);
            let compressed = |image: &dmtcp_client::set::SealedImage| image.compressed;
            assert!(
                recovered
                    .set
                    .manifest()
                    .images
                    .iter()
                    .all(|image| compressed(image) == gzip)
            );
            // Nothing from before the second checkpoint is done again.
            eventually("all count on", LONG, || {
                let counts = stage.counts();
                assert!(
                    counts
                        .iter()
                        .zip(&before)
                        .all(|(now, then)| *now == 0 || now >= then)
                );
                counts.iter().all(|count| *count > 0)
            });
            fs::write(stage.work().join("stop"), "").unwrap();
            assert_eq!(await_end(&recovered.attempt), [Exit::Code(7)]);
            drop(recovered);
            stage.assert_clean();
            fs::remove_file(stage.work().join("stop")).unwrap();
        }
    }
}

#[test]
fn a_native_worker_and_dmtcp_processes_go_on_together() {
    for stage in stages() {
        let attempts = stage.attempts();
        let native = stepper::command(&stage.work());
        let programs = [Program::from(stage.family(false)), Program::from(native)];
        let attempt = attempts.start(programs).unwrap();
        checkpoint(&attempt, 4);
        eventually("all count", LONG, || stage.counts().len() == 4);
        assert_eq!(checkpoint(&attempt, 4), 2);
        attempt.kill().unwrap();
        stage.assert_clean();

        let recovered = attempts.restart().unwrap();
        tell(&recovered);
        let images = &recovered.set.manifest().images;
        let native = images
            .iter()
            .filter(|image| image.kind == ImageKind::Native);
        assert_eq!((images.len(), native.count()), (4, 1));
        let restored = || stepper::read_all(&stage.work(), "restored-");
        eventually("it says what it has", LONG, || restored().len() == 1);
        let restarted = stage.counts();
        eventually("all count on", LONG, || {
            stage
                .counts()
                .iter()
                .zip(&restarted)
                .all(|(now, then)| now > then)
        });
        // It is whole: it can be checkpointed again.
        assert_eq!(checkpoint(&recovered.attempt, 4), 3);
        fs::write(stage.work().join("stop"), "").unwrap();
        let exits = await_end(&recovered.attempt);
        assert_eq!(
            exits,
            [Exit::Code(0), Exit::Code(7)],
            "native workers come first"
        );
        drop(recovered);
        stage.assert_clean();
    }
}

#[test]
fn two_programs_started_apart_go_on_together() {
    for stage in stages() {
        let attempts = stage.attempts().tries(2);
        let dirs = ["one", "two"].map(|name| stage.work().join(name));
        let programs = dirs.clone().map(|dir| {
            fs::create_dir(&dir).unwrap();
            Program::from(stage.family_in(&dir, false))
        });
        let attempt = attempts.start(programs).unwrap();
        checkpoint(&attempt, 6);
        attempt.kill().unwrap();
        let recovered = attempts.restart().unwrap();
        tell(&recovered);
        checkpoint(&recovered.attempt, 6);
        for dir in dirs {
            fs::write(dir.join("stop"), "").unwrap();
        }
        // One `dmtcp_restart` for both: it becomes one of them, and the other is its child.
        assert_eq!(await_end(&recovered.attempt), [Exit::Code(7)]);
    }
}

#[test]
fn a_packed_set_goes_on_in_another_directory() {
    for stage in stages() {
        let attempts = stage.attempts();
        let attempt = attempts.start([stage.family(true).into()]).unwrap();
        checkpoint(&attempt, 3);
        attempt.kill().unwrap();
        let set = attempts.store().newest_verified().unwrap().set.unwrap();
        let manifest = set.manifest();
        assert_eq!(manifest.dmtcp, Some(stage.tools.version().unwrap().text));
        let this = HostFingerprint::of_this_host();
        assert_eq!(manifest.hosts.as_slice(), std::slice::from_ref(&this));
        set.compatible_with(&this).unwrap();
        let phases = manifest.phases.iter();
        let barriers = phases.filter(|phase| ["DMT:SUSPEND", "SUSPENDED"].contains(&&*phase.name));
        assert_eq!(barriers.count(), 1, "{:?}", manifest.phases);
        let archive = stage.base.path().join("set.tar");
        let bytes = set.pack(&archive).unwrap();
        println!("{bytes} bytes packed, {} sealed", set.total_bytes());
        drop(attempts);
        fs::remove_dir_all(stage.job()).unwrap();
        let before = stage.counts();

        let elsewhere = tempfile::tempdir().unwrap();
        let attempts = Attempts::open(&stage.server, elsewhere.path())
            .unwrap()
            .tools(stage.tools.clone())
            .restart_limit(RESTART_LIMIT)
            .tries(RESTART_TRIES);
        let unpacked = attempts.store().unpack(&archive).unwrap();
        fs::remove_file(&archive).unwrap();
        let recovered = attempts.restart().unwrap();
        tell(&recovered);
        assert_eq!(recovered.set, unpacked);
        eventually("all count on", LONG, || {
            let counts = stage.counts();
            counts.iter().zip(&before).all(|(now, then)| now > then)
        });
        // It is whole: it can be checkpointed again.
        assert_eq!(checkpoint(&recovered.attempt, 3), unpacked.sequence() + 1);
        fs::write(stage.work().join("stop"), "").unwrap();
        assert_eq!(await_end(&recovered.attempt), [Exit::Code(7)]);
        // Nothing is back at the old place but what DMTCP looks for there and nowhere else.
        for image in &unpacked.manifest().images {
            let old = fs::read_dir(&image.written_in).into_iter().flatten();
            let names = old.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let names: Vec<_> = names.collect();
            assert!(
                names.iter().all(|name| name.ends_with("_files")),
                "{names:?}"
            );
        }
    }
}

#[test]
fn sets_of_dmtcp_need_its_programs() {
    for stage in stages() {
        let attempts = stage.attempts();
        let attempt = attempts.start([stage.family(false).into()]).unwrap();
        checkpoint(&attempt, 3);
        let exits = attempt.stop(LONG).unwrap();
        assert_eq!(exits, [Exit::Code(0)], "ended through its coordinator");
        stage.assert_clean();
        drop(attempts);
        let attempts = Attempts::open(&stage.server, &stage.job()).unwrap();
        let error = attempts.restart().unwrap_err();
        assert!(matches!(error, AttemptError::NoTools), "{error}");
    }
}
