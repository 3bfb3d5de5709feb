//! Many computations in one server, all checkpointing: time, processor time per worker and round,
//! and memory per idle worker.
//!
//! `taskset -c 0 cargo run --release --example many_computations -- [--rounds N] [COMPUTATIONS [WORKERS]]`,
//! by default 5 rounds of 1000 computations of 10 workers each. The workers are the protocol's
//! core on real sockets, in a child process, so that what is measured here is the server alone. They
//! have nothing to save and write no image: this is the price of coordination. Both processes
//! need a descriptor for each worker: the soft limit is raised to the hard one.

use dmtcp_client::server::{
    Computation, ComputationConfig, ComputationEvent, Event, Events, Server, raise_open_file_limit,
};
use dmtcp_examples::synthetic_workers::SyntheticWorkers;
use dmtcp_proto::Dialect;
use std::{
    error::Error,
    fs,
    io::{self, Read as _, Write as _},
    iter,
    net::SocketAddr,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

const LIMIT: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(20);
/// How the child process is told what it is.
const WORKERS: &str = "MANY_COMPUTATIONS_WORKERS";

type Failure = Box<dyn Error>;

fn main() -> Result<(), Failure> {
    raise_open_file_limit()?;
    if let Ok(each) = std::env::var(WORKERS) {
        return serve_as_workers(each.parse()?);
    }
    let mut rounds = 5;
    let mut numbers = Vec::new();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--rounds" => rounds = args.next().unwrap_or_default().parse()?,
            number => numbers.push(number.parse::<usize>()?),
        }
    }
    let computations = numbers.first().copied().unwrap_or(1000);
    let each = numbers.get(1).copied().unwrap_or(10);
    if computations == 0 || each == 0 {
        return Err("usage: many_computations [--rounds N] [COMPUTATIONS [WORKERS]]".into());
    }
    measure(computations, each, rounds)
}

/// The child process.
fn serve_as_workers(each: usize) -> Result<(), Failure> {
    let mut addrs = String::new();
    io::stdin().read_to_string(&mut addrs)?;
    let addrs = addrs
        .lines()
        .map(str::parse)
        .collect::<Result<Vec<SocketAddr>, _>>()?;
    let each_of = addrs
        .into_iter()
        .flat_map(|addr| iter::repeat_n(addr, each));
    SyntheticWorkers::connect(each_of, Dialect::V5)?.run(|| {})?;
    Ok(())
}

fn measure(computations: usize, each: usize, rounds: usize) -> Result<(), Failure> {
    let workers = (computations * each) as f64;
    let server = Server::start()?;
    let opened = (0..computations)
        .map(|_| server.open(ComputationConfig::default()))
        .collect::<Result<Vec<_>, _>>()?;
    let mut child = WorkerProcess::start(each)?;
    let before = Memory::now()?;
    let (begun, used) = (Instant::now(), server_time()?);
    child.tell(&opened)?;
    wait_until_running(&opened, each)?;
    let (joining, joined) = (begun.elapsed(), server_time()? - used);
    let after = Memory::now()?;
    println!(
        "{computations} computations of {each} workers: all joined after {:.2} s, {:.1} µs of processor time each",
        joining.as_secs_f64(),
        joined.as_secs_f64() * 1e6 / workers
    );
    println!(
        "  memory: {:.2} KiB resident in the server per idle worker",
        after.kib_since(&before) / workers
    );

    let (mut times, mut costs) = (Vec::new(), Vec::new());
    // The first round touches memory for the first time.
    for round in 0..=rounds {
        wait_until_running(&opened, each)?;
        let events: Vec<Events> = opened.iter().map(Computation::events).collect();
        let (begun, used) = (Instant::now(), server_time()?);
        for computation in &opened {
            computation.request_checkpoint()?;
        }
        for events in &events {
            wait_for_checkpoint(events)?;
        }
        if round > 0 {
            times.push(begun.elapsed().as_secs_f64());
            costs.push((server_time()? - used).as_secs_f64() * 1e6 / workers);
        }
    }
    println!("  all checkpointed: {} s", spread(times));
    println!(
        "  server's processor time per worker and round: {} µs",
        spread(costs)
    );
    println!(
        "  memory after {} rounds: {:.2} KiB per worker",
        rounds + 1,
        Memory::now()?.kib_since(&before) / workers
    );
    Ok(())
}

fn wait_until_running(opened: &[Computation], each: usize) -> Result<(), Failure> {
    let end = Instant::now() + LIMIT;
    for computation in opened {
        loop {
            let status = computation.status()?;
            if status.running && status.peers as usize == each {
                break;
            }
            if Instant::now() > end {
                return Err(format!("workers are missing: {status:?}").into());
            }
            thread::sleep(POLL);
        }
    }
    Ok(())
}

fn wait_for_checkpoint(events: &Events) -> Result<(), Failure> {
    loop {
        match events.recv_timeout(LIMIT)? {
            ComputationEvent::Coordinator(Event::CheckpointComplete { .. }) => return Ok(()),
            ComputationEvent::Coordinator(Event::CheckpointFailed { reason, .. }) => {
                return Err(reason.into());
            }
            _ => {}
        }
    }
}

fn spread(mut values: Vec<f64>) -> String {
    values.sort_by(f64::total_cmp);
    let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    format!(
        "median {:.2} [{:.2} – {:.2}]",
        at(values.len() / 2),
        at(0),
        at(values.len().saturating_sub(1))
    )
}

/// Processor time of the server's thread.
fn server_time() -> Result<Duration, Failure> {
    for task in fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        if fs::read_to_string(task.join("comm"))?.trim() == "dmtcp-server" {
            let schedstat = fs::read_to_string(task.join("schedstat"))?;
            let nanoseconds = schedstat.split(' ').next().unwrap_or_default();
            return Ok(Duration::from_nanos(nanoseconds.parse()?));
        }
    }
    Err("there is no server thread".into())
}

/// What this process has resident of its own, in KiB; sockets are the kernel's.
struct Memory(f64);

impl Memory {
    fn now() -> Result<Self, Failure> {
        let status = fs::read_to_string("/proc/self/status")?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:"));
        let kib = line.and_then(|line| line.split_whitespace().next());
        Ok(Self(kib.ok_or("RssAnon is not told")?.parse()?))
    }

    fn kib_since(&self, before: &Self) -> f64 {
        self.0 - before.0
    }
}

/// The process with the workers; it ends when its input does, and with this.
struct WorkerProcess(Child);

impl WorkerProcess {
    fn start(each: usize) -> io::Result<Self> {
        let program = std::env::current_exe()?;
        let mut command = Command::new(program);
        command.env(WORKERS, each.to_string()).stdin(Stdio::piped());
        command.spawn().map(Self)
    }

    fn tell(&mut self, opened: &[Computation]) -> io::Result<()> {
        let ports: String = opened
            .iter()
            .map(|one| format!("{}\n", one.addr()))
            .collect();
        match self.0.stdin.take() {
            Some(mut input) => input.write_all(ports.as_bytes()),
            None => Ok(()),
        }
    }
}

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
