//! A worker core, and what somebody who watches its wire and its driver knows about it.

use alloc::vec::Vec;

use crate::dialect::Dialect;
use crate::message::{Body, Message};
use crate::name::Name;
use crate::phase::Phase;
use crate::state::WorkerState;
use crate::wire::{Decoder, Limits};
use crate::worker::{Entry, Stage, WorkerConfig, WorkerCore, WorkerInput, WorkerOutput};

pub(super) struct Watch {
    dialect: Dialect,
    core: WorkerCore,
    sent: Decoder,
    opened: bool,
    accepted: bool,
    over: bool,
    /// The program runs, as far as the driver was told.
    runs: bool,
    /// What the driver was asked for and has not answered.
    asked: Option<Stage>,
    /// The barrier it said it is at, until it goes on.
    at: Option<Name>,
    /// Barriers that were released since it said so.
    released: Vec<Name>,
    /// Lockstep: it has answered a phase, and awaits the next one.
    awaits: bool,
    /// Lockstep: position in the dialect's table of the phase it is to answer next.
    phase: usize,
    /// Lockstep: orders that were said since it answered the last one.
    ordered: Vec<Phase>,
    /// Lockstep: it is restored, which needs no order.
    restored: bool,
    /// The state it told last.
    told: WorkerState,
    /// Something was said that only the worker can read.
    unknown: bool,
    rounds: usize,
}

impl Watch {
    pub(super) fn new(dialect: Dialect, config: WorkerConfig, entry: Entry) -> Self {
        Self {
            dialect,
            core: WorkerCore::new(dialect, config, entry),
            sent: Decoder::new(dialect, Limits::default()),
            opened: false,
            accepted: false,
            over: false,
            runs: false,
            asked: None,
            at: None,
            released: Vec::new(),
            awaits: false,
            phase: 0,
            ordered: Vec::new(),
            restored: false,
            told: WorkerState::Unknown,
            unknown: false,
            rounds: 0,
        }
    }

    pub(super) fn core(&self) -> &WorkerCore {
        &self.core
    }

    pub(super) fn opened(&self) -> bool {
        self.opened
    }

    pub(super) fn asked_for(&self) -> Option<Stage> {
        self.asked
    }

    /// Images that were reported.
    pub(super) fn rounds(&self) -> usize {
        self.rounds
    }

    /// The coordinator says that everybody is at this barrier.
    pub(super) fn released(&mut self, name: Name) {
        self.released.push(name);
    }

    /// The coordinator orders this phase.
    pub(super) fn ordered(&mut self, phase: Phase) {
        self.ordered.push(phase);
    }

    /// The coordinator says what may be anything.
    pub(super) fn anything_may_be_released(&mut self) {
        self.unknown = true;
    }

    /// Hands in one input; what came out, checked.
    pub(super) fn input(&mut self, input: WorkerInput<'_>) -> Vec<WorkerOutput> {
        match &input {
            WorkerInput::Opened => self.opened = true,
            // Whether it was the right answer is the worker's to say; either way it has one.
            WorkerInput::Finished(_) => self.asked = None,
            WorkerInput::Received(_) | WorkerInput::Closed => {}
        }
        let outputs: Vec<WorkerOutput> = self.core.handle(input).collect();
        for output in &outputs {
            self.output(output);
        }
        assert_eq!(self.core.is_over(), self.over);
        assert_eq!(
            self.core.is_running(),
            self.runs && !self.over && self.at.is_none()
        );
        if !self.over {
            let waits = self.at.is_some() || self.awaits;
            let due = [self.core.is_running(), self.asked.is_some(), waits];
            let due = due.iter().filter(|&&due| due).count();
            assert!(due <= 1, "in two places at once");
            assert!(due == 1 || !self.accepted, "waits for nothing");
        }
        outputs
    }

