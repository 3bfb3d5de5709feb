//! `dmtcpctl doctor`: what keeps programs from being checkpointed and restarted here.

use crate::duration;
use crate::failure::{FAILED, Failure};
use crate::output;
use crate::text::printable;
use clap::Args;
use dmtcp_client::Tools;
use dmtcp_client::doctor::{
    Conflict, Doctor, Examination, Finding, RunningCoordinator, Step, Trial, TrialReport, Verdict,
};
use serde::Serialize;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Look for what keeps programs from being checkpointed and restarted here; with a program, try it
/// out: run it under DMTCP, checkpoint, kill and restart it
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Where the sets shall go; it need not exist. Default: the current directory
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// How long the program runs before it is checkpointed
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = duration::parse)]
    run_for: Duration,
    /// How long each of launch, checkpoint, and a try at the restart may take
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration::parse)]
    limit: Duration,
    /// How long processes may hold the checkpoint up before it is given up
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration::parse)]
    stall_after: Duration,
    /// Do not compress the images of the trial
    #[arg(long)]
    no_gzip: bool,
    /// Show what is as it should be, too
    #[arg(long)]
    all: bool,
    /// JSON instead of text: one object
    #[arg(long)]
    json: bool,
    /// A program to try out, and its arguments: it does what it always does, in this directory
    #[arg(last = true, value_name = "PROGRAM")]
    program: Vec<OsString>,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    verdict: Verdict,
    checks: &'a [Finding],
    coordinators: &'a [RunningCoordinator],
    trial: Option<TrialJson<'a>>,
}

#[derive(Debug, Serialize)]
struct TrialJson<'a> {
    verdict: Verdict,
    #[serde(flatten)]
    report: &'a TrialReport,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    // Before any thread is there that would not know of it.
    let interrupt = match arguments.program.is_empty() {
        true => Arc::default(),
        false => interrupt()?,
    };
    let mut doctor = Doctor::new();
    if let Some(dir) = &arguments.state_dir {
        doctor = doctor.state_dir(dir);
    }
    let examination = doctor.examine();
    if !arguments.json {
        output::print(&examination_text(&examination, arguments.all))?;
    }
    let trial = match arguments.program.split_first() {
        None => None,
        Some((program, args)) => try_out(arguments, program, args, interrupt)?,
    };
    let verdict = trial.as_ref().map(TrialReport::verdict);
    let verdict = examination.verdict().max(verdict.unwrap_or_default());
    if arguments.json {
        let trial = trial.as_ref().map(|report| TrialJson {
            verdict: report.verdict(),
            report,
        });
        let report = Report {
            verdict,
            checks: &examination.checks,
            coordinators: &examination.coordinators,
            trial,
        };
        output::print_json("doctor", &report)?;
    } else {
        let trial = trial.as_ref().map(trial_text).unwrap_or_default();
        output::print(&format!("{trial}\n{}", summary(verdict)))?;
    }
    Ok(ExitCode::from(match verdict {
        Verdict::Failure => FAILED,
        _ => 0,
    }))
}

/// The trial; `None` without a DMTCP, which the checks have told.
fn try_out(
    arguments: &Arguments,
    program: &OsString,
    args: &[OsString],
    interrupt: Arc<AtomicBool>,
) -> Result<Option<TrialReport>, Failure> {
    let Ok(tools) = Tools::find(None) else {
        return Ok(None);
    };
    let mut trial = Trial::new(&tools, program)
        .args(args)
        .run_for(arguments.run_for)
        .limit(arguments.limit)
        .stall_after(arguments.stall_after)
        .gzip(!arguments.no_gzip)
        .interrupted_by(interrupt);
    if let Some(dir) = arguments.state_dir.as_deref().and_then(existing) {
        trial = trial.dir(dir);
    }
    if !arguments.json {
        output::print(&format!(
            "\nTrial of {}\n",
            printable(&program.to_string_lossy())
        ))?;
        // Who does not read any more gets the rest in vain.
        trial = trial.on_step(|step| drop(output::print(&step_text(step))));
    }
    Ok(Some(trial.run()))
}

/// Where there is room for the trial, too.
fn existing(dir: &Path) -> Option<&Path> {
    dir.is_dir().then_some(dir)
}

/// A flag that the first signal sets; the second ends this program.
fn interrupt() -> Result<Arc<AtomicBool>, Failure> {
    let failed = |error: &dyn std::error::Error| Failure::new("io", error.to_string());
    // Caught and not blocked, which the program under trial would inherit.
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).map_err(|error| failed(&error))?;
    let flag = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&flag);
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for signal in signals.forever() {
                if set.swap(true, Ordering::AcqRel) {
                    std::process::exit(128 + signal);
                }
            }
        })
        .map_err(|error| failed(&error))?;
    Ok(flag)
}

fn examination_text(examination: &Examination, all: bool) -> String {
    let mut text = String::new();
    let mut fine: Vec<&str> = Vec::new();
    for finding in &examination.checks {
        if finding.verdict == Verdict::Ok && !all {
            fine.push(&finding.slug);
        } else {
            text += &finding_text(finding, "");
        }
    }
    fine.dedup();
    if !fine.is_empty() {
        text += &wrapped("ok       ", &fine);
    }
    text
}

/// Names behind each other, in lines of a terminal's width.
fn wrapped(start: &str, names: &[&str]) -> String {
    let mut text = String::new();
    let mut line = start.to_owned();
    for (index, name) in names.iter().enumerate() {
        let comma = if index + 1 < names.len() { "," } else { "" };
        if line.len() + name.len() + 2 > WIDTH {
            text += line.trim_end();
            text += "\n";
            line = " ".repeat(start.len());
        }
        line += &format!("{name}{comma} ");
    }
    text + line.trim_end() + "\n"
}

fn finding_text(finding: &Finding, took: &str) -> String {
    let Finding {
        slug,
        verdict,
        seen,
        advice,
        ..
    } = finding;
    let mut text = format!("{verdict:8} {slug}: {}{took}\n", printable(seen));
    if let Some(advice) = advice {
        text += &format!("         -> {}\n", printable(advice));
    }
    text
}

fn step_text(step: &Step) -> String {
    let cause = step.cause.as_ref();
    let cause = cause.map_or_else(String::new, |cause| format!(" [{cause}]"));
    let seconds = Duration::from_millis(step.took_ms).as_secs_f64();
    finding_text(&step.finding, &format!("{cause} ({seconds:.1} s)"))
}

fn trial_text(report: &TrialReport) -> String {
    let mut text = String::new();
    for Conflict {
        finding, source, ..
    } in &report.conflicts
    {
        text += &finding_text(finding, &format!(" ({source})"));
    }
    if !report.output.is_empty() {
        text += "The end of its output:\n";
        for line in &report.output {
            text += &format!("  {}\n", printable(line));
        }
    }
    text
}

fn summary(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Failure => "Something will go wrong, or did: see the failures.\n",
        Verdict::Warning => "Nothing failed; see the warnings.\n",
        _ => "All is well.\n",
    }
}

const WIDTH: usize = 78;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_wrapped() {
        let names = ["a-name-of-some-length"; 5];
        let text = wrapped("ok       ", &names);
        assert_eq!(text.lines().count(), 2);
        assert!(text.lines().all(|line| line.len() <= WIDTH), "{text}");
        assert!(text.lines().nth(1).unwrap().starts_with("         a-name"));
        assert_eq!(wrapped("ok ", &["one"]), "ok one\n");
    }
}
