//! `dmtcpctl coordinator` and `dmtcpctl command`, in place of DMTCP's own, with native workers.

use crate::coordinator::Coordinator;
use crate::real::soon;
use crate::run::{command, run};
use crate::state::nobody_starts;
use bytes::BytesMut;
use dmtcp_client::Dialect;
use dmtcp_proto::{
    Body, KeyValueOp, KeyValueRequest, Message, Name, RestartScript, Text, UniquePid, encode,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Longer than anything here takes unless it hangs.
const LONG: Duration = Duration::from_secs(60);

/// Its executable says nothing of DMTCP then.
#[test]
fn a_copy_under_the_stock_name_is_as_good_as_a_link() {
    let dir = tempfile::tempdir().unwrap();
    let [coordinator, tool] = ["dmtcp_coordinator", "dmtcp_command"].map(|name| {
        let copy = dir.path().join(name);
        fs::copy(env!("CARGO_BIN_EXE_dmtcpctl"), &copy).unwrap();
        copy
    });
    let mut served = {
        let _alone = nobody_starts();
        Command::new(coordinator)
            .args(["-q", "-p", "0", "--port-file", "port"])
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .spawn()
            .unwrap()
    };
    let port_file = dir.path().join("port");
    let port: String = soon("the port file", || fs::read_to_string(&port_file).ok());
    let ask = |word| {
        let mut tool = Command::new(&tool);
        tool.args(["-h", "127.0.0.1", "-p", &port, word]);
        tool.output().unwrap()
    };
    let told = ask("--status");
    let quit = ask("--quit");
    if !quit.status.success() {
        served.kill().unwrap();
    }
    served.wait().unwrap();
    assert!(told.status.success(), "{told:?}");
    assert!(quit.status.success(), "{quit:?}");
}

#[test]
fn a_checkpoint_leaves_images_and_a_script_that_names_them_all() {
    let mut coordinator = Coordinator::start(&["-q"]);
    let mut workers = [(); 3].map(|()| coordinator.worker());
    coordinator.wait_running(3);
    let listed = coordinator.json(&["-l"], 0);
    assert_eq!(
        listed["workers"]
            .as_str()
            .unwrap()
            .matches("WorkerState::RUNNING")
            .count(),
        3
    );
    assert_eq!(coordinator.json(&["-bc"], 0)["num_peers"], 3);

    let link = coordinator.dir.path().join(RestartScript::LINK_NAME);
    let name = fs::read_link(&link).unwrap();
    assert_eq!(name.components().count(), 1, "{name:?}");
    let text = fs::read(&link).unwrap();
    assert_eq!(
        fs::metadata(&link).unwrap().permissions().mode() & 0o777,
        0o755
    );
    let script = RestartScript::parse(&text).unwrap();
    assert_eq!(
        (script.coordinator_port, script.processes()),
        (coordinator.port, 3)
    );
    for image in script.hosts.iter().flat_map(|host| &host.images) {
        let path = Path::new(std::str::from_utf8(image.as_bytes()).unwrap());
        dmtcp_client::image::check_whole(path).unwrap();
    }
    let aside = fs::read_dir(coordinator.dir.path()).unwrap();
    let aside = aside.filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        let name = name.to_string_lossy();
        name.ends_with(".temp") || name.contains(".sh.")
    });
    assert_eq!(aside.count(), 0);

    assert_eq!(coordinator.json(&["-kc"], 0)["num_peers"], 3);
    for worker in &mut workers {
        worker.child.wait().unwrap();
    }
    assert_eq!(coordinator.json(&["-s"], 0)["num_peers"], 0);
    assert_eq!(coordinator.ask(&["-q"]).code, 0);
    assert_eq!(coordinator.end().code(), Some(0));
    assert!(!coordinator.has("port"), "it goes with the coordinator");
}

#[test]
fn a_round_that_fails_leaves_no_script() {
    let coordinator = Coordinator::start(&["-q", "-q"]);
    let worker = coordinator.worker();
    coordinator.wait_running(1);
    // It takes the order and never comes to it.
    kill(pid_of(&worker.child), Signal::SIGSTOP).unwrap();
    assert_eq!(coordinator.json(&["-c"], 0)["num_peers"], 1);
    kill(pid_of(&worker.child), Signal::SIGKILL).unwrap();
    soon("the end of the round", || {
        (coordinator.json(&["-s"], 0)["num_peers"] == 0).then_some(())
    });
    assert!(!coordinator.has(RestartScript::LINK_NAME));
    // And the next computation is not held up.
    let _worker = coordinator.worker();
    coordinator.wait_running(1);
    assert_eq!(coordinator.json(&["-bc"], 0)["num_peers"], 1);
    assert!(coordinator.has(RestartScript::LINK_NAME));
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap())
}

