//! News of a computation.

use std::sync::Arc;

use dmtcp_client::server::{ComputationEvent, Event, Events as Inner, SealedSet, Stamped};
use pyo3::{IntoPyObjectExt as _, prelude::*};
use serde_json::{Value, json};

use crate::{
    answer::Answer,
    calling::ask,
    json as records,
    lender::within,
    limits::{limit, unix_time},
    owned::Owned,
};

/// A receiver of a computation's news.
#[pyclass(frozen, module = "dmtcp._native")]
pub(crate) struct Events {
    inner: Arc<Owned<Inner>>,
}

impl Events {
    pub(crate) fn new(inner: Inner) -> Self {
        let inner = Arc::new(Owned::new(inner));
        Self { inner }
    }
}

#[pymethods]
impl Events {
    /// The next as `(kind, time, text, data)`; `None`: the computation has ended. One reader at a time.
    #[pyo3(signature = (timeout, done=None))]
    fn next(
        &self,
        py: Python<'_>,
        timeout: Option<f64>,
        done: Option<Py<PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        self.inner.get()?;
        let (inner, timeout) = (Arc::clone(&self.inner), limit(timeout)?);
        ask(py, done, async move {
            let next = within(timeout, "event", inner.get()?.recv_next()).await?;
            Ok(next.map(News::from))
        })
    }
}

/// An event of a computation or a job.
pub(crate) struct News {
    pub(crate) kind: &'static str,
    pub(crate) time: f64,
    pub(crate) text: String,
    pub(crate) data: Value,
}

impl Answer for News {
    fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let data = records::to_python(py, &self.data)?;
        (self.kind, self.time, self.text, data).into_py_any(py)
    }
}

impl From<Stamped> for News {
    fn from(stamped: Stamped) -> Self {
        let (kind, mut data) = match &stamped.event {
            ComputationEvent::Coordinator(event) => of_coordinator(event),
            ComputationEvent::SetSealed { round, set, took } => {
                let set = set_json(set);
                let took = took.as_secs_f64();
                (
                    "set-sealed",
                    json!({"round": round, "set": set, "took": took}),
                )
            }
            ComputationEvent::PeerRefused { peer, reason } => {
                let (peer, reason) = (peer.to_string(), reason.to_string());
                ("peer-refused", json!({"peer": peer, "reason": reason}))
            }
            ComputationEvent::PeerNotReading { peer, queued, .. } => {
                let peer = peer.to_string();
                ("peer-not-reading", json!({"peer": peer, "queued": queued}))
            }
            ComputationEvent::ProcessKilled(worker) => {
                ("process-killed", json!({"worker": records::of(worker)}))
            }
            ComputationEvent::ProcessSpared { worker, reason } => {
                let (worker, reason) = (records::of(worker), reason.to_string());
                (
                    "process-spared",
                    json!({"worker": worker, "reason": reason}),
                )
            }
            ComputationEvent::AcceptPaused { reason, .. } => {
                ("accept-paused", json!({"reason": reason}))
            }
            ComputationEvent::AcceptResumed => ("accept-resumed", json!({})),
            ComputationEvent::Stalled(stall) => ("stalled", json!({"stall": stall.to_string()})),
            ComputationEvent::Lagged(count) => ("lagged", json!({"count": count})),
            _ => ("other", json!({})),
        };
        if let Some(fields) = data.as_object_mut() {
            fields.insert("sequence".to_owned(), stamped.sequence.into());
        }
        Self {
            kind,
            time: unix_time(stamped.time),
            text: format!("{kind}{}", words(&data)),
            data,
        }
    }
}

fn of_coordinator(event: &Event) -> (&'static str, Value) {
    let worker = |worker| json!({"worker": records::of(worker)});
    match event {
        Event::WorkerJoined(info) => ("worker-joined", worker(info)),
        Event::WorkerUpdated(info) => ("worker-updated", worker(info)),
        Event::WorkerLeft(info) => ("worker-left", worker(info)),
        Event::ComputationEnded { computation } => (
            "computation-ended",
            json!({"computation": computation.to_string()}),
        ),
        Event::Refused { reason, .. } => ("refused", json!({"reason": reason.to_string()})),
        Event::TooManyWorkers { limit, .. } => ("too-many-workers", json!({"limit": limit})),
        Event::PeerMisbehaved { error, .. } => {
            ("peer-misbehaved", json!({"error": error.to_string()}))
        }
        Event::PeerSilent { .. } => ("peer-silent", json!({})),
        Event::CheckpointStarted {
            round,
            generation,
            workers,
        } => (
            "checkpoint-started",
            json!({"round": round, "generation": generation, "workers": workers}),
        ),
        Event::BarrierReleased { name, peers } => (
            "barrier-released",
            json!({"barrier": name.to_string(), "peers": peers}),
        ),
        Event::ImagesReported { round } => ("images-reported", json!({"round": round})),
        Event::CheckpointComplete {
            round,
            generation,
            images,
        } => {
            let paths = images.iter().map(|image| image.path.as_bytes());
            let paths: Vec<_> = paths.map(String::from_utf8_lossy).collect();
            (
                "checkpoint-complete",
                json!({"round": round, "generation": generation, "images": paths}),
            )
        }
        Event::CheckpointFailed {
            round,
            generation,
            reason,
        } => (
            "checkpoint-failed",
            json!({"round": round, "generation": generation, "reason": reason.to_string()}),
        ),
        Event::Resumed => ("resumed", json!({})),
        Event::RestartStarted {
            computation,
            expected,
        } => (
            "restart-started",
            json!({"computation": computation.to_string(), "expected": expected}),
        ),
        Event::RestartComplete { peers } => ("restart-complete", json!({"peers": peers})),
        Event::Killing { workers } => ("killing", json!({"workers": workers})),
        Event::QuitRequested => ("quit-requested", json!({})),
        _ => ("other", json!({})),
    }
}

pub(crate) fn set_json(set: &SealedSet) -> Value {
    json!({
        "sequence": set.sequence,
        "directory": set.directory.to_string_lossy(),
        "bytes": set.bytes,
    })
}

/// The small fields, for people.
fn words(data: &Value) -> String {
    let fields = data.as_object().into_iter().flatten();
    let shown = fields
        .filter(|(name, _)| *name != "sequence")
        .filter_map(|(name, value)| match value {
            Value::Number(_) | Value::Bool(_) => Some(format!(" {name}={value}")),
            Value::String(text) => Some(format!(" {name}={text}")),
            Value::Object(fields) => {
                let program = fields.get("program")?.as_str()?;
                let pid = fields.get("real_pid")?;
                Some(format!(" {name}={program}[{pid}]"))
            }
            _ => None,
        });
    shown.collect()
}
