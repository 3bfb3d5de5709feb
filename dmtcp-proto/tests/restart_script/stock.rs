//! Scripts of the releases, and of users who edited them.
//!
//! Stock scripts are not kept here: the lines with data are set into commands of our own that
//! stand where the releases have theirs.

use super::{IMAGE_1, IMAGE_2, host, of_hosts};
use dmtcp_proto::{
    RemoteShell, RestartHost, RestartMode, RestartScript, RestartScriptError as Error,
};

/// A script with the lines that all releases have, up to those that name the images.
fn stock(hosts: usize, processes: usize, images: &str) -> String {
    format!(
        "#!/bin/bash\n\
         # it's a comment\n\
         help='lines like\n\
         coord_port=1\n\
         # Number of hosts in the computation = 77\n\
         are not data here'\n\
         ckpt_timestamp=\"Sun Nov 22 11:43:07 2026\"\n\
         coord_host=$DMTCP_COORD_HOST\n\
         if test -z \"$DMTCP_COORD_HOST\"; then\n  coord_host=vm\nfi\n\
         coord_port=$DMTCP_COORD_PORT\n\
         if test -z \"$DMTCP_COORD_PORT\"; then\n  coord_port=35841\nfi\n\
         checkpoint_interval=$DMTCP_CHECKPOINT_INTERVAL\n\
         if test -z \"$DMTCP_CHECKPOINT_INTERVAL\"; then\n  checkpoint_interval=3600\nfi\n\
         \x20         coord_host=\"$2\"\n\
         \x20         checkpoint_interval=$2\n\
         dmt_rstr_cmd=/opt/bin/dmtcp_restart\n\
         type $dmt_rstr_cmd || dmt_rstr_cmd=dmtcp_restart\n\
         # Number of hosts in the computation = {hosts}\n\
         # Number of processes in the computation = {processes}\n\n\
         {images}\n\
         sed -e 's/'\"$x\"'/\\1 /g' -e 's/#.*//' \"y \\\"$z\\\"\"\n"
    )
}

fn parse(text: &str) -> Result<RestartScript, Error> {
    RestartScript::parse(text.as_bytes())
}

/// 2.4.x, 2.5.0, and 3.0.0 to the development head.
#[test]
fn one_host() {
    let images = vec![IMAGE_1.into(), IMAGE_2.into()];
    let text = stock(1, 2, &format!("given_ckpt_files=\" {IMAGE_1} {IMAGE_2}\""));
    let script = of_hosts(vec![RestartHost::new(None, None, images)]);
    assert_eq!(parse(&text), Ok(script));
}

/// 2.5.0 to the development head; 2.5.1 to 2.6.0 with one host, too.
#[test]
fn hosts_with_shells() {
    let rows = format!(
        "worker_ckpts='\n :: nodec :bg: {IMAGE_1} : rsh\n :: nodea :bg: {IMAGE_1} {IMAGE_2} : ssh\
         \n :: nodeb :bg: {IMAGE_1} : ssh\n'"
    );
    let (rsh, ssh) = (Some(RemoteShell::Rsh), Some(RemoteShell::Ssh));
    let hosts = vec![
        host("nodec", rsh, &[IMAGE_1]),
        host("nodea", ssh, &[IMAGE_1, IMAGE_2]),
        host("nodeb", ssh, &[IMAGE_1]),
    ];
    assert_eq!(parse(&stock(3, 4, &rows)), Ok(of_hosts(hosts)));
    let rows = format!("worker_ckpts='\n :: nodea :bg: {IMAGE_1} : ssh\n'");
    let hosts = vec![host("nodea", ssh, &[IMAGE_1])];
    assert_eq!(parse(&stock(1, 1, &rows)), Ok(of_hosts(hosts)));
}

/// 2.4.x.
#[test]
fn hosts_without_shells() {
    let rows = format!("worker_ckpts='\n :: a :bg: {IMAGE_1}\n :: b :bg: {IMAGE_2}\n'");
    let hosts = vec![host("a", None, &[IMAGE_1]), host("b", None, &[IMAGE_2])];
    assert_eq!(parse(&stock(2, 2, &rows)), Ok(of_hosts(hosts)));
}

