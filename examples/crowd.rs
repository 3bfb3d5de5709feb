//! One computation of very many real processes under the embedded coordinator: launched,
//! checkpointed, killed and restarted.
//!
//! `cargo run --release --example crowd -- [--each N] [--gzip] [--no-restart] PROCESSES` does it with
//! each DMTCP release in `DMTCP_BIN`, compressed only if told so: an image of `sleep` takes 20 to 23 MB
//! on disk otherwise, so a thousand fill 23 GB. The processes are shells that each start `N` – 1 sleeping
//! children, by default 49: every child is a process of the computation as its shell is, with
//! a virtual pid of its own.

use dmtcp_client::{
    Launch, Messages, Tools,
    attempt::{Attempt, Attempts, Program},
    process::Stream,
    server::{Computation, ComputationEvent, Event, Server},
};
use std::{
    collections::BTreeSet,
    error::Error,
    thread,
    time::{Duration, Instant},
};

const LIMIT: Duration = Duration::from_secs(600);
const POLL: Duration = Duration::from_millis(50);
/// Each process has some for itself: threads, and what is below the first virtual pid.
const APART: i32 = 1000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut each = 50;
    let mut restarts = true;
    let mut gzip = false;
    let mut processes = None;
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--each" => each = args.next().unwrap_or_default().parse()?,
            "--gzip" => gzip = true,
            "--no-restart" => restarts = false,
            number => processes = Some(number.parse::<u32>()?),
        }
    }
    let (Some(processes), 1..) = (processes, each) else {
        return Err("usage: crowd [--each N] [--gzip] [--no-restart] PROCESSES".into());
    };
    let releases = Tools::all();
    if releases.is_empty() {
        println!("SKIPPED: no DMTCP");
    }
    for tools in releases {
        println!("DMTCP {}", tools.version()?.text);
        live(&tools, (processes, each), gzip, restarts)?;
    }
    Ok(())
}

fn live(
    tools: &Tools,
    (processes, each): (u32, u32),
    gzip: bool,
    restarts: bool,
) -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let server = Server::start()?;
    let attempts = Attempts::open(&server, dir.path())?
        .tools(tools.clone())
        .restart_limit(LIMIT)
        .tries(1)
        .seal_limit(LIMIT);

    let begun = Instant::now();
    let attempt = attempts.start(shells(tools, (processes, each), gzip))?;
    let computation = attempt.computation();
    let events = computation.events();
    wait_for_all(computation, processes, each)?;
    let highest = highest_apart(computation)?;
    println!(
        "  {processes} processes run after {:.1} s, virtual pids up to {highest}",
        begun.elapsed().as_secs_f64()
    );

    let begun = Instant::now();
    let reported = thread::scope(|scope| -> Result<Duration, Box<dyn Error>> {
        let checkpoint = scope.spawn(|| computation.checkpoint(LIMIT));
        let reported = loop {
            match events.recv_timeout(LIMIT)? {
                ComputationEvent::Coordinator(Event::ImagesReported { .. }) => {
                    break begun.elapsed();
                }
                ComputationEvent::Coordinator(Event::CheckpointFailed { reason, .. }) => {
                    return Err(reason.into());
                }
                _ => {}
            }
        };
        checkpoint.join().map_err(|_| "the checkpoint panicked")??;
        Ok(reported)
    })?;
    println!(
        "  checkpoint: all images reported after {:.1} s, sealed after {:.1} s",
        reported.as_secs_f64(),
        begun.elapsed().as_secs_f64()
    );
    end(attempt)?;
    if restarts {
        let begun = Instant::now();
        let recovered = attempts.restart()?;
        let computation = recovered.attempt.computation();
        wait_for_all(computation, processes, each)?;
        highest_apart(computation)?;
        println!(
            "  restart: {processes} processes run after {:.1} s",
            begun.elapsed().as_secs_f64()
        );
        end(recovered.attempt)?;
    }
    Ok(())
}

fn shells(tools: &Tools, (mut processes, each): (u32, u32), gzip: bool) -> Vec<Program> {
    let mut shells = Vec::new();
    while processes > 0 {
        let children = processes.min(each) - 1;
        processes -= children + 1;
        let script =
            format!("i=0; while [ $i -lt {children} ]; do sleep 100000 & i=$((i+1)); done; wait");
        let launch = Launch::new(tools, "/bin/sh")
            .args(["-c", &script])
            .gzip(gzip)
            .messages(Messages::Errors)
            .stdin(Stream::Null)
            .stdout(Stream::Null);
        shells.push(Program::from(launch));
    }
    shells
}

/// Children that have not become `sleep` yet are about to: a checkpoint would meet an `exec`.
fn all_named(computation: &Computation, sleepers: u32) -> Result<bool, Box<dyn Error>> {
    let workers = computation.workers()?;
    let named = workers.iter().filter(|worker| worker.program == "sleep");
    Ok(named.count() as u64 == u64::from(sleepers))
}

fn wait_for_all(
    computation: &Computation,
    processes: u32,
    each: u32,
) -> Result<(), Box<dyn Error>> {
    let sleepers = processes - processes.div_ceil(each);
    let end = Instant::now() + LIMIT;
    loop {
        let status = computation.status()?;
        if status.running && status.peers == processes && all_named(computation, sleepers)? {
            return Ok(());
        }
        if Instant::now() > end {
            return Err(format!("{} processes came: {status:?}", status.peers).into());
        }
        thread::sleep(POLL);
    }
}

/// The highest virtual pid. No two processes may be near each other.
fn highest_apart(computation: &Computation) -> Result<i32, Box<dyn Error>> {
    let pids: BTreeSet<i32> = computation
        .workers()?
        .iter()
        .map(|worker| worker.virtual_pid)
        .collect();
    let mut last: Option<i32> = None;
    for &pid in &pids {
        if last.is_some_and(|last| pid - last < APART) {
            return Err(format!("virtual pids overlap: {pids:?}").into());
        }
        last = Some(pid);
    }
    last.ok_or_else(|| "no process".into())
}

fn end(attempt: Attempt) -> Result<(), Box<dyn Error>> {
    attempt.computation().kill_workers(LIMIT)?;
    attempt.kill()?;
    Ok(())
}
