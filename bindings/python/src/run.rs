//! A run of a job: its settings, its thread, its end.

use std::{
    future::ready,
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, SystemTime},
};

use dmtcp_client::{
    Tools,
    aio::JobControl,
    job::{
        Begin, ExitCodes, Job, Outcome, Registry,
        pace::{AutoInterval, IntervalPolicy, PlannedEnd},
    },
    process::Stream,
    server::{ReportFiles, Server as InnerServer},
};
use pyo3::prelude::*;
use serde_json::Value;

use crate::{
    answer,
    calling::{LOOK, ask, attentive, call, contained, tell},
    computation::Computation,
    failure::{Failure, Fault},
    job_events::JobEvents,
    json as records,
    lender::Lender,
    limits::limit,
    owned::Owned,
    program::Program,
    server::Server,
    sets,
};

/// What the package's `Job` was told.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Settings {
    dir: PathBuf,
    program: Option<Program>,
    native: bool,
    tools: Option<PathBuf>,
    id: Option<String>,
    begin: String,
    interval: Option<f64>,
    automatic: bool,
    /// As `PlannedEnd` reads them.
    ends: Vec<String>,
    slurm: bool,
    notice: Option<PathBuf>,
    grace: Option<f64>,
    time_limit: Option<f64>,
    ready_limit: Option<f64>,
    restart_limit: Option<f64>,
    tries: Option<u32>,
    any_host: bool,
    stop_after_checkpoint: bool,
    keep: (Option<usize>, Option<u64>, Option<f64>, Option<u64>),
    restarts: u32,
    /// Checkpointed, try again, failed before ready, failed to restore, timed out.
    exit_codes: (u8, u8, u8, u8, u8),
    stdin: bool,
    show: bool,
    trace: Option<PathBuf>,
    metrics: Option<PathBuf>,
    registered: bool,
}

impl Settings {
    fn job(self) -> Result<Job, Failure> {
        let tools = self.tools.map(Tools::in_dir).transpose()?;
        let mut job = match (&self.program, &tools) {
            (None, _) => Job::restart(self.dir),
            (Some(program), _) if self.native => Job::new(self.dir, program.native()?),
            (Some(program), Some(tools)) => Job::new(self.dir, program.launch(tools)?),
            (Some(_), None) => {
                let text = "no tools are given, and the program is not native";
                return Err(Failure::caller("argument", text));
            }
        };
        if let Some(tools) = tools {
            job = job.tools(tools);
        }
        if let Some(id) = self.id {
            job = job.id(id);
        }
        for end in ends(&self.ends, self.slurm)? {
            job = job.ends_at(end);
        }
        if let Some(path) = self.notice {
            job = job.notice_file(path);
        }
        if self.time_limit.is_some() {
            job = job.time_limit(limit(self.time_limit)?);
        }
        let (last, every, younger, max_bytes) = self.keep;
        let (checkpointed, try_again, before_ready, to_restore, timed_out) = self.exit_codes;
        let codes = ExitCodes::default()
            .checkpointed(checkpointed)
            .try_again(try_again)
            .failed_before_ready(before_ready)
            .failed_to_restore(to_restore)
            .timed_out(timed_out);
        let mut reports = ReportFiles::default();
        if let Some(path) = self.trace {
            reports = reports.trace(path);
        }
        if let Some(path) = self.metrics {
            reports = reports.metrics(path);
        }
        if self.registered {
            let registry = Registry::of_this_user()
                .map_err(|error| Failure::of("JobError", "registry", Fault::Environment, &error))?;
            job = job.registry(registry);
        }
        let (tries, any_host) = (self.tries, self.any_host);
        let restart_limit = self.restart_limit.map(|_| limit(self.restart_limit));
        let restart_limit = restart_limit.transpose()?;
        Ok(job
            .begin(begin(&self.begin)?)
            .interval(match (self.automatic, self.interval) {
                (true, _) => IntervalPolicy::Auto(AutoInterval::new()),
                (false, None) => IntervalPolicy::Never,
                (false, every) => IntervalPolicy::Every(limit(every)?),
            })
            .grace(limit(self.grace)?)
            .ready_limit(limit(self.ready_limit)?)
            .stop_after_checkpoint(self.stop_after_checkpoint)
            .retention(sets::policy(last, every, younger, max_bytes)?)
            .restarts_without_progress(self.restarts)
            .exit_codes(codes)
            .stdin(match self.stdin {
                true => Stream::Inherit,
                false => Stream::Null,
            })
            .show_output(self.show)
            .reports(reports)
            .configure(move |attempts| {
                let attempts = match restart_limit {
                    Some(limit) => attempts.restart_limit(limit),
                    None => attempts,
                };
                let attempts = match tries {
                    Some(tries) => attempts.tries(tries),
                    None => attempts,
                };
                match any_host {
                    true => attempts.on_any_host(),
                    false => attempts,
                }
            }))
    }
}

