//! Under a real Snakemake, where `snakemake` is in PATH.

use crate::processes::{Daemons, eventually, find};
use crate::stage::{Stage, example, kinds};
use std::fs;

#[test]
fn a_rule_that_was_killed_goes_on_when_it_is_tried_again() {
    let Some(snakemake) = find("snakemake", &[]) else {
        println!("SKIPPED: no Snakemake");
        return;
    };
    for kind in kinds() {
        println!("--- {kind}");
        let stage = Stage::new(&kind);
        for file in ["Snakefile", "config.yaml"] {
            fs::copy(
                example(&format!("snakemake/{file}")),
                stage.folder().join(file),
            )
            .unwrap();
        }
        let mut engine = Daemons::new(stage.folder());
        let mut command = stage.command(&snakemake);
        command
            .args(["--cores", "1", "--config", "program=./my_program"])
            .arg(format!("run=--interval 1s {}", stage.run_options()))
            // It keeps caches there.
            .envs([("HOME", stage.folder()), ("XDG_CACHE_HOME", stage.folder())]);
        let engine = engine.start("snakemake", &mut command);
        stage.wait_half();
        let state = stage.folder().join("state/simulate/a");
        eventually("a set of the job", || stage.newest_set(&state));
        stage.kill_job(&state);
        stage.let_go();
        let status = eventually("the end of Snakemake", || engine.try_wait().unwrap());
        let log = fs::read_to_string(stage.folder().join("snakemake.out")).unwrap();
        assert!(status.success(), "{log}");
        assert!(log.contains("Trying to restart job"), "{log}");
        assert_eq!(stage.outcome(&state)["slug"], "finished", "{log}");
        stage.assert_right(&stage.folder().join("results/a.txt"));
    }
}
