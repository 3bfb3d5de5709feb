//! Decisions from the fuzzer's bytes; when they run out, every decision is zero.

use crate::dialect::Dialect;

/// What is left of the fuzzer's bytes.
pub(super) struct Script<'a> {
    data: &'a [u8],
}

impl<'a> Script<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self { data }
    }

    pub(super) fn is_over(&self) -> bool {
        self.data.is_empty()
    }

    pub(super) fn byte(&mut self) -> u8 {
        match self.data.split_first() {
            Some((&byte, rest)) => {
                self.data = rest;
                byte
            }
            None => 0,
        }
    }

    pub(super) fn flag(&mut self) -> bool {
        self.byte() % 2 == 1
    }

    /// At most `wanted` bytes.
    pub(super) fn bytes(&mut self, wanted: usize) -> &'a [u8] {
        let (taken, rest) = self.data.split_at(wanted.min(self.data.len()));
        self.data = rest;
        taken
    }

    pub(super) fn rest(&mut self) -> &'a [u8] {
        self.bytes(usize::MAX)
    }

    pub(super) fn choose<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::from(self.byte()) % choices.len()]
    }

    pub(super) fn dialect(&mut self) -> Dialect {
        self.choose(Dialect::ALL)
    }
}
