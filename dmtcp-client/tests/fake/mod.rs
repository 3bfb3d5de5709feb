//! A scripted coordinator: real sockets, captured answers, any misbehaviour.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::BytesMut;
use dmtcp_client::coordinator::Coordinator;
use dmtcp_proto::{
    Body, Decoder, Dialect, Frame, Limits, Message, UniquePid, Verb, WorkerInfo, WorkerState,
    encode, worker_list,
};

/// Longer than anything here takes unless it hangs.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// What the script does with a command.
pub(crate) enum Answer {
    /// Sends these bytes and closes. A list that the client did not wait for is the next one that
    /// it gets, so that a slow machine changes nothing of what it comes to see.
    Send(Vec<u8>),
    /// Sends these bytes and keeps the connection open.
    Stall(Vec<u8>),
    /// Sends one byte after the other, slowly, for ever.
    Dribble(Vec<u8>),
    /// Sends `held` to the connections kept open so far, closes them, and answers this one.
    Release { held: Vec<u8>, this: Vec<u8> },
}

/// Listens until it is dropped.
pub(crate) struct Fake {
    pub(crate) dialect: Dialect,
    addr: SocketAddr,
    verbs: Arc<Mutex<Vec<Verb>>>,
    silent: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Fake {
    pub(crate) fn start(
        dialect: Dialect,
        mut script: impl FnMut(Verb) -> Answer + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        let verbs = Arc::new(Mutex::new(Vec::new()));
        let over = Arc::new(AtomicBool::new(false));
        let silent = Arc::new(AtomicUsize::new(0));
        let thread = std::thread::spawn({
            let (verbs, over, silent) = (verbs.clone(), over.clone(), silent.clone());
            move || {
                let mut held = Vec::new();
                let mut untaken: Option<Vec<u8>> = None;
                while let Ok((mut stream, _)) = listener.accept() {
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                    let Some(verb) = command(dialect, &mut stream) else {
                        silent.fetch_add(1, Ordering::Relaxed);
                        continue;
                    };
                    let again = untaken.take_if(|_| verb == Verb::List);
                    let answer = again.map(Answer::Send).unwrap_or_else(|| {
                        verbs.lock().unwrap().push(verb);
                        script(verb)
                    });
                    match answer {
                        Answer::Send(bytes) if verb == Verb::List => {
                            untaken = (!is_taken(stream, &bytes)).then_some(bytes);
                        }
                        answer => serve(answer, stream, &mut held, &over),
                    }
                }
            }
        });
        Self {
            dialect,
            addr,
            verbs,
            silent,
            over,
            thread: Some(thread),
        }
    }

    pub(crate) fn handle(&self) -> Coordinator {
        Coordinator::new(self.addr, self.dialect).timeout(LONG)
    }

    /// What was asked so far; without lists asked for again that nobody had waited for.
    pub(crate) fn verbs(&self) -> Vec<Verb> {
        self.verbs.lock().unwrap().clone()
    }
}

impl Fake {
    /// How many connections ended before a whole command; each would have ended a stock coordinator
    /// before 4.0.0.
    #[allow(dead_code, reason = "not every test crate asks")]
    pub(crate) fn silent(&self) -> usize {
        self.silent.load(Ordering::Relaxed)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.addr);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Reads one command; `None` if the peer only looked in.
fn command(dialect: Dialect, stream: &mut TcpStream) -> Option<Verb> {
    let mut bytes = vec![0; dialect.header_len()];
    stream.read_exact(&mut bytes).ok()?;
    match Message::parse(dialect, &decode(dialect, &bytes))
        .unwrap()
        .body
    {
        Body::UserCommand(command) => Some(command.verb),
        other => panic!("not a command: {other:?}"),
    }
}

fn serve(answer: Answer, mut stream: TcpStream, held: &mut Vec<TcpStream>, over: &AtomicBool) {
    // A client that has given up is no failure of the script.
    match answer {
        Answer::Send(bytes) => drop(stream.write_all(&bytes)),
        Answer::Stall(bytes) => {
            drop(stream.write_all(&bytes));
            held.push(stream);
        }
        Answer::Dribble(bytes) => {
            for byte in bytes.iter().cycle() {
                let sent = stream.write_all(&[*byte]);
                if sent.is_err() || over.load(Ordering::Relaxed) {
                    break;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        Answer::Release { held: last, this } => {
            for mut waiting in held.drain(..) {
                drop(waiting.write_all(&last));
            }
            drop(stream.write_all(&this));
        }
    }
}

/// Sends the bytes and the end of the connection, and says whether the client has read them: it
/// resets the connection if it closes it with bytes unread.
fn is_taken(mut stream: TcpStream, bytes: &[u8]) -> bool {
    stream.set_read_timeout(Some(LONG)).unwrap();
    let sent = stream
        .write_all(bytes)
        .and_then(|()| stream.shutdown(Shutdown::Write));
    sent.is_ok() && stream.read(&mut [0]).is_ok()
}

/// The captured answer of this name, as a frame.
pub(crate) fn captured(dialect: Dialect, name: &str) -> Frame {
    static VECTORS: [OnceLock<Vec<Vector>>; 5] = [const { OnceLock::new() }; 5];
    let (index, text, prefix) = match dialect {
        Dialect::V2_4 => (
            0,
            include_str!("../../../dmtcp-proto/vectors/v2_4.jsonl"),
            "a136",
        ),
        Dialect::V2_5 => (
            1,
            include_str!("../../../dmtcp-proto/vectors/v2_5.jsonl"),
            "a144-2.5.2",
        ),
        Dialect::V2_6 => (
            2,
            include_str!("../../../dmtcp-proto/vectors/v2_6.jsonl"),
            "a144-2.6.0",
        ),
        Dialect::V3 => (
            3,
            include_str!("../../../dmtcp-proto/vectors/v3.jsonl"),
            "b",
        ),
        Dialect::V5 => (
            4,
            include_str!("../../../dmtcp-proto/vectors/v5.jsonl"),
            "c",
        ),
        other => panic!("no vectors for {other:?}"),
    };
    // 2.4 was captured without a worker that runs.
    let (taken, peers) = match (dialect, name) {
        (Dialect::V2_4, "status-1peers") => ("status-2peers", Some(1)),
        (Dialect::V2_4, "checkpoint") => ("checkpoint", Some(1)),
        _ => (name, None),
    };
    let full = format!("{prefix}-s2c-USER_CMD_RESULT-{taken}");
    let vectors = VECTORS[index].get_or_init(|| vectors(text));
    let vector = vectors.iter().find(|vector| vector.name == full);
    let vector = vector.unwrap_or_else(|| panic!("no vector {full}"));
    let mut frame = decode(dialect, &vector.bytes);
    if let Some(peers) = peers {
        frame.header.peers = peers;
        frame.header.running = u32::from(name == "status-1peers");
    }
    frame
}

/// A captured message.
struct Vector {
    name: String,
    bytes: Vec<u8>,
}

fn vectors(text: &str) -> Vec<Vector> {
    let vector = |line| {
        let sidecar: serde_json::Value = serde_json::from_str(line).unwrap();
        let hex = sidecar["hex"].as_str().unwrap();
        let digits = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        Vector {
            name: sidecar["name"].as_str().unwrap().to_owned(),
            bytes: (0..hex.len()).step_by(2).map(digits).collect(),
        }
    };
    text.lines().map(vector).collect()
}

fn decode(dialect: Dialect, bytes: &[u8]) -> Frame {
    let mut decoder = Decoder::new(dialect, Limits::default());
    decoder.feed(bytes);
    decoder.next_frame().unwrap().unwrap()
}

/// The frame as it goes onto the wire.
pub(crate) fn bytes(dialect: Dialect, frame: &Frame) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    encode(dialect, frame, &mut bytes).unwrap();
    bytes.to_vec()
}

/// The captured answer of this name.
pub(crate) fn answer(dialect: Dialect, name: &str) -> Vec<u8> {
    bytes(dialect, &captured(dialect, name))
}

/// An answer to `list` with workers in these states; with a computation if the coordinator is
/// one that names it.
pub(crate) fn list(dialect: Dialect, states: &[WorkerState], names: bool) -> Vec<u8> {
    let captured_list = captured(dialect, "list");
    let text = String::from_utf8(captured_list.payload.to_vec()).unwrap();
    let pattern = worker_list::parse(&text).unwrap().swap_remove(0);
    let workers = (1..).zip(states).map(|(number, &state)| {
        let mut worker: WorkerInfo = pattern.clone();
        worker.number = number;
        worker.state = state;
        worker
    });
    let text = worker_list::write_for(dialect, workers.filter(|worker| worker.state != GONE));
    let mut frame = captured_list;
    frame.payload = text.into_bytes().into();
    if names {
        frame.header.group = UniquePid {
            host_id: 1,
            time: 1,
            pid: 40000,
            generation: 1,
        };
    }
    bytes(dialect, &frame)
}

/// Stands for a worker that is no longer listed.
pub(crate) const GONE: WorkerState = WorkerState::Other(99);
