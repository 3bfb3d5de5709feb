//! Usage: embed PROGRAM [ARGUMENT…], a native worker
use dmtcp_client::{
    Dialect,
    native::Options,
    server::{ComputationConfig, Server},
};
use std::{env, error::Error, process::Command, time::Duration};

fn main() -> Result<(), Box<dyn Error>> {
    let limit = Duration::from_secs(60);
    let server = Server::start()?;
    let computation = server.open(ComputationConfig::default())?;
    println!("listening on port {}", computation.port());

    let mut program = Command::new(env::args_os().nth(1).ok_or("PROGRAM?")?);
    program.args(env::args_os().skip(2));
    Options::new(computation.addr(), Dialect::V5).to_env(&mut program);
    let mut program = program.spawn()?;

    computation.wait_until_running(Some(1), limit)?;
    let sealed = computation.checkpoint_and_kill(limit)?;
    println!("image {}", sealed.images[0].path);
    program.wait()?;
    computation.quit(limit)?;
    Ok(server.shutdown(limit)?)
}
