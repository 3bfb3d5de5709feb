//! Usage: checkpoint ADDRESS STATE_DIR
use dmtcp_client::coordinator::{Coordinator, DetectOptions};
use dmtcp_client::{foreign::ForeignSets, set::SetStore, with_causes};
use std::{env, error::Error, path::Path, process::ExitCode, time::Duration};

fn main() -> ExitCode {
    let Err(error) = checkpoint() else {
        return ExitCode::SUCCESS;
    };
    eprintln!("{}", with_causes(&*error)); // what, and why; `?` in main would print it as Debug
    ExitCode::FAILURE
}

fn checkpoint() -> Result<(), Box<dyn Error>> {
    let (addr, dir) = env::args()
        .nth(1)
        .zip(env::args().nth(2))
        .ok_or("ADDRESS STATE_DIR?")?;
    let coordinator = Coordinator::detect(addr.parse()?, &DetectOptions::default())?;
    let sets = ForeignSets::new(coordinator, SetStore::open(Path::new(&dir))?);
    let set = sets.checkpoint(Duration::from_secs(600))?; // complete, checked, synced; or an error
    for image in set.images() {
        println!("{}", image.display());
    }
    Ok(())
}
