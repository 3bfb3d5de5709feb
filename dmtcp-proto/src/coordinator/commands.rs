//! What tools and the embedding program ask for.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use core::time::Duration;

use super::{CoordinatorCore, Kill, Output, Role};
use crate::command::{AfterCheckpoint, Checkpointed, Command, Reply, Verb};
use crate::coordinator::event::{Event, RoundError};
use crate::dialect::Dialect;
use crate::error::CommandError;
use crate::ids::{ConnId, RequestId, UniquePid};
use crate::interval::Interval;
use crate::message::{Body, CommandStatus, UserCommand, UserResult};
use crate::time::Instant;
use crate::worker_list;

/// Somebody who waits for the end of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    Request(RequestId),
    /// With the command it gave and its own identity.
    Tool(ConnId, Verb, UniquePid),
}

/// A tool that wants a checkpoint and came a moment too soon.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    /// It is refused then.
    pub(super) deadline: Instant,
    conn: ConnId,
    from: UniquePid,
    verb: Verb,
    /// The answer comes at the end of the round.
    wait: bool,
    kill: bool,
}

/// A process that has just been started or executed, and images that have just been written, are
/// ready within this time. What workers said before the tool spoke may also arrive after it.
const PATIENCE: Duration = Duration::from_millis(200);

/// Commands of old tools that change the meaning of their next one, sent on a connection of its
/// own. Tied to the process that sent them, so that nobody else's command changes.
#[derive(Clone, Debug, Default)]
pub(super) struct Prefixes {
    entries: VecDeque<(Instant, UniquePid, Prefix)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Prefix {
    /// The next checkpoint is answered at its end.
    Blocking,
    /// The workers are killed behind the next checkpoint.
    Killing,
    /// The next checkpoint is the one that has just been made.
    Started,
}

impl Prefixes {
    const MOST: usize = 64;
    const LIFE: Duration = Duration::from_secs(60);

    fn remember(&mut self, now: Instant, from: UniquePid, prefix: Prefix) {
        self.entries.retain(|(since, ..)| now - *since < Self::LIFE);
        if self.entries.len() >= Self::MOST {
            self.entries.pop_front();
        }
        self.entries.push_back((now, from, prefix));
    }

    /// Whether it was remembered; it counts once.
    fn take(&mut self, now: Instant, from: UniquePid, prefix: Prefix) -> bool {
        self.entries.retain(|(since, ..)| now - *since < Self::LIFE);
        let index = self
            .entries
            .iter()
            .position(|(_, id, other)| id.same_as(&from) && *other == prefix);
        index.and_then(|index| self.entries.remove(index)).is_some()
    }
}

impl CoordinatorCore {
    /// A request of the embedding program.
    pub(super) fn request(&mut self, id: RequestId, command: Command) {
        let reply = match command {
            Command::Status => Ok(Reply::Status(self.status())),
            Command::List => Ok(Reply::Workers(self.workers().collect())),
            Command::SetInterval(interval) => {
                self.set_interval(interval);
                Ok(Reply::Done)
            }
            Command::CheckpointDir if self.all_running() => {
                Ok(Reply::CheckpointDir(self.checkpoint_dir.clone()))
            }
            Command::CheckpointDir => Err(CommandError::NotRunning),
            Command::SetLogMask(mask) => {
                self.broadcast(&Body::UpdateLogging { mask });
                Ok(Reply::Done)
            }
            Command::Kill => return self.kill(Some(id)),
            Command::Quit => {
                self.stopping = true;
                self.kill(Some(id));
                return self.stop_if_asked();
            }
            Command::Checkpoint(after) => {
                let kill =
                    after == AfterCheckpoint::KillWorkers || self.config.kill_after_checkpoint;
                let peers = self.roster.peers();
                if !self.can_start() {
                    Err(self.cannot_start())
                } else if after == AfterCheckpoint::ReplyAtOnce {
                    self.start_round(kill, None);
                    Ok(Reply::Started { peers })
                } else {
                    return self.start_round(kill, Some(Asker::Request(id)));
                }
            }
        };
        self.reply(id, reply);
    }

    /// Nobody waits for the answer any more.
    pub(super) fn forget(&mut self, id: RequestId) {
        if let Some(round) = &mut self.round {
            round
                .askers
                .retain(|asker| !matches!(asker, Asker::Request(other) if *other == id));
        }
        if let Some(kill) = &mut self.kill {
            kill.askers.retain(|other| *other != id);
        }
        for asker in &mut self.kill_after_seal {
            if *asker == Some(id) {
                *asker = None;
            }
        }
    }

