//! Bytes arrive unchanged and at once, whatever they are; ends arrive as ends.

use super::{LONG, Trace, bytes, eventually, objects};
use bytes::BytesMut;
use dmtcp_proto::{Dialect, Frame, encode};
use socket2::SockRef;
use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    process::Stdio,
    thread,
    time::Duration,
};

/// A listener in the place of the coordinator, with a trace in front of it.
struct Stage {
    listener: TcpListener,
    trace: Trace,
}

impl Stage {
    fn new(args: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let trace = Trace::start(listener.local_addr().unwrap(), args);
        Self { listener, trace }
    }

    fn connect(&self) -> TcpStream {
        limited(TcpStream::connect(self.trace.addr()).unwrap())
    }

    fn accept(&self) -> TcpStream {
        limited(self.listener.accept().unwrap().0)
    }
}

fn limited(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream.set_write_timeout(Some(LONG)).unwrap();
    stream
}

fn exactly(mut stream: &TcpStream, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

fn rest(mut stream: &TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    bytes
}

/// Bytes without any pattern that begins like a frame.
fn noise(len: usize, mut seed: u32) -> Vec<u8> {
    let mut next = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 24) as u8
    };
    (0..len).map(|_| next()).collect()
}

#[test]
fn half_a_frame_passes_at_once() {
    let stage = Stage::new(&["--format", "json"]);
    let mut client = stage.connect();
    let mut frame = BytesMut::new();
    encode(Dialect::V5, &Frame::default(), &mut frame).unwrap();
    client.write_all(&frame[..1]).unwrap();
    let mut server = stage.accept();
    assert_eq!(exactly(&server, 1), frame[..1]);
    client.write_all(&frame[1..100]).unwrap();
    assert_eq!(exactly(&server, 99), frame[1..100]);
    server.write_all(&frame[..50]).unwrap();
    assert_eq!(exactly(&client, 50), frame[..50]);

    // What never becomes whole is shown when it is known not to.
    drop((client, server));
    eventually("the end", || {
        stage.trace.read("out").contains("\"closed\"").then_some(())
    });
    let seen = objects(&stage.trace.stop());
    assert_eq!(bytes(&seen, 1, "c2s"), frame[..100]);
    assert_eq!(bytes(&seen, 1, "s2c"), frame[..50]);
    let raw: Vec<_> = seen
        .iter()
        .filter(|object| object["event"] == "raw")
        .collect();
    assert!(raw.iter().all(|raw| raw["why"] == "incomplete"), "{raw:?}");
    assert_eq!(raw.len(), 2);
}

#[test]
fn any_bytes_pass_unchanged_in_both_directions_and_an_end_leaves_the_other_open() {
    const LEN: usize = 1 << 20;
    let stage = Stage::new(&["--format", "json"]);
    let mut client = stage.connect();
    let (question, answer) = (noise(LEN, 1), noise(LEN, 2));
    thread::scope(|scope| {
        scope.spawn(|| {
            client.write_all(&question).unwrap();
            client.shutdown(Shutdown::Write).unwrap();
        });
        let mut server = stage.accept();
        assert!(rest(&server) == question);
        // Its own end has been passed on; the other direction is as open as before.
        server.write_all(&answer).unwrap();
    });
    assert!(rest(&client) == answer);
    eventually("the end", || {
        stage.trace.read("out").contains("\"closed\"").then_some(())
    });
    let seen = objects(&stage.trace.stop());
    assert!(bytes(&seen, 1, "c2s") == question);
    assert!(bytes(&seen, 1, "s2c") == answer);
    let first = seen.iter().find(|object| object["event"] == "raw").unwrap();
    assert!(
        first["why"].as_str().unwrap().contains("bad magic"),
        "{first}"
    );
}

