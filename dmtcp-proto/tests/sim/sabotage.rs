//! Bugs put in on purpose, between the core and the world: each must be found by its rule.

use std::sync::Arc;

use dmtcp_proto::{
    Body, Checkpointed, ConnId, Dialect, Event, Message, Output, Released, Reply, RequestId,
    UniquePid,
};

use crate::network::{packet, packets};

/// What a wrong coordinator would do, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sabotage {
    /// Releases a worker from its barrier twice.
    ReleaseTwice,
    /// Releases the first worker that is told to checkpoint from its first barrier at once.
    ReleaseEarly,
    /// Forgets who waits for the end of the round.
    ForgetWaiter,
    /// Answers twice.
    AnswerTwice,
    /// Leaves an image out of the set.
    DropImage,
    /// Answers when the images are reported.
    AnswerBeforeSealed,
    /// Does not notice that a worker is gone in a round.
    MissTheEnd,
    /// Goes on with a round that has lost a worker.
    ForgetLoss,
    /// Does not kill who waits for a dead one.
    SpareTheStuck,
    /// Gives the generation of the round before.
    OldGeneration,
    /// Cuts who is given up on off, and does not kill it.
    SpareTheGivenUp,
    /// Kills the next one, too.
    KillABystander,
    /// Makes a set without those that are given up on.
    SealWithoutTheLate,
    /// Gives up on a round in the place of the one before it.
    TakeAnyRound,
}

/// What is done, and what has to be remembered for it.
#[derive(Clone, Debug)]
pub(crate) struct Saboteur {
    plan: Option<Sabotage>,
    waiter: Option<RequestId>,
    in_round: bool,
    giving_up: bool,
    /// A round whose failure is kept from the world.
    failed: Option<(u64, u32)>,
}

impl Saboteur {
    pub(crate) const NONE: Self = Self {
        plan: None,
        waiter: None,
        in_round: false,
        giving_up: false,
        failed: None,
    };

    pub(crate) fn with(plan: Sabotage) -> Self {
        Self {
            plan: Some(plan),
            ..Self::NONE
        }
    }

    pub(crate) fn waits(&mut self, id: u64) {
        self.waiter = Some(RequestId(id));
    }

    /// The embedding program gives up on some; in which round, as the core is told.
    pub(crate) fn gives_up(&mut self, round: u64, current: u64) -> u64 {
        self.giving_up = true;
        if self.plan == Some(Sabotage::TakeAnyRound) && round != current {
            self.plan = None;
            return current;
        }
        round
    }

    /// Whether the end of this connection is kept from the core.
    pub(crate) fn swallows_end(&mut self, conn: u64) -> bool {
        let swallows = self.in_round && conn <= WORKERS && self.plan == Some(Sabotage::MissTheEnd);
        if swallows {
            self.plan = None;
        }
        swallows
    }

    pub(crate) fn bend(&mut self, outputs: Vec<Output>, dialect: Dialect) -> Vec<Output> {
        let giving_up = std::mem::take(&mut self.giving_up);
        let Some(plan) = self.plan else {
            return outputs;
        };
        let mut bent = Vec::new();
        for output in outputs.into_iter().flat_map(one_by_one) {
            if matches!(output, Output::Seal { .. }) {
                self.in_round = false;
            }
            if self.plan.is_some() && giving_up {
                self.one_of_giving_up(plan, output, &mut bent);
            } else if self.plan.is_some() {
                self.one(plan, output, dialect, &mut bent);
            } else {
                bent.push(output);
            }
        }
        bent
    }

    fn one(&mut self, plan: Sabotage, output: Output, dialect: Dialect, bent: &mut Vec<Output>) {
        match (plan, output) {
            (_, Output::Transmit { conn, bytes }) if conn.0 <= WORKERS => {
                self.message(plan, conn, &bytes, dialect, bent);
            }
            (Sabotage::ForgetWaiter, Output::Reply { id, .. }) if Some(id) == self.waiter => {
                self.plan = None;
            }
            (Sabotage::AnswerTwice, Output::Reply { id, result }) if Some(id) == self.waiter => {
                let (again, twice) = (result.clone(), id);
                bent.push(Output::Reply { id, result });
                bent.push(Output::Reply {
                    id: twice,
                    result: again,
                });
                self.plan = None;
            }
            (
                Sabotage::DropImage,
                Output::Seal {
                    round,
                    computation,
                    images,
                },
            ) => {
                let (_, all_but_one) = images.split_last().expect("the image of somebody");
                bent.push(Output::Seal {
                    round,
                    computation,
                    images: all_but_one.into(),
                });
                self.plan = None;
            }
            (
                Sabotage::AnswerBeforeSealed,
                Output::Seal {
                    round,
                    computation,
                    images,
                },
            ) => {
                let done = Checkpointed::new(images.len() as u32, Some(round));
                bent.push(Output::Seal {
                    round,
                    computation,
                    images,
                });
                bent.extend(self.waiter.map(|id| Output::Reply {
                    id,
                    result: Ok(Reply::Checkpointed(done)),
                }));
                self.plan = None;
            }
            (Sabotage::ForgetLoss, Output::Event(Event::CheckpointFailed { .. })) => {
                self.plan = None;
            }
            // Its connection is closed without it.
            (Sabotage::SpareTheStuck, Output::KillProcess { .. }) => self.plan = None,
            (_, output) => bent.push(output),
        }
    }

