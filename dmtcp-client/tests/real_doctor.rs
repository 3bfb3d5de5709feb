//! Trials of programs under real DMTCP, for every installation that `DMTCP_BIN` (or PATH) names.
//! Without one each test says so and passes.

use dmtcp_client::doctor::{Doctor, Trial, TrialReport, Verdict};
use dmtcp_client::{Dialect, Tools};
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// Longer than anything here takes unless it hangs.
const LONG: Duration = Duration::from_secs(60);
/// Main's restarts hang at times.
const RESTART_TRIES: u32 = 8;

/// One after the other on each installation, with a place to work.
fn on_each(test: impl Fn(&Stage)) {
    let all = Tools::all();
    if all.is_empty() {
        println!("SKIPPED: no DMTCP");
    }
    for tools in all {
        println!("--- {}", tools.dir().display());
        let [work, base] = [(), ()].map(|()| tempfile::tempdir().unwrap());
        test(&Stage { tools, work, base });
    }
}

struct Stage {
    tools: Tools,
    work: TempDir,
    base: TempDir,
}

impl Stage {
    fn trial(&self, program: &Path) -> Trial {
        Trial::new(&self.tools, program)
            .dir(self.base.path())
            .run_for(Duration::from_millis(500))
            .limit(LONG)
            .tries(RESTART_TRIES)
    }

    /// Runs it, and nothing of it is left.
    fn run(&self, trial: Trial) -> TrialReport {
        let report = trial.run();
        for step in &report.steps {
            println!("{step:?}");
        }
        println!("{:?} {:?}", report.conflicts, report.output);
        assert_eq!(fs::read_dir(self.base.path()).unwrap().count(), 0);
        report
    }
}

fn causes(report: &TrialReport) -> Vec<(&str, &str)> {
    let steps = report.steps.iter();
    steps
        .filter_map(|step| Some((step.finding.slug.as_str(), step.cause.as_deref()?)))
        .collect()
}

/// Not a script that starts one: DMTCP would hold its shell.
fn interpreter() -> Option<PathBuf> {
    let path = fs::canonicalize("/usr/bin/python3").ok()?;
    let mut magic = [0; 4];
    fs::File::open(&path).ok()?.read_exact(&mut magic).ok()?;
    (magic == *b"\x7fELF").then_some(path)
}

#[test]
fn good_programs_go_through_all_steps() {
    on_each(|stage| {
        let sleep = stage.trial(Path::new("sleep")).arg("1000").gzip(false);
        let mut reports = vec![stage.run(sleep)];
        match interpreter() {
            None => println!("SKIPPED: no Python interpreter in /usr/bin"),
            Some(python) => {
                // The `dmtcp_restart` of 2.4 does not restore several processes.
                let (fork, expected) = match stage.tools.dialect().unwrap() {
                    Dialect::V2_4 => ("", 1),
                    _ => ("os.fork()", 2),
                };
                let family = format!("import os, time\n{fork}\nwhile True: time.sleep(0.01)");
                let report = stage.run(stage.trial(&python).arg("-c").arg(family));
                assert_eq!(report.processes, Some(expected));
                reports.push(report);
            }
        }
        for report in reports {
            assert_eq!(report.failure(), None);
            // A restart that is tried again is told.
            let is_known = |(_, cause): &(&str, &str)| *cause == "restart-flaky";
            assert!(causes(&report).iter().all(is_known), "{report:?}");
            let slugs: Vec<&str> = report
                .steps
                .iter()
                .map(|s| s.finding.slug.as_str())
                .collect();
            assert_eq!(slugs[..4], ["program", "start", "join", "run"]);
            assert_eq!(
                slugs[4..],
                ["checkpoint", "kill", "restart", "go-on", "clear"]
            );
            assert!(report.set_bytes > Some(100_000), "{report:?}");
            assert!(report.memory_bytes > Some(1_000_000), "{report:?}");
        }
    });
}

