//! What is written down of a life for people to read. Nothing depends on it.

use std::collections::BTreeMap;

#[derive(Clone, Default)]
pub(crate) struct Record {
    /// A line for each thing that happens, if anybody wants to read it.
    pub(crate) timeline: Option<Vec<String>>,
    /// How often things happened, by kind.
    pub(crate) counts: BTreeMap<&'static str, u64>,
}

impl std::fmt::Debug for Record {
    /// Nothing: two worlds are the same, however they came to be.
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Ok(())
    }
}
