//! One message as it stands on the wire: every field raw, every byte kept.

use bytes::Bytes;

use crate::ids::UniquePid;

/// A header and its payload, before anybody says what they mean.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "a message is these two parts in every dialect"
)]
pub struct Frame {
    /// The fixed part.
    pub header: Header,
    /// The part whose length the header announces.
    pub payload: Bytes,
}

/// The fixed part of a message: the union of all dialects' fields, as raw numbers.
///
/// Stock senders leave stack contents in [`key_value_code`](Self::key_value_code),
/// [`key_value_residue`](Self::key_value_residue), the generation of a null
/// [`group`](Self::group) and [`unique_id_offset`](Self::unique_id_offset). They are kept so that
/// a frame encodes back to the same bytes, and interpreted only where a message defines them.
/// `Default` is what a stock constructor sets, with zeros for the residue.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Header {
    /// Byte 15, behind the magic; nobody checks it.
    pub magic_residue: u8,
    /// Barrier name or key-value database; bytes behind the NUL are kept. In 2.x the first eight
    /// bytes are the name-service database, without a NUL if it uses all of them.
    pub name: [u8; 64],
    /// Key-value operation or response code.
    pub key_value_code: u32,
    /// The unused upper half of that field.
    pub key_value_residue: u32,
    /// Number of the message kind.
    pub kind: u32,
    /// Number of the sender's state.
    pub state: u32,
    /// Sender.
    pub from: UniquePid,
    /// Computation.
    pub group: UniquePid,
    /// Virtual pid; -1: none.
    pub virtual_pid: i32,
    /// Real pid; -1: none.
    pub real_pid: i32,
    /// Bytes of a key, its NUL included.
    pub key_len: u32,
    /// Bytes of a value, its NUL included.
    pub value_len: u32,
    /// Number of peers.
    pub peers: u32,
    /// Whether all workers are running: 0 or 1.
    pub running: u32,
    /// Number of a user command.
    pub verb: u32,
    /// Result of a user command: 0, -1 or -2.
    pub status: i32,
    /// The coordinator's time stamp of the computation.
    pub time_stamp: u64,
    /// Seconds; 0: never; negative: unchanged.
    pub interval: i32,
    /// IPv4 address in network order.
    pub ip: [u8; 4],
    /// Step between the unique numbers of a name-service database (2.5.1 to 2.6.0).
    pub unique_id_offset: u32,
    /// Which components log (2.5.1 to 2.6.0).
    pub log_mask: u32,
    /// Whether workers exit behind the checkpoint: 0 or 1.
    pub then_exit: u32,
}

impl Default for Header {
    fn default() -> Self {
        Self {
            magic_residue: 0,
            name: [0; 64],
            key_value_code: 0,
            key_value_residue: 0,
            kind: 0,
            state: 0,
            from: UniquePid::NULL,
            group: UniquePid::NULL,
            virtual_pid: -1,
            real_pid: -1,
            key_len: 0,
            value_len: 0,
            peers: 0,
            running: 0,
            verb: 0,
            status: 0,
            time_stamp: 0,
            interval: -1,
            ip: [0; 4],
            unique_id_offset: 0,
            log_mask: 0,
            then_exit: 0,
        }
    }
}
