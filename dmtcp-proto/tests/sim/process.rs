//! A worker process: a [`WorkerCore`], what its driver does, and what only real processes do, which
//! is to fork, to execute another program, to freeze, and to wait for each other in memory of their
//! own.

use dmtcp_proto::{
    Accept, Body, Dialect, Entry, Finished, Message, Stage, UniquePid, WorkerConfig, WorkerCore,
    WorkerExit, WorkerInput, WorkerOutput, WorkerState,
};

use std::collections::BTreeSet;

use crate::network::{Packet, packet, packets};

/// How it came into being.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Birth {
    Launched,
    /// By its parent, which is held inside fork() until the child is admitted, and which told its
    /// own state in the child's name.
    Forked(usize, WorkerState),
    Restored,
}

#[derive(Clone)]
pub(crate) struct Process {
    pub(crate) conn: u64,
    pub(crate) host: &'static str,
    pub(crate) birth: Birth,
    pub(crate) core: WorkerCore,
    /// What its driver was asked for and has not finished.
    pub(crate) stage: Option<Stage>,
    pub(crate) alive: bool,
    pub(crate) frozen: bool,
    /// It waits, or will wait, in the barrier of its host for one that died: no message frees it.
    pub(crate) doomed: bool,
    /// It became another program behind its first answer in a round: what was under way to the old
    /// one can confuse it, as it does a stock one.
    execed: bool,
    /// How often it became another one since its last image. The order comes again each time, since
    /// nobody knows which of them have read it, and stock ones put up with it twice, not thrice.
    execs: u32,
    /// Children whose connection is open and not accepted: it is held inside fork() for them.
    pub(crate) forking: BTreeSet<usize>,
    accepted: bool,
    dialect: Dialect,
}

impl std::fmt::Debug for Process {
    /// All that its future depends on; one that is dead has none.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.alive {
            return f.write_str("dead");
        }
        let flags = (self.frozen, self.doomed, self.accepted);
        let past = (self.birth, self.execed, self.execs, &self.forking);
        (self.conn, &self.core, &self.stage, flags, past).fmt(f)
    }
}

/// What came of an input.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    pub(crate) sent: Vec<Packet>,
    pub(crate) exit: Option<WorkerExit>,
    pub(crate) rejected: bool,
    /// It was admitted just now.
    pub(crate) accepted: bool,
}

fn config(number: usize, host: &'static str) -> WorkerConfig {
    let real_pid = 100 + number as i32;
    WorkerConfig::new(host.into(), "count".into(), real_pid)
}

impl Process {
    pub(crate) fn new(
        number: usize,
        conn: u64,
        host: &'static str,
        dialect: Dialect,
        birth: Birth,
        restored: Option<(UniquePid, UniquePid, u32)>,
    ) -> Self {
        let launcher = UniquePid {
            host_id: 7,
            time: 10 + number as u64,
            pid: 100 + number as i32,
            generation: 0,
        };
        let entry = match restored {
            Some((process, computation, peers)) => Entry::Restart {
                process,
                computation,
                peers,
            },
            None => Entry::New {
                launcher,
                process_time: 1000 + number as u64,
            },
        };
        Self {
            conn,
            host,
            birth,
            core: WorkerCore::new(dialect, config(number, host), entry),
            stage: None,
            alive: true,
            frozen: false,
            doomed: false,
            execed: false,
            execs: 0,
            forking: BTreeSet::new(),
            accepted: false,
            dialect,
        }
    }

    /// Nothing frees it but SIGKILL.
    pub(crate) fn is_stuck(&self) -> bool {
        let suspends = self.core.state() == WorkerState::PreSuspend;
        self.doomed && (in_section(self.core.state()) || suspends && self.stage.is_some())
    }

    /// It can read what it is sent.
    pub(crate) fn can_read(&self) -> bool {
        self.alive && !self.frozen && !self.is_stuck()
    }

    /// Its driver can finish what it was asked for.
    pub(crate) fn can_act(&self) -> bool {
        let held = self.stage == Some(Stage::Suspend) && !self.forking.is_empty();
        self.can_read() && self.stage.is_some() && !held
    }

    /// Its user threads run.
    pub(crate) fn can_fork(&self) -> bool {
        let suspends = self.stage == Some(Stage::Suspend);
        self.can_exec() || self.can_read() && suspends && self.forking.is_empty()
    }

