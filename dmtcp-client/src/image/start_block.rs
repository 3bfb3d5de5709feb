//! Arguments and environment of a process, found where the kernel put them: at the end of its
//! first stack.
//!
//! No format has a field for them; but the stack is in every DMTCP image. From its last byte
//! downwards stand a null word, the name that was executed, the environment, the arguments; below,
//! vectors of pointers to these, and behind those the auxiliary vector, which points to the name.
//! What is said here is what `/proc/PID/cmdline` and `/proc/PID/environ` would say: as it was
//! when the program was started (by `dmtcp_launch`, with DMTCP's own variables in it), unless the
//! program has written over it since. What `setenv` adds later is elsewhere. Only processes with
//! addresses of 64 bits.

use crate::os_text;
use serde::Serialize;
use std::collections::HashSet;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// What a program was started with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StartBlock {
    /// The file that was executed, as it was named then.
    #[serde(with = "os_text")]
    pub executed: PathBuf,
    /// Its arguments, the first of which is its own name.
    #[serde(serialize_with = "os_text::list::serialize")]
    pub arguments: Vec<OsString>,
    /// Its environment, each as `NAME=value`. Of a value that the program has cut since with a NUL, as
    /// DMTCP does with that of `LD_PRELOAD`, only what is before it.
    #[serde(serialize_with = "os_text::list::serialize")]
    pub environment: Vec<OsString>,
}

/// The end of a stack, as far as it is kept.
#[derive(Debug, Default)]
pub(super) struct StackTail {
    /// Address behind the last byte of the stack; zero: not known yet.
    end: u64,
    /// Address of the first byte in `bytes`.
    base: u64,
    bytes: Vec<u8>,
    /// Where the next data belongs.
    at: u64,
}

impl StackTail {
    /// Nothing yet of a stack that ends there, or, without a value, where its first area does.
    pub(super) fn new(end: Option<u64>) -> Self {
        let end = end.unwrap_or_default();
        Self {
            end,
            base: end.saturating_sub(MAX_BLOCK),
            ..Self::default()
        }
    }

    /// Data that is told next is at this address of a stack whose area has this end.
    pub(super) fn begin(&mut self, address: u64, end: u64) {
        if self.end == 0 {
            *self = Self::new(Some(end));
        }
        self.at = address;
    }

    /// Keeps what belongs to the end of the stack; at most [`MAX_BLOCK`] bytes.
    pub(super) fn data(&mut self, bytes: &[u8]) {
        let start = self.at;
        self.at = start.saturating_add(bytes.len() as u64);
        let from = start.max(self.base);
        let to = self.at.min(self.end);
        let part = |address: u64| usize::try_from(address.checked_sub(start)?).ok();
        let (Some(first), Some(last)) = (part(from), part(to)) else {
            return;
        };
        let Some(kept) = bytes.get(first..last).filter(|kept| !kept.is_empty()) else {
            return;
        };
        // Runs of zero pages are not in the image, and no start block has one. Runs come in order.
        if self.end_of_kept() < from || self.bytes.is_empty() {
            self.bytes.clear();
            self.base = from;
            let room = usize::try_from(self.end - from).unwrap_or_default();
            self.bytes.reserve_exact(room);
        } else if self.end_of_kept() > from {
            return;
        }
        self.bytes.extend_from_slice(kept);
    }

    fn end_of_kept(&self) -> u64 {
        self.base.saturating_add(self.bytes.len() as u64)
    }

    /// The block, if what is kept has one.
    pub(super) fn start_block(&self) -> Option<StartBlock> {
        let len = usize::try_from(self.end.checked_sub(self.base)?).ok()?;
        if len != self.bytes.len() || self.base % WORD as u64 != 0 {
            return None;
        }
        let words = Words {
            base: self.base,
            bytes: &self.bytes,
        };
        let executed_end = len.checked_sub(WORD)?;
        if words.at(executed_end)? != 0 {
            return None;
        }
        let executed = string_before(&self.bytes, executed_end)?;
        let executed_at = executed_end.checked_sub(executed.len() + 1)?;
        let pointed_at = self.base.checked_add(executed_at as u64)?;
        let vectors = words.vectors_below(executed_at, pointed_at)?;
        let strings = self.bytes.get(vectors.first_string..executed_at)?;
        let mut address = self.base.saturating_add(vectors.first_string as u64);
        let mut strings = strings.split_inclusive(|&byte| byte == 0).map(|string| {
            let text = string.strip_suffix(b"\0").unwrap_or(string);
            let begins = address;
            address = address.saturating_add(string.len() as u64);
            (begins, OsString::from_vec(text.to_vec()))
        });
        let arguments = strings.by_ref().take(vectors.arguments);
        let arguments: Vec<_> = arguments.map(|(_, text)| text).collect();
        let mut environment: Vec<_> = strings.by_ref().take(MAX_STRINGS).collect();
        if arguments.len() != vectors.arguments || strings.next().is_some() {
            return None;
        }
        // `unsetenv` takes out none that has no name, so this is the rest of one that was cut.
        environment.retain(|(begins, text)| {
            text.as_bytes().contains(&b'=') || vectors.variables.contains(begins)
        });
        let environment = environment.into_iter().map(|(_, text)| text).collect();
        Some(StartBlock {
            executed: OsString::from_vec(executed.to_vec()).into(),
            arguments,
            environment,
        })
    }
}

