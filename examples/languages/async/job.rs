//! Usage: async_job STATE_DIR [--native] PROGRAM [ARGUMENT…]
use dmtcp_client::job::{Job, JobEvent, pace::IntervalPolicy};
use dmtcp_client::{Launch, Tools, aio};
use std::{env, error::Error, process::Command, time::Duration};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut words = env::args().skip(1).peekable();
    let dir = words.next().ok_or("STATE_DIR?")?;
    let native = words.next_if(|word| word == "--native").is_some();
    let program = words.next().ok_or("PROGRAM?")?;
    let job = if native {
        let mut command = Command::new(program);
        command.args(words);
        Job::new(dir, command) // a worker by itself: see below
    } else {
        let tools = aio::unblock(|| Tools::find(None)).await?;
        Job::new(dir, Launch::new(&tools, program).args(words)).tools(tools)
    };
    let job = job
        .interval(IntervalPolicy::Every(Duration::from_secs(1)))
        .show_output(true);
    let events = job.control().subscribe();
    let server = aio::Server::start()?;
    let mut running = aio::RunningJob::start(job, server.handle())?;
    let told = async {
        while let Some((_, event)) = events.recv().await {
            if let JobEvent::Sealed { took, .. } = event {
                eprintln!("a set, after {:?}", took.sealed());
            }
        }
    };
    // Both on this thread; dropping `wait` harms nothing, dropping `running` kills the job.
    let (outcome, ()) = tokio::join!(running.wait(), told);
    let outcome = outcome?;
    eprintln!("{}, {} sets", outcome.text, outcome.sets_sealed);
    std::process::exit(outcome.code.into())
}
