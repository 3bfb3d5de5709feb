//! Usage: async_checkpoint ADDRESS STATE_DIR
use dmtcp_client::coordinator::{Coordinator, DetectOptions};
use dmtcp_client::{aio, foreign::ForeignSets, set::SetStore};
use std::{env, error::Error, path::PathBuf, time::Duration};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut words = env::args().skip(1);
    let addr = words.next().ok_or("ADDRESS?")?.parse()?;
    let dir = PathBuf::from(words.next().ok_or("STATE_DIR?")?);
    // What blocks has a thread of its own, not one of tokio's.
    let (coordinator, store) = aio::unblock(move || {
        let coordinator = Coordinator::detect(addr, &DetectOptions::default());
        (coordinator, SetStore::open(&dir))
    })
    .await;
    let sets = aio::ForeignSets::from(ForeignSets::new(coordinator?, store?));
    let set = sets.checkpoint(Duration::from_secs(600)).await?; // complete, checked, synced
    for image in set.images() {
        println!("{}", image.display());
    }
    Ok(())
}
