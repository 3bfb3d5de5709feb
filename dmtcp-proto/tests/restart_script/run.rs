//! What bash does with our scripts.

use super::arbitrary::any_script;
use super::host;
use super::stage::{FAKE, Ran, Stage, texts};
use dmtcp_proto::{Interval, RemoteShell, RestartHost, RestartMode, RestartScript, Text};
use proptest::prelude::*;
use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

fn on_one_host(images: &[&'static str]) -> RestartScript {
    let images = images.iter().map(|&image| image.into()).collect();
    RestartScript::new(
        "vm".into(),
        7779,
        vec![RestartHost::new(None, None, images)],
    )
}

const PLAIN: [&str; 7] = [
    "--coord-host",
    "vm",
    "--coord-port",
    "7779",
    "--interval",
    "0",
    "/d/a",
];

#[test]
fn one_host_is_one_restart() {
    let Some(stage) = Stage::new() else { return };
    let ran = stage.run(&on_one_host(&["/d/a", "/d/b"]), &[]);
    let wanted = [&["dmtcp_restart"][..], &PLAIN, &["/d/b"]].concat();
    assert_eq!(ran.call(), wanted);
    let named = RestartScript::new(
        "vm".into(),
        7779,
        vec![host("far", None, &["/d/a", "/d/b"])],
    );
    assert_eq!(
        stage.run(&named, &[]).call(),
        wanted,
        "the only host is this one"
    );
    let script = on_one_host(&["/d/a"]).interval(Interval::Every(Duration::from_secs(5)));
    assert_eq!(stage.run(&script, &[]).call()[5..7], ["--interval", "5"]);
    let script = on_one_host(&["/d/a"]).interval(Interval::Unchanged);
    assert_eq!(
        stage.run(&script, &[]).call().len(),
        6,
        "no interval to set"
    );
}

#[test]
fn the_exit_status_is_that_of_the_restart() {
    let Some(stage) = Stage::new() else { return };
    let stage = stage.with("FAKE_STATUS", "99");
    assert_eq!(stage.run(&on_one_host(&["/d/a"]), &[]).status, 99);
    let hosts = vec![
        host("far", None, &["/d/a"]),
        host("localhost", None, &["/d/b"]),
    ];
    let ran = stage.run(&RestartScript::new("vm".into(), 1, hosts), &[]);
    assert_eq!((ran.status, ran.calls.len()), (99, 3), "{ran:?}");
}

/// Options, variable and effect, as `docs/PROTOCOL.md` has them.
fn documented() -> Vec<(Vec<&'static str>, &'static str)> {
    let text = include_str!("../../../docs/PROTOCOL.md");
    let rows = text
        .lines()
        .skip_while(|line| !line.starts_with("| Option of the script |"));
    rows.skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|row| {
            let mut cells = row.trim_matches('|').split('|');
            let options = cells.next().unwrap().split(',');
            let options = options.map(|option| option.trim().trim_matches('`'));
            let variable = cells.next().unwrap().trim().trim_matches('`');
            (options.collect(), variable)
        })
        .collect()
}

/// An option counts more than its variable, and that more than the script.
#[test]
fn options_and_variables() {
    let with_variable = documented().into_iter().filter(|(_, v)| !v.is_empty());
    let script = on_one_host(&["/d/a"]);
    let mut tried = 0;
    for (options, variable) in with_variable {
        let Some(stage) = Stage::new() else { return };
        let passed = *options.last().unwrap();
        let check = |ran: &Ran, value: &str| {
            let call = ran.call();
            if passed == "--restartdir" {
                assert_eq!(call.last(), Some(&&*format!("{value}/a")), "{variable}");
            } else {
                let at = call.iter().position(|&arg| arg == passed).unwrap();
                assert_eq!(call[at + 1], value, "{variable}");
                assert_eq!(call.last(), Some(&"/d/a"));
                assert_eq!(call.iter().filter(|&&arg| arg == passed).count(), 1);
            }
        };
        let stage = stage.with(variable, "from & $HOME");
        check(&stage.run(&script, &[]), "from & $HOME");
        for option in options {
            check(&stage.run(&script, &[option, "a 'b' &"]), "a 'b' &");
            stage.run(&script, &[option]).refused("needs a value");
        }
        tried += 1;
    }
    assert_eq!(tried, 7);
}

