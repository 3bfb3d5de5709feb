//! Hints of a batch system in the environment.

use crate::doctor::{Finding, World};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(crate) fn check(world: &World, now: SystemTime) -> Finding {
    const SLUG: &str = "scheduler";
    if let Some(job) = world.variable("SLURM_JOB_ID") {
        let job = job.to_string_lossy();
        return match end(world, now) {
            Some(left) => Finding::note(
                SLUG,
                format!("Slurm job {job}, which ends in {} min", left.as_secs() / 60),
            ),
            None => Finding::note(SLUG, format!("Slurm job {job}, whose end is not told here")),
        }
        .advice(
            "for a checkpoint before the end: `#SBATCH --signal=B:USR1@300 --requeue \
             --open-mode=append`; the state directory on a file system that the next node sees, too",
        );
    }
    for (variable, name, advice) in OTHERS {
        if let Some(job) = world.variable(variable) {
            let job = job.to_string_lossy();
            return Finding::note(SLUG, format!("{name} job {job}")).advice(*advice);
        }
    }
    Finding::ok(SLUG, "no batch system is seen")
}

fn end(world: &World, now: SystemTime) -> Option<Duration> {
    let text = world.variable("SLURM_JOB_END_TIME")?.to_str()?;
    let end = UNIX_EPOCH.checked_add(Duration::from_secs(text.trim().parse().ok()?))?;
    Some(end.duration_since(now).unwrap_or_default())
}

/// Variable, name, advice. Slurm is not among them.
const OTHERS: &[(&str, &str, &str)] = &[
    (
        "_CONDOR_JOB_AD",
        "HTCondor",
        "`checkpoint_exit_code = 85`, and the state directory in `transfer_checkpoint_files`",
    ),
    (
        "LSB_JOBID",
        "LSF",
        "85 among the requeue exit values of the queue, or of `bsub -Q`",
    ),
    (
        "PBS_JOBID",
        "PBS",
        "the state directory on a file system that every node sees",
    ),
    (
        "SGE_TASK_ID",
        "Grid Engine",
        "exit code 99 runs a job again; the state directory on a file system that every node sees",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    fn seen(variables: &[(&str, &str)]) -> Finding {
        let variables = variables
            .iter()
            .map(|(name, value)| (name.into(), value.into()));
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
        check(&World::new("/", variables), now)
    }

    #[test]
    fn slurm_tells_its_end_when_it_can() {
        assert_eq!(seen(&[]).verdict, Verdict::Ok);
        let with_end = seen(&[("SLURM_JOB_ID", "7"), ("SLURM_JOB_END_TIME", "1000600")]);
        assert_eq!(with_end.seen, "Slurm job 7, which ends in 10 min");
        let over = seen(&[("SLURM_JOB_ID", "7"), ("SLURM_JOB_END_TIME", "5")]);
        assert_eq!(over.seen, "Slurm job 7, which ends in 0 min");
        let without = seen(&[("SLURM_JOB_ID", "7"), ("SLURM_JOB_END_TIME", "soon")]);
        assert!(without.seen.contains("not told"), "{}", without.seen);
    }

    #[test]
    fn others_are_named() {
        let condor = seen(&[("_CONDOR_JOB_AD", "/x/.job.ad")]);
        assert_eq!(condor.verdict, Verdict::Note);
        assert!(condor.advice.unwrap().contains("85"));
    }
}
