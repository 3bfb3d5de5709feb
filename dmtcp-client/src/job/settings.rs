//! What is decided of a job before it runs: every setting and its default.
//!
//! Not here: what is done with them (`life`).

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::{
    ExitCodes, JobControl, JobError, Outcome, Registry, RunningJob,
    pace::{AutoInterval, Backoff, IntervalPolicy, PlannedEnd},
    program::Template,
    run,
};
use crate::{
    Tools,
    attempt::{Attempts, Program},
    process::Stream,
    server::{ReportFiles, Server},
    set::RetentionPolicy,
};

/// What a run begins with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Begin {
    /// The newest set that verifies and restarts here; a fresh start if there is no set at all.
    /// Where the program had finished with 0, nothing: the outcome is told again.
    #[default]
    GoOn,
    /// A fresh start; with sets to go on from it is refused.
    Start,
    /// A fresh start. Sets that are there are not gone on from any more, and removed in favour of
    /// new ones as [`Job::retention`] says.
    Fresh,
    /// The newest set; without one it fails.
    Restart,
}

/// One program and its state directory: a call that starts it or goes on, takes checkpoints, and ends
/// with an [`Outcome`] that schedulers understand.
///
/// ```no_run
/// use dmtcp_client::{Launch, Tools, job::Job, server::Server};
/// use std::{sync::Arc, time::Duration};
///
/// let server = Arc::new(Server::start()?);
/// let tools = Tools::find(None)?;
/// let program = Launch::new(&tools, "./simulate").arg("input");
/// let job = Job::new("state", program).tools(tools).grace(Duration::from_secs(60));
/// let outcome = job.start(&server)?.wait()?;
/// println!("{} ends this process with {}", outcome.text, outcome.code);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Each run is one process's; another one that is started meanwhile ends at once with
/// [`TryAgain`](super::OutcomeKind::TryAgain). Many jobs can run on one [`Server`] at the same time.
#[derive(Clone)]
#[must_use = "nothing runs until `start` or `run`"]
pub struct Job {
    pub(super) dir: PathBuf,
    pub(super) program: Option<Template>,
    pub(super) tools: Option<Tools>,
    pub(super) id: Option<String>,
    pub(super) begin: Begin,
    pub(super) interval: IntervalPolicy,
    pub(super) ends: Vec<PlannedEnd>,
    pub(super) notice: Option<PathBuf>,
    pub(super) grace: Duration,
    pub(super) time_limit: Option<Duration>,
    pub(super) ready_limit: Duration,
    pub(super) stop_after_checkpoint: bool,
    pub(super) retention: RetentionPolicy,
    pub(super) restarts: u32,
    pub(super) backoff: Backoff,
    pub(super) exit_codes: ExitCodes,
    pub(super) stdin: Stream,
    pub(super) show: bool,
    pub(super) reports: ReportFiles,
    pub(super) registry: Option<Registry>,
    pub(super) configure: Arc<Configure>,
    pub(super) control: JobControl,
}

/// What a caller changes of the attempts.
pub(super) type Configure = dyn for<'s> Fn(Attempts<'s>) -> Attempts<'s> + Send + Sync;

impl Job {
    /// `program` with the state directory `dir`, which is made if it is not there.
    pub fn new(dir: impl Into<PathBuf>, program: impl Into<Program>) -> Self {
        Self {
            program: Some(program.into().into()),
            ..Self::restart(dir)
        }
    }

