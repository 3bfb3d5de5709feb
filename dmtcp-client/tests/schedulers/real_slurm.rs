//! Under a real Slurm: `slurmctld` and two `slurmd` on loopback.

use crate::processes::eventually;
use crate::slurm::{Cluster, JobInfo, NODES};
use crate::stage::{Stage, example, kinds};
use std::cell::Cell;

struct Submitted {
    stage: Stage,
    script: &'static str,
    /// Why it stops.
    reason: &'static str,
    id: String,
    /// The job before it was stopped.
    first: Option<JobInfo>,
    is_sent_on: Cell<bool>,
}

/// Both recipes at once, since a limit of Slurm's is a minute at least.
#[test]
fn a_job_at_its_time_limit_goes_on_on_the_other_node() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let mut jobs = Vec::new();
    for kind in kinds() {
        // The signal comes up to 60 s earlier than it is asked for. The second asks Slurm for its end.
        for (script, reason, grace, option) in [
            (
                "slurm/requeue_exit.sbatch",
                "signal-received",
                "20s",
                "--signal=B:USR1@25",
            ),
            (
                "slurm/scontrol_requeue.sbatch",
                "deadline",
                "25s",
                "--comment=none",
            ),
        ] {
            let stage = Stage::new(&kind);
            let mut sbatch = stage.command("sbatch");
            sbatch
                .env("GRACE", grace)
                .args(["--parsable", "--time=1", "--output=log", option])
                .arg(example(script))
                .args(stage.run_options().split_whitespace())
                .args(["--", "./my_program", "result"]);
            let id = cluster.submit(&mut sbatch);
            jobs.push(Submitted {
                stage,
                script,
                reason,
                id,
                first: None,
                is_sent_on: Cell::new(false),
            });
        }
    }
    for job in &mut jobs {
        job.stage.wait_half();
        job.first = Some(cluster.wait_for(&job.id, &["RUNNING"]));
    }
    // Each was stopped in time, with a set, and is sent to the other node, before it starts again.
    eventually("all jobs to be in the queue again", || {
        for job in jobs.iter().filter(|job| !job.is_sent_on.get()) {
            let now = cluster.job(&job.id);
            match now.get("JobState") {
                "PENDING" => job.send_on(&cluster),
                "COMPLETED" | "FAILED" | "TIMEOUT" | "CANCELLED" | "NODE_FAIL" => {
                    panic!("{now:?}\n{}\n{}", job.log(), cluster.logs())
                }
                _ => {}
            }
        }
        jobs.iter().all(|job| job.is_sent_on.get()).then_some(())
    });
    for job in &jobs {
        let last = cluster.wait_for(&job.id, &["COMPLETED", "FAILED", "TIMEOUT"]);
        let said = ["JobState", "ExitCode"].map(|field| last.get(field));
        assert_eq!(said, ["COMPLETED", "0:0"], "{}\n{}", job.script, job.log());
        // On a slow machine it may be stopped before it is in its middle, and then once more.
        let restarts: u32 = last.get("Restarts").parse().unwrap();
        assert!(restarts >= 1, "{}\n{}", job.script, job.log());
        assert_ne!(
            last.get("NodeList"),
            job.first.as_ref().unwrap().get("NodeList")
        );
        job.stage.assert_right(&job.stage.folder().join("result"));
        println!("--- {} on {}\n{}", job.script, job.stage.kind, job.log());
    }
}

impl Submitted {
    fn send_on(&self, cluster: &Cluster) {
        let node = self.first.as_ref().unwrap().get("NodeList");
        assert!(NODES.contains(&node), "{node}");
        cluster.exclude(&self.id, node);
        let state = self.stage.folder().join(format!("state-{}", self.id));
        let said = self.stage.outcome(&state);
        assert_eq!(
            (&said["slug"], &said["reason"]),
            (&"checkpointed".into(), &self.reason.into()),
            "{said}\n{}",
            self.log()
        );
        self.stage.let_go();
        self.is_sent_on.set(true);
    }

    /// What the job has printed, in all of its runs.
    fn log(&self) -> String {
        std::fs::read_to_string(self.stage.folder().join("log")).unwrap_or_default()
    }
}
