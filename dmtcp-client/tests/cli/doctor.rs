//! `doctor`: its text, its JSON, its exit codes.

use crate::real::on_each;
use crate::run::{Ran, command, run};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Where there is no DMTCP, and temporary files go to this directory.
fn alone(dir: &Path, arguments: &[&str]) -> Ran {
    let mut command = command(arguments);
    command
        .env_remove("DMTCP_BIN")
        .env_remove("LD_PRELOAD")
        .env("PATH", dir)
        .env("TMPDIR", dir);
    let output = command.output().unwrap();
    Ran {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The names of findings, all of which are documented.
fn names(findings: &Value) -> BTreeSet<&str> {
    let page = include_str!("../../../docs/CLI.md");
    let found = findings.as_array().unwrap().iter();
    let names: BTreeSet<&str> = found.map(|found| found["slug"].as_str().unwrap()).collect();
    for name in &names {
        assert!(page.contains(&format!("`{name}`")), "{name}");
    }
    names
}

#[test]
fn a_machine_without_dmtcp_is_a_failure_in_json_and_text() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let state = ["--state-dir", state.to_str().unwrap()];
    let ran = alone(dir.path(), &[&["doctor", "--json"], &state[..]].concat());
    assert_eq!((ran.code, ran.err.as_str()), (1, ""));
    let json = ran.json("doctor");
    assert_eq!(
        (&json["verdict"], &json["trial"]),
        (&"failure".into(), &Value::Null)
    );
    let names = names(&json["checks"]);
    assert!(names.len() > 20, "{names:?}");
    let dmtcp = &json["checks"][0];
    assert_eq!(
        (&dmtcp["slug"], &dmtcp["verdict"]),
        (&"dmtcp".into(), &"failure".into())
    );
    assert!(dmtcp["advice"].as_str().unwrap().contains("DMTCP_BIN"));

    let ran = alone(dir.path(), &[&["doctor"], &state[..]].concat());
    assert_eq!(ran.code, 1);
    assert!(
        ran.out.starts_with("failure  dmtcp: no folder"),
        "{}",
        ran.out
    );
    assert!(
        ran.out.contains("\n         -> install DMTCP"),
        "{}",
        ran.out
    );
    assert!(!ran.out.contains("\nok       kernel: "), "{}", ran.out);
    let ran = alone(dir.path(), &[&["doctor", "--all"], &state[..]].concat());
    assert!(ran.out.contains("\nok       kernel: Linux"), "{}", ran.out);
    // A program is not tried then.
    let ran = alone(dir.path(), &["doctor", "--json", "--", "sleep", "1000"]);
    assert_eq!((ran.code, &ran.json("doctor")["trial"]), (1, &Value::Null));
    assert_eq!(
        fs::read_dir(dir.path()).unwrap().count(),
        0,
        "nothing is left"
    );
}

#[test]
fn wrong_use() {
    for arguments in [&["doctor", "sleep"][..], &["doctor", "--limit", "soon"]] {
        assert_eq!(run(arguments).code, 2, "{arguments:?}");
    }
}

#[test]
fn a_trial_with_real_dmtcp_is_told_in_json() {
    on_each(|installation| {
        let dir = tempfile::tempdir().unwrap();
        let mut doctor = command(["doctor", "--json", "--run-for", "500ms", "--state-dir"]);
        doctor
            .arg(dir.path())
            .args(["--", "sleep", "1000"])
            .env("DMTCP_BIN", installation.folder());
        let output = doctor.output().unwrap();
        let ran = Ran {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        };
        let json = ran.json("doctor");
        let trial = &json["trial"];
        assert_ne!(trial["verdict"], "failure", "{trial}");
        let steps = names(&trial["steps"]);
        assert!(
            steps.contains("go-on") && steps.contains("clear"),
            "{steps:?}"
        );
        assert_eq!(trial["processes"], 1);
        assert!(trial["set_bytes"].as_u64() > Some(100_000));
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            0,
            "nothing is left"
        );
    });
}
