//! What coordination costs: the embedded coordinator beside the stock ones, in turns within one run.
//!
//! `cargo run --release --example coordination -- [--turns N] [--rounds N] [WORKERS…]` lets so many
//! workers, by default 100 and then 900, join a fresh coordinator, and takes them through checkpoints,
//! by default 5 in each of 3 turns. The workers are the protocol's core on real sockets and have nothing
//! to save. With every DMTCP from 3.0 on in `DMTCP_BIN`; its coordinators go into an endless loop at the
//! 962nd worker (4.0 and later), so that more are asked of ours alone. Of each are told:
//!
//! - joins: workers a second, from the first connection until all run;
//! - round: from the request for a checkpoint until all run again, and the coordinator's processor
//!   time for each worker in it;
//! - status: how long a question takes, half of them and 99 in 100, while nothing goes on and while one
//!   round follows the other;
//! - keys: requests a second to the key-value store, one behind the other on one connection, with
//!   acknowledgements delayed as in workers.
//!
//! On a machine with few processors the scheduler decides much of it: `taskset -c 0` in front
//! compares the work alone.

use bytes::BytesMut;
use dmtcp_client::{
    Tools,
    coordinator::Coordinator,
    process::{Child, ComputationTmp},
    server::{ComputationConfig, Server, raise_open_file_limit},
};
use dmtcp_examples::synthetic_workers::SyntheticWorkers;
use dmtcp_proto::{
    Body, CoordinatorConfig, Decoder, Dialect, KeyValueOp, KeyValueRequest, Limits, Message, Name,
    Text, UniquePid, encode,
};
use std::{
    error::Error,
    fs,
    io::{self, Read as _, Write as _},
    iter,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::Path,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

const LIMIT: Duration = Duration::from_secs(120);
/// How a child process is told to be our coordinator, and in which file its port is wanted.
const EMBEDDED: &str = "COORDINATION_PORT_FILE";
/// The stock coordinators' loop begins behind it.
const MOST_OF_STOCK: usize = 961;
const QUESTIONS: usize = 300;
/// Longer than a program takes to come to a coordinator that was started for it.
const REST: Duration = Duration::from_millis(50);
/// Between two questions in a round.
const PACE: Duration = Duration::from_millis(2);
const KEYS: usize = 1000;
/// With 40 ms for each request.
const KEYS_OF_STOCK: usize = 50;

type Failure = Box<dyn Error>;

fn main() -> Result<(), Failure> {
    raise_open_file_limit()?;
    if let Some(port_file) = std::env::var_os(EMBEDDED) {
        return serve(Path::new(&port_file));
    }
    let (mut turns, mut rounds, mut crowds) = (3, 5, Vec::new());
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || words.next().unwrap_or_default().parse();
        match word.as_str() {
            "--turns" => turns = number()?,
            "--rounds" => rounds = number()?,
            crowd => crowds.push(crowd.parse()?),
        }
    }
    if crowds.is_empty() {
        crowds = vec![100, 900];
    }
    if turns == 0 || rounds == 0 || crowds.contains(&0) {
        return Err("usage: coordination [--turns N] [--rounds N] [WORKERS…]".into());
    }
    let mut contenders = vec![Contender {
        name: "embedded".to_owned(),
        tools: None,
        dialect: Dialect::V5,
    }];
    for tools in Tools::all() {
        let dialect = tools.dialect()?;
        if matches!(dialect, Dialect::V3 | Dialect::V5) {
            contenders.push(Contender {
                name: format!("DMTCP {}", tools.version()?.text),
                tools: Some(tools),
                dialect,
            });
        }
    }
    if contenders.len() == 1 {
        println!("SKIPPED: no DMTCP");
    }
    for workers in crowds {
        compare(&contenders, workers, turns, rounds)?;
    }
    Ok(())
}

/// A coordinator in a process of its own, whose processor time is then its own, too.
struct Contender {
    name: String,
    /// `None`: ours.
    tools: Option<Tools>,
    dialect: Dialect,
}

