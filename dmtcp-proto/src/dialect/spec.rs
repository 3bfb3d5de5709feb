//! What a dialect's table holds. The tables themselves are one file each beside this one.

use crate::command::Verb;
use crate::kind::Kind;
use crate::phase::Phase;
use crate::state::WorkerState;

/// Everything in which one dialect differs from another.
#[derive(Debug)]
pub(crate) struct Spec {
    pub(crate) layout: &'static Layout,
    /// Index = number on the wire.
    pub(crate) kinds: &'static [Kind],
    /// Index = number on the wire.
    pub(crate) states: &'static [WorkerState],
    /// The phases of a round in lockstep and the state in which workers answer each, in order.
    /// Empty where rounds go through barriers.
    pub(crate) phases: &'static [(Phase, WorkerState)],
    /// The first entry of a verb is the one we send; the others are accepted.
    pub(crate) verbs: &'static [(Verb, u32)],
    pub(crate) peer_payload_limit: Option<usize>,
    /// Whether a reply repeats the command's number.
    pub(crate) reply_echoes_verb: bool,
    /// Whether a report of an image may lack the shell type (2.4.x; 2.5.0 has it).
    pub(crate) shell_may_miss: bool,
}

/// Byte offsets of the header's fields. All numbers are little-endian.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) len: usize,
    /// Start and length of the name field.
    pub(crate) name: (usize, usize),
    /// Key-value operation or code, and the four bytes behind it; 3.0.0 and later.
    pub(crate) key_value_code: Option<usize>,
    pub(crate) len_at: usize,
    pub(crate) payload_len_at: usize,
    pub(crate) kind: usize,
    pub(crate) state: usize,
    pub(crate) from: usize,
    pub(crate) group: usize,
    pub(crate) virtual_pid: usize,
    pub(crate) real_pid: usize,
    pub(crate) key_len: usize,
    pub(crate) value_len: usize,
    pub(crate) peers: usize,
    pub(crate) running: usize,
    pub(crate) verb: usize,
    pub(crate) status: usize,
    pub(crate) time_stamp: usize,
    pub(crate) interval: usize,
    pub(crate) ip: usize,
    /// 2.5.1 and later; unused since 3.0.0.
    pub(crate) unique_id_offset: Option<usize>,
    /// 2.5.1 to 2.6.0.
    pub(crate) log_mask: Option<usize>,
    /// 3.0.0 and later.
    pub(crate) then_exit: Option<usize>,
}

/// The first 15 bytes of every message in every dialect; byte 15 is never checked.
pub(crate) const MAGIC: &[u8; 15] = b"DMTCP_CKPT_V0\n\0";

/// The header of 3.0.0 and everything later (`docs/PROTOCOL.md`, "Header").
pub(crate) const LAYOUT_208: Layout = Layout {
    len: 208,
    name: (16, 64),
    key_value_code: Some(80),
    len_at: 88,
    payload_len_at: 92,
    kind: 96,
    state: 100,
    from: 104,
    group: 128,
    virtual_pid: 152,
    real_pid: 156,
    key_len: 160,
    value_len: 164,
    peers: 168,
    running: 172,
    verb: 176,
    status: 180,
    time_stamp: 184,
    interval: 192,
    ip: 196,
    unique_id_offset: Some(200),
    log_mask: None,
    then_exit: Some(204),
};

/// The header of 2.4.0 to 2.5.0.
pub(crate) const LAYOUT_136: Layout = Layout {
    len: 136,
    name: (88, 8),
    key_value_code: None,
    len_at: 16,
    payload_len_at: 20,
    kind: 24,
    state: 28,
    from: 32,
    group: 56,
    virtual_pid: 80,
    real_pid: 84,
    key_len: 96,
    value_len: 100,
    peers: 104,
    running: 108,
    verb: 112,
    status: 116,
    time_stamp: 120,
    interval: 128,
    ip: 132,
    unique_id_offset: None,
    log_mask: None,
    then_exit: None,
};

