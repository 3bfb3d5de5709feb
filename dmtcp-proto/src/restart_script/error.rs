//! Why a text is no restart script that can be relied on.

/// The script cannot be read. Its author is at fault: a coordinator that was cut off while it
/// wrote, names that stock scripts cannot hold, or a later edit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RestartScriptError {
    /// The script is longer than the caller allows.
    #[error("the restart script has {len} bytes, over the limit of {max}")]
    TooLong {
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// A quotation does not end.
    #[error("line {line}: a quotation begins and never ends: the script is cut off")]
    Unterminated {
        /// The line, counted from 1.
        line: usize,
    },
    /// The script does not say something that every restart script says.
    #[error("no line sets {field}: the script is cut off, or is no restart script")]
    Missing {
        /// The element.
        field: &'static str,
    },
    /// An element does not have the form it needs.
    #[error("line {line}: {field}: {why}")]
    Malformed {
        /// The line, counted from 1.
        line: usize,
        /// The element.
        field: &'static str,
        /// What is wrong.
        why: &'static str,
    },
    /// Only a shell could tell the value.
    #[error("line {line}: {field} holds what only a shell can expand: write the value itself")]
    NotLiteral {
        /// The line, counted from 1.
        line: usize,
        /// The element.
        field: &'static str,
    },
    /// An element stands twice, so which one counts depends on how the script runs.
    #[error("line {line}: {field} is set, and line {first} has already set it")]
    Repeated {
        /// The line, counted from 1.
        line: usize,
        /// The element.
        field: &'static str,
        /// The line of the first one.
        first: usize,
    },
    /// The script names another number of hosts or images than it announces: some are missing,
    /// or a name with a blank in it counts as two.
    #[error(
        "line {line}: {field} is announced as {announced}, and the script names {found}: it was \
         edited, or a name has a blank in it"
    )]
    Count {
        /// The line, counted from 1.
        line: usize,
        /// What is counted.
        field: &'static str,
        /// The number that the script announces.
        announced: u64,
        /// The number of those it names.
        found: u64,
    },
}
