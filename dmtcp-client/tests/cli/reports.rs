//! The trace and the metrics of `dmtcpctl coordinator`, `dmtcpctl trace`, and its limit of open files.

use crate::coordinator::Coordinator;
use crate::real::soon;
use crate::run::{command, run};
use std::fs;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

#[test]
fn a_coordinator_writes_down_where_the_time_of_its_rounds_went() {
    let mut coordinator =
        Coordinator::start(&["-q", "--trace", "trace.json", "--metrics", "m.prom"]);
    let _workers = [(); 2].map(|()| coordinator.worker());
    for _ in 0..2 {
        coordinator.wait_running(2);
        assert_eq!(coordinator.json(&["-bc"], 0)["num_peers"], 2);
    }
    coordinator.wait_running(2);
    // The last that is known of a coordinator is written before it ends.
    assert_eq!(coordinator.ask(&["-q"]).code, 0);
    assert_eq!(coordinator.end().code(), Some(0));

    let metrics = fs::read_to_string(coordinator.dir.path().join("m.prom")).unwrap();
    let complete = metrics
        .lines()
        .find(|line| line.starts_with("dmtcp_rounds_complete_total{"))
        .unwrap();
    assert!(complete.ends_with("} 2"), "{complete}");

    let file = coordinator.dir.path().join("trace.json");
    let file = file.to_str().unwrap();
    let ran = run(["trace", "--json", file]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let json = ran.json("trace");
    let rounds = json["rounds"].as_array().unwrap();
    assert_eq!(rounds.len(), 2);
    for round in rounds {
        assert_eq!(
            (&round["workers"], &round["outcome"]),
            (&2.into(), &"complete".into())
        );
        let barriers = round["barriers"].as_array().unwrap();
        let took: u64 = barriers
            .iter()
            .map(|barrier| barrier["took_us"].as_u64().unwrap())
            .sum();
        assert!(!barriers.is_empty() && took <= round["took_us"].as_u64().unwrap());
        assert!(round["sealing_us"].is_u64());
        let last = &barriers[0]["last"];
        assert!(last["real_pid"].as_i64().unwrap() > 1, "{last}");
    }
    let second = rounds[1]["round"].to_string();
    let text = run(["trace", file, "--round", &second]).out;
    assert!(text.starts_with(&format!("round {second}, ")), "{text}");
    assert!(text.contains("2 workers: complete after "), "{text}");
    let name = rounds[1]["barriers"][0]["name"].as_str().unwrap();
    assert!(text.contains(name), "{text}");
}

#[test]
fn a_file_that_cannot_be_written_is_told_and_harms_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = command(["coordinator", "-p", "0", "--port-file", "port"]);
    command
        .args(["--trace", "/dev/null/trace", "--metrics", "nowhere/m.prom"])
        .env("DMTCP_LOG_FILE", "log")
        .current_dir(dir.path());
    let mut coordinator = Coordinator::started(dir, &mut command);
    let _worker = coordinator.worker();
    coordinator.wait_running(1);
    assert_eq!(coordinator.json(&["-bc"], 0)["num_peers"], 1);
    for file in ["/dev/null/trace", "nowhere"] {
        soon("a word of it", || {
            let log = fs::read_to_string(coordinator.dir.path().join("log")).unwrap();
            log.lines()
                .any(|line| line.contains("cannot ") && line.contains(file))
                .then_some(())
        });
    }
    assert_eq!(coordinator.ask(&["-q"]).code, 0);
    assert_eq!(coordinator.end().code(), Some(0));
}

#[test]
fn what_is_no_trace_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("trace");
    fs::write(&file, "[]").unwrap();
    let ran = run(["trace", file.to_str().unwrap()]);
    assert_eq!((ran.code, ran.slug()), (1, "not-a-trace"));
    let ran = run(["trace", "/dev/null/trace"]);
    assert_eq!((ran.code, ran.slug()), (1, "io"));
}

#[test]
fn it_raises_its_limit_of_open_files() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -Sn 64; exec \"$@\"", "sh"])
        .arg(env!("CARGO_BIN_EXE_dmtcpctl"))
        .args(["coordinator", "-q", "-p", "0", "--port-file", "port"])
        .current_dir(dir.path())
        .stdin(Stdio::null());
    let coordinator = Coordinator::started(dir, &mut command);
    let limits = fs::read_to_string(format!("/proc/{}/limits", coordinator.child.id())).unwrap();
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))
        .unwrap();
    let [soft, hard] = [0, 1].map(|nth| line.split_whitespace().nth(nth).unwrap());
    assert!(soft != "64" && soft == hard, "{line}");
}

#[test]
fn a_coordinator_serves_its_metrics() {
    // An address of this host that nobody else uses.
    let [high, low] = (std::process::id() as u16).to_be_bytes();
    let addr = std::net::SocketAddr::from(([127, 79, high, low.max(1)], 9779));
    let coordinator = Coordinator::start(&["-q", "--serve-metrics", &addr.to_string()]);
    let _worker = coordinator.worker();
    coordinator.wait_running(1);
    let mut scraper = std::net::TcpStream::connect(addr).unwrap();
    scraper
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    scraper.read_to_string(&mut answer).unwrap();
    let port = coordinator.port;
    let wanted = format!("dmtcp_workers{{coordinator=\"127.0.0.1:{port}\",state=\"RUNNING\"}} 1\n");
    assert!(answer.contains(&wanted), "{answer}");

    let taken = run([
        "coordinator",
        "-p",
        "0",
        "--serve-metrics",
        &addr.to_string(),
    ]);
    assert_eq!(taken.code, 1);
    assert!(taken.err.contains(&addr.to_string()), "{}", taken.err);
}
