//! The command lines, word by word.

use std::{path::Path, time::Duration};

use super::*;
use crate::{process::ProcessError, tools::fake_tools};

fn address() -> SocketAddr {
    "127.0.0.1:4242".parse().unwrap()
}

fn words(command: &Command) -> Vec<&str> {
    command
        .get_args()
        .map(|word| word.to_str().unwrap())
        .collect()
}

fn variable(command: &Command, name: &str) -> Option<String> {
    command
        .get_envs()
        .find(|(found, _)| *found == name)
        .and_then(|(_, value)| Some(value?.to_str()?.to_owned()))
}

#[test]
fn defaults() {
    let (_dir, tools) = fake_tools();
    let command = Launch::new(&tools, "prog")
        .join(address())
        .to_command()
        .unwrap();
    assert_eq!(command.get_program(), tools.launch());
    assert_eq!(
        words(&command),
        [
            "--join-coordinator",
            "--coord-host",
            "127.0.0.1",
            "--coord-port",
            "4242",
            "--gzip",
            "prog"
        ]
    );
    assert_eq!(variable(&command, "DMTCP_FAIL_RC").unwrap(), "198");
    assert_eq!(variable(&command, "DMTCP_QUIET").unwrap(), "0");
    assert_eq!(variable(&command, "DMTCP_TMPDIR"), None);
    assert_eq!(command.get_current_dir(), None);
}

#[test]
fn everything() {
    let (_dir, tools) = fake_tools();
    let command = Launch::new(&tools, "/bin/prog")
        .arg("-x")
        .args(["--gzip", "a b"])
        .join(address())
        .current_dir("/work")
        .env("KEY", "value")
        .env("DMTCP_FAIL_RC", "77")
        .checkpoint_dir("/images")
        .gzip(false)
        .checkpoint_open_files(true)
        .interval(Interval::Every(Duration::from_millis(1500)))
        .tmpdir("/t")
        .messages(Messages::Errors)
        .raw_option("--ckpt-signal")
        .raw_option("10")
        .to_command()
        .unwrap();
    #[rustfmt::skip]
    assert_eq!(
        words(&command),
        [
            "--join-coordinator", "--coord-host", "127.0.0.1", "--coord-port", "4242",
            "--interval", "2", "--ckptdir", "/images", "--ckpt-signal", "10",
            "--no-gzip", "--checkpoint-open-files",
            "/bin/prog", "-x", "--gzip", "a b",
        ]
    );
    assert_eq!(variable(&command, "KEY").unwrap(), "value");
    assert_eq!(
        variable(&command, "DMTCP_FAIL_RC").unwrap(),
        "77",
        "the caller's word is the last"
    );
    assert_eq!(variable(&command, "DMTCP_TMPDIR").unwrap(), "/t");
    assert_eq!(variable(&command, "DMTCP_QUIET").unwrap(), "2");
    assert_eq!(command.get_current_dir(), Some(Path::new("/work")));
}

#[test]
fn never_is_an_interval_and_unchanged_is_none() {
    let (_dir, tools) = fake_tools();
    let launch = Launch::new(&tools, "prog").join(address());
    let never = launch
        .clone()
        .interval(Interval::Never)
        .to_command()
        .unwrap();
    assert!(
        words(&never)
            .windows(2)
            .any(|pair| pair == ["--interval", "0"])
    );
    let unchanged = launch.interval(Interval::Unchanged).to_command().unwrap();
    assert!(!words(&unchanged).contains(&"--interval"));
}

#[test]
fn relative_directories_become_absolute() {
    let (_dir, tools) = fake_tools();
    let launch = Launch::new(&tools, "prog")
        .join(address())
        .current_dir("/elsewhere");
    let command = launch
        .checkpoint_dir("images")
        .tmpdir("tmp")
        .to_command()
        .unwrap();
    let here = env::current_dir().unwrap();
    let images = here.join("images");
    assert!(words(&command).contains(&images.to_str().unwrap()));
    assert_eq!(
        variable(&command, "DMTCP_TMPDIR").unwrap(),
        here.join("tmp").to_str().unwrap()
    );
}

