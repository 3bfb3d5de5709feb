//! `dmtcp_key_values`: what the workers of a computation told each other.

use std::ffi::{CString, c_char};

use dmtcp_proto::KeyValues as Found;

use crate::boundary::{c_string, call, contain};
use crate::codes::ResultCode;
use crate::failure::Failure;
use crate::ffi::{GrowingOut, In, Owned, growing};

/// The key-value store of a computation, as it was when it was asked for.
pub struct KeyValues(Vec<[CString; 3]>);

/// One entry. The texts belong to the object and live as long as it.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
#[non_exhaustive]
pub struct KeyValue {
    /// In: sizeof(dmtcp_key_value).
    pub size: usize,
    /// Name of the database.
    pub database: *const c_char,
    /// The key.
    pub key: *const c_char,
    /// The value.
    pub value: *const c_char,
}

growing!(KeyValue, oldest = value);

/// How many entries there are; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_key_values_count(key_values: In<KeyValues>) -> usize {
    contain(0, || {
        key_values.optional().map_or(0, |values| values.0.len())
    })
}

/// The entry at an index from 0, in the order of database and key.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_key_values_get(
    key_values: In<KeyValues>,
    index: usize,
    key_value: GrowingOut<KeyValue>,
) -> ResultCode {
    call(|| {
        let values = &key_values.get("key_values")?.0;
        let place = key_value.place("key_value")?;
        let [database, key, value] = values.get(index).ok_or_else(|| {
            let count = values.len();
            Failure::argument(format!("there is no index {index} in a list of {count}"))
        })?;
        place.put(KeyValue {
            size: size_of::<KeyValue>(),
            database: database.as_ptr(),
            key: key.as_ptr(),
            value: value.as_ptr(),
        });
        Ok(())
    })
}

/// Frees the object and its texts.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_key_values_free(key_values: Owned<KeyValues>) {
    contain((), || drop(key_values.take()));
}

impl From<&Found> for KeyValues {
    fn from(found: &Found) -> Self {
        let entries = found.iter().map(|(database, key, value)| {
            [database.to_string(), key.to_string(), value.to_string()].map(|text| c_string(&text))
        });
        Self(entries.collect())
    }
}
