//! Timelines in Chrome's trace event format, which <https://ui.perfetto.dev> and
//! `chrome://tracing` show.

use std::{
    borrow::Borrow,
    collections::BTreeSet,
    io::{self, Write},
    path::Path,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use serde_json::{Value, json};

use super::{
    ReportError,
    timeline::{BarrierPassage, RoundOutcome, RoundTimeline, Step, WorkerTrack},
};
use crate::durable;

/// Rounds as a file to look at: open <https://ui.perfetto.dev> (nothing is uploaded) or
/// `chrome://tracing` and drop the file there.
///
/// Each host is a group and each of its workers a line in it. A worker's time at a barrier is a
/// slice with the barrier's name, its way there one that is called `to` that barrier, and its way
/// to the image it reports `image`. So who makes a checkpoint slow is the line with the long way
/// and the short wait: its way is marked `(last)`. The group `coordinator` has the rounds, the
/// time between the barriers' releases, and the sealing.
///
/// ```
/// use dmtcp_client::server::{ChromeTrace, ComputationConfig, Server};
///
/// let server = Server::start()?;
/// let computation = server.open(ComputationConfig::default())?;
/// let timelines = computation.timelines()?;
/// let mut text = Vec::new();
/// ChromeTrace::of(&timelines).write(&mut text)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ChromeTrace<'a> {
    timelines: &'a [Arc<RoundTimeline>],
}

impl RoundTimeline {
    /// This round as a [`ChromeTrace`]: JSON, in UTF-8.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_chrome_trace(&self, out: &mut impl Write) -> io::Result<()> {
        write(&[self], out)
    }
}

impl<'a> ChromeTrace<'a> {
    /// These rounds of one computation, oldest first.
    #[must_use]
    pub fn of(timelines: &'a [Arc<RoundTimeline>]) -> Self {
        Self { timelines }
    }

    /// Writes it as JSON, in UTF-8.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        write(self.timelines, out)
    }

    /// Writes it to a file, which only its owner can read. It is whole or as before at any time:
    /// it is written aside, as `<path>.temp`, synced and renamed.
    ///
    /// # Errors
    /// [`ReportError::File`].
    pub fn write_file(&self, path: &Path) -> Result<(), ReportError> {
        durable::write_aside(path, |file| {
            let mut file = io::BufWriter::new(file);
            self.write(&mut file)?;
            file.flush()
        })?;
        Ok(())
    }
}

/// A group of lines; viewers take 0 for the idle process.
pub(super) const COORDINATOR: u64 = 1;
const FIRST_HOST: u64 = 2;
/// Lines of the coordinator. Those of workers come behind, since viewers want one number for one
/// line in the whole file.
pub(super) const ROUNDS: u64 = 1;
pub(super) const BARRIERS: u64 = 2;
pub(super) const SEALING: u64 = 3;
const FIRST_WORKER: u64 = 10;

fn write<T: Borrow<RoundTimeline>>(timelines: &[T], out: &mut impl Write) -> io::Result<()> {
    let Some(first) = timelines.first().map(Borrow::borrow) else {
        return out.write_all(b"{\"traceEvents\":[]}\n");
    };
    let started = first.started.duration_since(UNIX_EPOCH);
    let about = json!({ "first_round_started_unix_ms": millis(started.unwrap_or_default()) });
    write!(
        out,
        "{{\"displayTimeUnit\":\"ms\",\"otherData\":{about},\"traceEvents\":["
    )?;
    let mut events = Events { out, any: false };
    let mut hosts = Vec::new();
    let mut lines = BTreeSet::new();
    events.group(COORDINATOR, "coordinator")?;
    for (line, name) in [
        (ROUNDS, "rounds"),
        (BARRIERS, "barriers"),
        (SEALING, "sealing"),
    ] {
        events.line(COORDINATOR, line, name)?;
    }
    for timeline in timelines.iter().map(Borrow::borrow) {
        let from = timeline.began - first.began;
        coordinator(&mut events, timeline, from)?;
        for track in &timeline.tracks {
            let known = hosts.iter().position(|host| *host == track.host);
            let group = FIRST_HOST + known.unwrap_or(hosts.len()) as u64;
            if known.is_none() {
                hosts.push(Arc::clone(&track.host));
                events.group(group, or_unknown(&track.host))?;
            }
            let place = (group, FIRST_WORKER + track.number);
            if lines.insert(place) {
                let name = format!("{} (pid {})", or_unknown(&track.program), track.real_pid);
                events.line(place.0, place.1, &name)?;
            }
            worker(&mut events, place, timeline, track, from)?;
        }
    }
    events.out.write_all(b"\n]}\n")
}

