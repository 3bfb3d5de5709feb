//! 2.4.0 to 2.5.0.

use super::spec::{LAYOUT_136, PHASES_2_4, STATES_2_4, Spec, VERBS_2_4};
use crate::kind::Kind;
use crate::phase::Phase;

pub(super) static SPEC: Spec = Spec {
    layout: &LAYOUT_136,
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
        Kind::Do(Phase::Suspend),
        Kind::Do(Phase::Resume),
        Kind::Do(Phase::FdLeaderElection),
        Kind::Do(Phase::Drain),
        Kind::Do(Phase::Checkpoint),
        Kind::Do(Phase::RegisterNameServiceData),
        Kind::Do(Phase::SendQueries),
        Kind::Do(Phase::Refill),
        Kind::KillPeer,
        Kind::NameServiceRegister,
        Kind::NameServiceRegisterSync,
        Kind::NameServiceRegistered,
        Kind::NameServiceQuery,
        Kind::NameServiceAnswer,
        Kind::Ok,
    ],
    states: STATES_2_4,
    phases: PHASES_2_4,
    verbs: VERBS_2_4,
    peer_payload_limit: None,
    reply_echoes_verb: false,
    shell_may_miss: true,
};
