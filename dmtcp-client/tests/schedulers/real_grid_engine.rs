//! Under a real Grid Engine: `sge_qmaster` and `sge_execd` on this host.

use crate::grid_engine::Cell;
use crate::processes::eventually;
use crate::stage::{Stage, example, kinds};

#[test]
fn a_job_at_its_soft_limit_exits_with_99_and_is_run_again() {
    let Some(cell) = Cell::start() else { return };
    let jobs: Vec<(Stage, String)> = kinds()
        .iter()
        .map(|kind| {
            let stage = Stage::new(kind);
            let mut qsub = stage.command("/usr/lib/gridengine/qsub");
            qsub.args(["-terse", "-o", "log", "-l", "s_rt=15,h_rt=120"])
                .arg(example("grid_engine/job.sh"))
                .args(stage.run_options().split_whitespace())
                .args(["--", "./my_program", "result"]);
            let id = cell.submit(&mut qsub);
            (stage, id)
        })
        .collect();
    for (stage, id) in &jobs {
        stage.wait_half();
        let log = || std::fs::read_to_string(stage.folder().join("log")).unwrap_or_default();
        // `R`: it runs again.
        eventually("a job that is in the queue again", || {
            let state = cell.state(id);
            assert!(state.is_some(), "it is over: {}{}", log(), cell.logs());
            state?.starts_with('R').then_some(())
        });
        let state = stage.folder().join(format!("state-{id}"));
        assert!(stage.newest_set(&state).is_some());
        stage.let_go();
    }
    for (stage, id) in &jobs {
        eventually("the end of the job", || {
            cell.state(id).is_none().then_some(())
        });
        let log = std::fs::read_to_string(stage.folder().join("log")).unwrap_or_default();
        assert_eq!(log.matches("RESTARTED=").count(), 2, "{log}");
        let state = stage.folder().join(format!("state-{id}"));
        assert_eq!(stage.outcome(&state)["slug"], "finished", "{log}");
        stage.assert_right(&stage.folder().join("result"));
    }
}
