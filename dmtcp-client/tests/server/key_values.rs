//! The key-value store, as the program around the coordinator sees it.

use dmtcp_client::server::{Computation, ComputationConfig, KeyValues, ServerError};
use dmtcp_proto::{
    Body, Dialect, KeyValueOp, KeyValueRequest, Kind, Message, Name, Text, UniquePid, Verb,
};

use crate::{
    LONG, for_each_dialect, open,
    peer::{Peer, Worker},
};

fn put(computation: &Computation, dialect: Dialect, key: &'static str, value: &[u8]) {
    let mut side = Peer::connect(computation.addr(), dialect);
    side.send(&Message::new(UniquePid::NULL, Body::NameServiceWorker));
    let request = KeyValueRequest {
        database: Name::new("/plugin").unwrap(),
        op: KeyValueOp::Set,
        key: Text::from(key),
        value: Text::new(value.to_vec()).unwrap(),
    };
    side.send(&Message::new(
        UniquePid::NULL,
        Body::KeyValueRequest(request),
    ));
    side.receive().unwrap();
}

fn shown(values: &KeyValues) -> Vec<(String, Vec<u8>)> {
    let shown = values.iter().map(|(database, key, value)| {
        assert_eq!(database.to_string(), "/plugin");
        (key.to_string(), value.as_bytes().to_vec())
    });
    shown.collect()
}

#[test]
fn they_can_be_read_while_it_runs_and_when_it_is_over() {
    for_each_dialect(|dialect| {
        let has_store = dialect.kind_number(Kind::KeyValueRequest).is_some();
        for end in [
            |computation: &Computation, _| computation.close(LONG).unwrap(),
            |computation: &Computation, _| computation.quit(LONG).unwrap(),
            |computation: &Computation, dialect| {
                let events = computation.events();
                let mut tool = Peer::connect(computation.addr(), dialect);
                tool.command(Verb::Quit);
                // Not all releases answer; then it is the end of the connection.
                tool.receive();
                events.for_each(drop);
            },
        ] {
            let (server, computation) = open(ComputationConfig::default());
            assert_eq!(computation.key_values().unwrap(), KeyValues::default());
            let worker = Worker::join(computation.addr(), dialect);
            let mut expected = Vec::new();
            if has_store {
                put(&computation, dialect, "a", b"1");
                put(&computation, dialect, "b", b"not \xff UTF-8");
                expected.push(("a".to_owned(), b"1".to_vec()));
                expected.push(("b".to_owned(), b"not \xff UTF-8".to_vec()));
            }
            let values = computation.key_values().unwrap();
            assert!(!values.computation().is_null());
            assert_eq!(shown(&values), expected);
            // Told to exit, it does.
            drop(worker);
            end(&computation, dialect);
            assert_eq!(computation.key_values().unwrap(), values);
            server.shutdown(LONG).unwrap();
            assert_eq!(computation.key_values().unwrap(), values);
        }
    });
}

#[test]
fn a_server_that_is_gone_cannot_be_asked() {
    let (server, computation) = open(ComputationConfig::default());
    drop(server);
    let asked = computation.key_values();
    assert!(matches!(asked, Err(ServerError::ServerGone)), "{asked:?}");
}
