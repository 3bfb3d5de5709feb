//! Where a frame ends: what its header announces, and what it may announce.

use crate::dialect::{Candidates, Layout, MAGIC};
use crate::error::{DecodeError, Expected};

/// How much a peer may make us hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The largest payload, in bytes. Default 64 MiB: memory maps of large processes pass, and a
    /// hostile length does not.
    pub max_payload: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_payload: 64 << 20,
        }
    }
}

impl Limits {
    /// These limits with another largest payload, in bytes.
    #[must_use]
    pub fn max_payload(self, max_payload: usize) -> Self {
        Self { max_payload }
    }
}

/// How far a frame goes.
pub(super) enum Extent<'a> {
    /// All of it is there.
    Whole {
        layout: &'static Layout,
        header: &'a [u8],
        payload: &'a [u8],
        /// What comes next.
        behind: &'a [u8],
    },
    /// It has at least so many bytes, more than there are.
    AtLeast(usize),
}

/// What is known of the headers of a stream, and what they may announce.
#[derive(Clone, Debug)]
pub(super) struct Framing {
    pub(super) candidates: Candidates,
    pub(super) limits: Limits,
    /// What the first header told.
    pub(super) layout: Option<&'static Layout>,
}

impl Framing {
    pub(super) fn new(candidates: Candidates, limits: Limits) -> Self {
        Self {
            candidates,
            limits,
            layout: None,
        }
    }

    /// How far the frame goes that begins with `bytes`. Refuses it as early as it can be refused.
    pub(super) fn measure<'a>(&mut self, bytes: &'a [u8]) -> Result<Extent<'a>, DecodeError> {
        let layout = match self.layout {
            Some(layout) => layout,
            None => match self.tell_layout(bytes)? {
                Some(layout) => layout,
                None => return Ok(Extent::AtLeast(self.shortest_header().max(bytes.len() + 1))),
            },
        };
        self.measure_as(bytes, layout)
    }

    /// The same for a header of this layout; fast where the layout is a constant.
    #[inline(always)]
    pub(super) fn measure_as<'a>(
        &self,
        bytes: &'a [u8],
        layout: &'static Layout,
    ) -> Result<Extent<'a>, DecodeError> {
        check_magic(bytes)?;
        let lengths = (
            number_at(bytes, layout.len_at),
            number_at(bytes, layout.payload_len_at),
        );
        let (Some(announced), Some(payload_len)) = lengths else {
            return Ok(Extent::AtLeast(layout.len));
        };
        if announced as usize != layout.len {
            return Err(self.header_len(announced));
        }
        let max = self.limits.max_payload;
        let Some(len) = usize::try_from(payload_len).ok().filter(|&len| len <= max) else {
            return Err(DecodeError::PayloadTooLarge {
                len: payload_len,
                max,
            });
        };
        let header = bytes.split_at_checked(layout.len);
        let payload = header.and_then(|(_, rest)| rest.split_at_checked(len));
        Ok(match (header, payload) {
            (Some((header, _)), Some((payload, behind))) => Extent::Whole {
                layout,
                header,
                payload,
                behind,
            },
            _ => Extent::AtLeast(layout.len.saturating_add(len)),
        })
    }

    /// The layout of the peer's headers, as soon as the first one tells.
    fn tell_layout(&mut self, bytes: &[u8]) -> Result<Option<&'static Layout>, DecodeError> {
        check_magic(bytes)?;
        let Some(narrowed) = self.candidates.narrow_by_header(bytes) else {
            return Ok(None);
        };
        let Some(dialect) = narrowed.iter().next() else {
            let offset = self.candidates.iter().map(|d| d.spec().layout.len_at).max();
            let found = offset.and_then(|at| number_at(bytes, at));
            return Err(self.header_len(found.unwrap_or_default()));
        };
        self.candidates = narrowed;
        self.layout = Some(dialect.spec().layout);
        Ok(self.layout)
    }

    fn shortest_header(&self) -> usize {
        let lengths = self.candidates.iter().map(|dialect| dialect.header_len());
        lengths.min().unwrap_or_default()
    }

    #[cold]
    fn header_len(&self, found: u32) -> DecodeError {
        let expected = self
            .candidates
            .only()
            .map_or(Expected::Any, Expected::Dialect);
        DecodeError::HeaderLen { expected, found }
    }
}

/// A wrong magic is refused at its first wrong byte.
#[inline(always)]
fn check_magic(bytes: &[u8]) -> Result<(), DecodeError> {
    let right = match bytes.first_chunk() {
        Some(magic) => magic == MAGIC,
        None => MAGIC.starts_with(bytes),
    };
    match right {
        true => Ok(()),
        false => Err(DecodeError::BadMagic),
    }
}

#[inline(always)]
fn number_at(bytes: &[u8], offset: usize) -> Option<u32> {
    let number = bytes.get(offset..)?.first_chunk()?;
    Some(u32::from_le_bytes(*number))
}
