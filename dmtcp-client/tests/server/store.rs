//! Requests to what a dialect keeps values in: the key-value store or, before 3.0.0, the name
//! service.

use bytes::Bytes;
use dmtcp_proto::{
    Body, Dialect, KeyValueOp, KeyValueRequest, Kind, Message, Name, NameServiceOp,
    NameServiceRequest, Text, UniquePid,
};

/// Keeps so many bytes.
pub(crate) fn keep(dialect: Dialect, value: usize) -> Message {
    ask_store(dialect, Some(Bytes::from(vec![b'1'; value])))
}

/// Reads them back.
pub(crate) fn read_back(dialect: Dialect) -> Message {
    ask_store(dialect, None)
}

fn ask_store(dialect: Dialect, value: Option<Bytes>) -> Message {
    let is_old = dialect.kind_number(Kind::KeyValueRequest).is_none();
    let body = if is_old {
        Body::NameServiceRequest(NameServiceRequest {
            database: *b"test\0\0\0\0",
            key: Bytes::from_static(b"key"),
            op: match value {
                Some(value) => NameServiceOp::Register { value, sync: true },
                None => NameServiceOp::Query,
            },
        })
    } else {
        Body::KeyValueRequest(KeyValueRequest {
            database: Name::new("test").unwrap(),
            op: match value {
                Some(_) => KeyValueOp::Set,
                None => KeyValueOp::Get,
            },
            key: Text::from("key"),
            value: Text::new(value.unwrap_or_default()).unwrap(),
        })
    };
    Message::new(UniquePid::NULL, body)
}
