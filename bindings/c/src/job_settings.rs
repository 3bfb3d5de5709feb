//! `dmtcp_job_settings`: what is decided of a job before it runs.

use std::process::Command;
use std::time::{Duration, SystemTime};

use dmtcp_client::Launch;
use dmtcp_client::attempt::Program;
use dmtcp_client::job::pace::{IntervalPolicy, PlannedEnd};
use dmtcp_client::job::{Begin as When, Job};
use dmtcp_client::process::Stream;
use dmtcp_client::set::RetentionPolicy;

use crate::arguments::unless_zero;
use crate::failure::Failure;
use crate::ffi::{Callback, Context, In, Text, TextList, filled_in};
use crate::job_events::JobEvent;
use crate::launch::variables;
use crate::tools::Tools;

/// What a run of a job begins with.
#[expect(non_camel_case_types, reason = "the names are those of the header")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
#[non_exhaustive]
pub enum Begin {
    /// The newest set that verifies and restarts here; a fresh start if there is no set. Where the
    /// program had finished with 0, nothing: the outcome is told again.
    DMTCP_BEGIN_GO_ON = 0,
    /// A fresh start; with sets to go on from it is refused.
    DMTCP_BEGIN_START = 1,
    /// A fresh start, whatever is there.
    DMTCP_BEGIN_FRESH = 2,
    /// The newest set; without one it fails.
    DMTCP_BEGIN_RESTART = 3,
}

/// A [`Begin`] as C passes one, which may be any number.
///
/// cbindgen:no-export
pub type BeginNumber = i32;

/// One program and its state directory. Zeros are the defaults.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
#[non_exhaustive]
pub struct JobSettings {
    /// sizeof(dmtcp_job_settings).
    pub size: usize,
    /// The state directory, which is made if it is not there. Required.
    pub state_dir: Text,
    /// The program and its arguments; a NULL ends them. NULL: the job of this state directory, from
    /// its newest set.
    pub argv: TextList,
    /// More of its environment, as "NAME=VALUE"; a NULL ends it. NULL: no more.
    pub env: TextList,
    /// Where it starts. NULL: in this process's directory.
    pub directory: Text,
    /// DMTCP's programs; the job keeps what it needs of them. NULL: there are none, which is well for
    /// native workers.
    pub tools: In<Tools>,
    /// A name that is only written down. NULL: none.
    pub id: Text,
    /// File from which the program reads. NULL: nothing.
    pub input: Text,
    /// Checkpoints and stops once this file appears or changes. NULL: none.
    pub notice_file: Text,
    /// Called for each of its events, on a thread of its own. NULL: nobody.
    pub on_event: Callback<JobEvent>,
    /// What that is called with.
    pub context: Context,
    /// Milliseconds between checkpoints. 0: as far apart as costs the least time; -1: only when asked.
    pub interval_ms: i64,
    /// When everything is killed, in seconds since 1970: it checkpoints and stops in time before. 0:
    /// not known.
    pub ends_at_unix_s: u64,
    /// How long a last checkpoint and the end may take. 0: 90 seconds.
    pub grace_ms: u64,
    /// How long this run may take; then all is killed, without a checkpoint. 0: no limit.
    pub time_limit_ms: u64,
    /// How long a fresh start may take until all processes run. 0: five minutes.
    pub ready_limit_ms: u64,
    /// How many of the newest sets are kept. 0: two.
    pub keep_sets: u64,
    /// 1: the program is a native worker by itself; 0: it runs under DMTCP.
    pub native: i32,
    /// What to begin with.
    pub begin: BeginNumber,
    /// 1: the program's output appears on this process's own streams, too.
    pub show_output: i32,
    /// 1: it stops behind the first complete set.
    pub stop_after_checkpoint: i32,
    /// 1: images are not compressed, which is several times faster and larger.
    pub no_gzip: i32,
    /// How many restarts without a newer set are made in a row. 0: five.
    pub restarts_without_progress: u32,
}

filled_in!(JobSettings: state_dir argv env directory tools id input notice_file on_event context
    interval_ms ends_at_unix_s grace_ms time_limit_ms ready_limit_ms keep_sets native begin
    show_output stop_after_checkpoint no_gzip restarts_without_progress,
    oldest = restarts_without_progress);