    fn one_of_giving_up(&mut self, plan: Sabotage, output: Output, bent: &mut Vec<Output>) {
        match (plan, output) {
            (Sabotage::SpareTheGivenUp, Output::KillProcess { .. }) => self.plan = None,
            (Sabotage::KillABystander, Output::KillProcess { conn, worker }) => {
                let next = ConnId(if conn.0 == 1 { 2 } else { 1 });
                let bystander = worker.clone();
                bent.push(Output::KillProcess { conn, worker });
                bent.push(Output::KillProcess {
                    conn: next,
                    worker: bystander,
                });
                self.plan = None;
            }
            (
                Sabotage::SealWithoutTheLate,
                Output::Event(Event::CheckpointFailed {
                    round, generation, ..
                }),
            ) => self.failed = Some((round, generation)),
            (Sabotage::SealWithoutTheLate, Output::Close { conn }) => {
                bent.push(Output::Close { conn });
                if let Some((round, generation)) = self.failed.take() {
                    bent.push(Output::Seal {
                        round,
                        computation: UniquePid::NULL.with_generation(generation),
                        images: Arc::default(),
                    });
                    self.plan = None;
                }
            }
            (_, output) => bent.push(output),
        }
    }

    fn message(
        &mut self,
        plan: Sabotage,
        conn: ConnId,
        bytes: &[u8],
        dialect: Dialect,
        bent: &mut Vec<Output>,
    ) {
        for sent in packets(dialect, bytes).unwrap_or_default() {
            let Some(message) = sent.message else {
                continue;
            };
            let transmit = |message: Message| Output::Transmit {
                conn,
                bytes: packet(dialect, message).bytes,
            };
            let (is_order, is_release) = match &message.body {
                Body::DoCheckpoint(_) => (true, false),
                Body::Do(order) => {
                    let first = dialect.phases().first().map(|&(phase, _)| phase);
                    (Some(order.phase) == first, Some(order.phase) != first)
                }
                Body::BarrierReleased(_) => (false, true),
                _ => (false, false),
            };
            if is_order {
                self.in_round = true;
            }
            match plan {
                Sabotage::OldGeneration if is_order => {
                    let group = message.group;
                    let old = group.with_generation(group.generation.wrapping_sub(1));
                    bent.push(transmit(message.in_group(old)));
                    self.plan = None;
                    continue;
                }
                Sabotage::ReleaseEarly if is_order => {
                    bent.push(transmit(message));
                    bent.push(transmit(first_release(dialect)));
                    self.plan = None;
                    continue;
                }
                Sabotage::ReleaseTwice if is_release => {
                    bent.push(transmit(message.clone()));
                    self.plan = None;
                }
                _ => {}
            }
            bent.push(transmit(message));
        }
    }
}

/// Connections up to this number are those of workers, where sabotage is tried.
const WORKERS: u64 = 8;

fn first_release(dialect: Dialect) -> Message {
    let body = match dialect.phases().get(1) {
        Some(&(phase, _)) => Body::Do(dmtcp_proto::PhaseOrder::new(phase)),
        None => Body::BarrierReleased(Released {
            name: dmtcp_proto::Name::from_field(b"DMT:SUSPEND"),
            peers: 2,
            then_exit: false,
        }),
    };
    Message::new(UniquePid::NULL, body)
}