    fn output(&mut self, output: &WorkerOutput) {
        assert!(!self.over, "{output:?} after the end");
        match output {
            WorkerOutput::Transmit(bytes) => {
                self.sent.feed(bytes);
                let frame = self.sent.next_frame().expect("our frame").expect("whole");
                assert_eq!(self.sent.pending(), 0, "more than one message");
                let message = Message::parse(self.dialect, &frame).expect("our own message");
                self.message(&message);
            }
            WorkerOutput::Accepted { computation, .. } => {
                assert!(!self.accepted && self.opened, "accepted twice, or too soon");
                assert!(!computation.is_null(), "accepted into nothing");
                self.accepted = true;
            }
            WorkerOutput::Rejected(_) => {
                assert!(!self.accepted, "rejected after it was accepted");
                self.over = true;
            }
            WorkerOutput::Perform(stage) => {
                assert!(self.accepted, "{stage:?} for a stranger");
                assert_eq!(self.asked, None, "asked for two things at once");
                self.goes_on();
                match stage {
                    Stage::Suspend => assert!(self.runs, "suspended twice"),
                    Stage::Restore | Stage::WriteImage { .. } | Stage::PublishImage => {
                        assert!(!self.runs, "{stage:?} while the program runs");
                    }
                }
                self.runs = false;
                self.awaits = false;
                if *stage == Stage::Restore {
                    self.restored = true;
                    self.phase = self.checkpoint_phase();
                }
                self.asked = Some(*stage);
            }
            WorkerOutput::Resume => {
                assert!(self.accepted && !self.runs, "resumed where it runs");
                assert_eq!(self.asked, None, "resumed in the middle of a stage");
                assert_eq!(self.told, WorkerState::Running, "resumed untold");
                self.runs = true;
            }
            WorkerOutput::CheckpointDir(dir) => {
                assert!(self.runs && !dir.is_empty(), "a directory in a round");
            }
            WorkerOutput::Exit { .. } => self.over = true,
        }
    }

    /// It leaves the barrier it is at.
    fn goes_on(&mut self) {
        if let Some(name) = self.at.take() {
            let release = self.released.iter().position(|released| *released == name);
            assert!(
                release.is_some() || self.unknown,
                "leaves {name} before it is released"
            );
            // Those behind it, in what arrived together, are for the barriers to come.
            self.released.drain(..release.map_or(0, |at| at + 1));
        }
    }

    fn in_lockstep(&self) -> bool {
        !self.dialect.phases().is_empty()
    }

    fn checkpoint_phase(&self) -> usize {
        let phases = self.dialect.phases().iter();
        phases
            .take_while(|&&(phase, _)| phase != Phase::Checkpoint)
            .count()
    }

    /// It answers a phase: the one that is due, in its state, and not before it was ordered.
    fn answers(&mut self, state: WorkerState) -> bool {
        if state == WorkerState::Running && self.told == state && !self.runs {
            // It has joined.
            return true;
        }
        let Some(&(phase, due)) = self.dialect.phases().get(self.phase) else {
            return false;
        };
        let order = self.ordered.iter().position(|&ordered| ordered == phase);
        let restored = core::mem::take(&mut self.restored);
        assert!(
            order.is_some() || restored || self.unknown,
            "answers {phase:?} before it is ordered"
        );
        self.ordered.drain(..order.map_or(0, |at| at + 1));
        self.awaits = state != WorkerState::Running;
        self.phase = if self.awaits { self.phase + 1 } else { 0 };
        state == due && !self.runs
    }

    fn message(&mut self, message: &Message) {
        assert_eq!(self.asked, None, "speaks in the middle of a stage");
        let state = message.state;
        let before = core::mem::replace(&mut self.told, state);
        assert!(self.dialect.state_number(state).is_some());
        if !self.accepted {
            assert!(self.opened, "speaks before there is a connection");
            let wanted = match message.body {
                Body::NewWorker(_) => WorkerState::Unknown,
                Body::RestartWorker(_) => WorkerState::Restarting,
                ref other => panic!("no hello: {other:?}"),
            };
            assert_eq!(state, wanted);
            return;
        }
        assert_eq!(message.from, self.core.identity(), "under another name");
        let fits = match &message.body {
            Body::Barrier(name) => {
                assert!(!self.in_lockstep(), "{name} in a dialect without barriers");
                self.goes_on();
                self.at = Some(*name);
                match state {
                    WorkerState::PreSuspend => self.runs,
                    WorkerState::Restarting
                    | WorkerState::Suspended
                    | WorkerState::Checkpointing
                    | WorkerState::Checkpointed => !self.runs,
                    _ => false,
                }
            }
            Body::CheckpointFile(file) => {
                self.rounds += 1;
                assert!(!file.path.is_empty(), "an image without a name");
                let checkpointed = state == WorkerState::Checkpointed || self.in_lockstep();
                state == before && checkpointed && !self.runs
            }
            Body::ProcessAfterExec { .. } => state == WorkerState::Running && !self.runs,
            Body::WorkerResuming => {
                state == WorkerState::Running && !self.runs && !self.in_lockstep()
            }
            Body::Ok => {
                self.told = before;
                let fits = self.in_lockstep() && self.answers(state);
                self.told = state;
                fits
            }
            _ => false,
        };
        assert!(fits, "{message:?}");
    }
}