#[test]
fn other_options() {
    let Some(stage) = Stage::new() else { return };
    let script = on_one_host(&["/d/a"]);
    for option in ["--no-strict-checking", "--no-strict-uid-checking"] {
        let ran = stage.run(&script, &[option, "-p", "1"]);
        assert!(ran.call().contains(&option), "{ran:?}");
        assert_eq!(ran.call()[4], "1");
    }
    let ran = stage.run(&script, &["-p", "1", "--help"]);
    assert_eq!((ran.status, ran.calls.len()), (0, 0), "{ran:?}");
    let documented = documented();
    assert_eq!(documented.len(), 10);
    for (options, variable) in documented {
        let last = options.last().unwrap();
        assert!(ran.stdout.contains(last), "{last} is not in the help");
        let variable = format!("${variable}");
        assert!(ran.stdout.contains(&variable), "{variable}");
    }
    stage
        .run(&script, &["--what"])
        .refused("unknown option --what");
    stage
        .run(&script, &["image.dmtcp"])
        .refused("unknown option");
    stage.run(&script, &[""]).refused("unknown option");
}

#[test]
fn the_named_command_counts_more_than_the_path() {
    let Some(stage) = Stage::new() else { return };
    let own = stage.path("my own");
    fs::create_dir(&own).unwrap();
    let own = own.join("restart it");
    symlink(FAKE, &own).unwrap();
    let command = Text::from(own.to_str().unwrap().to_owned());
    let ran = stage.run(&on_one_host(&["/d/a"]).restart_command(command), &[]);
    assert_eq!(ran.call()[0], "restart it");
    let ran = stage.run(
        &on_one_host(&["/d/a"]).restart_command("/gone/it".into()),
        &[],
    );
    assert_eq!(ran.call()[0], "dmtcp_restart");
}

/// Variables that the script uses itself, set by somebody else.
#[test]
fn the_environment_names_no_images() {
    let Some(stage) = Stage::new() else { return };
    let stage = stage
        .with("given_ckpt_files", "/evil")
        .with("worker_ckpts", ":: evil :bg: /evil : ssh")
        .with("images", "/evil")
        .with("hostfile", "/etc/passwd")
        .with("join", "evil")
        .with("checking", "evil")
        .with("options", "evil");
    let ran = stage.run(&on_one_host(&["/d/a b"]), &[]);
    let wanted = [&["dmtcp_restart"], &PLAIN[..6], &["/d/a b"]].concat();
    assert_eq!(ran.call(), wanted);
}

const HOSTILE: [&str; 14] = [
    "/d/a b",
    "/d/it's",
    "/d/$(touch canary)",
    "/d/`touch canary`",
    "/d/\"; touch canary; \"",
    "/d/'; touch canary; '",
    "/d/'$(touch canary)'",
    "/d/\\'; touch canary #",
    "/d/line\ntouch canary\n",
    "/d/*",
    "-x;touch canary",
    "/d/a:b",
    "/d/$HOME & touch canary &",
    "\n",
];

#[test]
fn w36_hostile_names_stay_names() {
    let Some(stage) = Stage::new() else { return };
    let mut script = on_one_host(&HOSTILE);
    script.coordinator_host = "h'\"$(touch canary)\n".into();
    script.timestamp = "\"; touch canary; '".into();
    script.restart_command = "/gone/$(touch canary)'".into();
    let ran = stage.run(&script, &[]);
    let mut wanted = vec!["dmtcp_restart", "--coord-host", "h'\"$(touch canary)\n"];
    wanted.extend(["--coord-port", "7779", "--interval", "0"]);
    wanted.extend(HOSTILE.map(|name| {
        if name.starts_with('-') {
            "./-x;touch canary"
        } else {
            name
        }
    }));
    assert_eq!(ran.call(), wanted);

    let bytes = Text::new(&b"/d/\xff\xfe'\x01"[..]).unwrap();
    let images = vec![bytes.clone()];
    let hosts = vec![RestartHost::new(None, None, images)];
    let ran = stage.run(&RestartScript::new("vm".into(), 1, hosts), &[]);
    assert_eq!(ran.calls[0].last().unwrap(), bytes.as_bytes());
}

