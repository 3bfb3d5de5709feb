//! Unmodified programs under each DMTCP that is there, from C.

use dmtcp_client::Tools;

use crate::compiler::{Compiler, linked, run, succeed};

#[test]
fn launched_restarted_and_run_as_jobs() {
    let Some(cc) = Compiler::find() else { return };
    let installed = Tools::all();
    if installed.is_empty() {
        println!("SKIPPED: no DMTCP");
    }
    for tools in installed {
        for &linked in linked() {
            let program = cc.program("tests/c/unmodified.c", linked);
            let dir = tempfile::tempdir().unwrap();
            print!("{linked:?} ");
            let shown = succeed(run(&program).arg(tools.dir()).arg(dir.path()));
            print!("{shown}");
        }
    }
}
