//! Usage: async_embed PROGRAM [ARGUMENT…], a native worker
use dmtcp_client::{Dialect, aio, native::Options, server::ComputationConfig};
use std::{env, error::Error, process::Command, time::Duration};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let limit = Duration::from_secs(60);
    let server = aio::Server::start()?;
    let computation = server.open(ComputationConfig::default()).await?;
    println!("listening on port {}", computation.port());

    let mut program = Command::new(env::args_os().nth(1).ok_or("PROGRAM?")?);
    program.args(env::args_os().skip(2));
    Options::new(computation.addr(), Dialect::V5).to_env(&mut program);
    let mut program = program.spawn()?;

    computation.wait_until_running(Some(1), limit).await?;
    let sealed = computation.checkpoint_and_kill(limit).await?;
    for image in sealed.images.iter() {
        println!("image {}", image.path);
    }
    aio::unblock(move || program.wait()).await?;
    computation.quit(limit).await?;
    Ok(server.shutdown(limit).await?)
}
