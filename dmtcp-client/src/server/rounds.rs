//! How the last round ended, so that an answer can say more than the protocol's.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use dmtcp_proto::{CommandError, Event, ImageReport, Name, Reply, RoundError};

use super::{SealedSet, ServerError};

/// A complete checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sealed {
    /// Number of the round.
    pub round: u64,
    /// Generation of the computation.
    pub generation: u32,
    /// One report for each worker of the round. They name the images as the workers wrote them;
    /// the next round may replace those files, the set stays.
    pub images: Arc<[ImageReport]>,
    /// The set; `None` if the computation was opened without a sealer.
    pub set: Option<SealedSet>,
    /// How long sealing took.
    pub sealing: Duration,
}

/// What a request is answered with.
#[derive(Debug)]
pub(super) enum Answered {
    Reply(Reply),
    Sealed(Sealed),
}

/// What is known of the latest round.
#[derive(Debug, Default)]
pub(super) struct RoundLog {
    started: Option<SystemTime>,
    /// Those of the latest round, with the time that each took.
    barriers: Vec<(Name, Duration)>,
    latest_step: Option<Instant>,
    /// Sealed, and not yet told to be complete.
    set: Option<(u64, SealedSet, Duration)>,
    ended: Option<Ended>,
}

#[derive(Debug)]
enum Ended {
    Complete(Sealed),
    Failed {
        round: u64,
        generation: u32,
        reason: RoundError,
    },
}

impl RoundLog {
    /// When the latest round began.
    pub(super) fn started(&self) -> SystemTime {
        self.started.unwrap_or_else(SystemTime::now)
    }

    /// The barriers of the latest round that were released, and how long each took.
    pub(super) fn barriers(&self) -> &[(Name, Duration)] {
        &self.barriers
    }

    pub(super) fn sealed(&mut self, round: u64, set: SealedSet, took: Duration) {
        self.set = Some((round, set, took));
    }

    pub(super) fn note(&mut self, event: &Event) {
        match event {
            Event::CheckpointStarted { .. } => {
                self.started = Some(SystemTime::now());
                self.barriers.clear();
                self.latest_step = Some(Instant::now());
            }
            Event::BarrierReleased { name, .. } => {
                let now = Instant::now();
                if let Some(before) = self.latest_step.replace(now) {
                    self.barriers.push((*name, now - before));
                }
            }
            Event::CheckpointComplete {
                round,
                generation,
                images,
            } => {
                let sealed = self.set.take().filter(|(sealed, ..)| sealed == round);
                let (set, sealing) =
                    sealed.map_or((None, Duration::ZERO), |(_, set, took)| (Some(set), took));
                self.ended = Some(Ended::Complete(Sealed {
                    round: *round,
                    generation: *generation,
                    images: Arc::clone(images),
                    set,
                    sealing,
                }));
            }
            Event::CheckpointFailed {
                round,
                generation,
                reason,
            } => {
                self.ended = Some(Ended::Failed {
                    round: *round,
                    generation: *generation,
                    reason: reason.clone(),
                });
            }
            _ => {}
        }
    }

    /// The core's answer with what is known of the round it speaks of.
    pub(super) fn answer(
        &self,
        result: Result<Reply, CommandError>,
    ) -> Result<Answered, ServerError> {
        match result {
            Ok(Reply::Checkpointed(checkpointed)) => match &self.ended {
                Some(Ended::Complete(sealed)) if checkpointed.round == Some(sealed.round) => {
                    Ok(Answered::Sealed(sealed.clone()))
                }
                _ => Err(ServerError::Mismatch {
                    what: "a checkpoint's end without its event",
                }),
            },
            Ok(reply) => Ok(Answered::Reply(reply)),
            Err(CommandError::Busy { round, generation }) => {
                Err(ServerError::Busy { round, generation })
            }
            Err(CommandError::NotRunning) => Err(ServerError::NotRunning),
            Err(CommandError::CheckpointFailed { reason: text }) => match &self.ended {
                Some(Ended::Failed {
                    round,
                    generation,
                    reason,
                }) => Err(ServerError::CheckpointFailed {
                    round: *round,
                    generation: *generation,
                    reason: Box::new(reason.clone()),
                }),
                _ => Err(ServerError::Refused(CommandError::CheckpointFailed {
                    reason: text,
                })),
            },
            Err(error) => Err(ServerError::Refused(error)),
        }
    }
}
