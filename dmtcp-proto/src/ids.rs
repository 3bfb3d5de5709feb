//! Identities: of processes, computations, connections and requests.
//!
//! Not here: who is allowed to claim one. Used everywhere.

use core::fmt;
use core::str::FromStr;

/// Identity of a process or a computation, as DMTCP prints it.
///
/// DMTCP calls this `UniquePid`. Its text form is
/// `<host hex>-<pid decimal>-<time hex>`, for example
/// `98ff-40000-14d2d64226d`; the generation is not part of the text.
///
/// ```
/// use dmtcp_proto::UniquePid;
/// let id: UniquePid = "98ff-40000-14d2d64226d".parse()?;
/// assert_eq!(id.pid, 40000);
/// assert_eq!(id.to_string(), "98ff-40000-14d2d64226d");
/// # Ok::<(), dmtcp_proto::ParseUniquePidError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[expect(
    clippy::exhaustive_structs,
    reason = "24 bytes on the wire, fixed in every dialect"
)]
pub struct UniquePid {
    /// Hash of the host name; only equality means anything.
    pub host_id: u64,
    /// When the process was created, in a unit that differs between releases; opaque.
    pub time: u64,
    /// Virtual pid once a process has been accepted, real pid before.
    pub pid: i32,
    /// Counts the checkpoints; only meaningful inside a computation id.
    pub generation: u32,
}

impl UniquePid {
    /// No process and no computation.
    pub const NULL: Self = Self {
        host_id: 0,
        time: 0,
        pid: 0,
        generation: 0,
    };

    /// Whether both name the same process or computation; the generation does not count.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        (self.host_id, self.pid, self.time) == (other.host_id, other.pid, other.time)
    }

    /// Whether this names nothing (the generation does not count: stock peers leave garbage there).
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.same_as(&Self::NULL)
    }

    /// The same identity with another generation.
    #[must_use]
    pub fn with_generation(self, generation: u32) -> Self {
        Self { generation, ..self }
    }

    /// DMTCP's hash of a host name, as a 64-bit host computes it.
    ///
    /// `docs/PROTOCOL.md`, "Header": `h = byte + 331 * h` in a signed word, then the absolute value.
    #[must_use]
    pub fn host_id_of(host_name: &[u8]) -> u64 {
        let hash = host_name.iter().fold(0i64, |hash, &byte| {
            i64::from(byte).wrapping_add(hash.wrapping_mul(331))
        });
        hash.unsigned_abs()
    }
}

impl fmt::Display for UniquePid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{}-{:x}", self.host_id, self.pid, self.time)
    }
}

/// The text is not `<host hex>-<pid decimal>-<time hex>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not of the form <host hex>-<pid>-<time hex>")]
#[non_exhaustive]
pub struct ParseUniquePidError;

impl FromStr for UniquePid {
    type Err = ParseUniquePidError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.splitn(2, '-');
        let host = parts.next().ok_or(ParseUniquePidError)?;
        let rest = parts.next().ok_or(ParseUniquePidError)?;
        let (pid, time) = rest.rsplit_once('-').ok_or(ParseUniquePidError)?;
        let hex = |digits: &str| u64::from_str_radix(digits, 16).map_err(|_| ParseUniquePidError);
        Ok(Self {
            host_id: hex(host)?,
            time: hex(time)?,
            pid: pid.parse().map_err(|_| ParseUniquePidError)?,
            generation: 0,
        })
    }
}

/// A connection of a coordinator; the driver chooses the number and never reuses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_structs, reason = "made by drivers")]
pub struct ConnId(pub u64);

/// A request of the embedding program; the driver chooses the number and never reuses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_structs, reason = "made by drivers")]
pub struct RequestId(pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_id_of_the_captures() {
        assert_eq!(UniquePid::host_id_of(b"vm"), 0x98ff);
    }

    #[test]
    fn text_forms_that_are_refused() {
        for text in ["", "1", "1-2", "x-1-2", "1-y-2", "1-2-z"] {
            assert!(text.parse::<UniquePid>().is_err(), "{text:?}");
        }
    }
}