#[test]
fn w41_it_ends_as_it_is_told_and_its_port_file_with_it() {
    let mut last = Coordinator::start(&["--exit-on-last", "-q"]);
    let mut worker = last.worker();
    last.wait_running(1);
    worker.kill();
    assert_eq!(last.end().code(), Some(0));

    let mut timed = Coordinator::start(&["--timeout", "1", "-q"]);
    assert_eq!(timed.end().code(), Some(1));
    assert!(!timed.has("port"));
    let mut stale = Coordinator::start(&["--stale-timeout", "1", "-q"]);
    assert_eq!(stale.end().code(), Some(1));

    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let mut coordinator = Coordinator::start(&["--status-file", "status", "-q"]);
        let mut worker = coordinator.worker();
        coordinator.wait_running(1);
        kill(pid_of(&coordinator.child), signal).unwrap();
        assert_eq!(coordinator.end().code(), Some(0), "{signal}");
        let ended = worker.child.wait().unwrap();
        assert_eq!(ended.signal(), None, "it is told to exit: {ended}");
        assert!(!coordinator.has("port"));
        let status = fs::read_to_string(coordinator.dir.path().join("status")).unwrap();
        for line in [
            "Coordinator started: 2",
            "Status...",
            "Port: ",
            "PID: ",
            "Coordinator exited: 2",
        ] {
            assert!(status.contains(line), "no {line} in\n{status}");
        }
    }
}