    /// The same, and nothing would be lost. A stock one that executes another program where it has
    /// answered the order starts the round anew; in 2.x it would not.
    pub(crate) fn can_exec(&self) -> bool {
        let at_first = self.core.state() == WorkerState::PreSuspend && self.stage.is_none();
        let runs = self.core.is_running() || at_first;
        self.can_read() && self.accepted && self.forking.is_empty() && runs
    }

    /// Whether what it is sent may not be what is due.
    pub(crate) fn is_confused(&self) -> bool {
        self.execed || self.execs > 1
    }

    /// The image that it names: whose, and of which generation.
    pub(crate) fn path(&self) -> String {
        let (id, computation) = (self.core.identity(), self.core.computation());
        format!("/d/ckpt_{id}_{}.dmtcp", computation.generation)
    }

    pub(crate) fn act(&mut self) -> Effects {
        let finished = match self.stage.take() {
            None => return Effects::default(),
            Some(Stage::Restore) => Finished::Restored,
            Some(Stage::Suspend) => Finished::Suspended,
            Some(Stage::WriteImage { .. }) => Finished::ImageWritten,
            Some(Stage::PublishImage) => {
                (self.execed, self.execs) = (false, 0);
                let path = self.path().into();
                let unique = false;
                Finished::ImagePublished { path, unique }
            }
        };
        self.input(WorkerInput::Finished(finished))
    }

    /// Becomes another program on the same connection.
    pub(crate) fn exec(&mut self, number: usize) -> Effects {
        let identity = self.core.identity();
        let computation = self.core.computation();
        let entry = Entry::New {
            launcher: identity,
            process_time: identity.time,
        };
        self.execed |= !self.core.is_running();
        self.execs += 1;
        self.core = WorkerCore::new(self.dialect, config(number, self.host), entry);
        // The hello is not sent: a variable in the environment tells the library where it is.
        let _hello = self.core.handle(WorkerInput::Opened).count();
        let accept = Body::Accept(Accept {
            virtual_pid: identity.pid,
            time_stamp: 1,
            ip: [127, 0, 0, 1],
        });
        let accept = Message::new(UniquePid::NULL, accept).in_group(computation);
        let accept = packet(self.dialect, accept);
        let effects = self.input(WorkerInput::Received(&accept.bytes));
        Effects {
            accepted: false,
            ..effects
        }
    }

    pub(crate) fn input(&mut self, input: WorkerInput<'_>) -> Effects {
        let mut effects = Effects::default();
        let outputs: Vec<WorkerOutput> = self.core.handle(input).collect();
        for output in outputs {
            match output {
                WorkerOutput::Transmit(bytes) => {
                    let sent = packets(self.dialect, &bytes).expect("a worker's own message");
                    effects
                        .sent
                        .extend(sent.into_iter().filter_map(|p| self.as_said(p)));
                }
                WorkerOutput::Perform(stage) => self.stage = Some(stage),
                WorkerOutput::Accepted { .. } => effects.accepted = true,
                WorkerOutput::Resume => self.accepted = true,
                WorkerOutput::Exit { reason } => effects.exit = Some(reason),
                WorkerOutput::Rejected(_) => effects.rejected = true,
                WorkerOutput::CheckpointDir(_) => {}
            }
        }
        effects
    }

    /// What a child says in the place of what a program says that starts.
    fn as_said(&self, sent: Packet) -> Option<Packet> {
        let Birth::Forked(_, announced) = self.birth else {
            return Some(sent);
        };
        if self.accepted {
            return Some(sent);
        }
        let message = sent.message.as_ref()?;
        let real_pid = 5;
        Some(match message.body {
            Body::NewWorker(_) => packet(self.dialect, message.clone().in_state(announced)),
            Body::ProcessAfterExec { .. } => {
                let body = Body::ProcessAfterFork { real_pid };
                packet(
                    self.dialect,
                    Message {
                        body,
                        ..message.clone()
                    },
                )
            }
            // Before its first round it says no more.
            _ => return None,
        })
    }
}

/// From here on stock workers of 3.0.0 and later wait for those of their host in memory of their
/// own.
pub(crate) fn in_section(state: WorkerState) -> bool {
    matches!(
        state,
        WorkerState::Suspended | WorkerState::Checkpointing | WorkerState::Checkpointed
    )
}
