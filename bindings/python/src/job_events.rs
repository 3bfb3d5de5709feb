//! News of a job.

use std::{sync::Arc, time::SystemTime};

use dmtcp_client::job::{JobEvent, JobEvents as Inner};
use pyo3::prelude::*;
use serde_json::{Value, json};

use crate::{
    calling::ask,
    events::{News, set_json},
    json as records,
    lender::within,
    limits::{limit, unix_time},
    owned::Owned,
};

/// A receiver of a job's news.
#[pyclass(frozen, module = "dmtcp._native")]
pub(crate) struct JobEvents {
    inner: Arc<Owned<Inner>>,
}

impl JobEvents {
    pub(crate) fn new(inner: Inner) -> Self {
        let inner = Arc::new(Owned::new(inner));
        Self { inner }
    }
}

#[pymethods]
impl JobEvents {
    /// The next as `(kind, time, text, data)`; `None`: the job has ended. One reader at a time.
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
            let next = within(timeout, "event", inner.get()?.recv()).await?;
            Ok(next.map(|(time, event)| news(time, &event)))
        })
    }
}

fn news(time: SystemTime, event: &JobEvent) -> News {
    let (kind, data) = parts(event);
    News {
        kind,
        time: unix_time(time),
        text: event.to_string(),
        data,
    }
}

fn parts(event: &JobEvent) -> (&'static str, Value) {
    type E = JobEvent;
    match event {
        E::Began { run, after_crash } => ("began", json!({"run": run, "after_crash": after_crash})),
        E::Started { address } => ("started", json!({"address": address.to_string()})),
        E::Restarted { address, set, took } => (
            "restarted",
            json!({"address": address.to_string(), "set": set, "took": took.as_secs_f64()}),
        ),
        E::Running { peers } => ("running", json!({"peers": peers})),
        E::PassedOver { text } => ("passed-over", json!({"text": text})),
        E::Planned { text } => ("planned", json!({"text": text})),
        E::CheckpointStarted { processes } => {
            ("checkpoint-started", json!({"processes": processes}))
        }
        E::Sealed { set, took } => (
            "sealed",
            json!({
                "set": set_json(set),
                "paused": took.paused().as_secs_f64(),
                "took": took.sealed().as_secs_f64(),
            }),
        ),
        E::CheckpointFailed { text } => ("checkpoint-failed", json!({"text": text})),
        E::Removed { sets } => ("removed", json!({"sets": sets})),
        E::Stopping { reason, limit } => (
            "stopping",
            json!({"reason": reason.slug(), "limit": limit.as_secs_f64()}),
        ),
        E::Killing { reason } => ("killing", json!({"reason": reason.slug()})),
        E::Again { text, delay } => ("again", json!({"text": text, "delay": delay.as_secs_f64()})),
        E::Stalled { text } => ("stalled", json!({"text": text})),
        E::Trouble { text } => ("trouble", json!({"text": text})),
        E::Ended(outcome) => ("ended", json!({"outcome": records::of(outcome.as_ref())})),
        E::Lagged(count) => ("lagged", json!({"count": count})),
        _ => ("other", json!({})),
    }
}
