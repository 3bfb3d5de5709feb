//! Usage: ask ADDRESS
use dmtcp_client::coordinator::{Coordinator, DetectOptions};
use std::{env, error::Error};

fn main() -> Result<(), Box<dyn Error>> {
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
