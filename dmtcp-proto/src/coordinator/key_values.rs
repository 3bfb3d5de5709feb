//! What is in a key-value store, for whoever wants to see all of it.

use alloc::collections::BTreeMap;

use crate::ids::UniquePid;
use crate::name::Name;
use crate::text::Text;

/// All keys and values of a computation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyValues {
    pub(super) computation: UniquePid,
    pub(super) databases: BTreeMap<[u8; 64], BTreeMap<Text, Text>>,
}

impl KeyValues {
    /// Whose they are; null before the first worker. Its generation is that of its beginning.
    #[must_use]
    pub fn computation(&self) -> UniquePid {
        self.computation
    }

    /// Database, key and value, in the order of their bytes.
    pub fn iter(&self) -> impl Iterator<Item = (Name, &Text, &Text)> {
        self.databases.iter().flat_map(|(database, keys)| {
            let database = Name::from_field(database);
            keys.iter().map(move |(key, value)| (database, key, value))
        })
    }
}