#[test]
fn commands_are_typed_at_it() {
    use std::io::{BufRead as _, BufReader, Write as _};
    let dir = tempfile::tempdir().unwrap();
    let mut child = {
        let _alone = nobody_starts();
        command(["coordinator", "-p", "0", "-q", "-i", "5"])
            .current_dir(dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let mut typed = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let mut expect = |wanted: &str| lines.find(|line| line.contains(wanted)).expect("the line");
    writeln!(typed, "S").unwrap();
    expect("Checkpoint Interval: 5");
    expect("NUM_PEERS=0");
    writeln!(typed, "i 9").unwrap();
    expect("Interval changed to 9");
    writeln!(typed, "c").unwrap();
    expect("not running");
    writeln!(typed, "?").unwrap();
    expect("end this coordinator");
    writeln!(typed, "q").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn in_the_background_it_goes_on_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("port");
    fs::write(&path, "1").unwrap();
    let status = {
        let _alone = nobody_starts();
        command([
            "coordinator",
            "--daemon",
            "-p",
            "0",
            "--port-file",
            "port",
            "--timeout",
            "60",
        ])
        .args(["--coord-logfile", "log"])
        .current_dir(dir.path())
        .stdout(Stdio::piped())
        .status()
        .unwrap()
    };
    assert_eq!(status.code(), Some(0));
    let port: u16 = fs::read_to_string(&path).unwrap().parse().unwrap();
    assert_ne!(port, 1, "that was of another one");
    let port = port.to_string();
    let ran = run(["command", "-h", "127.0.0.1", "-p", &port, "-s"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.out.contains("  NUM_PEERS=0\n  RUNNING=no\n"),
        "{}",
        ran.out
    );
    assert_eq!(
        run(["command", "-h", "127.0.0.1", "-p", &port, "-q"]).code,
        0
    );
    soon("its end", || (!path.exists()).then_some(()));
    let log = fs::read_to_string(dir.path().join("log")).unwrap();
    assert!(log.contains("told to quit"), "{log}");
}

/// Puts a value into the key-value store, as a worker's side connection does.
fn put(port: u16, key: &'static str, value: &[u8]) {
    use std::io::{Read as _, Write as _};
    let dialect = Dialect::V5;
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    let request = KeyValueRequest {
        database: Name::new("/plugin").unwrap(),
        op: KeyValueOp::Set,
        key: Text::from(key),
        value: Text::new(value.to_vec()).unwrap(),
    };
    let mut bytes = BytesMut::new();
    for body in [Body::NameServiceWorker, Body::KeyValueRequest(request)] {
        let frame = Message::new(UniquePid::NULL, body).to_frame(dialect);
        encode(dialect, &frame.unwrap(), &mut bytes).unwrap();
    }
    stream.write_all(&bytes).unwrap();
    stream
        .read_exact(&mut vec![0; dialect.header_len()])
        .unwrap();
}

/// The files of key-value stores in this directory, each as name and content.
fn stores(dir: &Path) -> Vec<(String, Value)> {
    let names = fs::read_dir(dir).unwrap().map(|entry| {
        let entry = entry.unwrap();
        entry.file_name().into_string().unwrap()
    });
    let is_store =
        |name: &String| name.starts_with("dmtcp_coordinator_db-") && name.ends_with(".json");
    let mut names: Vec<_> = names.filter(is_store).collect();
    names.sort();
    let read = |name: String| {
        let text = fs::read_to_string(dir.join(&name)).unwrap();
        let value = serde_json::from_str(&text).unwrap();
        (name, value)
    };
    names.into_iter().map(read).collect()
}

#[test]
fn key_values_are_written_behind_a_checkpoint_and_in_the_end() {
    for signal in [None, Some(Signal::SIGTERM)] {
        let mut coordinator = Coordinator::start(&["-q", "--write-kv-data"]);
        let _worker = coordinator.worker();
        coordinator.wait_running(1);
        put(coordinator.port, "a", b"two\nlines \"quoted\"");
        put(coordinator.port, "b", b"no \xff");
        let dir = coordinator.dir.path().to_owned();
        assert_eq!(stores(&dir), []);
        assert_eq!(coordinator.json(&["-bc"], 0)["num_peers"], 1);
        let first = soon("the file", || stores(&dir).pop());
        let mut expected = json!({"/plugin": {"a": "two\nlines \"quoted\"", "b": "no \\xff"}});
        // A worker has more in it.
        assert_eq!(first.1["/plugin"], expected["/plugin"]);
        put(coordinator.port, "c", b"late");
        match signal {
            Some(signal) => kill(pid_of(&coordinator.child), signal).unwrap(),
            None => assert_eq!(coordinator.ask(&["-q"]).code, 0),
        }
        assert_eq!(coordinator.end().code(), Some(0));
        let all = stores(&dir);
        assert_eq!((all.len(), &all[0]), (2, &first));
        expected["/plugin"]["c"] = "late".into();
        assert_eq!(all[1].1["/plugin"], expected["/plugin"]);
        // Both name the computation, and then say when.
        let of = |name: &str| name.rsplit_once("-20").unwrap().0.len();
        assert_eq!(all[0].0[..of(&all[0].0)], all[1].0[..of(&all[1].0)]);
    }
    let mut quiet = Coordinator::start(&["-q"]);
    assert_eq!(quiet.ask(&["-q"]).code, 0);
    quiet.end();
    assert_eq!(stores(quiet.dir.path()), []);
}

#[test]
fn a_store_that_cannot_be_written_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let gone = dir.path().join("gone");
    fs::create_dir(&gone).unwrap();
    let port_file = dir.path().join("port");
    let mut coordinator = command([
        "coordinator",
        "-p",
        "0",
        "-q",
        "--write-kv-data",
        "--port-file",
    ]);
    coordinator
        .arg(&port_file)
        .env("DMTCP_LOG_FILE", dir.path().join("log"))
        .current_dir(&gone)
        .stdin(Stdio::piped());
    let mut coordinator = Coordinator::started(dir, &mut coordinator);
    fs::remove_dir(&gone).unwrap();
    assert_eq!(coordinator.ask(&["-q"]).code, 0);
    assert_eq!(coordinator.end().code(), Some(1));
    let log = fs::read_to_string(coordinator.dir.path().join("log")).unwrap();
    assert!(log.contains("key-value store is not written"), "{log}");
}

#[test]
fn what_happens_is_added_to_the_log_that_all_share() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shared");
    fs::write(&path, "of a worker\n").unwrap();
    for (level, is_told) in [("note", true), ("error", false)] {
        let before = fs::read_to_string(&path).unwrap();
        let mut child = {
            let _alone = nobody_starts();
            command(["coordinator", "-p", "0"])
                .env("DMTCP_LOG_FILE", &path)
                .env("DMTCP_LOG_LEVEL", level)
                .current_dir(dir.path())
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap()
        };
        use std::io::Write as _;
        writeln!(child.stdin.take().unwrap(), "q").unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0));
        let text = fs::read_to_string(&path).unwrap();
        let added = text.strip_prefix(&before).unwrap();
        assert_eq!(
            added.contains("told to quit\n"),
            is_told,
            "{level}: {added}"
        );
        assert_eq!(added.is_empty(), !is_told);
    }
}