fn begin(name: &str) -> Result<Begin, Failure> {
    match name {
        "go-on" => Ok(Begin::GoOn),
        "start" => Ok(Begin::Start),
        "fresh" => Ok(Begin::Fresh),
        "restart" => Ok(Begin::Restart),
        _ => Err(Failure::caller(
            "argument",
            format!("{name:?} is not one of go-on, start, fresh, restart"),
        )),
    }
}

fn ends(texts: &[String], slurm: bool) -> Result<Vec<PlannedEnd>, Failure> {
    let now = SystemTime::now();
    let wrong = |error: dmtcp_client::job::pace::EndError| {
        Failure::of("CallerError", "walltime-end", Fault::Caller, &error)
    };
    let parsed = texts.iter().map(|text| PlannedEnd::parse(text, now));
    let mut ends: Vec<PlannedEnd> = parsed.collect::<Result<_, _>>().map_err(wrong)?;
    if slurm {
        let asked = PlannedEnd::of_slurm(|name| std::env::var_os(name), now, ASK_SLURM);
        ends.extend(asked.map_err(|error| {
            Failure::of("JobError", "walltime-end", Fault::Environment, &error)
        })?);
    }
    Ok(ends)
}

const ASK_SLURM: Duration = Duration::from_secs(10);

/// Starts a job on a thread of its own.
#[pyfunction]
#[pyo3(signature = (settings, server, done=None))]
pub(crate) fn start(
    py: Python<'_>,
    settings: Settings,
    server: &Server,
    done: Option<Py<PyAny>>,
) -> PyResult<Py<PyAny>> {
    let server = server.get()?;
    call(py, done, move || {
        Ok(answer::New(Run::start(settings.job()?, server)?))
    })
}

/// A job that runs, or ran. Dropping it kills its processes; sets stay.
#[pyclass(frozen, module = "dmtcp._native")]
pub(crate) struct Run {
    inner: Owned<Inner>,
}

struct Inner {
    control: JobControl,
    end: Arc<End>,
    /// Those from its beginning, until somebody asks for them.
    events: Mutex<Option<JobEvents>>,
}

impl Run {
    fn start(job: Job, server: Arc<InnerServer>) -> Result<Self, Failure> {
        let control = JobControl::on(Lender, job.control());
        let events = Mutex::new(Some(JobEvents::new(control.subscribe())));
        let end = Arc::new(End::default());
        let theirs = Arc::clone(&end);
        let started = thread::Builder::new()
            .name("dmtcp-job".to_owned())
            .spawn(move || theirs.set(contained(|| Ok(job.run(&server)?))));
        started
            .map_err(|error| Failure::of("JobError", "environment", Fault::Environment, &error))?;
        let inner = Owned::new(Inner {
            control,
            end,
            events,
        });
        Ok(Self { inner })
    }

    fn control(&self) -> Result<JobControl, Failure> {
        Ok(self.inner.get()?.control.clone())
    }
}

#[pymethods]
impl Run {
    #[pyo3(signature = (timeout, done=None))]
    fn checkpoint(
        &self,
        py: Python<'_>,
        timeout: Option<f64>,
        done: Option<Py<PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let (control, timeout) = (self.control()?, limit(timeout)?);
        ask(
            py,
            done,
            async move { Ok(control.checkpoint(timeout).await?) },
        )
    }

