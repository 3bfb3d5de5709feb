//! What a computation was doing when, for people and for monitoring: the [timeline](RoundTimeline)
//! of each of its last rounds, and [`Metrics`].
//!
//! All of it is noted on the server's thread at a constant cost for each message, bounded, and
//! never told to those who listen to events.

mod chrome_trace;
mod endpoint;
mod error;
mod exposition;
mod metrics;
mod recorder;
mod reports;
mod tally;
mod timeline;
mod trace_file;

pub use chrome_trace::ChromeTrace;
pub use endpoint::MetricsEndpoint;
pub use error::ReportError;
pub use exposition::Exposition;
pub use metrics::{FailedRounds, Metrics, PeerCounts};
pub use reports::{ReportFiles, Reports};
pub use timeline::{
    BarrierPassage, RoundOutcome, RoundTimeline, SealingSpan, Step, TrackStep, WorkerTrack,
};
pub use trace_file::{TraceFileError, TracedBarrier, TracedRound, TracedWorker, read_trace};

pub(super) use recorder::{Limits, Recorder};
pub(super) use tally::Tally;

use std::sync::Arc;

use super::{Computation, ServerError, asking::Asking, task::Task};
use crate::driver::{Driver, block_on};

impl Computation {
    /// The last rounds, oldest first, with the one that is under way if there is one: as many as
    /// [`ComputationConfig::timelines`](super::ComputationConfig::timelines) says.
    ///
    /// To see them, see [`ChromeTrace`].
    ///
    /// # Errors
    /// As [`status`](Self::status).
    pub fn timelines(&self) -> Result<Vec<Arc<RoundTimeline>>, ServerError> {
        block_on(self.asking(&Driver::Blocking).timelines())
    }

    /// That of one round, if it is still kept.
    ///
    /// # Errors
    /// As [`status`](Self::status).
    pub fn timeline(&self, round: u64) -> Result<Option<Arc<RoundTimeline>>, ServerError> {
        let mut timelines = self.timelines()?.into_iter();
        Ok(timelines.find(|timeline| timeline.round == round))
    }

    /// Counters and gauges. To hand them to Prometheus, see [`Exposition`].
    ///
    /// # Errors
    /// As [`status`](Self::status).
    pub fn metrics(&self) -> Result<Metrics, ServerError> {
        block_on(self.asking(&Driver::Blocking).metrics())
    }
}

impl Asking<'_> {
    pub(crate) async fn timelines(&self) -> Result<Vec<Arc<RoundTimeline>>, ServerError> {
        let what = "asking for the rounds' timelines";
        let key = self.key;
        self.ask(what, |answer| Task::Timelines { key, answer })
            .await
    }

    pub(crate) async fn metrics(&self) -> Result<Metrics, ServerError> {
        let key = self.key;
        self.ask("asking for the metrics", |answer| Task::Metrics {
            key,
            answer,
        })
        .await
    }
}
