//! What the end of an attempt means: what the coordinator told decides first, exit codes second.
//!
//! Not here: how it is found out (`watch`).

use super::{OutcomeKind, Reason};
use crate::{
    process::{Exit, FAIL_CODE},
    server::{ComputationEvent, Event},
};

/// What was seen of a computation until its processes had ended.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    /// A worker was connected.
    pub(super) joined: bool,
    /// The program itself was, and not only what starts it.
    ran: bool,
    /// DMTCP said that it ends a process, since it failed, or cannot be heard.
    pub(super) dmtcp_failed: bool,
    /// All workers were told to exit, by whomever, or the coordinator was.
    pub(super) told_to_exit: bool,
    /// Their images were reported and they have not come to run again.
    behind_images: bool,
    /// These images became a set.
    behind_set: bool,
    /// A round is over for the processes and its set not yet there.
    sealing: bool,
}

impl Seen {
    /// `restarted`: all processes have been seen to run.
    pub(super) fn of(restarted: bool) -> Self {
        Self {
            joined: restarted,
            ran: restarted,
            ..Self::default()
        }
    }

    /// Whether the processes stand behind a complete set and have not gone on.
    pub(super) fn is_behind_set(&self) -> bool {
        self.behind_set
    }

    pub(super) fn note(&mut self, event: &ComputationEvent) {
        match event {
            ComputationEvent::Coordinator(event) => match event {
                Event::WorkerJoined(_) => self.joined = true,
                Event::WorkerUpdated(_) => (self.joined, self.ran) = (true, true),
                Event::Killing { .. } | Event::QuitRequested => self.told_to_exit = true,
                Event::ImagesReported { .. } => {
                    (self.behind_images, self.behind_set) = (true, false);
                    self.sealing = true;
                }
                Event::CheckpointComplete { .. } | Event::CheckpointFailed { .. } => {
                    self.sealing = false;
                }
                Event::Resumed => (self.behind_images, self.behind_set) = (false, false),
                _ => {}
            },
            ComputationEvent::SetSealed { .. } => self.behind_set = self.behind_images,
            _ => {}
        }
    }

    /// Whether it is still to come what became of the images that the processes have left.
    pub(super) fn is_sealing(&self) -> bool {
        self.sealing
    }
}

/// What follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Over {
        kind: OutcomeKind,
        reason: Reason,
        exit: Option<Exit>,
        text: String,
    },
    /// The sets are for that.
    Again(String),
}

/// `stopping`: who asked for the last checkpoint, if somebody in this process did.
pub(super) fn judge(seen: &Seen, exits: &[Exit], stopping: Option<Reason>) -> Verdict {
    let is_bad = |exit: &&Exit| **exit != Exit::Code(0);
    let exit = exits.iter().find(is_bad).or_else(|| exits.first()).copied();
    let over = |kind, reason, exit, text: String| Verdict::Over {
        kind,
        reason,
        exit,
        text,
    };
    let is_of_a_kill = match exit {
        // Stock workers that are told to exit, native ones that lost their coordinator, DMTCP that
        // did, and what had to be killed since no message could free it.
        None | Some(Exit::Code(0 | NATIVE_LOST | FAIL_CODE) | Exit::Signal(SIGKILL)) => true,
        Some(_) => false,
    };
    let is_of_a_checkpoint = exit.is_none_or(|exit| exit == Exit::Code(0)) || seen.told_to_exit;
    if seen.behind_set && is_of_a_kill && is_of_a_checkpoint {
        let reason = stopping.unwrap_or(Reason::Command);
        let text = "a complete set was taken and the program stopped";
        return over(OutcomeKind::Checkpointed, reason, None, text.to_owned());
    }
    if seen.told_to_exit && is_of_a_kill {
        let text = "the program was ended through its coordinator, without a checkpoint";
        return over(
            OutcomeKind::TryAgain,
            stopping.unwrap_or(Reason::Command),
            None,
            text.to_owned(),
        );
    }
    match exit {
        Some(Exit::Code(FAIL_CODE)) if seen.ran && seen.dmtcp_failed => Verdict::Again(format!(
            "DMTCP failed, or lost its coordinator: {}",
            Exit::Code(FAIL_CODE)
        )),
        Some(exit @ Exit::Code(FAIL_CODE)) if !seen.ran => over(
            OutcomeKind::FailedBeforeReady,
            Reason::DmtcpFailed,
            Some(exit),
            format!("it could not be started under DMTCP: {exit}"),
        ),
        exit if !seen.joined => {
            let how = exit.map_or_else(String::new, |exit| format!(" with {exit}"));
            over(
                OutcomeKind::FailedBeforeReady,
                Reason::EndedBeforeReady,
                exit,
                format!("it ended{how} before it ran under its coordinator"),
            )
        }
        Some(exit @ Exit::Signal(_)) => over(
            OutcomeKind::KilledBySignal,
            Reason::Signal,
            Some(exit),
            format!("the program was ended by {exit}"),
        ),
        exit => {
            let exit = exit.unwrap_or(Exit::Code(0));
            over(
                OutcomeKind::Finished,
                Reason::Exit,
                Some(exit),
                // Not what a code means that DMTCP has, too.
                format!("the program finished with exit code {}", exit.shell_code()),
            )
        }
    }
}