/// The header of 2.5.1 to 2.6.0: two fields more.
pub(crate) const LAYOUT_144: Layout = Layout {
    len: 144,
    unique_id_offset: Some(136),
    log_mask: Some(140),
    ..LAYOUT_136
};

/// The states of 3.0.0 and everything later.
pub(crate) const STATES_208: &[WorkerState] = &[
    WorkerState::Unknown,
    WorkerState::Running,
    WorkerState::PreSuspend,
    WorkerState::Suspended,
    WorkerState::Checkpointing,
    WorkerState::Checkpointed,
    WorkerState::Restarting,
];

/// The states of 2.4.0 to 2.5.2.
pub(crate) const STATES_2_4: &[WorkerState] = &[
    WorkerState::Unknown,
    WorkerState::Running,
    WorkerState::Suspended,
    WorkerState::FdLeaderElection,
    WorkerState::Drained,
    WorkerState::Restarting,
    WorkerState::Checkpointed,
    WorkerState::NameServiceDataRegistered,
    WorkerState::DoneQuerying,
    WorkerState::Refilled,
];

/// The phases of 2.4.0 to 2.5.2.
pub(crate) const PHASES_2_4: &[(Phase, WorkerState)] = &[
    (Phase::Suspend, WorkerState::Suspended),
    (Phase::FdLeaderElection, WorkerState::FdLeaderElection),
    (Phase::Drain, WorkerState::Drained),
    (Phase::Checkpoint, WorkerState::Checkpointed),
    (
        Phase::RegisterNameServiceData,
        WorkerState::NameServiceDataRegistered,
    ),
    (Phase::SendQueries, WorkerState::DoneQuerying),
    (Phase::Refill, WorkerState::Refilled),
    (Phase::Resume, WorkerState::Running),
];

/// The commands of 2.4.0 to 2.5.0: letters, in either case. `b` and `x` change the meaning of the
/// checkpoint that follows on another connection; blanks are taken and do nothing.
pub(crate) const VERBS_2_4: &[(Verb, u32)] = &[
    (Verb::Status, b's' as u32),
    (Verb::Status, b'S' as u32),
    (Verb::List, b'l' as u32),
    (Verb::List, b'L' as u32),
    (Verb::List, b't' as u32),
    (Verb::List, b'T' as u32),
    (Verb::Checkpoint, b'c' as u32),
    (Verb::Checkpoint, b'C' as u32),
    (Verb::BlockingPrefix, b'b' as u32),
    (Verb::BlockingPrefix, b'B' as u32),
    (Verb::KillingPrefix, b'x' as u32),
    (Verb::KillingPrefix, b'X' as u32),
    (Verb::SetInterval, b'i' as u32),
    (Verb::SetInterval, b'I' as u32),
    (Verb::Kill, b'k' as u32),
    (Verb::Kill, b'K' as u32),
    (Verb::Quit, b'q' as u32),
    (Verb::Quit, b'Q' as u32),
    (Verb::Help, b'h' as u32),
    (Verb::Help, b'H' as u32),
    (Verb::Help, b'?' as u32),
    (Verb::Nothing, b' ' as u32),
    (Verb::Nothing, b'\t' as u32),
    (Verb::Nothing, b'\n' as u32),
    (Verb::Nothing, b'\r' as u32),
];

/// The commands of 2.5.1 to 2.6.0: two more.
pub(crate) const VERBS_2_5: &[(Verb, u32)] = &{
    let mut verbs = [(Verb::GetCheckpointDir, b'e' as u32); VERBS_2_4.len() + 4];
    let mut index = 0;
    while index < VERBS_2_4.len() {
        verbs[index] = VERBS_2_4[index];
        index += 1;
    }
    verbs[index + 1] = (Verb::GetCheckpointDir, b'E' as u32);
    verbs[index + 2] = (Verb::SetLogMask, b'd' as u32);
    verbs[index + 3] = (Verb::SetLogMask, b'D' as u32);
    verbs
};
