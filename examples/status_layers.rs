//! What each layer adds to a question for the status, beside the least that it takes and beside
//! spawning `dmtcp_command`, in turns within one run.
//!
//! `cargo run --release --example status_layers --features tokio -- [--calls N] [--address ADDRESS]
//! [--c PROGRAM] [--python INTERPRETER]` makes so many calls through each, by default 5000, to a
//! coordinator in this process, or at that address (DMTCP 3.0 to 4.2, or ours):
//!
//! - bare: connect, write the question, read the answer, close; nothing is looked at.
//! - Rust: `Coordinator::status`; async: `aio::Coordinator::status`, with the feature `tokio`.
//! - C: PROGRAM, made of `examples/layers/status.c`; Python: INTERPRETER with
//!   `examples/layers/status.py` and the package `dmtcp`.
//! - spawn: `dmtcp_command` of the DMTCP in `DMTCP_BIN` or `PATH`, a fiftieth of the calls.
//!
//! What is not given is named and left out. The goals: Rust within 1.3 times the bare one, Python at
//! least 20 times as fast as the spawn.

use dmtcp_client::coordinator::Coordinator;
use dmtcp_client::server::{ComputationConfig, Server};
use dmtcp_client::{Dialect, Tools, UniquePid};
use dmtcp_examples::layers::{OtherProgram, Spread};
use dmtcp_proto::{Command, Exchange, Step};
use std::error::Error;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{self, Stdio};
use std::time::{Duration, Instant};

const DIALECT: Dialect = Dialect::V3;
/// Of each layer, before the next has its turn.
const TURN: usize = 50;
const WARM_UP: usize = 3;

type Timed = Result<Vec<Duration>, Box<dyn Error>>;

struct Layer {
    name: &'static str,
    calls_each_turn: usize,
    ask: Box<dyn FnMut(usize) -> Timed>,
    took: Vec<Duration>,
}