const SIGKILL: i32 = 9;
/// [`native::Error::exit_code`](crate::native::Error::exit_code) of one that lost its coordinator.
const NATIVE_LOST: i32 = 99;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dmtcp_proto::RoundError;

    use super::*;
    use crate::server::SealedSet;

    fn sealed() -> ComputationEvent {
        ComputationEvent::SetSealed {
            round: 1,
            set: SealedSet::new(1, "sets/000001"),
            took: Duration::ZERO,
        }
    }

    fn core(event: Event) -> ComputationEvent {
        ComputationEvent::Coordinator(event)
    }

    fn reported() -> ComputationEvent {
        core(Event::ImagesReported { round: 1 })
    }

    fn killing() -> ComputationEvent {
        core(Event::Killing { workers: 1 })
    }

    fn failed() -> ComputationEvent {
        core(Event::CheckpointFailed {
            round: 1,
            generation: 1,
            reason: RoundError::Killed,
        })
    }

    fn seen(events: &[ComputationEvent]) -> Seen {
        let mut seen = Seen::of(true);
        events.iter().for_each(|event| seen.note(event));
        seen
    }

    fn kind(seen: &Seen, exit: Exit, stopping: Option<Reason>) -> (OutcomeKind, Reason) {
        match judge(seen, &[exit], stopping) {
            Verdict::Over { kind, reason, .. } => (kind, reason),
            Verdict::Again(text) => panic!("again: {text}"),
        }
    }

    #[test]
    fn the_programs_own_end_is_its_own() {
        let seen = seen(&[reported(), sealed(), core(Event::Resumed)]);
        for (exit, expected) in [
            (Exit::Code(0), (OutcomeKind::Finished, Reason::Exit)),
            (Exit::Code(7), (OutcomeKind::Finished, Reason::Exit)),
            (Exit::Code(85), (OutcomeKind::Finished, Reason::Exit)),
            (
                Exit::Signal(9),
                (OutcomeKind::KilledBySignal, Reason::Signal),
            ),
        ] {
            assert_eq!(kind(&seen, exit, None), expected, "{exit}");
        }
    }

    #[test]
    fn of_several_the_bad_end_counts() {
        let Verdict::Over { exit, .. } = judge(&seen(&[]), &[Exit::Code(0), Exit::Code(3)], None)
        else {
            panic!("again");
        };
        assert_eq!(exit, Some(Exit::Code(3)));
    }

    #[test]
    fn an_end_behind_a_set_is_a_checkpoint_whoever_asked() {
        // Workers of some dialects leave by themselves, and are told nothing.
        for events in [
            &[reported(), sealed()][..],
            &[reported(), sealed(), killing()],
        ] {
            let seen = seen(events);
            for (asked, reason) in [
                (None, Reason::Command),
                (Some(Reason::Deadline), Reason::Deadline),
            ] {
                assert_eq!(
                    kind(&seen, Exit::Code(0), asked),
                    (OutcomeKind::Checkpointed, reason)
                );
            }
            // It had ended by itself before.
            assert_eq!(
                kind(&seen, Exit::Code(7), None),
                (OutcomeKind::Finished, Reason::Exit)
            );
        }
    }

    #[test]
    fn a_kill_is_no_success() {
        for (events, exit) in [
            (&[killing()][..], Exit::Code(0)),
            (&[core(Event::QuitRequested)], Exit::Code(FAIL_CODE)),
            (&[core(Event::QuitRequested)], Exit::Code(NATIVE_LOST)),
            (&[killing()], Exit::Signal(SIGKILL)),
            // The set was not made.
            (&[reported(), failed(), killing()], Exit::Code(0)),
            // It had run on for a while.
            (
                &[reported(), sealed(), core(Event::Resumed), killing()],
                Exit::Code(0),
            ),
        ] {
            assert_eq!(
                kind(&seen(events), exit, None),
                (OutcomeKind::TryAgain, Reason::Command)
            );
        }
        assert_eq!(
            kind(&seen(&[killing()]), Exit::Code(7), None),
            (OutcomeKind::Finished, Reason::Exit)
        );
    }

    #[test]
    fn dmtcps_own_failure_is_not_the_programs() {
        let exit = [Exit::Code(FAIL_CODE)];
        let failed = Seen {
            dmtcp_failed: true,
            ..seen(&[])
        };
        assert!(matches!(judge(&failed, &exit, None), Verdict::Again(_)));
        // It returns that code by itself: DMTCP would have said why it does.
        let Verdict::Over {
            kind: own, text, ..
        } = judge(&seen(&[]), &exit, None)
        else {
            panic!("again");
        };
        assert_eq!(own, OutcomeKind::Finished);
        assert_eq!(text, "the program finished with exit code 198");
        // `dmtcp_launch` is connected before it looks for the program.
        for joined in [false, true] {
            let seen = Seen {
                joined,
                ..Seen::default()
            };
            assert_eq!(
                kind(&seen, Exit::Code(FAIL_CODE), None),
                (OutcomeKind::FailedBeforeReady, Reason::DmtcpFailed)
            );
        }
        assert_eq!(
            kind(&Seen::default(), Exit::Code(1), None),
            (OutcomeKind::FailedBeforeReady, Reason::EndedBeforeReady)
        );
    }

    #[test]
    fn images_that_are_being_sealed_are_waited_for() {
        assert!(seen(&[reported()]).is_sealing());
        assert!(!seen(&[reported(), failed()]).is_sealing());
    }
}
