//! When a job has to be over, as its user or its scheduler says.

use std::{
    ffi::{OsStr, OsString},
    io,
    path::PathBuf,
    process::Command,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use thiserror::Error;

use super::{EndSource, moment};
use crate::{
    deadline::Deadline,
    process::{ProcessError, capture, clean_environment},
};

/// A point in time at which everything of a job is killed, by the system's clock.
///
/// For [`Pace::set_end`](super::Pace::set_end) add [`left`](Self::left) to the time there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedEnd {
    at: SystemTime,
    source: EndSource,
}

impl PlannedEnd {
    /// Reads what a user asked for: seconds since 1970; ISO 8601 with its zone, such as
    /// `2026-11-22T15:14:50Z` or `…+02:00`; or `+` and the time from now, as in `+90m`, `+1h30m`, or
    /// as Slurm writes limits, `+HOURS:MINUTES:SECONDS`.
    ///
    /// # Errors
    /// [`EndError::Format`], and [`EndError::Passed`]: it would only make the job stop.
    pub fn parse(text: &str, now: SystemTime) -> Result<Self, EndError> {
        let text = text.trim();
        let at = match text.strip_prefix('+') {
            Some(length) => moment::length(length).and_then(|length| now.checked_add(length)),
            None => moment::point(text),
        };
        let at = at.ok_or_else(|| EndError::Format {
            text: text.to_owned(),
        })?;
        if at <= now {
            return Err(EndError::Passed {
                text: text.to_owned(),
            });
        }
        let source = EndSource::Asked;
        Ok(Self { at, source })
    }

    /// Finds out when Slurm ends the job that this process belongs to: from `SLURM_JOB_END_TIME`;
    /// where that is missing or has passed, by asking `squeue`, then `scontrol`, for the job in
    /// `SLURM_JOB_ID`, for `limit` at most. `None`: this is no job of Slurm's, or it has no limit.
    ///
    /// `environment`: that of this process, as [`std::env::var_os`] tells it; the programs are
    /// looked for in its `PATH`.
    ///
    /// # Errors
    /// [`EndError`] but for the first two. The job can run without, but will not stop in time.
    pub fn of_slurm(
        environment: impl Fn(&str) -> Option<OsString>,
        now: SystemTime,
        limit: Duration,
    ) -> Result<Option<Self>, EndError> {
        if let Some(value) = environment(END_TIME) {
            let at = digits(&value).and_then(moment::point);
            let at = at.ok_or(EndError::Variable {
                variable: END_TIME,
                value,
            })?;
            if at > now {
                let source = EndSource::SlurmEndTime;
                return Ok(Some(Self { at, source }));
            }
        }
        let job = JOB_ID
            .iter()
            .find_map(|name| Some((*name, environment(name)?)));
        let Some((variable, value)) = job else {
            return Ok(None);
        };
        let Some(job) = digits(&value) else {
            return Err(EndError::Variable { variable, value });
        };
        let left = ask_slurm(job, environment("PATH").as_deref(), limit)?;
        Ok(left.and_then(|left| {
            let at = now.checked_add(left)?;
            let source = EndSource::SlurmTimeLeft;
            Some(Self { at, source })
        }))
    }

    /// When it is.
    #[must_use]
    pub fn at(&self) -> SystemTime {
        self.at
    }

    /// Who says so.
    #[must_use]
    pub fn source(&self) -> EndSource {
        self.source
    }

    /// How far it is from `now`; zero once it has passed.
    #[must_use]
    pub fn left(&self, now: SystemTime) -> Duration {
        self.at.duration_since(now).unwrap_or_default()
    }

    /// In seconds since 1970.
    #[must_use]
    pub fn unix_seconds(&self) -> u64 {
        let since = self.at.duration_since(UNIX_EPOCH).unwrap_or_default();
        since.as_secs()
    }
}

