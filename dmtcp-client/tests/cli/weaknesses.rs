//! Weaknesses of stock coordinators that show at their command line, each by its number in
//! `docs/PROTOCOL.md`.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;

use dmtcp_proto::RestartScript;

use crate::coordinator::Coordinator;
use crate::real::{LONG, soon};
use crate::run::{command, run};
use crate::state::nobody_starts;

/// Ends with its test, however that ends.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Self {
        let _alone = nobody_starts();
        Self(command.stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Ended by itself is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn w23_nothing_that_is_typed_ends_it_but_the_word_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut coordinator = Running::start(
        command(["coordinator", "-p", "0", "-q"])
            .current_dir(dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped()),
    );
    let child = &mut coordinator.0;
    let mut typed = child.stdin.take().unwrap();
    let said = BufReader::new(child.stdout.take().unwrap());
    let (lines, heard) = mpsc::channel();
    thread::spawn(move || {
        let lossless = said.lines().map_while(Result::ok);
        lossless
            .map(|line| lines.send(line))
            .all(|sent| sent.is_ok())
    });
    let letters = (1..=255).filter(|byte| !b"qQ\n".contains(byte));
    let mut words: Vec<Vec<u8>> = letters.map(|byte| vec![byte]).collect();
    words.extend(
        [
            "",
            "i x",
            "i -1",
            "i 99999999999",
            "bc",
            "kc",
            "quit now",
            "u",
        ]
        .map(Vec::from),
    );
    words.push(vec![b'x'; 1 << 20]);
    words.push(vec![0; 100]);
    for word in words {
        typed.write_all(&word).unwrap();
        typed.write_all(b"\ns\n").unwrap();
        while !heard.recv_timeout(LONG).unwrap().contains("NUM_PEERS=0") {}
    }
    typed.write_all(b"q\n").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn w35_what_is_set_counts_and_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let (port_file, status_file) = (dir.path().join("port"), dir.path().join("status"));
    let mut coordinator = Running::start(
        command(["coordinator", "-q", "-p", "0", "-t", "tmp"])
            .args(["--port-file".as_ref(), port_file.as_os_str()])
            .args(["--status-file".as_ref(), status_file.as_os_str()])
            .env("DMTCP_CHECKPOINT_INTERVAL", "7")
            .current_dir(dir.path())
            .stdout(Stdio::null()),
    );
    let child = &mut coordinator.0;
    let port = soon("the port file", || fs::read_to_string(&port_file).ok());
    let ask = |word| run(["command", "-h", "127.0.0.1", "-p", &port, word]);
    let status = ask("-s");
    assert!(status.out.contains("CKPT_INTERVAL=7\n"), "{status:?}");
    let told = fs::read_to_string(&status_file).unwrap();
    for line in [
        format!("Port: {port}"),
        format!("PID: {}", child.id()),
        "Checkpoint Interval: 7".to_owned(),
    ] {
        assert!(told.lines().any(|other| other == line), "{line} in {told}");
    }
    assert_eq!(ask("-q").code, 0);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// Run in one directory, with the scripts of two computations in another.
#[test]
fn w36_the_link_leads_to_the_newest_script_and_no_other_file_is_touched() {
    let scripts = tempfile::tempdir().unwrap();
    let options = ["-q", "-c", scripts.path().to_str().unwrap()];
    let mut before = None;
    for _ in 0..2 {
        let here = tempfile::tempdir().unwrap();
        let own = here.path().join(RestartScript::LINK_NAME);
        fs::write(&own, "of somebody else").unwrap();
        let mut coordinator = Coordinator::start_in(here, &options);
        let _worker = coordinator.worker();
        coordinator.wait_running(1);
        assert_eq!(coordinator.json(&["-bc"], 0)["num_peers"], 1);
        let link = scripts.path().join(RestartScript::LINK_NAME);
        let name = fs::read_link(&link).unwrap();
        assert_ne!(before, Some(name.clone()), "it is the first one's");
        let script = RestartScript::parse(&fs::read(&link).unwrap()).unwrap();
        assert_eq!(script.coordinator_port, coordinator.port);
        assert!(is_alone(
            scripts.path(),
            &[&name, before.as_deref().unwrap_or(&name)]
        ));
        assert_eq!(fs::read_to_string(&own).unwrap(), "of somebody else");
        before = Some(name);
        assert_eq!(coordinator.ask(&["-q"]).code, 0);
        coordinator.end();
    }
}

/// Besides the link.
fn is_alone(dir: &Path, names: &[&Path]) -> bool {
    let found = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let others = found.filter(|name| Path::new(name) != Path::new(RestartScript::LINK_NAME));
    let others: Vec<_> = others
        .filter(|name| !names.contains(&Path::new(name)))
        .collect();
    others.is_empty()
}