#[test]
fn mistakes_are_named() {
    let (_dir, tools) = fake_tools();
    let error = Launch::new(&tools, "prog").to_command().unwrap_err();
    assert!(matches!(error, StartError::NoCoordinator));
    let six = "[::1]:4242".parse().unwrap();
    let error = Launch::new(&tools, "prog")
        .join(six)
        .to_command()
        .unwrap_err();
    assert!(matches!(error, StartError::NotIpv4(address) if address == six));
    for program in ["", "-c"] {
        let error = Launch::new(&tools, program)
            .join(address())
            .to_command()
            .unwrap_err();
        assert!(matches!(error, StartError::ProgramName(name) if name == program));
    }
    let missing = Path::new("/no/such/folder/out");
    let launch = Launch::new(&tools, "true").join(address());
    let error = launch
        .stdout(Stream::File(missing.to_owned()))
        .spawn()
        .unwrap_err();
    let StartError::Process(ProcessError::Stream { path, .. }) = error else {
        panic!("{error}");
    };
    assert_eq!(path, missing);
}

/// The stand-in prints what it was given, so this is the way from the builder into a process.
#[test]
fn spawn_runs_just_that() {
    let (dir, tools) = fake_tools();
    let output = dir.path().join("output");
    let child = Launch::new(&tools, "true")
        .arg("last word")
        .join(address())
        .tmpdir("/t")
        .current_dir(dir.path())
        .stdout(Stream::File(output.clone()))
        .spawn()
        .unwrap();
    assert_eq!(child.wait(Duration::from_secs(60)).unwrap().shell_code(), 0);
    let text = std::fs::read_to_string(output).unwrap();
    let here = dir.path().canonicalize().unwrap();
    for line in [
        "true",
        "last word",
        "DMTCP_TMPDIR=/t",
        "DMTCP_FAIL_RC=198",
        here.to_str().unwrap(),
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in {text}");
    }
}

/// With this line as its first, in its own folder `bin`.
fn script(dir: &Path, line: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let bin = dir.join("bin");
    std::fs::create_dir(&bin).unwrap();
    let path = bin.join("only-here");
    std::fs::write(&path, line).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// DMTCP would not say so.
#[test]
fn a_program_that_is_not_there_is_named_at_once() {
    let (dir, tools) = fake_tools();
    let (work, other) = (dir.path().join("work"), dir.path().join("other"));
    for (dir, line) in [(&work, "#!/bin/sh\n"), (&other, "#!/nowhere/sh\n")] {
        std::fs::create_dir(dir).unwrap();
        script(dir, line);
    }
    let output = dir.path().join("output");
    let launch = |program: &str| {
        let launch = Launch::new(&tools, program).join(address());
        launch.stdout(Stream::File(output.clone()))
    };
    let refused = |launch: Launch| match launch.spawn().unwrap_err() {
        StartError::Program(error) => error,
        error => panic!("{error}"),
    };
    let absolute = work.join("bin/none");
    let error = refused(launch(absolute.to_str().unwrap()));
    assert!(matches!(&error, NotExecutable::Missing { path, .. } if *path == absolute));
    assert!(error.to_string().contains("is not there"), "{error}");
    // Not in the directory of this program, and not in its PATH.
    for program in ["bin/only-here", "only-here"] {
        let error = refused(launch(program));
        let text = error.to_string();
        assert!(text.contains(program), "{text}");
    }
    let error = refused(launch("bin/only-here").current_dir(&other));
    assert!(
        matches!(error, NotExecutable::NoInterpreter { .. }),
        "{error}"
    );
    let error = refused(launch("true").env("PATH", work.join("bin")));
    assert_eq!(error, NotExecutable::NotInPath("true".into()));
    assert!(!output.exists(), "something was started");

    // As the child will find it: in its directory and in its PATH, of which the last word counts.
    let path = |bin: &str| format!("{bin}:/usr/bin:/bin");
    for launch in [
        launch("bin/only-here"),
        launch("only-here").env("PATH", path(work.join("bin").to_str().unwrap())),
        launch("only-here").env("PATH", "").env("PATH", path("bin")),
    ] {
        let child = launch.current_dir(&work).spawn().unwrap();
        assert_eq!(child.wait(Duration::from_secs(60)).unwrap().shell_code(), 0);
        let text = std::fs::read_to_string(&output).unwrap();
        assert!(
            text.lines().any(|line| line.ends_with("only-here")),
            "{text}"
        );
    }
}