/// Why the end of a job is not known.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EndError {
    /// The caller: not a point in time.
    #[error(
        "`{text}` is not a point in time: try seconds since 1970, 2026-11-22T15:14:50Z with its \
         zone, or +90m from now"
    )]
    Format {
        /// What was given.
        text: String,
    },
    /// The caller: that was earlier.
    #[error("`{text}` has passed; a job that begins has to end later")]
    Passed {
        /// What was given.
        text: String,
    },
    /// The environment: a variable of the scheduler's is not as it documents.
    #[error("{variable}={value:?} is not a number of Slurm's")]
    Variable {
        /// Its name.
        variable: &'static str,
        /// Its value.
        value: OsString,
    },
    /// The environment: the scheduler's program could not be run, or not to its end.
    #[error("cannot ask {program} how much time job {job} has")]
    Scheduler {
        /// The program.
        program: &'static str,
        /// The job.
        job: String,
        /// What went wrong.
        source: ProcessError,
    },
    /// The environment: the scheduler's program did not say it.
    #[error("{program} does not say how much time job {job} has: {seen:?}")]
    Answer {
        /// The program.
        program: &'static str,
        /// The job.
        job: String,
        /// The beginning of what it printed.
        seen: String,
    },
    /// The environment: it cannot be seen whether there is a notice.
    #[error("cannot look at the notice file {}", path.display())]
    Notice {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// `None`: no limit.
fn ask_slurm(
    job: &str,
    path: Option<&OsStr>,
    limit: Duration,
) -> Result<Option<Duration>, EndError> {
    let end = Deadline::after(limit);
    let squeue = ["squeue", "--noheader", "--jobs", job, "--format", "%L"];
    let squeue = ask(&squeue, path, end.left() / 2);
    let scontrol = ["scontrol", "--oneliner", "show", "job", job];
    let is_missing = matches!(&squeue, Err(ProcessError::Spawn { .. }));
    let failed = match said("squeue", job, squeue, time_left) {
        Ok(left) => return Ok(left),
        Err(error) => error,
    };
    let scontrol = ask(&scontrol, path, end.left());
    said("scontrol", job, scontrol, limit_less_run).map_err(|error| match is_missing {
        true => error,
        false => failed,
    })
}

fn ask(words: &[&str], path: Option<&OsStr>, limit: Duration) -> Result<String, ProcessError> {
    let mut words = words.iter();
    let mut command = Command::new(words.next().unwrap_or(&""));
    command.args(words);
    clean_environment(&mut command, std::env::vars_os());
    if let Some(path) = path {
        command.env("PATH", path);
    }
    let (_, output) = capture(command, limit)?;
    Ok(String::from_utf8_lossy(&output).into_owned())
}

fn said(
    program: &'static str,
    job: &str,
    text: Result<String, ProcessError>,
    read: fn(&str) -> Option<Option<Duration>>,
) -> Result<Option<Duration>, EndError> {
    let job = job.to_owned();
    match text {
        Ok(text) => read(&text).ok_or_else(|| EndError::Answer {
            program,
            job,
            seen: text.trim().chars().take(80).collect(),
        }),
        Err(source) => Err(EndError::Scheduler {
            program,
            job,
            source,
        }),
    }
}

/// What `squeue --format %L` prints: one line for each part of the job, all alike.
fn time_left(text: &str) -> Option<Option<Duration>> {
    match text.split_whitespace().next()? {
        "UNLIMITED" | "NOT_SET" => Some(None),
        left => moment::length(left).map(Some),
    }
}

/// What `scontrol show job` prints has a limit and how long the job has run.
fn limit_less_run(text: &str) -> Option<Option<Duration>> {
    let field = |name: &str| {
        text.split_whitespace()
            .find_map(|word| word.strip_prefix(name))
    };
    match field("TimeLimit=")? {
        "UNLIMITED" | "NOT_SET" => Some(None),
        limit => {
            let limit = moment::length(limit)?;
            let run = moment::length(field("RunTime=")?)?;
            Some(Some(limit.saturating_sub(run)))
        }
    }
}

fn digits(value: &OsStr) -> Option<&str> {
    let text = value.to_str()?;
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then_some(text)
}

const END_TIME: &str = "SLURM_JOB_END_TIME";
/// The second is the older name.
const JOB_ID: [&str; 2] = ["SLURM_JOB_ID", "SLURM_JOBID"];

#[cfg(test)]
mod tests {
    use super::*;

    fn unix(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn what_users_write() {
        let now = unix(1_795_360_000);
        for (text, expected) in [
            ("1795360490", 1_795_360_490),
            (" 2026-11-22T15:14:50Z\n", 1_795_360_490),
            ("+90", 1_795_360_090),
            ("+1h30m", 1_795_365_400),
            ("+1-00:00:00", 1_795_446_400),
        ] {
            let end = PlannedEnd::parse(text, now).unwrap();
            assert_eq!(
                (end.unix_seconds(), end.source()),
                (expected, EndSource::Asked)
            );
            assert_eq!(end.left(now).as_secs(), expected - 1_795_360_000);
        }
        for text in ["1795360000", "+0", "2020-01-01T00:00:00Z"] {
            let refused = PlannedEnd::parse(text, now);
            assert!(matches!(refused, Err(EndError::Passed { .. })), "{text}");
        }
        for text in [
            "",
            "+",
            "tomorrow",
            "90m",
            "2026-11-22T15:14:50",
            "+18446744073709551615",
        ] {
            let refused = PlannedEnd::parse(text, now);
            assert!(matches!(refused, Err(EndError::Format { .. })), "{text}");
        }
    }

    #[test]
    fn what_slurm_says_in_the_environment() {
        let of = |end: &'static str| {
            let environment = move |name: &str| (name == END_TIME).then(|| OsString::from(end));
            PlannedEnd::of_slurm(environment, unix(1000), Duration::from_secs(60))
        };
        let end = of("4600").unwrap().unwrap();
        assert_eq!(
            (end.at(), end.source()),
            (unix(4600), EndSource::SlurmEndTime)
        );
        assert_eq!(of("900").unwrap(), None, "that of a job that is over");
        assert!(matches!(of("soon"), Err(EndError::Variable { .. })));
        let none = PlannedEnd::of_slurm(|_| None, unix(0), Duration::from_secs(60));
        assert_eq!(none.unwrap(), None);
        let odd = |name: &str| (name == "SLURM_JOBID").then(|| OsString::from("--help"));
        let odd = PlannedEnd::of_slurm(odd, unix(0), Duration::from_secs(60));
        assert!(matches!(
            odd,
            Err(EndError::Variable {
                variable: "SLURM_JOBID",
                ..
            })
        ));
    }

    #[test]
    fn what_its_programs_print() {
        let minutes = |minutes: u64| Some(Some(Duration::from_secs(minutes * 60)));
        assert_eq!(time_left("59:00\n"), minutes(59));
        assert_eq!(time_left("1-00:00:00\n1-00:00:00\n"), minutes(24 * 60));
        assert_eq!(time_left("UNLIMITED\n"), Some(None));
        for text in [
            "",
            "INVALID\n",
            "slurm_load_jobs error: Invalid job id specified",
        ] {
            assert_eq!(time_left(text), None);
        }
        let job = "JobId=7 JobName=x Restarts=0 RunTime=00:15:00 TimeLimit=01:00:00 TimeMin=N/A";
        assert_eq!(limit_less_run(job), minutes(45));
        assert_eq!(
            limit_less_run("RunTime=2-00:00:00 TimeLimit=UNLIMITED"),
            Some(None)
        );
        assert_eq!(
            limit_less_run("RunTime=01:00:00 TimeLimit=00:30:00"),
            minutes(0)
        );
        assert_eq!(limit_less_run("TimeLimit=00:30:00"), None);
    }

    /// Programs of the names of Slurm's that do what these scripts say.
    fn asked(programs: &[(&str, &str)], limit: Duration) -> Result<Option<Duration>, EndError> {
        let dir = tempfile::tempdir().unwrap();
        for (name, script) in programs {
            let path = dir.path().join(name);
            let file = path.display();
            let text = format!("#!/bin/sh\\necho $* >> {file}.asked\\n{script}\\n");
            // By another process: a file that this one has open while another thread starts one
            // cannot be executed.
            let wrote = Command::new("sh")
                .args([
                    "-c",
                    "printf \"$1\" > \"$2\" && chmod 700 \"$2\"",
                    "sh",
                    &text,
                ])
                .arg(&path)
                .status();
            assert!(wrote.unwrap().success());
        }
        let of_job = |name: &str| match name {
            "PATH" => Some(format!("{}:/usr/bin:/bin", dir.path().display()).into()),
            "SLURM_JOB_ID" => Some(OsString::from("77")),
            _ => None,
        };
        let now = unix(1000);
        let end = PlannedEnd::of_slurm(of_job, now, limit);
        for (name, _) in programs {
            let asked = std::fs::read_to_string(dir.path().join(format!("{name}.asked")));
            // Of one that is killed early nobody knows how far it came.
            let is_asked = asked.is_ok_and(|asked| asked.contains("77"));
            assert!(
                is_asked || limit < SHORT,
                "{name} was not asked for the job"
            );
        }
        end.map(|end| end.map(|end| end.left(now)))
    }

    #[test]
    fn the_second_program_is_asked_where_the_first_does_not_say() {
        let limit = Duration::from_secs(60);
        let left = asked(&[("squeue", "echo 10:00")], limit).unwrap();
        assert_eq!(left, Some(Duration::from_secs(600)));
        let scontrol = ("scontrol", "echo RunTime=00:01:00 TimeLimit=00:05:00");
        let left = asked(&[("squeue", "exit 1"), scontrol], limit).unwrap();
        assert_eq!(left, Some(Duration::from_secs(240)));
        let failed = asked(&[("squeue", "echo INVALID"), ("scontrol", "exit 1")], limit);
        let failed = failed.unwrap_err().to_string();
        assert!(
            failed.contains("squeue") && failed.contains("INVALID"),
            "{failed}"
        );
    }

    #[test]
    fn programs_that_hang_are_given_up() {
        let limit = SHORT / 2;
        let failed = asked(&[("squeue", "sleep 600"), ("scontrol", "sleep 600")], limit);
        assert!(matches!(
            failed,
            Err(EndError::Scheduler {
                program: "squeue",
                source: ProcessError::TimedOut { .. },
                ..
            })
        ));
    }

    const SHORT: Duration = Duration::from_secs(1);
}
