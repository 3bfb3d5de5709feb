//! What `dmtcp_command --json` says to every word and every way in which it can go wrong.

use serde_json::Value;

use crate::coordinator::Coordinator;
use crate::run::{Ran, command, run};
use crate::state::nobody_starts;

/// One line of JSON, with these three, and nothing beside it.
fn check(ran: &Ran, verb: &str, status: &str, code: i32) -> Value {
    assert_eq!((ran.code, ran.err.as_str()), (code, ""), "{}", ran.out);
    assert_eq!(ran.out.lines().count(), 1, "{}", ran.out);
    let said: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(said["schema_version"], 1);
    assert_eq!(said["command"], verb);
    assert_eq!(said["command_status"], status);
    said
}

fn words<'a>(before: &[&'a str], text: &'a str) -> Vec<&'a str> {
    before.iter().copied().chain(text.split(' ')).collect()
}

const DONE: &str = "DMT_COORD_SUCCESS";
const NOT_RUNNING: &str = "DMT_COORD_NOT_RUNNING";
const WRONG: &str = "DMT_COORD_INVALID_COMMAND";

#[test]
fn every_word_for_a_command() {
    let coordinator = Coordinator::start(&["-q"]);
    for (texts, verb, status, code) in [
        (&["--status", "-s", "s"][..], "DMT_STATUS", DONE, 0),
        (&["--list", "-l", "l", "t"], "DMT_LIST", DONE, 0),
        (
            &["--checkpoint", "-c", "c"],
            "DMT_CHECKPOINT",
            NOT_RUNNING,
            2,
        ),
        (
            &["--bcheckpoint", "-bc"],
            "DMT_BLOCKING_CKPT",
            NOT_RUNNING,
            2,
        ),
        (
            &["--kcheckpoint", "-kc", "-ck", "-K", "Kc"],
            "DMT_KILL_AFTER_CKPT",
            NOT_RUNNING,
            2,
        ),
        (&["--kill", "-k", "k"], "DMT_KILL", DONE, 0),
    ] {
        for text in texts {
            let ran = coordinator.ask(&["--json", text]);
            let said = check(&ran, verb, status, code);
            assert_eq!(said["coordinator_port"], coordinator.port);
            assert_eq!(said["workers"].is_string(), verb == "DMT_LIST");
            for field in ["num_peers", "running", "checkpoint_interval"] {
                assert_eq!(said.get(field).is_some(), verb == "DMT_STATUS", "{field}");
            }
        }
    }
    for (text, seconds) in [("--interval 7", 7), ("-i8", 8), ("i9", 9), ("i 0", 0)] {
        let ran = coordinator.ask(&words(&["--json"], text));
        let said = check(&ran, "DMT_UPDATE_CKPT_INTERVAL", DONE, 0);
        assert_eq!(said["checkpoint_interval"], seconds);
        let status = coordinator.json(&["-s"], 0);
        assert_eq!(status["checkpoint_interval"], seconds);
    }
    for word in ["--quit", "-q", "q"] {
        let mut coordinator = Coordinator::start(&["-q"]);
        check(&coordinator.ask(&["--json", word]), "DMT_QUIT", DONE, 0);
        assert_eq!(coordinator.end().code(), Some(0));
    }
}

#[test]
fn nobody_is_asked_for_help_or_the_version() {
    for word in ["--help", "-h", "h", "?"] {
        check(&run(["command", "--json", word]), "DMT_HELP", DONE, 0);
    }
    let said = check(
        &run(["command", "--json", "--version"]),
        "DMT_VERSION",
        DONE,
        0,
    );
    assert!(said["version"].is_string());
}

#[test]
fn what_is_wrong_is_said_in_json_only() {
    for text in ["--not-a-command", "--interval", "-i x", "-p", "-p x -s"] {
        let ran = run(words(&["command", "--json"], text));
        check(&ran, "DMT_INVALID_COORDINATOR_COMMAND", WRONG, 2);
    }
}

#[test]
fn nobody_is_there() {
    for (text, verb) in [
        ("--status", "DMT_STATUS"),
        ("--list", "DMT_LIST"),
        ("--interval 7", "DMT_UPDATE_CKPT_INTERVAL"),
        ("-bc", "DMT_BLOCKING_CKPT"),
        ("--quit", "DMT_QUIT"),
    ] {
        let ran = run(words(&["command", "--json", "--coord-port", "1"], text));
        let said = check(&ran, verb, "DMT_COORD_NOT_FOUND", 2);
        assert_eq!(said["coordinator_host"], "localhost");
        assert_eq!(said["coordinator_port"], 1);
    }
    // A name can be anything that is given.
    let host = "bad\"host\nname";
    let ran = run(["command", "--json", "--coord-host", host, "-p", "1", "-s"]);
    let said = check(&ran, "DMT_STATUS", "DMT_COORD_NOT_FOUND", 2);
    assert_eq!(said["coordinator_host"], host);
}

#[test]
fn the_environment_says_where_it_is() {
    let coordinator = Coordinator::start(&["-q"]);
    let output = {
        let _alone = nobody_starts();
        command(["command", "--json", "--status"])
            .env("DMTCP_COORD_HOST", "localhost")
            .env("DMTCP_COORD_PORT", coordinator.port.to_string())
            .output()
            .unwrap()
    };
    let ran = Ran {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    };
    let said = check(&ran, "DMT_STATUS", DONE, 0);
    assert_eq!(said["coordinator_host"], "localhost");
    assert_eq!(said["coordinator_port"], coordinator.port);
}