impl Layer {
    fn new(name: &'static str, ask: impl FnMut(usize) -> Timed + 'static) -> Self {
        Self {
            name,
            calls_each_turn: TURN,
            ask: Box::new(ask),
            took: Vec::new(),
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let (mut calls, mut addr, mut c, mut python) = (5000_usize, None, None, None);
    while let Some(word) = words.next() {
        let value = words
            .next()
            .ok_or_else(|| format!("{word} needs a value"))?;
        match word.as_str() {
            "--calls" => calls = value.parse()?,
            "--address" => addr = Some(value.parse::<SocketAddr>()?),
            "--c" => c = Some(value),
            "--python" => python = Some(value),
            _ => return Err(format!("{word} is not known").into()),
        }
    }
    let server = Server::start()?;
    let computation = server.open(ComputationConfig::default())?;
    let addr = addr.unwrap_or_else(|| computation.addr());

    let mut layers = vec![Layer::new("bare", bare(addr)?)];
    let rust = Coordinator::new(addr, DIALECT);
    layers.push(Layer::new(
        "Rust",
        each(move || {
            rust.status()?;
            Ok(())
        }),
    ));
    #[cfg(feature = "tokio")]
    layers.push(Layer::new("async", awaited(addr)?));
    #[cfg(not(feature = "tokio"))]
    left_out("async", "--features tokio");
    let here = concat!(env!("CARGO_MANIFEST_DIR"), "/layers/");
    match c {
        Some(program) => {
            let mut program = OtherProgram::start(process::Command::new(program), addr)?;
            layers.push(Layer::new("C", move |calls| Ok(program.ask(calls)?)));
        }
        None => left_out("C", &format!("--c PROGRAM, made of {here}status.c")),
    }
    match python {
        Some(interpreter) => {
            let mut command = process::Command::new(interpreter);
            command.arg(format!("{here}status.py"));
            let mut program = OtherProgram::start(command, addr)?;
            layers.push(Layer::new("Python", move |calls| Ok(program.ask(calls)?)));
        }
        None => left_out("Python", "--python INTERPRETER that has the package dmtcp"),
    }
    match Tools::find(None) {
        Ok(tools) => {
            let mut layer = Layer::new("spawn", each(move || spawn(&tools, addr)));
            layer.calls_each_turn = 1;
            layers.push(layer);
        }
        Err(_) => left_out("spawn", "DMTCP in DMTCP_BIN or PATH"),
    }

    for turn in 0..WARM_UP + calls.div_ceil(TURN) {
        for layer in &mut layers {
            let took = (layer.ask)(layer.calls_each_turn)?;
            if turn >= WARM_UP {
                layer.took.extend(took);
            }
        }
    }
    tell(layers)
}

fn tell(layers: Vec<Layer>) -> Result<(), Box<dyn Error>> {
    let spreads: Vec<(&str, Spread)> = layers
        .into_iter()
        .filter_map(|layer| Some((layer.name, Spread::of(layer.took)?)))
        .collect();
    let median = |name| {
        spreads
            .iter()
            .find(|(n, _)| *n == name)
            .map(|(_, s)| s.median)
    };
    let (bare, spawn) = (median("bare").ok_or("no calls")?, median("spawn"));
    println!("layer     calls  median, us    p99, us  x bare  spawn is slower by");
    for (name, spread) in &spreads {
        let slower =
            spawn.map(|spawn| format!("{:.0}", spawn.as_secs_f64() / spread.median.as_secs_f64()));
        println!(
            "{name:8} {:6} {:11.1} {:10.1} {:7.2}  {}",
            spread.count,
            spread.median.as_secs_f64() * 1e6,
            spread.p99.as_secs_f64() * 1e6,
            spread.median.as_secs_f64() / bare.as_secs_f64(),
            slower.unwrap_or_else(|| "-".to_owned()),
        );
    }
    Ok(())
}

fn left_out(layer: &str, how: &str) {
    println!("left out: {layer}; to have it: {how}");
}

fn each(mut ask: impl FnMut() -> Result<(), Box<dyn Error>>) -> impl FnMut(usize) -> Timed {
    move |calls| {
        let one = |_| {
            let start = Instant::now();
            ask()?;
            Ok(start.elapsed())
        };
        (0..calls).map(one).collect()
    }
}

/// The least that a question takes: the same bytes, with nothing around them.
fn bare(addr: SocketAddr) -> Result<impl FnMut(usize) -> Timed, Box<dyn Error>> {
    let (question, mut answer) = conversation(addr)?;
    Ok(each(move || {
        let mut stream = TcpStream::connect(addr)?;
        stream.write_all(&question)?;
        Ok(stream.read_exact(&mut answer)?)
    }))
}

/// The bytes of a question, and as many as its answer has.
fn conversation(addr: SocketAddr) -> Result<(Vec<u8>, Vec<u8>), Box<dyn Error>> {
    let from = UniquePid {
        pid: 1,
        time: 1,
        ..UniquePid::NULL
    };
    let mut exchange = Exchange::new(DIALECT, from, Command::Status);
    let (mut stream, mut sent, mut received) = (None, Vec::new(), Vec::new());
    loop {
        let connected = |stream: Option<TcpStream>| stream.ok_or("no connection");
        match exchange.step() {
            Step::Connect => stream = Some(TcpStream::connect(addr)?),
            Step::Send(bytes) => {
                sent.extend_from_slice(&bytes);
                let mut connection = connected(stream)?;
                connection.write_all(&bytes)?;
                stream = Some(connection);
            }
            Step::Receive => {
                let mut connection = connected(stream)?;
                let mut buffer = [0; 4096];
                let len = connection.read(&mut buffer)?;
                let bytes = buffer.get(..len).unwrap_or_default();
                received.extend_from_slice(bytes);
                match len {
                    0 => exchange.closed(),
                    _ => exchange.received(bytes),
                }
                stream = Some(connection);
            }
            Step::Done(result) => {
                result?;
                return Ok((sent, received));
            }
        }
    }
}

#[cfg(feature = "tokio")]
fn awaited(addr: SocketAddr) -> Result<impl FnMut(usize) -> Timed, Box<dyn Error>> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build()?;
    let coordinator =
        runtime.block_on(async { dmtcp_client::aio::Coordinator::new(addr, DIALECT) });
    Ok(move |calls| {
        runtime.block_on(async {
            let mut took = Vec::new();
            for _ in 0..calls {
                let start = Instant::now();
                coordinator.status().await?;
                took.push(start.elapsed());
            }
            Ok(took)
        })
    })
}

fn spawn(tools: &Tools, addr: SocketAddr) -> Result<(), Box<dyn Error>> {
    let port = addr.port().to_string();
    let status = process::Command::new(tools.command())
        .args(["-h", &addr.ip().to_string(), "-p", &port, "-s"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    match status.success() {
        true => Ok(()),
        false => Err(format!("dmtcp_command: {status}").into()),
    }
}
