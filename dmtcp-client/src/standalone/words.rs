//! What happens in a computation, in words for a log.

use crate::server::{ComputationEvent, Event};
use dmtcp_proto::WorkerInfo;
use std::time::{SystemTime, UNIX_EPOCH};

/// Who wants to read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Importance {
    /// The ordinary course of things.
    Note,
    /// Something went wrong or was refused.
    Warning,
}

/// The event in one line; `None`: too small for a log.
#[must_use]
pub fn in_words(event: &ComputationEvent) -> Option<(Importance, String)> {
    use Importance::{Note, Warning};
    Some(match event {
        ComputationEvent::Coordinator(event) => return core_in_words(event),
        ComputationEvent::SetSealed { set, took, .. } => {
            let script = set.directory.display();
            (Note, format!("restart script {script}, after {took:.2?}"))
        }
        ComputationEvent::PeerRefused { peer, reason } => {
            (Warning, format!("{peer} may not connect: {reason}"))
        }
        ComputationEvent::Stalled(stall) => (Warning, stall.to_string()),
        ComputationEvent::PeerNotReading { peer, queued, .. } => (
            Warning,
            format!("{peer} did not read {queued} bytes and was cut off"),
        ),
        ComputationEvent::ProcessKilled(worker) => (
            Warning,
            format!("{} could not be freed and was killed", name(worker)),
        ),
        ComputationEvent::ProcessSpared { worker, reason } => (
            Warning,
            format!("{} cannot be freed; end it: {reason:?}", name(worker)),
        ),
        ComputationEvent::AcceptPaused { reason, .. } => {
            (Warning, format!("no new connections for now: {reason}"))
        }
        ComputationEvent::AcceptResumed => (Note, "new connections again".to_owned()),
        ComputationEvent::Lagged(count) => (Warning, format!("{count} events were not logged")),
    })
}

fn core_in_words(event: &Event) -> Option<(Importance, String)> {
    use Importance::{Note, Warning};
    Some(match event {
        Event::WorkerJoined(worker) => (Note, format!("{} joined", name(worker))),
        Event::WorkerLeft(worker) => (Note, format!("{} left", name(worker))),
        Event::ComputationEnded { computation } => {
            (Note, format!("computation {computation} ended"))
        }
        Event::Refused { conn, reason } => (
            Warning,
            format!("connection {} was refused: {reason:?}", conn.0),
        ),
        Event::PeerMisbehaved { conn, error } => (
            Warning,
            format!("connection {} was cut off: {error}", conn.0),
        ),
        Event::PeerSilent { conn } => (
            Warning,
            format!("connection {} said nothing and was cut off", conn.0),
        ),
        Event::CheckpointStarted {
            generation,
            workers,
            ..
        } => (
            Note,
            format!("checkpoint {generation} of {workers} processes began"),
        ),
        Event::CheckpointComplete {
            generation, images, ..
        } => (
            Note,
            format!(
                "checkpoint {generation} is complete: {} images",
                images.len()
            ),
        ),
        Event::CheckpointFailed {
            generation, reason, ..
        } => (Warning, format!("checkpoint {generation} failed: {reason}")),
        Event::RestartStarted {
            computation,
            expected,
        } => (
            Note,
            format!("restart of {computation} with {expected} processes"),
        ),
        Event::RestartComplete { peers } => (Note, format!("all {peers} processes run again")),
        Event::Killing { workers } => (Note, format!("{workers} processes are told to exit")),
        Event::QuitRequested => (Note, "told to quit".to_owned()),
        _ => return None,
    })
}

fn name(worker: &WorkerInfo) -> String {
    let shown = |text: &str| text.escape_debug().to_string();
    format!(
        "{} ({}, pid {} on {})",
        shown(&worker.program),
        worker.id,
        worker.real_pid,
        shown(&worker.host)
    )
}

/// The same to the millisecond in ISO 8601, as `2026-11-22T15:14:50.123Z`.
pub(crate) fn utc_millis(time: SystemTime) -> String {
    let millis = time
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .subsec_millis();
    format!("{}.{millis:03}Z", utc(time).replace(' ', "T"))
}

/// A moment in UTC, as `2026-11-22 15:14:50`.
#[must_use]
pub fn utc(time: SystemTime) -> String {
    let seconds = time
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    // Days since 0000-03-01, so that a leap day is the last of its year; 400 years have 146,097.
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let (month, next) = match from_march {
        0..=9 => (from_march + 3, 0),
        _ => (from_march - 9, 1),
    };
    let year = year_of_era + era * 400 + next;
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn moments() {
        for (seconds, shown) in [
            (0, "1970-01-01 00:00:00"),
            (951_782_399, "2000-02-28 23:59:59"),
            (951_782_400, "2000-02-29 00:00:00"),
            (951_868_800, "2000-03-01 00:00:00"),
            (1_763_823_600, "2025-11-22 15:00:00"),
            (4_107_542_400, "2100-03-01 00:00:00"),
        ] {
            assert_eq!(utc(UNIX_EPOCH + Duration::from_secs(seconds)), shown);
        }
    }
}