#[test]
fn what_users_edit() {
    let rows = "worker_ckpts='\n:: a:fg:/x\n\n  ::b :xterm: /y:ssh \n'";
    let hosts = vec![
        host("a", None, &["/x"]).mode(RestartMode::Foreground),
        host("b", Some(RemoteShell::Ssh), &["/y"]).mode(RestartMode::Xterm),
    ];
    assert_eq!(parse(&stock(2, 2, rows)), Ok(of_hosts(hosts.clone())));
    // Counts are comments: people strip them.
    let text = stock(2, 2, rows).replace("# Number of", "# number of");
    assert_eq!(parse(&text), Ok(of_hosts(hosts)));
    // Quotation marks where stock scripts have none.
    let text = stock(1, 1, "given_ckpt_files='/x'")
        .replace("coord_host=vm", "coord_host='other'; # was vm")
        .replace("coord_port=35841", "coord_port=\"123\"  # mine");
    let error = parse(&text).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Malformed {
                line: 10,
                field: "coord_host",
                ..
            }
        ),
        "{error}"
    );
    let script = parse(&text.replace("'other';", "'other'")).unwrap();
    assert_eq!(script.coordinator_host, "other".into());
    assert_eq!(script.coordinator_port, 123);
}

#[test]
fn every_truncation_is_an_error_until_all_is_said() {
    let rows = format!("worker_ckpts='\n :: a :bg: {IMAGE_1} : ssh\n :: b :bg: {IMAGE_2} : ssh\n'");
    for images in [format!("given_ckpt_files=\" {IMAGE_1}\""), rows] {
        let n = images.matches("/d/").count();
        let text = stock(n, n, &images);
        let said = text.find(&images).unwrap() + images.len();
        let whole = parse(&text).unwrap();
        for end in 0..text.len() {
            if !text.is_char_boundary(end) {
                continue;
            }
            match parse(&text[..end]) {
                Ok(script) => assert!(end >= said && script == whole, "{end}"),
                Err(error) => assert!(
                    end < said || matches!(error, Error::Unterminated { .. }),
                    "{end}: {error}"
                ),
            }
        }
    }
}

/// What is wrong, where, in which element.
#[test]
fn errors_name_line_and_field() {
    let given = format!("given_ckpt_files=\" {IMAGE_1}\"");
    let good = stock(1, 1, &given);
    let line_of = |element: &str| {
        let lines = (1..).zip(good.lines().map(str::trim_start));
        let starts = lines.filter(|(_, line)| line.starts_with(element));
        starts.last().map(|(number, _)| number).unwrap()
    };
    let images = line_of("given_ckpt_files");
    let malformed = [
        ("coord_port=35841", "coord_port=65536", "coord_port"),
        ("coord_port=35841", "coord_port=", "coord_port"),
        (
            "checkpoint_interval=3600",
            "checkpoint_interval=1h",
            "checkpoint_interval",
        ),
        // Stock coordinators do not quote their own folder: bash sees a command `b/...`.
        ("/opt/bin/", "/opt/a b/", "dmt_rstr_cmd"),
        ("coord_host=vm", "coord_host=vm;reboot", "coord_host"),
        ("coord_host=vm", "coord_host=(vm)", "coord_host"),
        (
            "processes in the computation = 1",
            "processes in the computation = x",
            "number of processes",
        ),
        (&given, "given_ckpt_files=' '", "given_ckpt_files"),
        (&given, "worker_ckpts='\n'", "worker_ckpts"),
        (&given, "host_ckpts '' bg", "host_ckpts"),
        (&given, "host_ckpts '' bg ''", "host_ckpts"),
        (&given, "host_ckpts '' no '' /x", "host_ckpts"),
        (&given, "host_ckpts '' bg zsh /x", "host_ckpts"),
        (&given, "host_ckpts '' bg '' ''", "host_ckpts"),
        (&given, "host_ckpts '' bg '' /x;id", "host_ckpts"),
    ];
    for (from, to, wanted) in malformed {
        let error = parse(&good.replace(from, to)).unwrap_err();
        let Error::Malformed { line, field, .. } = error else {
            panic!("{to}: {error}");
        };
        let element = from.split('=').next().unwrap_or_default();
        let expected = match wanted {
            "number of processes" => line_of("# Number of processes"),
            "dmt_rstr_cmd" => line_of("dmt_rstr_cmd"),
            "coord_host" => 10,
            "checkpoint_interval" => 18,
            _ => line_of(element),
        };
        assert_eq!((field, line), (wanted, expected), "{to}");
    }
    for row in [
        " : a :bg: /x : ssh",
        "x:: a :bg: /x : ssh",
        ":: a b :bg: /x : ssh",
        "::  :bg: /x : ssh",
        ":: a :no: /x : ssh",
        ":: a :bg:  : ssh",
        ":: a :bg: /x : /bin/sh",
        ":: a :bg: /x :",
        ":: a :bg: /x : ssh :",
        ":: a :bg: /x:y : ssh",
        ":: a :bg",
    ] {
        let error = parse(&good.replace(&given, &format!("worker_ckpts='\n\n{row}\n'")));
        let Err(Error::Malformed { line, field, .. }) = error else {
            panic!("{row}: {error:?}");
        };
        assert_eq!((line, field), (images + 2, "worker_ckpts"), "{row}");
    }
    for expanded in [
        "\" /d/$USER\"",
        "~/x",
        "`ls`",
        "$(ls)",
        "$'/x'",
        "\"/${x}\"",
    ] {
        let to = format!("given_ckpt_files={expanded}");
        let error = parse(&good.replace(&given, &to)).unwrap_err();
        let field = "given_ckpt_files";
        let line = images;
        assert_eq!(error, Error::NotLiteral { line, field }, "{expanded}");
    }
    let error = parse(&good.replace(&given, "host_ckpts $x bg '' /x")).unwrap_err();
    let (line, field) = (images, "host_ckpts");
    assert_eq!(error, Error::NotLiteral { line, field });
    for element in ["ckpt_timestamp", "dmt_rstr_cmd", "given_ckpt_files"] {
        let error = parse(&good.replace(element, "other")).unwrap_err();
        let Error::Missing { field } = error else {
            panic!("{element}: {error}");
        };
        assert!(field.contains(element), "{field}");
    }
    let error = parse(&good.replace("  coord_port=35841\n", "\n")).unwrap_err();
    let (line, field) = (12, "coord_port");
    assert_eq!(error, Error::NotLiteral { line, field });
}