#[test]
fn what_cannot_be_done_is_refused_and_not_ignored() {
    for words in [&["--unheard-of"][..], &["-p", "x"]] {
        let ran = run([&["coordinator"], words].concat());
        assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{words:?}");
        assert!(ran.err.starts_with("dmtcp_coordinator: "), "{}", ran.err);
    }
    let taken = Coordinator::start(&["-q"]);
    let ran = run(["coordinator", "-p", &taken.port.to_string()]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("cannot listen"), "{}", ran.err);
}

#[test]
fn the_command_says_and_exits_as_the_one_it_replaces() {
    let coordinator = Coordinator::start(&["-q"]);
    let port = Value::from(coordinator.port);
    let status = coordinator.json(&["-s"], 0);
    assert_eq!(status["schema_version"], 1);
    assert_eq!(status["command"], "DMT_STATUS");
    assert_eq!(status["command_status"], "DMT_COORD_SUCCESS");
    assert_eq!(
        (&status["coordinator_host"], &status["coordinator_port"]),
        (&"127.0.0.1".into(), &port)
    );
    assert_eq!(
        (&status["num_peers"], &status["checkpoint_interval"]),
        (&0.into(), &0.into())
    );
    for words in [&["-c"][..], &["-bc"], &["-kc"]] {
        let refused = coordinator.json(words, 2);
        assert_eq!(refused["command_status"], "DMT_COORD_NOT_RUNNING");
        assert_eq!(coordinator.ask(words).code, 2);
    }
    assert_eq!(coordinator.json(&["-i7"], 0)["checkpoint_interval"], 7);
    assert_eq!(coordinator.json(&["s"], 0)["checkpoint_interval"], 7);
    let text = coordinator.ask(&["--interval", "0"]);
    assert_eq!(
        (text.code, text.out.as_str()),
        (0, "Interval changed to 0\n")
    );
    let text = coordinator.ask(&["-s"]);
    let expected = format!(
        "Coordinator:\n  Host: 127.0.0.1\n  Port: {port}\nStatus...\n  NUM_PEERS=0\n  RUNNING=no\n  \
         CKPT_INTERVAL=0 (checkpoint manually)\n"
    );
    assert_eq!(text.out, expected);
    assert_eq!(
        coordinator.json(&["--nonsense"], 2)["command_status"],
        "DMT_COORD_INVALID_COMMAND"
    );
    assert_eq!(
        coordinator.json(&["--version"], 0)["command"],
        "DMT_VERSION"
    );
    assert_eq!(coordinator.ask(&["--nonsense"]).code, 1);
    assert_eq!(coordinator.ask(&[]).code, 1);
    assert_eq!(coordinator.ask(&["-k"]).code, 0);
    let nobody = run(["command", "--json", "-p", "1", "-s"]);
    assert_eq!(nobody.code, 2);
    let nobody: Value = serde_json::from_str(&nobody.out).unwrap();
    assert_eq!(nobody["command_status"], "DMT_COORD_NOT_FOUND");
}

#[test]
fn it_answers_to_the_names_of_those_it_replaces() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["dmtcp_coordinator", "dmtcp_command"] {
        let path = dir.path().join(name);
        symlink(env!("CARGO_BIN_EXE_dmtcpctl"), &path).unwrap();
        let help = Command::new(&path).arg("--help").output().unwrap();
        let text = String::from_utf8(help.stdout).unwrap();
        assert!(text.starts_with(&format!("Usage: {name} ")), "{text}");
    }
}

#[test]
fn w02_only_this_host_is_listened_to() {
    let coordinator = Coordinator::start(&["-q"]);
    let elsewhere = (Ipv4Addr::new(127, 0, 0, 2), coordinator.port);
    assert!(TcpStream::connect(elsewhere).is_err());
    let open = Coordinator::start(&["-q", "--open"]);
    TcpStream::connect((Ipv4Addr::new(127, 0, 0, 2), open.port)).unwrap();
}
