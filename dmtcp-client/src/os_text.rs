//! Host names, paths and arguments in JSON: text where it is UTF-8, bytes where it is not.
//!
//! `"plain"` or `[104, 105, 255]`. For `#[serde(with = "…")]`; used by the native image header
//! and the manifest.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

#[derive(Serialize)]
#[serde(untagged)]
enum Written<'a> {
    Text(&'a str),
    Bytes(&'a [u8]),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Read {
    Text(String),
    Bytes(Vec<u8>),
}

impl<'a> From<&'a OsStr> for Written<'a> {
    fn from(text: &'a OsStr) -> Self {
        match text.to_str() {
            Some(text) => Self::Text(text),
            None => Self::Bytes(text.as_bytes()),
        }
    }
}

impl From<Read> for OsString {
    fn from(read: Read) -> Self {
        match read {
            Read::Text(text) => Self::from(text),
            Read::Bytes(bytes) => Self::from_vec(bytes),
        }
    }
}

pub(crate) fn serialize<S: Serializer>(
    text: &impl AsRef<OsStr>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    Written::from(text.as_ref()).serialize(serializer)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>, T: From<OsString>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(T::from(OsString::from(Read::deserialize(deserializer)?)))
}

/// The same for a list.
pub(crate) mod list {
    use super::{Deserialize, Deserializer, OsString, Read, Serializer, Written};

    pub(crate) fn serialize<S: Serializer>(
        list: &[OsString],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(list.iter().map(|item| Written::from(item.as_os_str())))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<OsString>, D::Error> {
        let list = Vec::<Read>::deserialize(deserializer)?;
        Ok(list.into_iter().map(OsString::from).collect())
    }
}

/// The same for what may not be there; `null` then. Written only.
pub(crate) mod option {
    use super::{OsStr, Serialize, Serializer, Written};

    pub(crate) fn serialize<S: Serializer, T: AsRef<OsStr>>(
        text: &Option<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let text = text.as_ref().map(|text| Written::from(text.as_ref()));
        text.serialize(serializer)
    }
}