#[test]
fn what_stands_twice_is_refused() {
    let given = format!("given_ckpt_files=\" {IMAGE_1}\"");
    let good = stock(1, 1, &given);
    for (more, field) in [
        ("coord_host=other", "coord_host"),
        ("ckpt_timestamp=''", "ckpt_timestamp"),
        (
            "# Number of hosts in the computation = 1",
            "number of hosts",
        ),
        (given.as_str(), "given_ckpt_files"),
        ("worker_ckpts='\n :: a :bg: /x\n'", "worker_ckpts"),
        ("host_ckpts '' bg '' /x", "host_ckpts"),
    ] {
        let error = parse(&format!("{good}{more}\n")).unwrap_err();
        let Error::Repeated {
            line, field: named, ..
        } = error
        else {
            panic!("{more}: {error}");
        };
        assert_eq!((line, named), (good.lines().count() + 1, field));
    }
}

/// A blank in a name makes two of it; a line that is gone leaves its count behind.
#[test]
fn counts_that_are_wrong_are_refused() {
    let given = format!("given_ckpt_files=\" {IMAGE_1}\"");
    for (hosts, processes, field) in [(2, 1, "number of hosts"), (1, 2, "number of processes")] {
        let error = parse(&stock(hosts, processes, &given)).unwrap_err();
        let Error::Count {
            field: named,
            announced: 2,
            found: 1,
            ..
        } = error
        else {
            panic!("{error}");
        };
        assert_eq!(named, field);
    }
    let blank = given.replace("/d/", "/my data/");
    let error = parse(&stock(1, 1, &blank)).unwrap_err().to_string();
    assert!(error.contains("has a blank in it"), "{error}");
}

#[test]
fn no_other_file_is_a_script() {
    for text in ["", "\n", "#!/bin/bash\n", "DMTCP_CKPT_V0\n", "{}"] {
        assert!(
            matches!(parse(text), Err(Error::Missing { .. })),
            "{text:?}"
        );
    }
    let error = RestartScript::parse(b"a\nb\0").unwrap_err();
    assert!(matches!(error, Error::Malformed { line: 2, .. }), "{error}");
}

#[test]
fn size_is_bounded() {
    let max = 10;
    let len = 11;
    let text = [b' '; 11];
    let error = RestartScript::parse_within(&text, max);
    assert_eq!(error, Err(Error::TooLong { len, max }));
    assert!(matches!(
        RestartScript::parse_within(&text[1..], max),
        Err(Error::Missing { .. })
    ));
    let text = vec![b' '; RestartScript::MAX_LEN + 1];
    assert!(matches!(
        RestartScript::parse(&text),
        Err(Error::TooLong { .. })
    ));
}

/// Would take days if any of these took time that grows with the square of the length.
#[test]
fn long_hostile_scripts_take_linear_time() {
    for piece in [
        "\n",
        "'\n",
        "\"",
        "\\",
        "\\\n",
        "$'",
        "#",
        "''",
        "host_ckpts '' bg '' /x\n",
        "given_ckpt_files=$\n",
        "host_ckpts a\\\n",
        "worker_ckpts='",
        "::::\n",
        "# Number of hosts in the computation = ",
        "coord_port=",
        ";;",
        "x ",
    ] {
        let text = piece.repeat((1 << 19) / piece.len());
        let _ = parse(&text);
        let rows = piece.repeat(50_000);
        let _ = parse(&stock(1, 1, &format!("worker_ckpts='\n{rows}\n'")));
        let _ = parse(&stock(1, 1, &format!("given_ckpt_files=\"{rows}\"")));
    }
}
