//! Usage: job STATE_DIR [--native] PROGRAM [ARGUMENT…]
use dmtcp_client::job::{Job, pace::IntervalPolicy};
use dmtcp_client::{Launch, Tools, server::Server};
use std::{env, error::Error, process::Command, sync::Arc, time::Duration};

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = env::args().skip(1).peekable();
    let dir = words.next().ok_or("STATE_DIR?")?;
    let native = words.next_if(|word| word == "--native").is_some();
    let program = words.next().ok_or("PROGRAM?")?;
    let job = if native {
        let mut command = Command::new(program);
        command.args(words);
        Job::new(dir, command) // a worker by itself: see below
    } else {
        let tools = Tools::find(None)?;
        Job::new(dir, Launch::new(&tools, program).args(words)).tools(tools)
    };
    let server = Arc::new(Server::start()?);
    let job = job
        .interval(IntervalPolicy::Every(Duration::from_secs(1)))
        .show_output(true);
    let outcome = job.start(&server)?.wait()?; // starts, or goes on from the newest good set
    eprintln!("{}, {} sets", outcome.text, outcome.sets_sealed);
    std::process::exit(outcome.code.into())
}