#[test]
fn who_says_nothing_never_reaches_the_coordinator() {
    let stage = Stage::new(&[]);
    drop(stage.connect());
    let silent = stage.connect();
    let mut client = stage.connect();
    client.write_all(b"I do").unwrap();
    let server = stage.accept();
    assert_eq!(exactly(&server, 4), b"I do");
    drop((client, silent));
    assert_eq!(rest(&server), b"");
    stage.listener.set_nonblocking(true).unwrap();
    let nobody = stage.listener.accept().unwrap_err();
    assert_eq!(nobody.kind(), ErrorKind::WouldBlock);
}

#[test]
fn an_answer_arrives_though_the_coordinator_resets_the_connection_behind_it() {
    let stage = Stage::new(&[]);
    for _ in 0..2 {
        let mut client = stage.connect();
        client.write_all(b"question and more").unwrap();
        let mut server = stage.accept();
        exactly(&server, 8);
        server.write_all(b"answer").unwrap();
        assert_eq!(exactly(&client, 6), b"answer");
        // Closing with bytes that nobody has read resets.
        drop(server);
        let mut more = [0];
        match client.read(&mut more) {
            Ok(len) => assert_eq!(len, 0),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
    }
    // A client that resets, too, ends nothing but its own connection.
    let mut client = stage.connect();
    client.write_all(b"x").unwrap();
    let server = stage.accept();
    exactly(&server, 1);
    let at_once = Some(Duration::ZERO);
    SockRef::from(&client).set_linger(at_once).unwrap();
    drop(client);
    assert_eq!(rest(&server), b"");
    drop(server);
    eventually("three ends", || {
        (stage.trace.read("out").matches(" closed\n").count() == 3).then_some(())
    });
    let out = stage.trace.stop();
    assert!(out.contains("reset by peer"), "{out}");
}

#[test]
fn without_a_coordinator_clients_are_let_go_and_the_next_one_is_served() {
    let stage = Stage::new(&[]);
    let addr = stage.listener.local_addr().unwrap();
    drop(stage.listener);
    let mut client = limited(TcpStream::connect(stage.trace.addr()).unwrap());
    client.write_all(b"hello").unwrap();
    assert_eq!(rest(&client), b"");
    let listener = TcpListener::bind(addr).unwrap();
    let mut client = limited(TcpStream::connect(stage.trace.addr()).unwrap());
    client.write_all(b"hello").unwrap();
    assert_eq!(exactly(&listener.accept().unwrap().0, 5), b"hello");
    let out = stage.trace.stop();
    assert!(out.contains(&format!("no connection to {addr}")), "{out}");
}

#[test]
fn nobody_has_to_read_the_output() {
    // More than any pipe holds, on an output that is not read, then on one that is closed.
    const LEN: usize = 4 << 20;
    for closed in [false, true] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let dir = tempfile::tempdir().unwrap();
        let coordinator = listener.local_addr().unwrap();
        let mut command = Trace::command(&dir, coordinator, &["--format", "json"]);
        command.stdout(Stdio::piped());
        let mut trace = Trace::spawn(dir, command);
        let unread = trace.child.take_stdout();
        if closed {
            drop(unread);
        }
        let mut client = limited(TcpStream::connect(trace.addr()).unwrap());
        let sent = noise(LEN, 3);
        thread::scope(|scope| {
            scope.spawn(|| {
                client.write_all(&sent).unwrap();
                client.shutdown(Shutdown::Write).unwrap();
            });
            let server = limited(listener.accept().unwrap().0);
            assert!(rest(&server) == sent);
        });
    }
}

#[test]
fn connections_over_the_limit_wait_for_their_turn() {
    let stage = Stage::new(&["--connections", "1"]);
    let mut first = stage.connect();
    let mut second = stage.connect();
    second.write_all(b"2").unwrap();
    first.write_all(b"1").unwrap();
    let server = stage.accept();
    assert_eq!(exactly(&server, 1), b"1");
    drop((first, server));
    assert_eq!(exactly(&stage.accept(), 1), b"2");
}
