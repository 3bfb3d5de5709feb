//! A coordinator in a process of its own, that outlives the C program which has started it. In place of
//! `dmtcpctl` it is this test binary.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd as _;
use std::process::Command;
use std::{env, fs};

use dmtcp_client::coordinator::Coordinator;
use dmtcp_client::standalone::{Standalone, StandaloneConfig};
use dmtcp_proto::{Dialect, Interval};

use crate::compiler::{Compiler, linked, run, succeed};

/// What `dmtcpctl coordinator` does of all that: it serves on the socket that is its standard input.
#[test]
#[ignore = "run by the other tests as a process of its own"]
fn helper_program() {
    let Ok(words) = env::var(WORDS) else { return };
    let words: Vec<&str> = words.split(' ').collect();
    assert_eq!(words[..2], ["coordinator", "--listener-is-stdin"]);
    let behind = |option| words.iter().skip_while(|word| **word != option).nth(1);
    assert!(words.contains(&"-q"), "{words:?}");
    let listener = io::stdin().as_fd().try_clone_to_owned().unwrap();
    let mut config = StandaloneConfig::default();
    config.listener = Some(TcpListener::from(listener));
    config.port_file = behind("--port-file").map(Into::into);
    config.script_dir = behind("--ckptdir").unwrap().into();
    let seconds: i32 = behind("--interval").unwrap().parse().unwrap();
    config.interval = Interval::from_wire(seconds);
    Standalone::start(config).unwrap().run(|_| {});
}

const WORDS: &str = "HELPER_TEST_WORDS";

#[test]
fn it_outlives_the_program() {
    let Some(cc) = Compiler::find() else { return };
    for &linked in linked() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("dmtcpctl");
        // Written by another process: nobody here has it open while it is executed.
        let made = Command::new("sh")
            .args(["-c", MAKE_PROGRAM, "sh"])
            .args([env::current_exe().unwrap(), program.clone()])
            .status()
            .unwrap();
        assert!(made.success());
        let port_file = dir.path().join("port");
        let mut command = run(&cc.program("tests/c/helper.c", linked));
        command.arg(program).arg(&port_file).current_dir(dir.path());
        let said = succeed(&mut command);
        let (port, _) = said.trim().split_once(' ').unwrap();
        assert_eq!(fs::read_to_string(&port_file).unwrap(), port);
        let addr = SocketAddr::from(([127, 0, 0, 1], port.parse().unwrap()));
        let coordinator = Coordinator::new(addr, Dialect::V5);
        assert_eq!(coordinator.status().unwrap().peers, 0);
        coordinator.quit().unwrap();
    }
}

const MAKE_PROGRAM: &str = r#"
printf '#!/bin/sh\nexport HELPER_TEST_WORDS="$*"\nexec "%s" --ignored --exact helper::helper_program\n' "$1" > "$2"
chmod +x "$2"
"#;