    fn checkpoint_and_stop(&self, grace: Option<f64>, on_signal: bool) -> PyResult<()> {
        let grace = grace.map(|_| limit(grace)).transpose()?;
        let control = self.control()?;
        match on_signal {
            true => control.stop_on_signal(grace),
            false => control.checkpoint_and_stop(grace),
        }
        Ok(())
    }

    fn kill(&self) -> PyResult<()> {
        self.control()?.kill();
        Ok(())
    }

    /// Its outcome as a record. `done` is told when the job ends, however late.
    #[pyo3(signature = (timeout, done=None))]
    fn wait(
        &self,
        py: Python<'_>,
        timeout: Option<f64>,
        done: Option<Py<PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let (end, control) = (Arc::clone(&self.inner.get()?.end), self.control()?);
        if let Some(done) = done {
            return match py.detach(|| end.when(done)) {
                Some((done, ended)) => ask(py, Some(done), ready(ended)),
                None => Ok(py.None()),
            };
        }
        let limit = limit(timeout)?;
        let until = std::time::Instant::now() + limit;
        let ended = attentive(py, || {
            let left = until.saturating_duration_since(std::time::Instant::now());
            let ended = end.within(left.min(LOOK));
            match ended {
                // What its events have told already holds here, too.
                None if left.is_zero() => Some(control.outcome().map_or_else(
                    || {
                        let text = format!("the job still runs after {limit:?}");
                        Err(Failure::timed_out(text))
                    },
                    |outcome| Ok(record(&outcome)),
                )),
                ended => ended,
            }
        })?;
        let record = ended.map_err(|failure| failure.into_py_err(py))?;
        records::to_python(py, &record)
    }

    /// Its outcome as a record; `None`: it has none yet, or none at all.
    fn outcome(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let outcome = self.control()?.outcome();
        let outcome = outcome.map(|outcome| records::to_python(py, &record(&outcome)));
        outcome.transpose()
    }

    /// Of the attempt that runs now.
    fn computation(&self) -> PyResult<Option<Computation>> {
        Ok(self.control()?.computation().map(Computation::new))
    }

    /// The first caller gets the news from the beginning on, others from now on.
    fn events(&self) -> PyResult<JobEvents> {
        let inner = self.inner.get()?;
        let first = inner.events.lock();
        let first = first.unwrap_or_else(PoisonError::into_inner).take();
        Ok(first.unwrap_or_else(|| JobEvents::new(inner.control.subscribe())))
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let Ok(inner) = self.inner.get() else { return };
        if inner.end.within(Duration::ZERO).is_some() {
            return;
        }
        inner.control.kill();
        // Its thread may have to tell somebody meanwhile. `None`: the interpreter ends.
        let end = Arc::clone(&inner.end);
        let _ = Python::try_attach(|py| py.detach(|| end.within(DROP_LIMIT)));
    }
}

const DROP_LIMIT: Duration = Duration::from_secs(30);

fn record(outcome: &Outcome) -> Value {
    records::of(outcome)
}

/// How a job ended, for those that wait for it.
#[derive(Default)]
struct End {
    state: Mutex<EndState>,
    reached: Condvar,
}

#[derive(Default)]
struct EndState {
    ended: Option<Result<Value, Failure>>,
    /// Callbacks.
    waiting: Vec<Py<PyAny>>,
}

impl End {
    fn set(&self, ended: Result<Outcome, Failure>) {
        let ended = ended.map(|outcome| record(&outcome));
        let mut state = self.lock();
        state.ended = Some(ended.clone());
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        self.reached.notify_all();
        for done in waiting {
            tell(done, ended.clone());
        }
    }

    fn within(&self, limit: Duration) -> Option<Result<Value, Failure>> {
        let waited = self
            .reached
            .wait_timeout_while(self.lock(), limit, |state| state.ended.is_none());
        let state = waited.unwrap_or_else(PoisonError::into_inner).0;
        state.ended.clone()
    }

    /// Tells it then; if that was before, gives it back with what is to be told.
    fn when(&self, done: Py<PyAny>) -> Option<(Py<PyAny>, Result<Value, Failure>)> {
        let mut state = self.lock();
        let ended = state.ended.clone();
        match ended {
            Some(ended) => Some((done, ended)),
            None => {
                state.waiting.push(done);
                None
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, EndState> {
        // Nothing panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
