//! Schedulers that run a batch script again by its exit code, without them: what they document.
//!
//! - Slurm, slurm.conf(5), `RequeueExit`, and sbatch(1), `--signal=B:`: to the batch shell only.
//! - Grid Engine, qsub(1), `-r` and the exit status 99, and queue_conf(5), `s_rt`: SIGUSR1 to the job.
//! - LSF, "Automatic job requeue" and bsub(1), `-Q`, `-wa`, `-wt`: the warning action to the job.

use crate::processes::eventually;
use crate::stage::{Stage, example, kinds};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use std::fs;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::Child;

struct Protocol {
    script: &'static str,
    /// What the scheduler sets.
    environment: &'static [(&'static str, &'static str)],
    /// Behind this in the script are the codes for which it is run again; `None`: they are fixed.
    codes_behind: Option<&'static str>,
    /// Whether the signal goes to the whole process group.
    to_group: bool,
}

const PROTOCOLS: [Protocol; 3] = [
    Protocol {
        script: "slurm/requeue_exit.sbatch",
        environment: &[
            ("SLURM_SUBMIT_DIR", "."),
            ("SLURMD_NODENAME", "node"),
            // So that nobody looks for a Slurm to ask for the end of the job.
            ("SLURM_JOB_END_TIME", "4102444800"),
            ("SLURM_JOB_ID", "7"),
        ],
        codes_behind: Some("RequeueExit="),
        to_group: false,
    },
    Protocol {
        script: "grid_engine/job.sh",
        environment: &[("SGE_O_WORKDIR", "."), ("JOB_ID", "7"), ("RESTARTED", "0")],
        codes_behind: None,
        to_group: true,
    },
    Protocol {
        script: "lsf/job.sh",
        environment: &[("LSB_JOBID", "7")],
        codes_behind: Some("#BSUB -Q \""),
        to_group: true,
    },
];

impl Protocol {
    fn codes(&self) -> Vec<i32> {
        let Some(start) = self.codes_behind else {
            return vec![99];
        };
        let text = fs::read_to_string(example(self.script)).unwrap();
        let rest = text.split_once(start).unwrap().1;
        let list = rest
            .split(|c: char| !c.is_ascii_digit() && c != ',' && c != ' ')
            .next();
        let numbers = list.unwrap().split([',', ' ']);
        numbers.map(|number| number.parse().unwrap()).collect()
    }

    fn run(&self, stage: &Stage) -> Child {
        let mut command = stage.command("/bin/bash");
        command
            .arg(example(self.script))
            .args(stage.run_options().split_whitespace())
            .args(["--", "./my_program", "result"])
            .env("RUN_OPTIONS", stage.run_options())
            .envs(self.environment.iter().copied())
            .process_group(0);
        stage.spawn(&mut command)
    }
}

#[test]
fn a_script_that_is_run_again_by_its_exit_code_comes_to_its_end() {
    for protocol in PROTOCOLS {
        let codes = protocol.codes();
        for kind in kinds() {
            println!("--- {} on {kind}: {codes:?}", protocol.script);
            let stage = Stage::new(&kind);
            let state = stage.folder().join("state-7");

            // Its limit comes near.
            let mut first = protocol.run(&stage);
            stage.wait_half();
            let pid = Pid::from_raw(i32::try_from(first.id()).unwrap());
            match protocol.to_group {
                true => killpg(pid, Signal::SIGUSR1).unwrap(),
                false => kill(pid, Signal::SIGUSR1).unwrap(),
            }
            let status = eventually("the end of the first run", || first.try_wait().unwrap());
            assert_eq!(stage.outcome(&state)["slug"], "checkpointed");
            let code = status.code().unwrap();
            assert!(codes.contains(&code), "{status}\n{}", stage.printed());
            let set = stage.newest_set(&state);
            assert!(set.is_some());

            // Its node fails, and it is run again as well.
            let mut second = protocol.run(&stage);
            stage.wait_half();
            stage.kill_job(&state);
            let status = eventually("the end of a killed run", || second.try_wait().unwrap());
            assert_eq!(status.signal(), Some(Signal::SIGKILL as i32));

            stage.let_go();
            let mut third = protocol.run(&stage);
            let status = eventually("the end of the job", || third.try_wait().unwrap());
            assert_eq!(status.code(), Some(0), "{}", stage.printed());
            assert!(!codes.contains(&0));
            stage.assert_right(&stage.folder().join("result"));
        }
    }
}