/// A program that DMTCP cannot enter.
fn static_program(dir: &Path) -> Option<PathBuf> {
    let (source, program) = (dir.join("p.c"), dir.join("p"));
    let text = "#include <unistd.h>\nint main() { sleep(1000); }\n";
    fs::write(&source, text).unwrap();
    let mut compile = Command::new("cc");
    compile.arg("-static").arg(&source).arg("-o").arg(&program);
    let output = compile.output().ok()?;
    output.status.success().then_some(program)
}

#[test]
fn a_static_program_is_named_long_before_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    let Some(program) = static_program(dir.path()) else {
        println!("SKIPPED: no C compiler that links statically");
        return;
    };
    on_each(|stage| {
        let report = stage.run(stage.trial(&program));
        assert_eq!(causes(&report), [("join", "static-program")]);
        let failure = report.failure().unwrap();
        assert!(failure.took_ms < 40_000, "{failure:?}");
        assert!(failure.finding.seen.contains("linked statically"));
        assert!(!report.output.is_empty(), "DMTCP warns of it");
    });
}

#[test]
fn a_program_that_ends_at_once_is_no_failure() {
    on_each(|stage| {
        let report = stage.run(stage.trial(Path::new("true")));
        assert_eq!(report.verdict(), Verdict::Note, "{report:?}");
        assert_eq!(causes(&report)[0].1, "ended");
        let report = stage.run(stage.trial(Path::new("no-such-program")));
        assert_eq!(causes(&report), [("program", "no-program")]);
    });
}

#[test]
fn one_that_is_stopped_is_named_in_its_checkpoint() {
    let Some(python) = interpreter() else {
        println!("SKIPPED: no Python interpreter in /usr/bin");
        return;
    };
    on_each(|stage| {
        let stops = "import os, signal, sys, time
open(sys.argv[1] + '/is-there', 'w').close()
os.kill(os.getpid(), signal.SIGSTOP)";
        let trial = stage
            .trial(&python)
            .args(["-c", stops])
            .arg(stage.work.path())
            // By then it has stopped, however slow the machine.
            .run_for(Duration::from_secs(4))
            .stall_after(Duration::from_secs(3));
        let report = stage.run(trial);
        assert!(stage.work.path().join("is-there").exists());
        let found = causes(&report);
        // On a slow machine it may stop before its coordinator knows that it runs.
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].1, "process-stopped", "{report:?}");
        let advice = report.failure().unwrap().finding.advice.as_ref().unwrap();
        assert!(advice.contains("kill -CONT"), "{advice}");
    });
}

#[test]
fn a_child_that_dmtcp_is_not_in_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let (Some(program), Some(python)) = (static_program(dir.path()), interpreter()) else {
        println!("SKIPPED: no C compiler that links statically, or no Python interpreter");
        return;
    };
    on_each(|stage| {
        let script = "import os, sys, time
if os.fork() == 0:
    os.execv(sys.argv[1], [sys.argv[1]])
while True: time.sleep(0.01)";
        let trial = stage.trial(&python).args(["-c", script]).arg(&program);
        let report = stage.run(trial.stall_after(Duration::from_secs(3)));
        let slugs = report.conflicts.iter();
        let slugs: Vec<&str> = slugs.map(|found| found.finding.slug.as_str()).collect();
        assert!(slugs.contains(&"outside"), "{report:?}");
        assert_eq!(causes(&report), [("checkpoint", "process-outside")]);
    });
}

#[test]
fn each_installation_is_found_to_be_whole() {
    if Tools::all().is_empty() {
        println!("SKIPPED: no DMTCP");
        return;
    }
    let examination = Doctor::new().examine();
    let found = examination.checks.iter().filter(|f| f.slug == "dmtcp");
    let mut verdicts: Vec<Verdict> = found.map(|finding| finding.verdict).collect();
    verdicts.sort_unstable();
    assert_eq!(verdicts.first(), Some(&Verdict::Ok), "{examination:?}");
    assert!(
        verdicts.iter().all(|verdict| *verdict <= Verdict::Note),
        "{examination:?}"
    );
    let release = examination.checks.iter().find(|f| f.slug == "kernel-areas");
    assert_eq!(release.unwrap().verdict, Verdict::Ok);
}
