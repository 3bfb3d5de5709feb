//! `status`, `workers` and `checkpoint`, on an embedded coordinator with native workers.

use crate::counter::Counter;
use crate::run::{Ran, run};
use dmtcp_client::Dialect;
use dmtcp_client::native::Options;
use dmtcp_client::server::{Computation, ComputationConfig, Server};
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

/// Longer than anything here takes unless it hangs.
const LONG: Duration = Duration::from_secs(60);
/// What the program is given for one question, on a machine that is busy.
const PATIENCE: &str = "60s";

fn ask(computation: &Computation, command: &str, options: &[&str]) -> Ran {
    let port = computation.addr().port().to_string();
    let mut arguments = vec![command, "--port", &port, "--timeout", PATIENCE];
    arguments.extend(options);
    run(arguments)
}

#[test]
fn a_computation_is_listed_checkpointed_and_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start().unwrap();
    let computation = server.open(ComputationConfig::default()).unwrap();
    let options = Options::new(computation.addr(), Dialect::V5)
        .checkpoint_dir(dir.path())
        .barrier_limit(LONG);
    let mut workers = [(); 2].map(|()| Counter::launch(&options));
    computation.wait_until_running(Some(2), LONG).unwrap();

    let status = ask(&computation, "status", &["--json"]);
    assert_eq!((status.code, status.err.as_str()), (0, ""));
    let status = status.json("status");
    assert_eq!(
        (&status["peers"], &status["running"]),
        (&2.into(), &true.into())
    );
    assert_eq!(
        (&status["known_by"], &status["interval_s"]),
        (&"asked".into(), &0.into())
    );
    let text = ask(&computation, "status", &[]);
    assert!(text.out.contains("running      all\n"), "{}", text.out);

    let listed = ask(&computation, "workers", &["--json"]).json("workers");
    let listed = listed["workers"].as_array().unwrap();
    let mut pids: Vec<_> = listed
        .iter()
        .map(|w| w["real_pid"].as_u64().unwrap())
        .collect();
    let mut expected: Vec<_> = workers.iter().map(|w| u64::from(w.child.id())).collect();
    pids.sort_unstable();
    expected.sort_unstable();
    assert_eq!(pids, expected);
    assert!(listed.iter().all(|worker| worker["state"] == "RUNNING"));

    let done = ask(&computation, "checkpoint", &["--limit", PATIENCE, "--json"]);
    assert_eq!((done.code, done.err.as_str()), (0, ""));
    let done = done.json("checkpoint");
    assert_eq!(
        (&done["peers"], &done["stopped"]),
        (&2.into(), &false.into())
    );
    assert_eq!(done["evidence"], "coordinator-reply");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);

    let stopped = ask(&computation, "checkpoint", &["--stop", "--limit", PATIENCE]);
    assert_eq!(stopped.code, 0, "{stopped:?}");
    assert!(
        stopped
            .out
            .starts_with("2 processes checkpointed and stopped in "),
        "{stopped:?}"
    );
    for worker in &mut workers {
        worker.child.wait().unwrap();
    }

    let refused = ask(&computation, "checkpoint", &["--limit", "1s"]);
    assert_eq!((refused.code, refused.slug()), (75, "not-running"));
}

#[test]
fn nobody_listens() {
    let port = {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.local_addr().unwrap().port().to_string()
    };
    let ran = run(["status", "-p", &port]);
    assert_eq!((ran.code, ran.slug()), (1, "unreachable"));
    assert!(ran.err.contains("\n  hint: "), "{}", ran.err);
    let options = ["--timeout", PATIENCE, "--dialect", "4.2.0"];
    let ran = run(["status", "-p", &port].iter().chain(&options));
    assert_eq!((ran.code, ran.slug()), (1, "unreachable"));
}

#[test]
fn an_error_names_what_was_given() {
    let ran = run(["status", "--host", "::1", "-p", "7779"]);
    assert_eq!((ran.code, ran.slug()), (1, "environment"));
    let names = |ran: &Ran, name: &str| ran.err.contains(name);
    assert!(names(&ran, "--host \"::1\" is not a host"), "{}", ran.err);
    assert!(!names(&ran, "DMTCP_COORD_"), "{}", ran.err);

    let _alone = crate::state::nobody_starts();
    let mut asked = crate::run::command(["status"]);
    let output = asked.env("DMTCP_COORD_PORT", "none").output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(err.contains("DMTCP_COORD_PORT=\"none\" is not"), "{err}");
}

#[test]
fn a_coordinator_that_says_nothing_is_waited_for_as_long_as_told() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let ran = run(["status", "-p", &port, "--timeout", "500ms"]);
    assert_eq!((ran.code, ran.slug()), (124, "timed-out"));
}
