//! The few words of DMTCP's own log that scripts look for, put in front of ours.

use dmtcp_client::server::{ComputationEvent, Event};

/// What is known of the latest round.
#[derive(Debug, Default)]
pub(super) struct KnownWords {
    complete: bool,
    resumed: bool,
}

impl KnownWords {
    /// The words for this event, if there are any.
    pub(super) fn of(&mut self, event: &ComputationEvent) -> Option<&'static str> {
        let event = match event {
            ComputationEvent::Coordinator(event) => event,
            // A round may have begun or failed among those that were lost.
            ComputationEvent::Lagged(_) => {
                *self = Self::default();
                return None;
            }
            _ => return None,
        };
        match event {
            Event::CheckpointStarted { .. } => {
                *self = Self::default();
                Some(STARTS)
            }
            // It may have failed before anybody was told, and so have begun without news.
            Event::CheckpointFailed { .. } => {
                *self = Self::default();
                None
            }
            // They run while their images are looked at, so that either may come first.
            Event::CheckpointComplete { .. } => {
                self.complete = true;
                self.resumed.then_some(COMPLETE)
            }
            Event::Resumed => {
                self.resumed = true;
                Some(if self.complete { BOTH } else { RESUMED })
            }
            Event::RestartStarted { .. } => Some(RESTARTS),
            Event::RestartComplete { .. } => Some(RESUMED),
            _ => None,
        }
    }
}

const STARTS: &str = "starting checkpoint; incrementing generation";
const COMPLETE: &str = "Checkpoint complete; all workers running";
const RESUMED: &str = "Worker resumed execution";
const BOTH: &str = "Worker resumed execution. Checkpoint complete; all workers running";
const RESTARTS: &str = "FIRST restart connection";

#[cfg(test)]
mod tests {
    use super::*;
    use dmtcp_proto::RoundError;

    fn said(events: impl IntoIterator<Item = Event>) -> Vec<&'static str> {
        let mut words = KnownWords::default();
        let events = events.into_iter().map(ComputationEvent::Coordinator);
        events.filter_map(|event| words.of(&event)).collect()
    }

    fn started() -> Event {
        Event::CheckpointStarted {
            round: 1,
            generation: 1,
            workers: 1,
        }
    }

    fn complete() -> Event {
        Event::CheckpointComplete {
            round: 1,
            generation: 1,
            images: [].into(),
        }
    }

    #[test]
    fn it_is_complete_once_the_images_are_there_and_all_run() {
        let said_then = said([started(), complete(), Event::Resumed]);
        assert_eq!(said_then, [STARTS, BOTH]);
        let said_then = said([started(), Event::Resumed, complete()]);
        assert_eq!(said_then, [STARTS, RESUMED, COMPLETE]);
    }

    #[test]
    fn a_failed_round_is_never_complete() {
        let failed = Event::CheckpointFailed {
            round: 2,
            generation: 2,
            reason: RoundError::Killed,
        };
        let said_then = said([complete(), started(), failed.clone(), Event::Resumed]);
        assert_eq!(said_then, [STARTS, RESUMED]);
        // Before anybody was told to checkpoint.
        let first = [started(), complete(), Event::Resumed];
        let said_then = said(first.into_iter().chain([failed, Event::Resumed]));
        assert_eq!(said_then, [STARTS, BOTH, RESUMED]);
    }

    #[test]
    fn what_was_lost_is_not_made_up() {
        let mut words = KnownWords::default();
        words.of(&ComputationEvent::Coordinator(complete()));
        words.of(&ComputationEvent::Lagged(3));
        let resumed = ComputationEvent::Coordinator(Event::Resumed);
        assert_eq!(words.of(&resumed), Some(RESUMED));
    }
}
