//! The development head after 4.2.0, which calls itself 5.0.

use super::spec::{LAYOUT_208, STATES_208, Spec};
use crate::command::Verb;
use crate::kind::Kind;

pub(super) static SPEC: Spec = Spec {
    layout: &LAYOUT_208,
    kinds: &[
        Kind::Null,
        Kind::NewWorker,
        Kind::NameServiceWorker,
        Kind::RestartWorker,
        Kind::Accept,
        Kind::RejectNotRestarting,
        Kind::RejectWrongComputation,
        Kind::RejectNotRunning,
        Kind::RejectPeerMismatch,
        Kind::ProcessAfterFork,
        Kind::ProcessAfterExec,
        Kind::GetCheckpointDir,
        Kind::CheckpointDir,
        Kind::SetCheckpointDir,
        Kind::CheckpointFile,
        Kind::UniqueCheckpointFile,
        Kind::UserCommand,
        Kind::UserResult,
        Kind::DoCheckpoint,
        Kind::Barrier,
        Kind::BarrierReleased,
        Kind::WorkerResuming,
        Kind::KillPeer,
        Kind::KeyValueRequest,
        Kind::KeyValueResponse,
    ],
    states: STATES_208,
    phases: &[],
    verbs: &[
        (Verb::Status, 1),
        (Verb::List, 2),
        (Verb::Checkpoint, 3),
        (Verb::BlockingCheckpoint, 4),
        (Verb::CheckpointAndKill, 5),
        (Verb::SetInterval, 6),
        (Verb::Kill, 7),
        (Verb::Quit, 8),
        (Verb::Help, 9),
    ],
    peer_payload_limit: Some(1 << 20),
    reply_echoes_verb: true,
    shell_may_miss: false,
};