fn compare(
    contenders: &[Contender],
    workers: usize,
    turns: usize,
    rounds: usize,
) -> Result<(), Failure> {
    println!(
        "{workers} workers, {rounds} rounds in each of {turns} turns: medians [lowest – highest]"
    );
    let can = |contender: &&Contender| contender.tools.is_none() || workers <= MOST_OF_STOCK;
    let contenders: Vec<&Contender> = contenders.iter().filter(can).collect();
    let mut seen: Vec<Seen> = contenders.iter().map(|_| Seen::default()).collect();
    for _ in 0..turns {
        for (contender, seen) in contenders.iter().zip(&mut seen) {
            turn(contender, workers, rounds, seen)?;
        }
    }
    for (contender, seen) in contenders.iter().zip(&mut seen) {
        println!("  {}", contender.name);
        println!("    joins          {:9.0} /s", seen.joins.spread());
        println!("    round          {:9.1} ms", seen.round.spread());
        println!("    processor time {:9.1} µs a worker", seen.cost.spread());
        for (when, status) in [("idle", &mut seen.idle), ("in rounds", &mut seen.busy)] {
            let (half, most) = (status.at(50), status.at(99));
            println!("    status {when:9} {half:7.2} ms, 99 in 100 within {most:.2} ms");
        }
        println!("    keys           {:9.0} /s", seen.keys.spread());
    }
    Ok(())
}

fn turn(
    contender: &Contender,
    workers: usize,
    rounds: usize,
    seen: &mut Seen,
) -> Result<(), Failure> {
    let running = Running::start(contender)?;
    let asked = Coordinator::new(running.addr, contender.dialect);
    let all_run = |asked: &Coordinator| -> Result<bool, Failure> {
        let status = asked.status()?;
        Ok(status.running && status.peers as usize == workers)
    };

    let begun = Instant::now();
    let all = iter::repeat_n(running.addr, workers);
    let crowd = SyntheticWorkers::connect(all, contender.dialect)?;
    let (resumed, resumptions) = mpsc::channel();
    let crowd = thread::spawn(move || {
        let mut left = workers;
        crowd.run(|| {
            left -= 1;
            if left == 0 {
                left = workers;
                // Nobody waits for the last ones.
                let _ = resumed.send(Instant::now());
            }
        })
    });
    while !all_run(&asked)? {
        within(begun)?;
    }
    seen.joins
        .push(workers as f64 / begun.elapsed().as_secs_f64());

    for _ in 0..QUESTIONS {
        seen.idle.push(question(&asked)?);
    }
    // The first round touches memory for the first time; and the key-value store has its turn behind it.
    let keys = if contender.tools.is_none() {
        KEYS
    } else {
        KEYS_OF_STOCK
    };
    for round in 0..=rounds {
        let used = running.processor_time()?;
        let begun = Instant::now();
        asked.request_checkpoint()?;
        let end = resumptions.recv_timeout(LIMIT)?;
        while !all_run(&asked)? {
            within(begun)?;
        }
        let cost = running.processor_time()?.saturating_sub(used);
        if round > 0 {
            seen.round.push(millis(end - begun));
            seen.cost.push(millis(cost) * 1e3 / workers as f64);
        }
    }
    seen.keys
        .push(keys as f64 / ask_for_keys(running.addr, contender.dialect, keys)?);
    for _ in 0..rounds {
        asked.request_checkpoint()?;
        let begun = Instant::now();
        while let Err(none) = resumptions.try_recv() {
            if none == mpsc::TryRecvError::Disconnected || begun.elapsed() > LIMIT {
                return Err("the workers do not come through a round".into());
            }
            seen.busy.push(question(&asked)?);
            thread::sleep(PACE);
        }
        while !all_run(&asked)? {
            within(begun)?;
        }
    }
    drop(running);
    crowd.join().map_err(|_| "the workers panicked")??;
    Ok(())
}

fn question(asked: &Coordinator) -> Result<f64, Failure> {
    let begun = Instant::now();
    asked.status()?;
    Ok(millis(begun.elapsed()))
}

