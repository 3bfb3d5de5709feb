//! Identities in JSON as people see them elsewhere: `{"id": "98ff-40000-e2", "generation": 1}`.
//!
//! For `#[serde(with = "…")]`; used by the native image header and the manifest.

use dmtcp_proto::UniquePid;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

#[derive(Serialize, Deserialize)]
struct Form {
    id: String,
    #[serde(default)]
    generation: u32,
}

pub(crate) fn serialize<S: Serializer>(id: &UniquePid, serializer: S) -> Result<S::Ok, S::Error> {
    Form {
        id: id.to_string(),
        generation: id.generation,
    }
    .serialize(serializer)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<UniquePid, D::Error> {
    let form = Form::deserialize(deserializer)?;
    let id: UniquePid = form.id.parse().map_err(de::Error::custom)?;
    Ok(id.with_generation(form.generation))
}