/// What the vectors say of the strings.
struct Vectors {
    arguments: usize,
    /// Where the environment's pointers lead.
    variables: HashSet<u64>,
    /// Index of the first argument's first byte.
    first_string: usize,
}

/// The words of the tail; the end of a stack is aligned.
struct Words<'a> {
    base: u64,
    bytes: &'a [u8],
}

impl Words<'_> {
    fn at(&self, index: usize) -> Option<u64> {
        let word = self.bytes.get(index..index.checked_add(WORD)?)?;
        Some(u64::from_le_bytes(word.try_into().ok()?))
    }

    /// The word before the one at `index`, which becomes it.
    fn step_down(&self, index: &mut usize) -> Option<u64> {
        *index = index.checked_sub(WORD)?;
        self.at(*index)
    }

    /// Looks for the auxiliary vector that points to the executed file's name, and reads what
    /// stands below it.
    fn vectors_below(&self, executed_at: usize, pointed_at: u64) -> Option<Vectors> {
        let mut index = executed_at - executed_at % WORD;
        let mut tries = 0;
        while tries < MAX_TRIES {
            if self.step_down(&mut index)? != pointed_at {
                continue;
            }
            let mut auxiliary = index;
            if self.step_down(&mut auxiliary)? != AUX_EXECUTED {
                continue;
            }
            if let Some(vectors) = self.vectors_at(auxiliary, executed_at) {
                return Some(vectors);
            }
            tries += 1;
        }
        None
    }

    /// `index` is that of an entry's type in the auxiliary vector.
    fn vectors_at(&self, mut index: usize, executed_at: usize) -> Option<Vectors> {
        // Down to its first entry: before it is the null word behind the environment's pointers.
        loop {
            let mut below = index;
            self.step_down(&mut below)?;
            let kind = self.step_down(&mut below)?;
            if kind == 0 || kind > MAX_AUX_TYPE {
                break;
            }
            index = below;
        }
        // `unsetenv` moves pointers down, and leaves null words behind them.
        let mut word = self.step_down(&mut index)?;
        if word != 0 {
            return None;
        }
        while word == 0 {
            word = self.step_down(&mut index)?;
        }
        // Either the environment's pointers, a null word and the arguments', or, of an empty
        // environment, the arguments' only; in front of which stands their number.
        let mut first = u64::MAX;
        let mut count = 0usize;
        let mut variables = HashSet::new();
        let mut is_environment = true;
        loop {
            if is_environment && word != 0 {
                variables.insert(word);
            }
            if word == 0 {
                is_environment = false;
                (first, count) = (u64::MAX, 0);
            } else if count > 0 && word == count as u64 {
                break;
            } else {
                first = first.min(word);
                count += 1;
            }
            if count > MAX_STRINGS {
                return None;
            }
            word = self.step_down(&mut index)?;
        }
        let first_string = usize::try_from(first.checked_sub(self.base)?).ok()?;
        (first_string < executed_at).then_some(Vectors {
            arguments: count,
            variables,
            first_string,
        })
    }
}

/// The text before the NUL in front of `end`, back to the NUL before it.
fn string_before(bytes: &[u8], end: usize) -> Option<&[u8]> {
    let last = end.checked_sub(1)?;
    if *bytes.get(last)? != 0 {
        return None;
    }
    let before = bytes.get(..last)?;
    let start = before.iter().rposition(|&byte| byte == 0)? + 1;
    before.get(start..).filter(|text| !text.is_empty())
}

/// The kernel allows 6 MiB of strings; their pointers stand below them.
const MAX_BLOCK: u64 = 8 << 20;
/// More would need more memory here than the strings themselves.
const MAX_STRINGS: usize = 1 << 16;
/// Places that look like it; each may cost a walk through all that is kept.
const MAX_TRIES: u32 = 16;
const WORD: usize = 8;
/// `AT_EXECFN`.
const AUX_EXECUTED: u64 = 31;
/// There are 51 by now.
const MAX_AUX_TYPE: u64 = 255;
