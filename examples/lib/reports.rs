//! The files of `--trace` and `--metrics`: how the last checkpoints went, to look at.

use dmtcp_client::server::{
    ChromeTrace, Computation, ComputationEvent, Event, Exposition, ServerError,
};
use std::{
    error::Error,
    path::PathBuf,
    time::{Duration, Instant},
};

use crate::{arguments::Options, log::Log};
use dmtcp_client::with_causes;

/// Which files are written, and when that was done.
#[derive(Debug)]
#[non_exhaustive]
pub struct Reports {
    trace: Option<PathBuf>,
    metrics: Option<PathBuf>,
    written: Instant,
}

/// Monitoring looks about as often.
const PERIOD: Duration = Duration::from_secs(10);

impl Reports {
    /// Those that these options ask for.
    #[must_use]
    pub fn of(options: &Options) -> Self {
        Self {
            trace: options.trace.clone(),
            metrics: options.metrics.clone(),
            written: Instant::now(),
        }
    }

    /// Writes them anew where this event says something that they tell.
    pub fn note(&mut self, log: &Log, computation: &Computation, event: &ComputationEvent) {
        if matches!(
            event,
            ComputationEvent::Coordinator(
                Event::CheckpointComplete { .. }
                    | Event::CheckpointFailed { .. }
                    | Event::RestartComplete { .. }
                    | Event::Resumed
            )
        ) {
            self.write(log, computation);
        }
    }

    /// Writes them anew if they are old.
    pub fn refresh(&mut self, log: &Log, computation: &Computation) {
        if self.written.elapsed() >= PERIOD {
            self.write(log, computation);
        }
    }

    /// Writes them anew. A failure is told and ends nothing: they are only to look at.
    pub fn write(&mut self, log: &Log, computation: &Computation) {
        self.written = Instant::now();
        if let Err(error) = self.try_write(computation) {
            log.line(format!("no report: {}", with_causes(error.as_ref())));
        }
    }

    fn try_write(&self, computation: &Computation) -> Result<(), Box<dyn Error>> {
        if let Some(path) = &self.trace {
            let timelines = unless_closed(computation.timelines())?.unwrap_or_default();
            if !timelines.is_empty() {
                ChromeTrace::of(&timelines).write_file(path)?;
            }
        }
        if let Some(path) = &self.metrics {
            if let Some(metrics) = unless_closed(computation.metrics())? {
                Exposition::of(&[metrics]).write_file(path)?;
            }
        }
        Ok(())
    }
}

/// A computation that has ended has been reported on before.
fn unless_closed<T>(answer: Result<T, ServerError>) -> Result<Option<T>, ServerError> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(ServerError::Closed) => Ok(None),
        Err(error) => Err(error),
    }
}
