//! Stock coordinators whose askers go away in the middle. For every installation of DMTCP that
//! `DMTCP_BIN` (or PATH) names; without one each test says so and passes.

mod polls;
#[expect(dead_code, reason = "shared by several test crates")]
mod real;

use std::time::Duration;

use dmtcp_client::aio::Coordinator;
use dmtcp_client::coordinator::DetectOptions;
use polls::dropped_after;
use real::{LONG, Stage, on_each};

const SLEEP: &[&str] = &["sleep", "1000"];

#[test]
fn it_lives_wherever_the_future_of_a_question_is_dropped() {
    on_each(|installation| {
        let mut stock = Stage::stock(installation, &[]);
        stock.launch(&[], SLEEP);
        stock.wait_running(1);
        let coordinator: Coordinator = stock.handle().into();
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().build().unwrap();
        runtime.block_on(async {
            for places in 0..12 {
                drop(dropped_after(places, coordinator.status()).await);
                drop(dropped_after(places, coordinator.workers()).await);
                drop(dropped_after(places, coordinator.request_checkpoint()).await);
                drop(dropped_after(places, coordinator.checkpoint(LONG)).await);
            }
            // What was begun is over now, or it is waited for; and it can still be asked all there is.
            let report = coordinator.checkpoint(LONG).await.unwrap();
            assert_eq!(report.peers, 1);
            let addr = stock.handle().addr();
            let options = DetectOptions::default().timeout(Duration::from_secs(30));
            let detected = Coordinator::detect(addr, &options).await.unwrap();
            assert_eq!(detected.status().await.unwrap().peers, 1);
        });
        assert!(!stock.has_ended());
        stock.wait_running(1);
        runtime.block_on(coordinator.quit()).unwrap();
    });
}