fn within(begun: Instant) -> Result<(), Failure> {
    if begun.elapsed() > LIMIT {
        return Err("not all workers come to run".into());
    }
    thread::sleep(Duration::from_micros(300));
    Ok(())
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Seconds for so many requests.
fn ask_for_keys(addr: SocketAddr, dialect: Dialect, count: usize) -> Result<f64, Failure> {
    let mut stream = TcpStream::connect(addr)?;
    stream.set_read_timeout(Some(LIMIT))?;
    let mut decoder = Decoder::new(dialect, Limits::default());
    let bytes = |body: Body| -> Result<BytesMut, Failure> {
        let mut bytes = BytesMut::new();
        let frame = Message::new(UniquePid::NULL, body).to_frame(dialect)?;
        encode(dialect, &frame, &mut bytes)?;
        Ok(bytes)
    };
    stream.write_all(&bytes(Body::NameServiceWorker)?)?;
    let mut buffer = [0; 4096];
    let begun = Instant::now();
    for number in 0..count {
        // One in two has something in its answer.
        let (op, value) = match number % 2 {
            0 => (KeyValueOp::Set, Text::from("value")),
            _ => (KeyValueOp::Get, Text::default()),
        };
        let request = KeyValueRequest {
            database: Name::new("bench")?,
            op,
            key: Text::from("key"),
            value,
        };
        stream.write_all(&bytes(Body::KeyValueRequest(request))?)?;
        while decoder.next_frame()?.is_none() {
            match stream.read(&mut buffer)? {
                0 => return Err("the key-value store hung up".into()),
                len => decoder.feed(buffer.get(..len).unwrap_or_default()),
            }
        }
    }
    Ok(begun.elapsed().as_secs_f64())
}

struct Running {
    addr: SocketAddr,
    coordinator: Child,
    _dir: tempfile::TempDir,
    _tmp: ComputationTmp,
}

impl Running {
    fn start(contender: &Contender) -> Result<Self, Failure> {
        let (dir, tmp) = (tempfile::tempdir()?, ComputationTmp::create()?);
        let port_file = dir.path().join("port");
        let mut command = match &contender.tools {
            Some(tools) => {
                let mut command = Command::new(tools.coordinator());
                command.args(["-q", "-q", "-p", "0", "--port-file"]);
                command.arg(&port_file).arg("--ckptdir").arg(dir.path());
                command.env("DMTCP_TMPDIR", tmp.path());
                command.stdin(Stdio::null());
                command
            }
            None => {
                let mut command = Command::new(std::env::current_exe()?);
                command.env(EMBEDDED, &port_file);
                // It ends with this process, however that ends.
                command.stdin(Stdio::piped());
                command
            }
        };
        command.current_dir(dir.path());
        let log = fs::File::create(dir.path().join("log"))?;
        command.stdout(log.try_clone()?).stderr(log);
        let coordinator = Child::spawn(command)?;
        let begun = Instant::now();
        let port = loop {
            let text = fs::read_to_string(&port_file).unwrap_or_default();
            if let Ok(port) = text.trim().parse::<u16>() {
                break port;
            }
            within(begun)?;
        };
        // Ours has the kernel enlarge its table of descriptors meanwhile, which takes up to 25 ms.
        thread::sleep(REST);
        Ok(Self {
            addr: (Ipv4Addr::LOCALHOST, port).into(),
            coordinator,
            _dir: dir,
            _tmp: tmp,
        })
    }

    /// Of all its threads.
    fn processor_time(&self) -> Result<Duration, Failure> {
        let mut all = Duration::ZERO;
        for task in fs::read_dir(format!("/proc/{}/task", self.coordinator.id()))? {
            let schedstat = fs::read_to_string(task?.path().join("schedstat"))?;
            let nanoseconds = schedstat.split(' ').next().unwrap_or_default();
            all += Duration::from_nanos(nanoseconds.parse()?);
        }
        Ok(all)
    }
}

/// The embedded coordinator, until its input ends.
fn serve(port_file: &Path) -> Result<(), Failure> {
    let server = Server::start()?;
    // Stock coordinators take an order as soon as all workers run.
    let mut config = CoordinatorConfig::default();
    config.settle_time = Duration::ZERO;
    let computation = server.open(ComputationConfig::default().coordinator(config))?;
    let aside = port_file.with_extension("new");
    fs::write(&aside, computation.port().to_string())?;
    fs::rename(&aside, port_file)?;
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}

#[derive(Default)]
struct Seen {
    joins: Numbers,
    round: Numbers,
    cost: Numbers,
    idle: Numbers,
    busy: Numbers,
    keys: Numbers,
}

#[derive(Default)]
struct Numbers(Vec<f64>);

impl Numbers {
    fn push(&mut self, number: f64) {
        self.0.push(number);
    }

    /// Below which so many in a hundred are.
    fn at(&mut self, percent: usize) -> f64 {
        self.0.sort_by(f64::total_cmp);
        let index = (self.0.len() * percent / 100).min(self.0.len().saturating_sub(1));
        self.0.get(index).copied().unwrap_or(f64::NAN)
    }

    fn spread(&mut self) -> Spread {
        Spread([self.at(50), self.at(0), self.at(100)])
    }
}

struct Spread([f64; 3]);

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [median, lowest, highest] = self.0;
        let (width, digits) = (f.width().unwrap_or(0), f.precision().unwrap_or(1));
        write!(
            f,
            "{median:width$.digits$} [{lowest:.digits$} – {highest:.digits$}]"
        )
    }
}
