//! `dmtcpctl run` as schedulers and workflow engines run it, with the very files of
//! `examples/schedulers`: under real ones where they are installed, and else by what they document.
//!
//! Every job computes a series that waits in its middle until it was stopped and is to go on
//! somewhere else. Each test runs it as a native worker, and under every DMTCP that `DMTCP_BIN` (or
//! PATH) names.

mod grid_engine;
mod htcondor;
mod nextflow;
mod processes;
mod real_grid_engine;
mod real_slurm;
mod real_snakemake;
mod real_submitit;
mod requeue;
mod series;
mod slurm;
mod stage;

#[test]
#[ignore = "run by the other tests as a process of its own"]
fn series_program() {
    series::main_if_launched();
}