/// A message to all as one to each, so that one of them can be bent.
fn one_by_one(output: Output) -> Vec<Output> {
    match output {
        Output::TransmitAll { conns, bytes } => conns
            .into_iter()
            .map(|conn| Output::Transmit {
                conn,
                bytes: bytes.clone(),
            })
            .collect(),
        other => vec![other],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::Rule;
    use crate::search::{Ask, Found, Plan, search};
    use dmtcp_proto::{AfterCheckpoint, Command};

    const CHECKPOINT: Ask = Ask::Program(Command::Checkpoint(AfterCheckpoint::ReplyWhenDone));

    fn found(sabotage: Sabotage, dialect: Dialect, crashes: usize) -> Found {
        let failed_seals = 0;
        search(&Plan {
            crashes,
            failed_seals,
            sabotage: Saboteur::with(sabotage),
            ..Plan::new(dialect, &["one", "one"], &[CHECKPOINT])
        })
    }

    fn is_found_as(sabotage: Sabotage, dialects: &[Dialect], crashes: usize, rule: Rule) {
        for &dialect in dialects {
            let found = found(sabotage, dialect, crashes);
            is_found(sabotage, dialect, found, rule);
        }
    }

    fn is_found(sabotage: Sabotage, dialect: Dialect, found: Found, rule: Rule) {
        let (states, depth) = (found.states, found.depth);
        let Some((violation, path)) = found.violation else {
            panic!("{sabotage:?} in {dialect:?} is not found in {states} states");
        };
        println!(
            "{sabotage:?} in {dialect:?}: {:?} after {} steps, {states} states, depth {depth}",
            violation.rule,
            path.len()
        );
        assert_eq!(violation.rule, rule, "{dialect:?}: {}", violation.what);
    }

    /// One worker is given up on, at any time.
    fn is_found_giving_up(sabotage: Sabotage, rule: Rule) {
        for &dialect in Dialect::ALL {
            let found = search(&Plan {
                give_ups: 1,
                sabotage: Saboteur::with(sabotage),
                ..Plan::new(dialect, &["one", "one"], &[CHECKPOINT, CHECKPOINT])
            });
            is_found(sabotage, dialect, found, rule);
        }
    }

    #[test]
    fn who_is_given_up_on_is_spared() {
        is_found_giving_up(Sabotage::SpareTheGivenUp, Rule::GivenUpKept);
    }

    #[test]
    fn a_bystander_is_killed_with_the_late() {
        is_found_giving_up(Sabotage::KillABystander, Rule::CutOffWrongly);
    }

    #[test]
    fn a_set_is_made_without_the_late() {
        is_found_giving_up(Sabotage::SealWithoutTheLate, Rule::SetNotWhole);
    }

    #[test]
    fn another_round_is_given_up() {
        is_found_giving_up(Sabotage::TakeAnyRound, Rule::CutOffWrongly);
    }

    const BARRIERS: [Dialect; 2] = [Dialect::V3, Dialect::V5];

    #[test]
    fn one_worker_is_released_early() {
        is_found_as(Sabotage::ReleaseEarly, Dialect::ALL, 0, Rule::ReleasedEarly);
    }

    #[test]
    fn one_worker_is_released_twice() {
        is_found_as(Sabotage::ReleaseTwice, Dialect::ALL, 0, Rule::ReleasedEarly);
    }

    #[test]
    fn a_waiter_is_forgotten() {
        is_found_as(Sabotage::ForgetWaiter, Dialect::ALL, 0, Rule::NotAnswered);
    }

    #[test]
    fn a_waiter_is_answered_twice() {
        is_found_as(Sabotage::AnswerTwice, Dialect::ALL, 0, Rule::AnsweredTwice);
    }

    #[test]
    fn an_image_is_dropped() {
        is_found_as(Sabotage::DropImage, Dialect::ALL, 0, Rule::SetNotWhole);
    }

    #[test]
    fn an_answer_comes_before_the_seal() {
        let rule = Rule::AnsweredFalsely;
        is_found_as(Sabotage::AnswerBeforeSealed, Dialect::ALL, 0, rule);
    }

    #[test]
    fn the_end_of_a_worker_is_missed() {
        let (phases, end) = (&Dialect::ALL[..3], Sabotage::MissTheEnd);
        is_found_as(end, phases, 1, Rule::WaitsForEver);
        // There the first that is seen of it is that the dead one is spoken to.
        is_found_as(end, &BARRIERS, 1, Rule::Protocol);
    }

    #[test]
    fn the_failure_of_a_lost_worker_is_forgotten() {
        is_found_as(Sabotage::ForgetLoss, Dialect::ALL, 1, Rule::LossForgotten);
    }

    #[test]
    fn who_is_stuck_is_spared() {
        is_found_as(Sabotage::SpareTheStuck, &BARRIERS, 1, Rule::WaitsForEver);
    }

    #[test]
    fn a_generation_is_used_again() {
        is_found_as(Sabotage::OldGeneration, Dialect::ALL, 0, Rule::Generation);
    }
}