#[test]
fn w36_hostile_names_stay_names_on_other_hosts() {
    let Some(stage) = Stage::new() else { return };
    let hosts = HOSTILE[..10]
        .iter()
        .map(|&name| host(name, Some(RemoteShell::Ssh), &HOSTILE))
        .collect();
    let script = RestartScript::new("it's".into(), 1, hosts);
    let ran = stage.run(&script, &[]);
    assert_eq!((ran.status, ran.calls.len()), (0, 20), "{ran:?}");
    let mut wanted = vec!["dmtcp_restart", "--coord-host", "it's", "--coord-port", "1"];
    wanted.extend(["--interval", "0", "--join-coordinator"]);
    wanted.extend(HOSTILE.map(|name| {
        if name.starts_with('-') {
            "./-x;touch canary"
        } else {
            name
        }
    }));
    for call in &ran.calls[..10] {
        assert_eq!(texts(call), wanted);
    }
    let mut names: Vec<&str> = ran.calls[10..].iter().map(|call| texts(call)[1]).collect();
    let mut wanted = HOSTILE[..10].to_vec();
    names.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(names, wanted);
}

#[test]
fn a_host_name_is_never_an_option() {
    let Some(stage) = Stage::new() else { return };
    for name in ["-oProxyCommand=canary", "-o x"] {
        let hosts = vec![host(name, None, &["/d/a"]), host(name, None, &["/d/b"])];
        let script = RestartScript::new("vm".into(), 1, hosts);
        stage.run(&script, &[]).refused("looks like an option");
    }
}

#[test]
fn several_hosts() {
    let Some(stage) = Stage::new() else { return };
    let hosts = vec![
        host("a", Some(RemoteShell::Rsh), &["/d/1"]),
        host("b", Some(RemoteShell::Ssh), &["/d/2", "/d/3"]),
        host("c", None, &["/d/4"]).mode(RestartMode::Foreground),
        host("d", Some(RemoteShell::Ssh), &["/d/5"]).mode(RestartMode::Xterm),
        host("localhost", None, &["/d/6"]),
        host("127.0.0.1", Some(RemoteShell::Ssh), &["/d/7"]),
    ];
    let script = RestartScript::new("vm".into(), 1, hosts);
    let ran = stage.run(&script, &[]);
    let mut calls: Vec<String> = ran.calls.iter().map(|call| texts(call).join(" ")).collect();
    calls.sort();
    let restart = "dmtcp_restart --coord-host vm --coord-port 1 --interval 0 --join-coordinator";
    let remote = |images: &str| {
        let command = format!("{restart} {images}").replace(' ', "' '");
        format!("exec '{command}'")
    };
    let mut wanted = vec![
        format!("{restart} /d/1"),
        format!("{restart} /d/2 /d/3"),
        format!("{restart} /d/4"),
        format!("{restart} /d/5"),
        format!("{restart} /d/6 /d/7"),
        format!("rsh a {}", remote("/d/1")),
        format!("ssh b {}", remote("/d/2 /d/3")),
        format!("ssh -t c {}", remote("/d/4")),
        format!("ssh -t d {}", remote("/d/5")),
        format!("xterm -e ssh -t d {}", remote("/d/5")),
    ];
    wanted.sort();
    assert_eq!((ran.status, calls), (0, wanted), "{}", ran.stderr);
    let foreground = |name| host(name, None, &["/d/1"]).mode(RestartMode::Foreground);
    let hosts = vec![foreground("a"), foreground("b")];
    stage
        .run(&RestartScript::new("vm".into(), 1, hosts), &[])
        .refused("more than one host");
}

#[test]
fn hosts_that_are_all_this_one_need_no_coordinator() {
    let Some(stage) = Stage::new() else { return };
    let hosts = vec![
        host("localhost", None, &["/d/a"]),
        host("127.0.0.1", None, &["/d/b"]),
    ];
    let ran = stage.run(&RestartScript::new("vm".into(), 7779, hosts), &[]);
    assert_eq!(
        ran.call(),
        [&["dmtcp_restart"], &PLAIN[..], &["/d/b"]].concat()
    );
}

