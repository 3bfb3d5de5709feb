//! Many computations in one server, all checkpointing: time, processor time per worker and round,
//! and memory per idle worker.
//!
//! `taskset -c 0 cargo run --release --example many_computations -- [--rounds N] [COMPUTATIONS [WORKERS]]`,
//! by default 5 rounds of 1000 computations of 10 workers each. The workers are the protocol's
//! core on real sockets, in a child process, so that what is measured here is the server alone. They
//! have nothing to save and write no image: this is the price of coordination. Both processes
//! need a descriptor for each worker: the soft limit is raised to the hard one.

use bytes::Bytes;
use dmtcp_client::server::{
    Computation, ComputationConfig, ComputationEvent, Event, Events, Server, raise_open_file_limit,
};
use dmtcp_proto::{
    Dialect, Entry, Finished, Stage, UniquePid, WorkerConfig, WorkerCore, WorkerInput, WorkerOutput,
};
use mio::{Interest, Poll, Token, net::TcpStream};
use std::{
    collections::VecDeque,
    error::Error,
    fs,
    io::{self, Read as _, Write as _},
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
        return Workers::connect(each.parse()?)?.run();
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

/// All workers, on one thread.
struct Workers {
    poll: Poll,
    workers: Vec<Worker>,
}

struct Worker {
    stream: TcpStream,
    core: WorkerCore,
    unsent: VecDeque<Bytes>,
    over: bool,
}

impl Workers {
    fn connect(each: usize) -> Result<Self, Failure> {
        let mut addrs = String::new();
        io::stdin().read_to_string(&mut addrs)?;
        let poll = Poll::new()?;
        let mut workers = Vec::new();
        for addr in addrs.lines() {
            for _ in 0..each {
                let stream = std::net::TcpStream::connect(addr)?;
                stream.set_nodelay(true)?;
                stream.set_nonblocking(true)?;
                let mut stream = TcpStream::from_std(stream);
                let interest = Interest::READABLE | Interest::WRITABLE;
                poll.registry()
                    .register(&mut stream, Token(workers.len()), interest)?;
                let mut worker = Worker::new(stream, workers.len());
                worker.step(WorkerInput::Opened)?;
                workers.push(worker);
            }
        }
        Ok(Self { poll, workers })
    }

    fn run(mut self) -> Result<(), Failure> {
        let mut events = mio::Events::with_capacity(1024);
        let mut buffer = vec![0; 64 << 10];
        let mut running = self.workers.len();
        while running > 0 {
            self.poll.poll(&mut events, None)?;
            for event in &events {
                let Some(worker) = self.workers.get_mut(event.token().0) else {
                    continue;
                };
                if !worker.over {
                    worker.ready(&mut buffer)?;
                    running -= usize::from(worker.over);
                }
            }
        }
        Ok(())
    }
}

impl Worker {
    fn new(stream: TcpStream, number: usize) -> Self {
        let pid = 100_000 + number as i32;
        let launcher = UniquePid {
            host_id: 1,
            time: number as u64 + 1,
            pid,
            generation: 0,
        };
        let entry = Entry::New {
            launcher,
            process_time: launcher.time + 1,
        };
        // On another host, as far as the coordinator can know.
        let config = WorkerConfig::new("elsewhere".into(), "synthetic".into(), pid);
        Self {
            stream,
            core: WorkerCore::new(Dialect::V5, config, entry),
            unsent: VecDeque::new(),
            over: false,
        }
    }

    fn ready(&mut self, buffer: &mut [u8]) -> Result<(), Failure> {
        self.send()?;
        while !self.over {
            match self.stream.read(buffer) {
                Ok(0) => self.over = true,
                Ok(len) => {
                    self.step(WorkerInput::Received(buffer.get(..len).unwrap_or_default()))?;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => self.over = true,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn step(&mut self, input: WorkerInput<'_>) -> Result<(), Failure> {
        let mut outputs: VecDeque<WorkerOutput> = self.core.handle(input).collect();
        while let Some(output) = outputs.pop_front() {
            let stage = match output {
                WorkerOutput::Transmit(bytes) => {
                    self.unsent.push_back(bytes);
                    continue;
                }
                WorkerOutput::Perform(stage) => stage,
                WorkerOutput::Rejected(_) | WorkerOutput::Exit { .. } => {
                    self.over = true;
                    continue;
                }
                WorkerOutput::Accepted { .. }
                | WorkerOutput::CheckpointDir(_)
                | WorkerOutput::Resume => continue,
            };
            let finished = match stage {
                Stage::Restore => Finished::Restored,
                Stage::Suspend => Finished::Suspended,
                Stage::WriteImage { .. } => Finished::ImageWritten,
                Stage::PublishImage => {
                    let path = format!("/nowhere/ckpt_{}.dmtcp", self.core.identity());
                    Finished::ImagePublished {
                        path: path.into(),
                        unique: false,
                    }
                }
            };
            outputs.extend(self.core.handle(WorkerInput::Finished(finished)));
        }
        self.send()
    }

    fn send(&mut self) -> Result<(), Failure> {
        while let Some(bytes) = self.unsent.front_mut() {
            match self.stream.write(bytes) {
                Ok(len) if len == bytes.len() => drop(self.unsent.pop_front()),
                Ok(len) => drop(bytes.split_to(len)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}