impl JobSettings {
    pub(crate) fn job(&self) -> Result<Job, Failure> {
        let dir = self.state_dir.path("settings->state_dir")?;
        let mut job = match self.argv.get() {
            Some(argv) => Job::new(dir, self.program(&argv)?),
            None => Job::restart(dir),
        };
        job = job
            .begin(self.begin()?)
            .interval(self.interval()?)
            .stop_after_checkpoint(self.stop_after_checkpoint != 0)
            .show_output(self.show_output != 0);
        if let Some(tools) = self.tools.optional() {
            job = job.tools(tools.found().clone());
        }
        if let Some(id) = self.id.optional("settings->id")? {
            job = job.id(id);
        }
        if let Some(path) = self.input.optional_path("settings->input")? {
            job = job.stdin(Stream::File(path.to_owned()));
        }
        if let Some(path) = self.notice_file.optional_path("settings->notice_file")? {
            job = job.notice_file(path);
        }
        if self.ends_at_unix_s > 0 {
            let seconds = self.ends_at_unix_s.to_string();
            job = job.ends_at(PlannedEnd::parse(&seconds, SystemTime::now())?);
        }
        if let Some(grace) = unless_zero(self.grace_ms) {
            job = job.grace(grace);
        }
        if let Some(limit) = unless_zero(self.time_limit_ms) {
            job = job.time_limit(limit);
        }
        if let Some(limit) = unless_zero(self.ready_limit_ms) {
            job = job.ready_limit(limit);
        }
        if self.keep_sets > 0 {
            let count = usize::try_from(self.keep_sets)
                .map_err(|_| Failure::argument("settings->keep_sets is too large"))?;
            job = job.retention(RetentionPolicy::new().keep_last(count));
        }
        if self.restarts_without_progress > 0 {
            job = job.restarts_without_progress(self.restarts_without_progress);
        }
        Ok(job)
    }

    fn program(&self, argv: &[&std::ffi::OsStr]) -> Result<Program, Failure> {
        let (program, args) = argv
            .split_first()
            .ok_or_else(|| Failure::argument("settings->argv names no program"))?;
        let directory = self.directory.optional_path("settings->directory")?;
        if self.native != 0 {
            let mut command = Command::new(program);
            command.args(args).envs(variables(&self.env)?);
            if let Some(directory) = directory {
                command.current_dir(directory);
            }
            return Ok(command.into());
        }
        let tools = self.tools.optional().ok_or_else(|| {
            let why = "settings->tools is NULL: find DMTCP with dmtcp_tools_find(), or set native \
                       for a program that is a worker by itself";
            Failure {
                code: crate::codes::ResultCode::DMTCP_ERR_NULL,
                message: why.to_owned(),
            }
        })?;
        let mut launch = Launch::new(tools.found(), *program)
            .args(args.iter().copied())
            .gzip(self.no_gzip == 0);
        for (name, value) in variables(&self.env)? {
            launch = launch.env(name, value);
        }
        if let Some(directory) = directory {
            launch = launch.current_dir(directory);
        }
        Ok(launch.into())
    }

    fn begin(&self) -> Result<When, Failure> {
        use Begin as B;
        let known = [
            (B::DMTCP_BEGIN_GO_ON, When::GoOn),
            (B::DMTCP_BEGIN_START, When::Start),
            (B::DMTCP_BEGIN_FRESH, When::Fresh),
            (B::DMTCP_BEGIN_RESTART, When::Restart),
        ];
        let mut known = known.into_iter();
        let found = known.find(|(name, _)| *name as i32 == self.begin);
        found.map(|(_, when)| when).ok_or_else(|| {
            Failure::argument(format!("settings->begin is {}, no dmtcp_begin", self.begin))
        })
    }

    fn interval(&self) -> Result<IntervalPolicy, Failure> {
        match self.interval_ms {
            0 => Ok(IntervalPolicy::Auto(Default::default())),
            -1 => Ok(IntervalPolicy::Never),
            ms => match u64::try_from(ms) {
                Ok(ms) => Ok(IntervalPolicy::Every(Duration::from_millis(ms))),
                Err(_) => Err(Failure::argument(format!("settings->interval_ms is {ms}"))),
            },
        }
    }
}
