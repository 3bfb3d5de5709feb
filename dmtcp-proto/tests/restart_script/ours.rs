//! What we write, and that it is read back.

use super::arbitrary::any_script;
use super::{IMAGE_1, IMAGE_2, host, of_hosts};
use dmtcp_proto::{RemoteShell, RestartHost, RestartScript};
use proptest::prelude::*;

#[test]
fn ours_has_the_lines_that_tools_look_for() {
    let images = vec![IMAGE_1.into(), IMAGE_2.into()];
    let script = of_hosts(vec![RestartHost::new(None, None, images)]);
    let text = String::from_utf8(script.to_text()).unwrap();
    let lines = [
        "#!/bin/bash",
        "ckpt_timestamp=\"Sun Nov 22 11:43:07 2026\"",
        "remote_shell_cmd=\"ssh\"",
        "coord_host=vm",
        "coord_port=35841",
        "checkpoint_interval=3600",
        "dmt_rstr_cmd=/opt/bin/dmtcp_restart",
        "# Number of hosts in the computation = 1",
        "# Number of processes in the computation = 2",
        &format!("given_ckpt_files=\" {IMAGE_1} {IMAGE_2}\""),
    ];
    for line in lines {
        assert_eq!(text.lines().filter(|&l| l == line).count(), 1, "{line}");
    }
    let hosts = vec![
        host("a", Some(RemoteShell::Rsh), &[IMAGE_1]),
        host("b", Some(RemoteShell::Ssh), &[IMAGE_1, IMAGE_2]),
    ];
    let text = String::from_utf8(of_hosts(hosts).to_text()).unwrap();
    let rows = format!(
        "\nworker_ckpts='\n :: a :bg: {IMAGE_1} : rsh\n :: b :bg: {IMAGE_1} {IMAGE_2} : ssh\n'\n"
    );
    assert!(text.contains(&rows), "{text}");
    assert!(!text.contains("given_ckpt_files=\""));
}

proptest! {
    #[test]
    fn ours_is_read_back(script in any_script()) {
        prop_assert_eq!(RestartScript::parse(&script.to_text()), Ok(script));
    }
}
