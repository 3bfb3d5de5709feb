//! 3.0.0 to 4.2.0: ten releases, one wire.

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
    // Letters in the low byte. `b` is refused by 3.1.0 and later. The numbers are those of a few
    // unreleased builds between 4.2.0 and the development head, which count messages as 4.2.0 does.
    verbs: &[
        (Verb::Status, b's' as u32),
        (Verb::List, b'l' as u32),
        (Verb::List, b't' as u32),
        (Verb::Checkpoint, b'c' as u32),
        (Verb::BlockingPrefix, b'b' as u32),
        (Verb::CheckpointAndKill, b'K' as u32),
        (Verb::SetInterval, b'i' as u32),
        (Verb::Kill, b'k' as u32),
        (Verb::Quit, b'q' as u32),
        (Verb::Help, b'h' as u32),
        (Verb::Help, b'?' as u32),
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
    peer_payload_limit: None,
    reply_echoes_verb: false,
    shell_may_miss: false,
};