#[test]
fn a_host_file_moves_the_computation() {
    let Some(stage) = Stage::new() else { return };
    let file = stage.path("hosts");
    let arg = file.to_str().unwrap();
    let hosts = vec![host("a", None, &["/d/1"]), host("b", None, &["/d/2"])];
    let script = RestartScript::new("vm".into(), 1, hosts);
    fs::write(&file, "# all of them\n\n  x  \ny # the second\r\nz").unwrap();
    let ran = stage.run(&script, &["--hostfile", arg]);
    let names: Vec<&str> = ran.calls[2..].iter().map(|call| texts(call)[1]).collect();
    assert_eq!(
        (ran.status, names.contains(&"x"), names.contains(&"y")),
        (0, true, true)
    );
    assert_eq!(ran.calls.len(), 4);
    fs::write(&file, "x").unwrap();
    stage
        .run(&script, &["--hostfile", arg])
        .refused("names 1 hosts");
    stage
        .run(&script, &["--hostfile", "/gone"])
        .refused("no host file /gone");
    let ran = stage.run(&on_one_host(&["/d/1"]), &["--hostfile", arg]);
    assert_eq!((ran.status, ran.calls.len()), (0, 2), "{ran:?}");
    assert_eq!(texts(&ran.calls[1])[..2], ["ssh", "x"]);
}

/// What users edit in a script is checked again.
#[test]
fn edited_lines() {
    let Some(stage) = Stage::new() else { return };
    let hosts = vec![host("a", None, &["/d/1"]), host("b", None, &["/d/2"])];
    let text = String::from_utf8(RestartScript::new("vm".into(), 1, hosts).to_text()).unwrap();
    for (from, to, why) in [
        (
            " :: a :bg: /d/1",
            " :: a :bg: /d/1 : sh",
            "neither ssh nor rsh",
        ),
        (
            " :: a :bg: /d/1",
            " :: a :no: /d/1",
            "none of bg, fg and xterm",
        ),
        (" :: a :bg: /d/1", " :: a :bg:  ", "has no image"),
        (
            " :: a :bg: /d/1",
            " : a :bg: /d/1",
            "does not begin with ::",
        ),
    ] {
        stage
            .run_text(text.replace(from, to).as_bytes(), &[])
            .refused(why);
    }
    let all = text.find("worker_ckpts='").unwrap()..text.find("coord_host=${").unwrap();
    let none = text.replace(&text[all], "");
    stage
        .run_text(none.as_bytes(), &[])
        .refused("no image is named");
    let loose = text.replace(" :: a :bg: /d/1", "\n  ::a:bg:/d/1:ssh  ");
    let ran = stage.run_text(loose.as_bytes(), &[]);
    assert_eq!((ran.status, ran.calls.len()), (0, 4), "{ran:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever the names are, each `dmtcp_restart` gets just the images of its host.
    #[test]
    fn names_arrive_as_they_are(script in any_script()) {
        let Some(stage) = Stage::new() else { return Ok(()) };
        let mut script = script.restart_command("dmtcp_restart".into());
        for (index, host) in script.hosts.iter_mut().enumerate() {
            host.mode = RestartMode::Background;
            if let Some(name) = &host.name {
                let name = [b"host", index.to_string().as_bytes(), name.as_bytes()].concat();
                host.name = Text::new(name);
            }
        }
        let ran = stage.run(&script, &[]);
        prop_assert_eq!(ran.status, 0, "{:?}", ran);
        let shell = |call: &&Vec<Vec<u8>>| call[0] != b"dmtcp_restart";
        let remote = script.hosts.len() > 1;
        let named = script.hosts.iter().filter(|host| host.name.is_some() && remote);
        prop_assert_eq!(ran.calls.iter().filter(shell).count(), named.clone().count());
        for host in named {
            let name = host.name.as_ref().map(Text::as_bytes);
            prop_assert!(ran.calls.iter().any(|call| call.get(1).map(Vec::as_slice) == name));
        }
        let arrived = |images: &[&Text]| ran.calls.iter().filter(|call| !shell(call)).any(|call| {
            let wanted: Vec<Vec<u8>> = images.iter().map(|image| match image.as_bytes() {
                name @ [b'-', ..] => [b"./", name].concat(),
                name => name.to_vec(),
            }).collect();
            call.ends_with(&wanted)
        });
        let here = |host: &&RestartHost| host.name.is_none() || !remote;
        let local: Vec<&Text> = script.hosts.iter().filter(here).flat_map(|h| &h.images).collect();
        prop_assert!(arrived(&local), "{:?} in {:?}", local, ran);
        for host in script.hosts.iter().filter(|host| !here(host)) {
            let images: Vec<&Text> = host.images.iter().collect();
            prop_assert!(arrived(&images), "{:?} in {:?}", host, ran);
        }
        prop_assert!(ran.stderr.is_empty(), "{}", ran.stderr);
    }
}
