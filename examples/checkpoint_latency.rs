//! How long a checkpoint of small programs takes under the embedded coordinator, beside the
//! stock one, in turns within one run.
//!
//! `cargo run --release --example checkpoint_latency -- [--rounds N] [--processes N] [--preload SO]
//! PROGRAM ARGS…` does that many rounds, by default 20, of so many copies of the program, by default one,
//! for each DMTCP release in `DMTCP_BIN`, without compression. With `--preload` there is a third
//! coordinator, a stock one with that library in it, such as one that sets its sockets' options. All are timed from the request to the
//! moment when every process has reported its image: the embedded coordinator says so by event,
//! the stock one rewrites its restart script then. Sealing comes on top and is shown apart.

use dmtcp_client::{
    Launch, Messages, Tools,
    attempt::{Attempt, Attempts, Program},
    process::{Child, ComputationTmp, Stream},
    server::{ComputationEvent, Event, Server},
};
use std::{
    error::Error,
    ffi::OsString,
    fs, io,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant, SystemTime},
};

const LIMIT: Duration = Duration::from_secs(30);
/// Between two checkpoints, so that each finds the processes running.
const REST: Duration = Duration::from_millis(50);

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let mut args = args.as_slice();
    let (mut rounds, mut processes, mut preload) = (20, 1, None);
    while let [flag, value, rest @ ..] = args {
        match flag.to_str() {
            Some("--rounds") => rounds = value.to_string_lossy().parse()?,
            Some("--processes") => processes = value.to_string_lossy().parse()?,
            Some("--preload") => preload = Some(value),
            _ => break,
        }
        args = rest;
    }
    let Some((program, args)) = args.split_first() else {
        return Err(
            "usage: checkpoint_latency [--rounds N] [--processes N] [--preload SO] PROGRAM ARGS…"
                .into(),
        );
    };
    let work = Work {
        rounds,
        processes,
        preload,
        program,
        args,
    };
    let releases = Tools::all();
    if releases.is_empty() {
        println!("SKIPPED: no DMTCP");
    }
    for tools in releases {
        compare(&tools, &work)?;
    }
    Ok(())
}

struct Work<'a> {
    rounds: usize,
    processes: usize,
    preload: Option<&'a OsString>,
    program: &'a OsString,
    args: &'a [OsString],
}