    /// A tool's command.
    pub(super) fn tool(
        &mut self,
        conn: ConnId,
        dialect: Dialect,
        from: UniquePid,
        command: UserCommand,
    ) {
        self.past.0.commands += 1;
        self.set_role(conn, Role::Tool(dialect));
        let mut result = UserResult::new(CommandStatus::Success);
        result.verb = Some(command.verb);
        let is_question = matches!(
            command.verb,
            Verb::Status | Verb::List | Verb::Help | Verb::GetCheckpointDir | Verb::Nothing
        );
        let may_command = self.conns.get(&conn).is_some_and(|entry| entry.may_command);
        if !is_question && !may_command {
            result.status = CommandStatus::NotPermitted;
            return self.answer_tool(conn, result);
        }
        match command.verb {
            Verb::Status => {
                let status = self.status();
                result.peers = status.peers;
                result.running = status.running;
                result.interval = status.interval;
            }
            Verb::List => {
                let text = worker_list::write_for(dialect, self.workers());
                let limit = dialect.peer_payload_limit().unwrap_or(usize::MAX);
                result.text = Bytes::from(cut_at_line(text, limit));
            }
            Verb::Checkpoint => {
                if !self.prefixes.take(self.now, from, Prefix::Started) {
                    let blocking = self.prefixes.take(self.now, from, Prefix::Blocking);
                    let kill = self.prefixes.take(self.now, from, Prefix::Killing);
                    return self.tool_checkpoint(conn, from, result, blocking || kill, kill);
                }
                result.peers = self.roster.peers();
            }
            Verb::BlockingPrefix => self.prefixes.remember(self.now, from, Prefix::Blocking),
            Verb::BlockingCheckpoint | Verb::CheckpointAndKill => {
                let kill = command.verb == Verb::CheckpointAndKill;
                return self.tool_checkpoint(conn, from, result, true, kill);
            }
            Verb::SetInterval => {
                self.set_interval(command.interval);
                result.interval = self.interval;
            }
            Verb::Kill => self.kill(None),
            Verb::Quit => {
                self.event(Event::QuitRequested);
                self.close(conn);
                self.stopping = true;
                self.kill(None);
                return self.stop_if_asked();
            }
            Verb::KillingPrefix => self.prefixes.remember(self.now, from, Prefix::Killing),
            Verb::GetCheckpointDir if self.all_running() => {
                result.text = self.checkpoint_dir.to_c_string();
            }
            Verb::SetLogMask => self.broadcast(&Body::UpdateLogging {
                mask: command.log_mask,
            }),
            Verb::Help | Verb::GetCheckpointDir | Verb::Nothing => {}
            Verb::Unknown(_) => result.status = CommandStatus::Invalid,
        }
        self.answer_tool(conn, result);
    }

    /// `wait`: the answer comes at the end of the round.
    fn tool_checkpoint(
        &mut self,
        conn: ConnId,
        from: UniquePid,
        mut result: UserResult,
        wait: bool,
        kill: bool,
    ) {
        let verb = result.verb.unwrap_or(Verb::Checkpoint);
        let asked = Held {
            deadline: self.now + PATIENCE,
            conn,
            from,
            verb,
            wait,
            kill: kill || self.config.kill_after_checkpoint,
        };
        if self.can_start() {
            self.start_for(&asked);
        } else if self.may_start_soon() {
            self.held.push_back(asked);
        } else {
            result.status = CommandStatus::NotRunning;
            self.answer_tool(conn, result);
        }
    }

    /// Whether all may run and be done with the round before in a moment: nothing else is in the way.
    fn may_start_soon(&self) -> bool {
        let is_over = self.round.as_ref().is_none_or(super::Round::is_sealing);
        is_over
            && !self.roster.is_empty()
            && self.restart.is_none()
            && self.kill.is_none()
            && !self.stopping
    }

    fn start_for(&mut self, asked: &Held) {
        let &Held {
            conn,
            from,
            verb,
            wait,
            kill,
            ..
        } = asked;
        if wait {
            return self.start_round(kill, Some(Asker::Tool(conn, verb, from)));
        }
        self.start_round(kill, None);
        let mut result = UserResult::new(CommandStatus::Success);
        result.verb = Some(verb);
        result.peers = self.roster.peers();
        self.answer_tool(conn, result);
    }

    /// Tools that came a moment too soon.
    pub(super) fn start_held(&mut self) {
        while let Some(first) = self.held.front() {
            let starts = self.can_start();
            if !starts && self.may_start_soon() && first.deadline > self.now {
                return;
            }
            let Some(first) = self.held.pop_front() else {
                return;
            };
            if starts {
                self.start_for(&first);
            } else {
                let mut result = UserResult::new(CommandStatus::NotRunning);
                result.verb = Some(first.verb);
                self.answer_tool(first.conn, result);
            }
        }
    }

    fn answer_tool(&mut self, conn: ConnId, result: UserResult) {
        self.answer_tool_about(conn, result, self.computation.id);
    }

