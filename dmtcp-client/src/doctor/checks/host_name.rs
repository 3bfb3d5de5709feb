//! The name of this host, and whether anybody finds it by that.

use std::{
    net::{IpAddr, ToSocketAddrs as _},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use crate::doctor::{Finding, World};

pub(crate) fn check(world: &World) -> Finding {
    let name = world.read("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() {
        return judge(name, &Resolved::Failed("it has none".to_owned()));
    }
    judge(name, &resolve(name))
}

#[derive(Clone, Debug)]
enum Resolved {
    To(Vec<IpAddr>, Duration),
    Failed(String),
    TooSlow,
}

/// The system's resolver has no limit of its own that would be short enough.
fn resolve(name: &str) -> Resolved {
    let (sender, receiver) = mpsc::channel();
    let name = name.to_owned();
    let begun = Instant::now();
    let asked = thread::Builder::new()
        .name("resolve".to_owned())
        .spawn(move || {
            let found = (name.as_str(), 0_u16).to_socket_addrs();
            let found = found.map(|found| found.map(|addr| addr.ip()).collect::<Vec<_>>());
            // Nobody listens any more after the limit.
            let _ = sender.send(found);
        });
    if let Err(error) = asked {
        return Resolved::Failed(error.to_string());
    }
    match receiver.recv_timeout(LIMIT) {
        Ok(Ok(mut addresses)) => {
            addresses.sort_unstable();
            addresses.dedup();
            Resolved::To(addresses, begun.elapsed())
        }
        Ok(Err(error)) => Resolved::Failed(error.to_string()),
        Err(_) => Resolved::TooSlow,
    }
}

fn judge(name: &str, resolved: &Resolved) -> Finding {
    const SLUG: &str = "host-name";
    if name.is_empty() {
        return Finding::failure(SLUG, "this host has no name").advice("give it one: hostname(1)");
    }
    let fix = format!("add {name} to /etc/hosts");
    let why = "DMTCP's coordinator asks for it when it starts; this program does not need it";
    let (addresses, took) = match resolved {
        Resolved::To(addresses, took) => (addresses, *took),
        Resolved::Failed(why_not) => {
            let seen = format!("{name} is not found: {why_not}; {why}");
            return Finding::warning(SLUG, seen).advice(fix);
        }
        Resolved::TooSlow => {
            let seen = format!(
                "asking for {name} takes more than {} s; {why}",
                LIMIT.as_secs()
            );
            return Finding::warning(SLUG, seen).advice(fix);
        }
    };
    let list: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
    let seen = format!("{name} is {}", list.join(", "));
    if took > SLOW {
        let seen = format!("{seen}, after {:.1} s", took.as_secs_f64());
        return Finding::warning(SLUG, seen).advice(fix);
    }
    match addresses.iter().any(|ip| !ip.is_loopback()) {
        true => Finding::ok(SLUG, seen),
        false => Finding::note(SLUG, format!("{seen}: only this host finds it by that"))
            .advice("for a computation on several hosts, say by which address they reach this one"),
    }
}

const LIMIT: Duration = Duration::from_secs(4);
const SLOW: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn names_and_what_they_lead_to() {
        let to = |ip: &str, seconds| {
            Resolved::To(vec![ip.parse().unwrap()], Duration::from_secs(seconds))
        };
        for (name, resolved, expected) in [
            ("n1", to("10.1.2.3", 0), Verdict::Ok),
            ("n1", to("127.0.1.1", 0), Verdict::Note),
            ("n1", to("10.1.2.3", 2), Verdict::Warning),
            ("n1", Resolved::Failed("no".to_owned()), Verdict::Warning),
            ("n1", Resolved::TooSlow, Verdict::Warning),
            ("", Resolved::TooSlow, Verdict::Failure),
        ] {
            assert_eq!(
                judge(name, &resolved).verdict,
                expected,
                "{name} {resolved:?}"
            );
        }
    }

    #[test]
    fn the_system_is_asked() {
        match resolve("127.0.0.1") {
            Resolved::To(addresses, _) => assert_eq!(addresses, [IpAddr::from([127, 0, 0, 1])]),
            other => panic!("{other:?}"),
        }
    }
}
