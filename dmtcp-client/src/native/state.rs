//! A typed state as bytes and back, so that what is written is known to be readable.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::Error;

/// How [`NativeHeader::encoding`](crate::image::native::NativeHeader::encoding) calls it.
pub(super) const MESSAGE_PACK: &str = "messagepack";

/// The state in bytes; each call proves that they can be decoded.
pub(super) fn encode<S: Serialize + DeserializeOwned>(state: &S) -> Result<Vec<u8>, Error> {
    let bytes = rmp_serde::to_vec_named(state).map_err(|error| Error::State {
        action: "written",
        why: error.to_string(),
    })?;
    match from_bytes::<S>(&bytes) {
        Ok(_) => Ok(bytes),
        Err(error) => Err(Error::State {
            action: "written",
            why: format!("it could not be read back: {error}"),
        }),
    }
}

pub(super) fn decode<S: DeserializeOwned>(encoding: &str, bytes: &[u8]) -> Result<S, Error> {
    let restored = if encoding == MESSAGE_PACK {
        from_bytes(bytes)
    } else {
        Err(format!(
            "the image has a payload of encoding {encoding:?}: use `restore_bytes`"
        ))
    };
    restored.map_err(|why| Error::State {
        action: "restored",
        why,
    })
}

fn from_bytes<S: DeserializeOwned>(bytes: &[u8]) -> Result<S, String> {
    let mut rest = bytes;
    let state = S::deserialize(&mut rmp_serde::Deserializer::new(&mut rest))
        .map_err(|error| error.to_string())?;
    if rest.is_empty() {
        Ok(state)
    } else {
        Err(format!("{} bytes are left over", rest.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use std::collections::BTreeMap;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    enum Kind {
        Plain,
        One(f32),
        Named { x: i128 },
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct State {
        floats: Vec<f64>,
        kinds: BTreeMap<(i32, char), Kind>,
        wide: u128,
        bytes: Vec<u8>,
        absent: Option<u8>,
    }

    fn state() -> State {
        State {
            floats: vec![0.1 + 0.2, -0.0, f64::MIN_POSITIVE / 3.0, f64::MAX, 1e-300],
            kinds: [
                ((1, 'é'), Kind::Plain),
                ((-1, 'a'), Kind::One(f32::MIN_POSITIVE / 3.0)),
                ((i32::MIN, '\0'), Kind::Named { x: i128::MIN }),
            ]
            .into(),
            wide: u128::MAX,
            bytes: vec![0, 127, 128, 255],
            absent: None,
        }
    }

    #[test]
    fn a_state_comes_back_exactly() {
        let bytes = encode(&state()).unwrap();
        let back: State = decode(MESSAGE_PACK, &bytes).unwrap();
        assert_eq!(back, state());
        assert_eq!(back.floats[1].to_bits(), (-0.0f64).to_bits());
    }

    #[test]
    fn numbers_without_a_name_in_json_come_back_too() {
        let bytes = encode(&vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY]).unwrap();
        let back: Vec<f64> = decode(MESSAGE_PACK, &bytes).unwrap();
        assert!(back[0].is_nan());
        assert_eq!(back[1..], [f64::INFINITY, f64::NEG_INFINITY]);
    }

    #[test]
    fn a_changed_program_is_told_which_field_is_missing() {
        #[derive(Debug, Serialize, Deserialize)]
        struct Old {
            sum: u64,
        }
        #[derive(Debug, Serialize, Deserialize)]
        struct New {
            sum: u64,
            steps: u64,
        }
        #[derive(Debug, Serialize, Deserialize)]
        struct Careful {
            sum: u64,
            #[serde(default)]
            steps: u64,
        }
        let bytes = encode(&Old { sum: 7 }).unwrap();
        let error = decode::<New>(MESSAGE_PACK, &bytes).unwrap_err();
        assert!(error.to_string().contains("steps"), "{error}");
        let careful: Careful = decode(MESSAGE_PACK, &bytes).unwrap();
        assert_eq!((careful.sum, careful.steps), (7, 0));
    }

    #[test]
    fn a_state_that_cannot_be_read_back_is_not_written() {
        #[derive(Serialize, Deserialize)]
        struct OneWay {
            #[serde(skip_serializing)]
            lost: u64,
        }
        let state = OneWay { lost: 1 };
        let error = encode(&state).unwrap_err();
        assert_eq!(state.lost, 1);
        assert!(error.to_string().contains("lost"), "{error}");
    }

    #[test]
    fn bytes_left_over_and_other_encodings_are_refused() {
        let mut bytes = encode(&1u64).unwrap();
        bytes.push(0);
        assert!(decode::<u64>(MESSAGE_PACK, &bytes).is_err());
        assert!(decode::<u64>("", &[1]).is_err());
    }
}