    fn answer_tool_about(&mut self, conn: ConnId, result: UserResult, computation: UniquePid) {
        let Some(Role::Tool(dialect)) = self.conns.get(&conn).map(|entry| &entry.role) else {
            return;
        };
        let dialect = *dialect;
        self.send_about(conn, dialect, Body::UserResult(result), computation);
        self.close(conn);
    }

    /// Tells everybody who waited how the round of this computation ended, which may be over.
    pub(super) fn answer_askers(
        &mut self,
        askers: Vec<Asker>,
        computation: UniquePid,
        outcome: &Result<(u64, u32), String>,
    ) {
        for asker in askers {
            match asker {
                Asker::Request(id) => {
                    let reply = match outcome {
                        Ok((round, peers)) => {
                            Ok(Reply::Checkpointed(Checkpointed::new(*peers, Some(*round))))
                        }
                        Err(reason) => Err(CommandError::CheckpointFailed {
                            reason: reason.clone(),
                        }),
                    };
                    self.reply(id, reply);
                }
                Asker::Tool(conn, verb, from) => {
                    let mut result = UserResult::new(CommandStatus::CheckpointFailed);
                    result.verb = Some(verb);
                    if let Ok((_, peers)) = outcome {
                        result.status = CommandStatus::Success;
                        result.peers = *peers;
                    }
                    if verb == Verb::CheckpointAndKill && outcome.is_ok() {
                        // Tools up to 4.2.0 send an ordinary checkpoint command behind it.
                        self.prefixes.remember(self.now, from, Prefix::Started);
                    }
                    self.answer_tool_about(conn, result, computation);
                }
            }
        }
    }

    fn reply(&mut self, id: RequestId, result: Result<Reply, CommandError>) {
        self.outputs.push_back(Output::Reply { id, result });
    }

    fn cannot_start(&self) -> CommandError {
        let generation = self.computation.id.generation;
        match &self.round {
            Some(round) => CommandError::Busy {
                round: round.number,
                generation: round.computation.generation,
            },
            None if self.resuming => CommandError::Busy {
                round: self.rounds,
                generation,
            },
            None => CommandError::NotRunning,
        }
    }

    /// Kills all workers; never before the images of a finished round are sealed.
    fn kill(&mut self, asker: Option<RequestId>) {
        if self.round.as_ref().is_some_and(super::Round::is_sealing) {
            // Of those who are not told, one is as good as many.
            if asker.is_some() || !self.kill_after_seal.contains(&None) {
                self.kill_after_seal.push(asker);
            }
        } else {
            self.kill_now(asker.into_iter().collect());
        }
    }

    pub(super) fn kill_now(&mut self, askers: Vec<RequestId>) {
        if self.roster.is_empty() {
            for id in askers {
                self.reply(id, Ok(Reply::Done));
            }
            return;
        }
        self.fail_round(RoundError::Killed);
        if self.kill.is_none() {
            let workers = self.roster.peers();
            self.event(Event::Killing { workers });
        }
        let deadline = self.now + self.config.kill_timeout;
        let kill = self.kill.get_or_insert_with(Kill::default);
        kill.deadline.get_or_insert(deadline);
        kill.askers.extend(askers);
        self.broadcast(&Body::KillPeer);
        // Those whose dialect is not known yet are told by the end of their connection.
        let mute: Vec<ConnId> = self
            .roster
            .iter()
            .map(|(conn, _)| conn)
            .filter(|&conn| self.dialect_of(conn).is_none())
            .collect();
        let parked: Vec<ConnId> = self.parked.drain(..).collect();
        for conn in mute.into_iter().chain(parked) {
            self.close(conn);
        }
    }

    /// Whoever has not obeyed in time is cut off.
    pub(super) fn check_kill(&mut self) {
        let deadline = self.kill.as_ref().and_then(|kill| kill.deadline);
        if deadline.is_none_or(|deadline| deadline > self.now) {
            return;
        }
        let left: Vec<ConnId> = self.roster.iter().map(|(conn, _)| conn).collect();
        self.cut_off(&left);
    }

    pub(super) fn stop_if_asked(&mut self) {
        if self.stopping && self.roster.is_empty() && self.round.is_none() && !self.stopped {
            self.stopped = true;
            self.outputs.push_back(Output::Stop);
        }
    }

    pub(super) fn set_interval(&mut self, interval: Interval) {
        if interval != Interval::Unchanged {
            self.interval = interval;
            self.reset_due();
        }
    }

    /// Counts the interval from now on, if there is anything to checkpoint.
    pub(super) fn reset_due(&mut self) {
        self.due = match self.interval {
            Interval::Every(period) => Some(self.now + period.max(Duration::from_millis(1))),
            Interval::Never | Interval::Unchanged => None,
        };
    }
}

/// As many whole lines of `text` as fit into `limit` bytes.
fn cut_at_line(mut text: String, limit: usize) -> String {
    if text.len() > limit {
        let end = text.as_bytes()[..limit]
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |at| at + 1);
        text.truncate(end);
    }
    text
}
