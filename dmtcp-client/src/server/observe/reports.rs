//! Files that follow a computation: its last rounds as a trace, its counters as Prometheus reads
//! them.

use std::{
    io, mem,
    path::PathBuf,
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use dmtcp_proto::Event;

use super::{ChromeTrace, Exposition, Metrics, ReportError, RoundTimeline};
use crate::server::{Computation, ComputationEvent};

/// Which files are kept; none by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReportFiles {
    /// For a [`ChromeTrace`] of the last rounds, written again after each.
    pub trace: Option<PathBuf>,
    /// For an [`Exposition`], written again after each round and every 15 seconds.
    pub metrics: Option<PathBuf>,
}

impl ReportFiles {
    /// The same with a trace there.
    #[must_use]
    pub fn trace(self, path: impl Into<PathBuf>) -> Self {
        Self {
            trace: Some(path.into()),
            ..self
        }
    }

    /// The same with metrics there.
    #[must_use]
    pub fn metrics(self, path: impl Into<PathBuf>) -> Self {
        Self {
            metrics: Some(path.into()),
            ..self
        }
    }
}

/// Keeps the files of a computation on a thread of its own, so that a slow file system holds
/// nobody up but who drops this: **dropping it waits until what was noted is written.**
///
/// How many rounds a trace has is for
/// [`ComputationConfig::timelines`](crate::server::ComputationConfig::timelines) to say.
///
/// ```
/// use dmtcp_client::server::{ComputationConfig, ReportFiles, Reports, Server};
///
/// # let dir = tempfile::tempdir()?;
/// # let (trace, metrics) = (dir.path().join("trace.json"), dir.path().join("dmtcp.prom"));
/// let server = Server::start()?;
/// let computation = server.open(ComputationConfig::default().timelines(32))?;
/// let files = ReportFiles::default().trace(trace).metrics(metrics);
/// let reports = Reports::start(&computation, files, |error| eprintln!("{error}"))?;
/// let events = computation.events();
/// while let Ok(event) = events.try_recv() {
///     reports.note(&event);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Reports {
    computation: Computation,
    with_trace: bool,
    /// `None`: nothing is kept.
    writer: Option<(Sender<Due>, JoinHandle<()>)>,
}

/// What was so at the end of a round.
#[derive(Debug, Default)]
struct Due {
    timelines: Vec<Arc<RoundTimeline>>,
    metrics: Option<Metrics>,
}

impl Reports {
    /// Begins; nothing is started where no file is asked for. What cannot be written is told to
    /// `failed`, on the thread that writes, and is tried again when it is due again.
    ///
    /// # Errors
    /// The system has no thread for it.
    pub fn start(
        computation: &Computation,
        files: ReportFiles,
        failed: impl FnMut(&ReportError) + Send + 'static,
    ) -> io::Result<Self> {
        let with_trace = files.trace.is_some();
        let computation = computation.clone();
        let writer = match files == ReportFiles::default() {
            true => None,
            false => {
                let (sender, due) = mpsc::channel();
                let asked = computation.clone();
                let thread = thread::Builder::new()
                    .name("dmtcp-reports".to_owned())
                    .spawn(move || write(&asked, &files, &due, failed))?;
                Some((sender, thread))
            }
        };
        Ok(Self {
            computation,
            with_trace,
            writer,
        })
    }

    /// Takes notice of an event of the computation, without waiting for a file. Those that
    /// nothing follows from cost nothing.
    pub fn note(&self, event: &ComputationEvent) {
        let ComputationEvent::Coordinator(
            Event::CheckpointComplete { .. }
            | Event::CheckpointFailed { .. }
            | Event::Resumed
            | Event::RestartComplete { .. },
        ) = event
        else {
            return;
        };
        let Some((writer, _)) = &self.writer else {
            return;
        };
        // Asked for now: a computation that ends behind this round can be asked no more. If it
        // has ended already, what was written last is the last there is.
        let timelines = match self.with_trace {
            true => self.computation.timelines().unwrap_or_default(),
            false => Vec::new(),
        };
        let metrics = self.computation.metrics().ok();
        // The thread ends only when this does.
        let _ = writer.send(Due { timelines, metrics });
    }
}

impl Drop for Reports {
    fn drop(&mut self) {
        if let Some((sender, thread)) = self.writer.take() {
            drop(sender);
            // Only a panic of the caller's own function would be an error.
            let _ = thread.join();
        }
    }
}

fn write(
    computation: &Computation,
    files: &ReportFiles,
    due: &Receiver<Due>,
    mut failed: impl FnMut(&ReportError),
) {
    let mut next = Due {
        timelines: Vec::new(),
        metrics: computation.metrics().ok(),
    };
    loop {
        // What came while the last was written, only the newest of it.
        for newer in due.try_iter() {
            next = newer;
        }
        let Due { timelines, metrics } = mem::take(&mut next);
        if let (Some(path), Some(metrics)) = (&files.metrics, metrics) {
            let written = Exposition::of(&[metrics]).write_file(path);
            written.unwrap_or_else(|error| failed(&error));
        }
        if let (Some(path), false) = (&files.trace, timelines.is_empty()) {
            let written = ChromeTrace::of(&timelines).write_file(path);
            written.unwrap_or_else(|error| failed(&error));
        }
        next = match due.recv_timeout(PERIOD) {
            Ok(due) => due,
            Err(RecvTimeoutError::Timeout) => Due {
                timelines: Vec::new(),
                metrics: computation.metrics().ok(),
            },
            Err(RecvTimeoutError::Disconnected) => return,
        };
    }
}

/// As often as Prometheus usually looks.
const PERIOD: Duration = Duration::from_secs(15);
