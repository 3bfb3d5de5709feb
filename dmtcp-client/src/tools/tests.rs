//! Discovery and versions, with small shell scripts in the place of DMTCP.

use tempfile::TempDir;

use super::*;
use crate::{deadline::Deadline, process::Identity};
use std::fs;

/// Longer than any of these scripts takes unless it hangs.
const LONG: Duration = Duration::from_secs(60);

fn install(dir: &Path, programs: &[&str], script: &str) {
    fs::create_dir_all(dir).unwrap();
    for program in programs {
        // By another process: a file this one has open for writing while a parallel test
        // forks cannot be executed (ETXTBSY).
        let status = Command::new("sh")
            .args([
                "-c",
                "printf '#!/bin/sh\\n%s\\n' \"$2\" > \"$1\" && chmod 755 \"$1\"",
                "sh",
            ])
            .arg(dir.join(program))
            .arg(script)
            .status()
            .unwrap();
        assert!(status.success());
    }
}

/// Tools that print their arguments, environment and directory.
pub(crate) fn fake_tools() -> (TempDir, Tools) {
    fake("for word; do echo \"$word\"; done; env; pwd")
}

/// Tools that do this.
pub(crate) fn fake(script: &str) -> (TempDir, Tools) {
    let dir = tempfile::tempdir().unwrap();
    install(dir.path(), &PROGRAMS, script);
    let tools = Tools::in_dir(dir.path()).unwrap();
    (dir, tools)
}

fn list(dirs: &[&Path]) -> Option<OsString> {
    Some(env::join_paths(dirs).unwrap())
}

#[test]
fn the_first_complete_folder_wins() {
    let base = tempfile::tempdir().unwrap();
    let [partial, one, two] = ["partial", "one", "two"].map(|name| base.path().join(name));
    install(&partial, &[LAUNCH], "");
    install(&one, &PROGRAMS, "");
    install(&two, &PROGRAMS, "");
    let dir = |places: &Places<'_>| places.find().unwrap().dir().to_owned();

    let mut places = Places {
        explicit: None,
        dmtcp_bin: None,
        path: list(&[&partial, &two, &one]),
    };
    assert_eq!(dir(&places), two);
    assert_eq!(places.all().len(), 1);
    places.dmtcp_bin = Some(OsString::new());
    assert_eq!(dir(&places), two, "an empty DMTCP_BIN is none");
    places.dmtcp_bin = list(&[&partial, &one, &two]);
    assert_eq!(dir(&places), one);
    let all: Vec<PathBuf> = places
        .all()
        .iter()
        .map(|tools| tools.dir().to_owned())
        .collect();
    assert_eq!(all, [one.clone(), two.clone()]);
    places.explicit = Some(&two);
    assert_eq!(dir(&places), two);
}

#[test]
fn what_is_named_is_never_replaced() {
    let base = tempfile::tempdir().unwrap();
    let [empty, good] = ["empty", "good"].map(|name| base.path().join(name));
    install(&good, &PROGRAMS, "");
    let places = Places {
        explicit: None,
        dmtcp_bin: list(&[&empty]),
        path: list(&[&good]),
    };
    assert!(matches!(places.find(), Err(ToolsError::NotFound { .. })));
    let places = Places {
        explicit: Some(&empty),
        dmtcp_bin: list(&[&good]),
        path: None,
    };
    assert!(matches!(places.find(), Err(ToolsError::NotFound { .. })));
}

