//! Usage: async_ask ADDRESS
use dmtcp_client::{aio::Coordinator, coordinator::DetectOptions};
use std::{env, error::Error};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let addr = env::args().nth(1).ok_or("ADDRESS?")?.parse()?;
    let coordinator = Coordinator::detect(addr, &DetectOptions::default()).await?;
    let (status, workers) = tokio::join!(coordinator.status(), coordinator.workers());
    let status = status?;
    println!(
        "{} processes, all running: {}",
        status.peers, status.running
    );
    for worker in workers? {
        println!("{} on {}: {:?}", worker.program, worker.host, worker.state);
    }
    Ok(())
}