fn coordinator<W: Write>(
    events: &mut Events<'_, W>,
    timeline: &RoundTimeline,
    from: Duration,
) -> io::Result<()> {
    let length = timeline.length();
    let outcome = match &timeline.outcome {
        RoundOutcome::UnderWay => "under way".to_owned(),
        RoundOutcome::Complete { .. } => "complete".to_owned(),
        RoundOutcome::Failed { reason, .. } => format!("failed: {reason}"),
    };
    let about = json!({
        "round": timeline.round,
        "generation": timeline.generation,
        "workers": timeline.workers,
        "workers_left_out": timeline.workers_cut,
        "outcome": outcome,
    });
    let name = format!("round {}", timeline.round);
    let place = (COORDINATOR, ROUNDS);
    events.slice(place, &name, (from, Duration::ZERO, length), about)?;
    if let Some(at) = timeline.images_reported {
        events.instant(place, "all images reported", from + at)?;
    }
    if let Some(at) = timeline.resumed {
        events.instant(place, "all workers run", from + at)?;
    }
    let mut since = Duration::ZERO;
    for barrier in &timeline.barriers {
        let until = barrier.released.unwrap_or(length);
        let last = timeline.track(barrier.last_worker);
        let about = json!({
            "first_there_us": micros(barrier.first),
            "last_there_us": micros(barrier.last),
            "last_worker": barrier.last_worker,
            "last_program": last.map(|track| &*track.program),
            "last_host": last.map(|track| &*track.host),
            "last_real_pid": last.map(|track| track.real_pid),
            "released": barrier.released.is_some(),
            "workers": barrier.peers,
        });
        let name = barrier.name.to_string();
        events.slice((COORDINATOR, BARRIERS), &name, (from, since, until), about)?;
        since = until;
    }
    if let Some(sealing) = timeline.sealing {
        let span = (from, sealing.began, sealing.ended.unwrap_or(length));
        events.slice((COORDINATOR, SEALING), "sealing", span, json!({}))?;
    }
    Ok(())
}

fn worker<W: Write>(
    events: &mut Events<'_, W>,
    place: (u64, u64),
    timeline: &RoundTimeline,
    track: &WorkerTrack,
    from: Duration,
) -> io::Result<()> {
    let end = track.left.unwrap_or_else(|| timeline.length());
    let mut since = track.joined.unwrap_or_default();
    for step in &track.steps {
        let at = step.at;
        let barrier = |index: u32| timeline.barriers.get(index as usize);
        let way = match step.step {
            Step::Barrier(index) => {
                let Some(barrier) = barrier(index) else {
                    continue;
                };
                format!("to {}{}", barrier.name, last_mark(barrier, track, at))
            }
            Step::ImageReported => "image".to_owned(),
            Step::Running => "resume".to_owned(),
        };
        events.slice(place, &way, (from, since, at), json!({}))?;
        since = at;
        if let Step::Barrier(index) = step.step {
            let Some(barrier) = barrier(index) else {
                continue;
            };
            // Where it is later than the release, the worker only catches up.
            let until = barrier.released.unwrap_or(end);
            if until > at {
                let name = barrier.name.to_string();
                let about = json!({ "barrier": index, "released": barrier.released.is_some() });
                events.slice(place, &name, (from, at, until), about)?;
                since = until;
            }
        }
    }
    match track.left {
        Some(at) => events.instant(place, "connection ended", from + at),
        None => Ok(()),
    }
}

fn last_mark(barrier: &BarrierPassage, track: &WorkerTrack, at: Duration) -> &'static str {
    let is_last = barrier.last_worker == track.number && barrier.last == at;
    // One that is alone keeps nobody waiting.
    if is_last && barrier.first < barrier.last {
        " (last)"
    } else {
        ""
    }
}

fn or_unknown(name: &str) -> &str {
    if name.is_empty() { "unknown" } else { name }
}

fn micros(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1000.0
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The list of events, written one by one: a large computation has hundreds of thousands.
struct Events<'a, W> {
    out: &'a mut W,
    any: bool,
}

impl<W: Write> Events<'_, W> {
    fn group(&mut self, group: u64, name: &str) -> io::Result<()> {
        let about = json!({ "name": name });
        self.write(&json!({ "ph": "M", "name": "process_name", "pid": group, "args": about }))?;
        let about = json!({ "sort_index": group });
        self.write(&json!({ "ph": "M", "name": "process_sort_index", "pid": group, "args": about }))
    }

    fn line(&mut self, group: u64, line: u64, name: &str) -> io::Result<()> {
        let named = |what, about| json!({ "ph": "M", "name": what, "pid": group, "tid": line, "args": about });
        self.write(&named("thread_name", json!({ "name": name })))?;
        self.write(&named("thread_sort_index", json!({ "sort_index": line })))
    }

    /// `span`: the beginning of the round, and in it the beginning and the end of the slice.
    fn slice(
        &mut self,
        (group, line): (u64, u64),
        name: &str,
        (round, begin, end): (Duration, Duration, Duration),
        about: Value,
    ) -> io::Result<()> {
        self.write(&json!({
            "ph": "X",
            "name": name,
            "cat": "checkpoint",
            "pid": group,
            "tid": line,
            "ts": micros(round + begin),
            "dur": micros(end.saturating_sub(begin)),
            "args": about,
        }))
    }

    fn instant(&mut self, (group, line): (u64, u64), name: &str, at: Duration) -> io::Result<()> {
        self.write(&json!({
            "ph": "i",
            "s": "t",
            "name": name,
            "cat": "checkpoint",
            "pid": group,
            "tid": line,
            "ts": micros(at),
        }))
    }

    fn write(&mut self, event: &Value) -> io::Result<()> {
        let between: &[u8] = if self.any { b",\n" } else { b"\n" };
        self.any = true;
        self.out.write_all(between)?;
        serde_json::to_writer(&mut *self.out, event)?;
        Ok(())
    }
}
