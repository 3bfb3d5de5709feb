//! Scripts with arbitrary names, rich in those that a shell would take apart.

use dmtcp_proto::{Interval, RemoteShell, RestartHost, RestartMode, RestartScript, Text};
use proptest::collection::vec;
use proptest::prelude::*;
use std::time::Duration;

fn name() -> impl Strategy<Value = Text> {
    let piece = prop_oneof![
        "[a-z/._-]{1,6}".prop_map(String::into_bytes),
        "[ -~]{0,4}".prop_map(String::into_bytes),
        prop::sample::select(vec![
            "'", "\"", "$(id)", "`id`", "\\", "\n", ":", " ", ";", "#", "~", "*"
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        vec(1u8.., 0..3),
    ];
    vec(piece, 1..5).prop_map(|pieces| Text::new(pieces.concat()).unwrap())
}

fn some_name() -> impl Strategy<Value = Text> {
    let plain = "[a-zA-Z0-9/._-]{1,12}".prop_map(Text::from);
    prop_oneof![3 => plain, 2 => name()].prop_filter("empty", |name| !name.is_empty())
}

fn any_host() -> impl Strategy<Value = RestartHost> {
    use RestartMode::{Background, Foreground, Xterm};
    let shells = vec![None, Some(RemoteShell::Ssh), Some(RemoteShell::Rsh)];
    let modes = vec![Background, Background, Foreground, Xterm];
    (
        proptest::option::of(some_name()),
        prop::sample::select(shells),
        prop::sample::select(modes),
        vec(some_name(), 1..4),
    )
        .prop_map(|(name, shell, mode, images)| RestartHost::new(name, shell, images).mode(mode))
}

pub(crate) fn any_script() -> impl Strategy<Value = RestartScript> {
    let texts = (name(), name(), name());
    let interval = prop_oneof![
        Just(Interval::Never),
        Just(Interval::Unchanged),
        (1..=i32::MAX as u64).prop_map(|seconds| Interval::Every(Duration::from_secs(seconds))),
    ];
    (texts, any::<u16>(), interval, vec(any_host(), 1..4)).prop_map(
        |((host, stamp, command), port, interval, hosts)| {
            RestartScript::new(host, port, hosts)
                .timestamp(stamp)
                .interval(interval)
                .restart_command(command)
        },
    )
}
