//! How a worker enters: the hello, and what it does with the answer.

use super::config::Entry;
use super::round::Round;
use super::{Activity, WorkerCore, WorkerExit, WorkerOutput};
use crate::error::DecodeError;
use crate::ids::UniquePid;
use crate::kind::Kind;
use crate::message::{Accept, Body, Hello};
use crate::state::WorkerState;

impl WorkerCore {
    pub(super) fn hello(&mut self) {
        if self.activity != Activity::NotOpened {
            self.exit(WorkerExit::Misdriven {
                input: "a second opening",
                due: "none",
            });
            return;
        }
        self.activity = Activity::Joining;
        let mut hello = Hello {
            host: self.config.host.clone(),
            program: self.config.program.clone(),
            real_pid: self.config.real_pid,
            virtual_pid: -1,
            peers: 0,
            interval: self.config.interval,
        };
        let body = match self.entry {
            Entry::New { .. } => {
                self.state = WorkerState::Unknown;
                Body::NewWorker(hello)
            }
            Entry::Restart { peers, .. } => {
                self.state = WorkerState::Restarting;
                hello.peers = peers;
                Body::RestartWorker(hello)
            }
        };
        self.send(body);
    }

    pub(super) fn accepted(&mut self, accept: &Accept, group: UniquePid) {
        match self.entry {
            Entry::New { process_time, .. } => self.accepted_new(accept, group, process_time),
            Entry::Restart { .. } => {
                self.outputs.push_back(WorkerOutput::Accepted {
                    virtual_pid: self.identity.pid,
                    computation: self.computation,
                    time_stamp: accept.time_stamp,
                });
                if self.in_lockstep() {
                    self.restore_in_lockstep();
                } else {
                    self.enter(Round::AtRestart);
                }
            }
        }
    }

    fn accepted_new(&mut self, accept: &Accept, group: UniquePid, process_time: u64) {
        let missing = match (group.is_null(), accept.virtual_pid > 0) {
            (false, true) => None,
            (true, _) => Some("computation"),
            (false, false) => Some("virtual pid"),
        };
        if let Some(field) = missing {
            let kind = Kind::Accept;
            self.exit(WorkerExit::Protocol(DecodeError::Malformed { kind, field }));
            return;
        }
        self.computation = group;
        self.identity.pid = accept.virtual_pid;
        self.identity.time = process_time;
        self.state = WorkerState::Running;
        self.activity = Activity::Running;
        self.outputs.push_back(WorkerOutput::Accepted {
            virtual_pid: accept.virtual_pid,
            computation: group,
            time_stamp: accept.time_stamp,
        });
        // Stock workers leave the real pid out: the coordinator has it from the hello.
        self.send(Body::ProcessAfterExec {
            real_pid: -1,
            program: self.config.base_name(),
        });
        // Only OK tells a 2.x coordinator a state.
        if self.in_lockstep() && self.activity == Activity::Running {
            self.send(Body::Ok);
        }
        if self.activity == Activity::Running {
            self.outputs.push_back(WorkerOutput::Resume);
        }
    }
}
