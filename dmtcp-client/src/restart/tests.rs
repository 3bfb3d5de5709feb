//! The command lines, word by word.

use std::path::Path;

use super::*;
use crate::tools::{fake, fake_tools};

fn address() -> SocketAddr {
    "127.0.0.1:4242".parse().unwrap()
}

fn words(command: &Command) -> Vec<&str> {
    command
        .get_args()
        .map(|word| word.to_str().unwrap())
        .collect()
}

const JOIN: [&str; 5] = [
    "--join-coordinator",
    "--coord-host",
    "127.0.0.1",
    "--coord-port",
    "4242",
];

#[test]
fn defaults() {
    let (_dir, tools) = fake_tools();
    let restart = Restart::new(&tools, ["/s/ckpt_a.dmtcp", "/s/ckpt_b.dmtcp"]).join(address());
    let command = restart.to_command().unwrap();
    assert_eq!(command.get_program(), tools.restart());
    assert_eq!(
        words(&command),
        [&JOIN[..], &["/s/ckpt_a.dmtcp", "/s/ckpt_b.dmtcp"]].concat()
    );
    let fail_code = command
        .get_envs()
        .find(|(name, _)| *name == "DMTCP_FAIL_RC")
        .unwrap();
    assert_eq!(fail_code.1.unwrap(), "198");
}

#[test]
fn everything() {
    let (_dir, tools) = fake_tools();
    let command = Restart::new(&tools, ["/s/a.dmtcp"])
        .join(address())
        .checkpoint_dir("/images")
        .strict_checking(false)
        .interval(Interval::Never)
        .tmpdir("/t")
        .messages(Messages::Warnings)
        .raw_option("--coord-logfile")
        .raw_option("/log")
        .to_command()
        .unwrap();
    #[rustfmt::skip]
    let rest = [
        "--interval", "0", "--ckptdir", "/images", "--coord-logfile", "/log",
        "--no-strict-checking", "/s/a.dmtcp",
    ];
    assert_eq!(words(&command), [&JOIN[..], &rest].concat());
    for (name, value) in [("DMTCP_TMPDIR", "/t"), ("DMTCP_QUIET", "1")] {
        assert!(
            command
                .get_envs()
                .any(|pair| pair == (name.as_ref(), Some(value.as_ref())))
        );
    }
}

#[test]
fn what_2_x_needs() {
    let root = geteuid().is_root();
    for (version, strict, options) in [
        ("2.4.9", true, &["--run-as-root"][..]),
        (
            "2.4.9",
            false,
            &["--run-as-root", "--no-strict-uid-checking"],
        ),
        ("2.5.0", false, &["--no-strict-checking"]),
        ("4.2.0", true, &[]),
    ] {
        let (_dir, tools) = fake(&format!("echo 'dmtcp_launch (DMTCP) {version}'"));
        let restart = Restart::new(&tools, ["/s/a.dmtcp"]).join(address());
        let command = restart.strict_checking(strict).to_command().unwrap();
        let mut expected = JOIN.to_vec();
        expected.extend(options.iter().filter(|&&it| root || it != "--run-as-root"));
        expected.push("/s/a.dmtcp");
        assert_eq!(words(&command), expected, "{version}");
        let tunables = command.get_envs().find(|(name, _)| *name == TUNABLES);
        assert_eq!(tunables.is_some(), version.starts_with('2'), "{version}");
    }
}

#[test]
fn mistakes_are_named() {
    let (dir, tools) = fake_tools();
    let none: [&str; 0] = [];
    let error = Restart::new(&tools, none)
        .join(address())
        .to_command()
        .unwrap_err();
    assert!(matches!(error, StartError::NoImages));
    let error = Restart::new(&tools, ["a.dmtcp"]).to_command().unwrap_err();
    assert!(matches!(error, StartError::NoCoordinator));
    for name in ["/s/a.dmtcp.temp", "/s/a", "/s/.dmtcp"] {
        let error = Restart::new(&tools, [name])
            .join(address())
            .to_command()
            .unwrap_err();
        assert!(matches!(error, StartError::ImageName(path) if path == Path::new(name)));
    }
    let missing = dir.path().join("a.dmtcp");
    let error = Restart::new(&tools, [&missing])
        .join(address())
        .spawn()
        .unwrap_err();
    assert!(matches!(error, StartError::Image { path, .. } if path == missing));
}

#[test]
fn a_relative_image_cannot_pass_for_an_option() {
    let (_dir, tools) = fake_tools();
    let command = Restart::new(&tools, ["-x.dmtcp"])
        .join(address())
        .to_command()
        .unwrap();
    let expected = env::current_dir().unwrap().join("-x.dmtcp");
    assert_eq!(words(&command).last().unwrap(), &expected.to_str().unwrap());
}

#[test]
fn an_image_that_is_no_file_is_refused_and_not_waited_for() {
    let (_dir, tools) = fake_tools();
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("ckpt_a.dmtcp");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    for image in [fifo, dir.path().join("missing.dmtcp")] {
        let restart = Restart::new(&tools, [&image]).join(address());
        let error = restart.spawn().unwrap_err();
        assert!(
            matches!(&error, StartError::Image { path, .. } if *path == image),
            "{error:?}"
        );
    }
}