#[test]
fn the_error_names_every_place_and_what_to_do() {
    let base = tempfile::tempdir().unwrap();
    let [partial, broken] = ["partial", "broken"].map(|name| base.path().join(name));
    install(&partial, &[LAUNCH, "dmtcp_restart"], "");
    fs::create_dir_all(broken.join("dmtcp_command")).unwrap();
    fs::write(broken.join(LAUNCH), "not executable").unwrap();
    let places = Places {
        explicit: None,
        dmtcp_bin: None,
        path: list(&[&partial, &broken]),
    };
    let text = places.find().unwrap_err().to_string();
    let first = format!(
        "{} (PATH): no dmtcp_command, no dmtcp_coordinator",
        partial.display()
    );
    let second = format!("PATH: nothing of it in {}", broken.display());
    for part in [
        first.as_str(),
        &second,
        "github.com/dmtcp/dmtcp",
        "package `dmtcp`",
        DMTCP_BIN,
    ] {
        assert!(text.contains(part), "{part:?} in {text}");
    }

    let nowhere = Places {
        explicit: None,
        dmtcp_bin: None,
        path: None,
    };
    assert!(
        nowhere
            .find()
            .unwrap_err()
            .to_string()
            .contains("neither DMTCP_BIN nor PATH")
    );
    assert!(nowhere.all().is_empty());
}

#[test]
fn folders_without_any_program_are_one_line_and_the_one_above_is_told() {
    let base = tempfile::tempdir().unwrap();
    let [above, other] = ["above", "other"].map(|name| base.path().join(name));
    let bin = above.join("bin");
    install(&bin, &PROGRAMS, "");
    let places = Places {
        explicit: None,
        dmtcp_bin: list(&[&other, &above, &other]),
        path: None,
    };
    let error = places.find().unwrap_err();
    let expected = format!(
        "DMTCP_BIN: nothing of it in {}, {} (did you mean {}?)\n",
        other.display(),
        above.display(),
        bin.display()
    );
    assert!(error.to_string().contains(&expected), "{error}");
    // Named twice, looked at once.
    let places = Places {
        dmtcp_bin: list(&[&bin, &bin]),
        ..places
    };
    assert_eq!(places.all().len(), 1);
}

#[test]
fn the_version_is_asked_once_whatever_the_exit_code() {
    let (dir, tools) = fake("echo asked >> \"$0.log\"; echo 'dmtcp_launch (DMTCP) 4.2.0'; exit 1");
    assert_eq!(tools.version_within(LONG).unwrap().text, "4.2.0");
    assert_eq!(tools.clone().dialect().unwrap(), Dialect::V3);
    let log = fs::read_to_string(dir.path().join("dmtcp_launch.log")).unwrap();
    assert_eq!(log, "asked\n");
}

#[test]
fn an_old_release_is_told_from_a_foreign_program() {
    let (_dir, old) = fake("echo 'dmtcp_launch (DMTCP) 2.3.1'");
    assert_eq!(old.version_within(LONG).unwrap().dialect, None);
    let error = old.dialect().unwrap_err();
    assert_eq!(
        error.to_string(),
        "DMTCP 2.3.1 is not supported; 2.4 and later are"
    );

    let (_dir, foreign) = fake("yes hello | head -c 1000");
    let error = foreign.version_within(LONG).unwrap_err();
    let ToolsError::UnknownVersion { output, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(output.len(), SHOWN_OUTPUT);
}

#[test]
fn a_program_that_hangs_is_ended_at_the_deadline() {
    let (_dir, tools) = fake("sleep 600; echo late");
    let limit = Duration::from_millis(200);
    let error = tools.version_within(limit).unwrap_err();
    let ToolsError::Run {
        source: ProcessError::TimedOut { pid, limit: given },
        ..
    } = error
    else {
        panic!("{error:?}")
    };
    assert_eq!(given, limit);
    // SIGKILL has been sent; what it ends may still have to have its turn for that.
    let end = Deadline::after(LONG);
    while Identity::of(pid).unwrap().is_some() {
        assert!(!end.has_passed(), "it was left running");
        end.pause(Duration::from_millis(1));
    }
}

#[test]
fn one_that_leaves_its_output_open_does_not_hold_us() {
    // Waiting for the end of its output would take longer than the limit.
    let (_dir, tools) = fake("sleep 600 & echo 'dmtcp_launch (DMTCP) 5.0'");
    tools.version_within(LONG).unwrap();
    assert_eq!(tools.dialect().unwrap(), Dialect::V5);
}
