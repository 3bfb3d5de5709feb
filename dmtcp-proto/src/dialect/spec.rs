//! What a dialect's table holds. The tables themselves are one file each beside this one.

use crate::command::Verb;
use crate::kind::Kind;
use crate::state::WorkerState;

/// Everything in which one dialect differs from another.
#[derive(Debug)]
pub(crate) struct Spec {
    pub(crate) layout: &'static Layout,
    /// Index = number on the wire.
    pub(crate) kinds: &'static [Kind],
    /// Index = number on the wire.
    pub(crate) states: &'static [WorkerState],
    /// The first entry of a verb is the one we send; the others are accepted.
    pub(crate) verbs: &'static [(Verb, u32)],
    pub(crate) peer_payload_limit: Option<usize>,
    /// Whether a reply repeats the command's number.
    pub(crate) reply_echoes_verb: bool,
}

/// Byte offsets of the header's fields. All numbers are little-endian.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) len: usize,
    /// Start and length of the name field.
    pub(crate) name: (usize, usize),
    /// Key-value operation or code, and the four bytes behind it.
    pub(crate) key_value_code: usize,
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
    pub(crate) unique_id_offset: usize,
    pub(crate) then_exit: usize,
}

/// The first 15 bytes of every message in every dialect; byte 15 is never checked.
pub(crate) const MAGIC: &[u8; 15] = b"DMTCP_CKPT_V0\n\0";

/// The header of 3.0.0 and everything later (`docs/PROTOCOL.md`, "Header").
pub(crate) const LAYOUT_208: Layout = Layout {
    len: 208,
    name: (16, 64),
    key_value_code: 80,
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
    unique_id_offset: 200,
    then_exit: 204,
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
