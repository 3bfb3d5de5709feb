//! Restart scripts: what the releases' say, what is refused, and what ours does.

mod arbitrary;
mod ours;
#[cfg(unix)]
mod run;
#[cfg(unix)]
mod stage;
mod stock;

use dmtcp_proto::{Interval, RemoteShell, RestartHost, RestartScript};
use std::time::Duration;

const IMAGE_1: &str = "/d/ckpt_count_98ff-40000-a7e134deec9.dmtcp";
const IMAGE_2: &str = "/d/ckpt_count_98ff-41000-a7e134deeca.dmtcp";

fn of_hosts(hosts: Vec<RestartHost>) -> RestartScript {
    RestartScript::new("vm".into(), 35841, hosts)
        .timestamp("Sun Nov 22 11:43:07 2026".into())
        .interval(Interval::Every(Duration::from_secs(3600)))
        .restart_command("/opt/bin/dmtcp_restart".into())
}

fn host(name: &'static str, shell: Option<RemoteShell>, images: &[&'static str]) -> RestartHost {
    let images = images.iter().map(|&image| image.into()).collect();
    RestartHost::new(Some(name.into()), shell, images)
}