fn compare(tools: &Tools, work: &Work<'_>) -> Result<(), Box<dyn Error>> {
    let launch = || {
        Launch::new(tools, work.program)
            .args(work.args)
            .gzip(false)
            .messages(Messages::Errors)
            .stdin(Stream::Null)
            .stdout(Stream::Null)
    };
    let dir = tempfile::tempdir()?;
    let server = Server::start()?;
    let attempts = Attempts::open(&server, &dir.path().join("ours"))?.tools(tools.clone());
    let copies = || (0..work.processes).map(|_| launch());
    let attempt = attempts.start(copies().map(Program::from))?;
    attempt.computation().wait_until_running(None, LIMIT)?;
    let stock = Stock::start(tools, &dir.path().join("stock"), copies(), None)?;
    let preloaded = work.preload.map(|library| {
        let dir = dir.path().join("preloaded");
        Stock::start(tools, &dir, copies(), Some(library))
    });
    let preloaded = preloaded.transpose()?;

    let (mut ours, mut sealing, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    let mut quick = Vec::new();
    // The first round of each also makes files for the first time.
    for round in 0..=work.rounds {
        let (reported, sealed) = ours_once(&attempt)?;
        let script = stock.checkpoint_once()?;
        let other = preloaded.as_ref().map(Stock::checkpoint_once).transpose()?;
        if round > 0 {
            ours.push(reported);
            sealing.push(sealed);
            theirs.push(script);
            quick.extend(other);
        }
        attempts.store().prune(1)?;
        thread::sleep(REST);
    }
    let (ours, sealing, theirs) = (Spread::of(ours), Spread::of(sealing), Spread::of(theirs));
    println!(
        "DMTCP {}, {} processes, {} rounds in turns: median [lowest – highest], ms",
        tools.version()?.text,
        work.processes,
        work.rounds
    );
    println!("  stock coordinator     {theirs}");
    println!(
        "  embedded coordinator  {ours}   ratio {:.3}",
        ours.median / theirs.median
    );
    if !quick.is_empty() {
        let quick = Spread::of(quick);
        let ratio = ours.median / quick.median;
        println!("  stock, preloaded      {quick}   embedded to it {ratio:.3}");
    }
    println!("  sealing on top        {sealing}");
    attempt.stop(Duration::from_secs(5))?;
    Ok(())
}

/// Time until all images are reported, and what sealing adds.
fn ours_once(attempt: &Attempt) -> Result<(Duration, Duration), Box<dyn Error>> {
    let events = attempt.computation().events();
    attempt.computation().wait_until_running(None, LIMIT)?;
    let begun = Instant::now();
    attempt.computation().request_checkpoint()?;
    let mut reported = None;
    loop {
        match events.recv_timeout(LIMIT)? {
            ComputationEvent::Coordinator(Event::ImagesReported { .. }) => {
                reported = Some(begun.elapsed());
            }
            ComputationEvent::Coordinator(Event::CheckpointFailed { reason, .. }) => {
                return Err(reason.into());
            }
            ComputationEvent::SetSealed { .. } => {
                let reported = reported.ok_or("sealed before it was reported")?;
                return Ok((reported, begun.elapsed() - reported));
            }
            _ => {}
        }
    }
}

/// A stock coordinator with the program on it.
struct Stock {
    tools: Tools,
    addr: SocketAddr,
    dir: PathBuf,
    // In this order: the program goes before its coordinator.
    _programs: Vec<Child>,
    _coordinator: Child,
    _tmp: ComputationTmp,
}

impl Stock {
    fn start(
        tools: &Tools,
        dir: &Path,
        copies: impl Iterator<Item = Launch>,
        preload: Option<&OsString>,
    ) -> Result<Self, Box<dyn Error>> {
        fs::create_dir(dir)?;
        let tmp = ComputationTmp::create()?;
        let port_file = dir.join("port");
        let mut command = Command::new(tools.coordinator());
        command
            .args(["-q", "-q", "-p", "0", "--port-file"])
            .arg(&port_file)
            .arg("--ckptdir")
            .arg(dir)
            .env("DMTCP_TMPDIR", tmp.path())
            .stdin(fs::File::open("/dev/null")?)
            .stdout(fs::File::create(dir.join("log"))?);
        if let Some(library) = preload {
            command.env("LD_PRELOAD", library);
        }
        let coordinator = Child::spawn(command)?;
        let port = until(|| fs::read_to_string(&port_file).ok()?.parse().ok())?;
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let programs = copies
            .map(|launch| {
                let launch = launch.join(addr).checkpoint_dir(dir);
                launch.tmpdir(tmp.path()).spawn()
            })
            .collect::<Result<Vec<_>, _>>()?;
        let processes = programs.len();
        let stock = Self {
            tools: tools.clone(),
            addr,
            dir: dir.to_owned(),
            _programs: programs,
            _coordinator: coordinator,
            _tmp: tmp,
        };
        let coordinator = stock.coordinator()?;
        until(|| {
            let status = coordinator.status().ok()?;
            (status.peers as usize >= processes).then_some(())
        })?;
        stock.wait_until_running()?;
        Ok(stock)
    }

    fn coordinator(&self) -> Result<dmtcp_client::coordinator::Coordinator, Box<dyn Error>> {
        Ok(dmtcp_client::coordinator::Coordinator::new(
            self.addr,
            self.tools.dialect()?,
        ))
    }

    fn wait_until_running(&self) -> Result<(), Box<dyn Error>> {
        let coordinator = self.coordinator()?;
        until(|| coordinator.status().ok().filter(|status| status.running))?;
        Ok(())
    }

    fn checkpoint_once(&self) -> Result<Duration, Box<dyn Error>> {
        self.wait_until_running()?;
        let coordinator = self.coordinator()?;
        let script = self.dir.join("dmtcp_restart_script.sh");
        let before = modified(&script);
        let begun = Instant::now();
        coordinator.request_checkpoint()?;
        until(|| (modified(&script) > before).then_some(()))?;
        Ok(begun.elapsed())
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).ok()?.modified().ok()
}

fn until<T>(mut look: impl FnMut() -> Option<T>) -> io::Result<T> {
    let end = Instant::now() + LIMIT;
    while Instant::now() < end {
        if let Some(seen) = look() {
            return Ok(seen);
        }
        thread::sleep(Duration::from_micros(300));
    }
    Err(io::ErrorKind::TimedOut.into())
}

struct Spread {
    lowest: f64,
    median: f64,
    highest: f64,
}

impl Spread {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort();
        let at = |index: usize| {
            times
                .get(index)
                .map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
        };
        Self {
            lowest: at(0),
            median: at(times.len() / 2),
            highest: at(times.len() - 1),
        }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:7.1} [{:.1} – {:.1}]",
            self.median, self.lowest, self.highest
        )
    }
}