    /// The job of this state directory, from its newest set: what runs is in the set.
    pub fn restart(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            program: None,
            tools: None,
            id: None,
            begin: Begin::default(),
            interval: IntervalPolicy::Auto(AutoInterval::new()),
            ends: Vec::new(),
            notice: None,
            grace: Duration::from_secs(90),
            time_limit: None,
            ready_limit: Duration::from_secs(300),
            stop_after_checkpoint: false,
            retention: RetentionPolicy::new().keep_last(2),
            restarts: 5,
            backoff: Backoff::default(),
            exit_codes: ExitCodes::default(),
            stdin: Stream::Null,
            show: false,
            reports: ReportFiles::default(),
            registry: None,
            configure: Arc::new(|attempts| attempts),
            control: JobControl::default(),
        }
    }

    /// The DMTCP programs. Default: none; native workers need none.
    pub fn tools(self, tools: Tools) -> Self {
        Self {
            tools: Some(tools),
            ..self
        }
    }

    /// The name that its user gave it; only written down.
    pub fn id(self, id: impl Into<String>) -> Self {
        Self {
            id: Some(id.into()),
            ..self
        }
    }

    /// What to begin with. Default: [`Begin::GoOn`]. Of a job without a program it is always
    /// [`Begin::Restart`].
    pub fn begin(self, begin: Begin) -> Self {
        Self { begin, ..self }
    }

    /// Periodic checkpoints. Default: as far apart as costs the least time
    /// ([`AutoInterval::new`]).
    pub fn interval(self, interval: IntervalPolicy) -> Self {
        Self { interval, ..self }
    }

    /// When everything is killed: it checkpoints and stops in time before. The earliest of several
    /// counts. Default: none.
    pub fn ends_at(mut self, end: PlannedEnd) -> Self {
        self.ends.push(end);
        self
    }

    /// Checkpoints and stops, too, once this file appears or changes
    /// ([`NoticeFile`](super::pace::NoticeFile)). Default: none.
    pub fn notice_file(self, path: impl Into<PathBuf>) -> Self {
        Self {
            notice: Some(path.into()),
            ..self
        }
    }

    /// How long a last checkpoint and the end may take, when it is asked to stop; and how long before a
    /// known end it begins at the latest. Default: 90 s.
    pub fn grace(self, grace: Duration) -> Self {
        Self { grace, ..self }
    }

    /// How long this run may take; then everything is killed, without a checkpoint, and the outcome is
    /// [`TimedOut`](super::OutcomeKind::TimedOut). Default: no limit.
    pub fn time_limit(self, limit: Duration) -> Self {
        Self {
            time_limit: Some(limit),
            ..self
        }
    }

    /// How long a fresh start may take until all processes run under the coordinator. Default: five
    /// minutes. Restarts have [limits of their own](Attempts::restart_limit).
    pub fn ready_limit(self, limit: Duration) -> Self {
        Self {
            ready_limit: limit,
            ..self
        }
    }

    /// Stops behind the first complete set, whoever asked for it. Default: it goes on.
    pub fn stop_after_checkpoint(self, stop: bool) -> Self {
        Self {
            stop_after_checkpoint: stop,
            ..self
        }
    }

    /// Which sets are kept behind each new one. Default: the last two.
    pub fn retention(self, retention: RetentionPolicy) -> Self {
        Self { retention, ..self }
    }

    /// How many restarts without a newer set are made in a row, over all runs, before it gives up
    /// with [`FailedToRestore`](super::OutcomeKind::FailedToRestore); the run behind that begins to
    /// count again. Default: 5.
    pub fn restarts_without_progress(self, most: u32) -> Self {
        Self {
            restarts: most,
            ..self
        }
    }

    /// How long it waits between an attempt that failed and the next. Default: a second, twice as
    /// long each time, up to five minutes.
    pub fn backoff(self, backoff: Backoff) -> Self {
        Self { backoff, ..self }
    }

    /// The exit codes in its outcomes. Default: [`ExitCodes::default`].
    pub fn exit_codes(self, exit_codes: ExitCodes) -> Self {
        Self { exit_codes, ..self }
    }

    /// The program's standard input. Default: [`Stream::Null`]; what was read before a checkpoint
    /// does not come again behind a restart.
    pub fn stdin(self, stdin: Stream) -> Self {
        Self { stdin, ..self }
    }

    /// Files with a trace of the last rounds of the attempt that runs, or ran last, and with its
    /// metrics. What cannot be written is told, and the job goes on. Default: none.
    pub fn reports(self, reports: ReportFiles) -> Self {
        Self { reports, ..self }
    }

    /// Whether the program's output appears on this process's own standard output and error, too,
    /// and not only in `application.log`. Default: no.
    pub fn show_output(self, show: bool) -> Self {
        Self { show, ..self }
    }

    /// Notes the state directory there when it runs, for who wants to see all jobs. Default: nowhere;
    /// `dmtcpctl` uses that of [its user](Registry::of_this_user).
    pub fn registry(self, registry: Registry) -> Self {
        Self {
            registry: Some(registry),
            ..self
        }
    }

    /// Everything else about the attempts: limits and number of tries, hosts, access, what is done
    /// about stalls. The interval, the streams and the interrupt of the attempts are the job's
    /// own. The last one counts.
    pub fn configure(
        self,
        configure: impl for<'s> Fn(Attempts<'s>) -> Attempts<'s> + Send + Sync + 'static,
    ) -> Self {
        Self {
            configure: Arc::new(configure),
            ..self
        }
    }

    /// The handle to its runs: requests and news. To be had before it starts, so that nothing is
    /// missed. Clones of a job have the same one; run only one of them.
    #[must_use]
    pub fn control(&self) -> JobControl {
        self.control.clone()
    }

    /// Where its state is.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Runs it on a thread of its own.
    ///
    /// # Errors
    ///
    /// [`JobError::Thread`]. What else can go wrong is told by [`RunningJob::wait`].
    pub fn start(self, server: &Arc<Server>) -> Result<RunningJob, JobError> {
        let control = self.control();
        let server = Arc::clone(server);
        RunningJob::start(control, move || self.run(&server))
    }

    /// Runs it on this thread, until it has an outcome. That is in `outcome.json`, too, unless the
    /// job is held by somebody else.
    ///
    /// # Errors
    ///
    /// [`JobError`]; nothing was done then.
    pub fn run(self, server: &Server) -> Result<Outcome, JobError> {
        run::live(&self, server)
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("dir", &self.dir)
            .field("program", &self.program)
            .field("begin", &self.begin)
            .field("interval", &self.interval)
            .field("grace", &self.grace)
            .finish_non_exhaustive()
    }
}
