//! Usage: ask ADDRESS
use dmtcp_client::coordinator::{Coordinator, DetectOptions};
use dmtcp_client::with_causes;
use std::{env, error::Error, process::ExitCode};

fn main() -> ExitCode {
    let Err(error) = ask() else {
        return ExitCode::SUCCESS;
    };
    eprintln!("{}", with_causes(&*error)); // what, and why; `?` in main would print it as Debug
    ExitCode::FAILURE
}

fn ask() -> Result<(), Box<dyn Error>> {
    let addr = env::args().nth(1).ok_or("ADDRESS?")?;
    let coordinator = Coordinator::detect(addr.parse()?, &DetectOptions::default())?;
    let status = coordinator.status()?;
    println!(
        "{} processes, all running: {}",
        status.peers, status.running
    );
    for worker in coordinator.workers()? {
        println!("{} on {}: {:?}", worker.program, worker.host, worker.state);
    }
    Ok(())
}
