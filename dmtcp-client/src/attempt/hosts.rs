//! Which host the processes of a job go to, and how they get there.
//!
//! Not here: the launchers themselves (`remote`), and what is left on hosts by a crash
//! (`leftover`).

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{OsStr, OsString},
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    thread,
    time::Duration,
};

use super::{AttemptError, HostTrouble};
use crate::{
    Tools,
    host::HostFingerprint,
    remote::{self, HostError, HostLauncher, Probed, Question, RemoteCommand},
};

/// A host other than this one, by the name that the launcher knows; `None` is this one.
pub(super) type Place = Option<OsString>;

/// What is decided once for a job.
#[derive(Clone)]
pub(super) struct Hosts {
    /// As its workers report it.
    this: OsString,
    pub(super) launcher: Option<Arc<dyn HostLauncher>>,
    moved: BTreeMap<OsString, OsString>,
    gone: BTreeSet<OsString>,
    /// How long one command on a host may take.
    pub(super) limit: Duration,
    /// Where the coordinator listens.
    pub(super) listen: SocketAddr,
    /// Where other hosts find it.
    pub(super) reached_at: Option<IpAddr>,
}

impl Hosts {
    pub(super) fn new() -> Self {
        Self {
            this: HostFingerprint::of_this_host().name,
            launcher: None,
            moved: BTreeMap::new(),
            gone: BTreeSet::new(),
            limit: Duration::from_secs(30),
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            reached_at: None,
        }
    }

    pub(super) fn move_to(&mut self, from: OsString, to: OsString) {
        self.moved.insert(from, to);
    }

    pub(super) fn is_gone(&mut self, host: OsString) {
        self.gone.insert(host);
    }

    /// Where a program is to be started that shall run on `host`.
    pub(super) fn named(&self, host: &OsStr) -> Result<Place, AttemptError> {
        if host == self.this {
            return Ok(None);
        }
        let trouble = |reason| AttemptError::Host(HostTrouble::new(host, reason));
        remote::check_name(host).map_err(trouble)?;
        if self.launcher.is_none() {
            return Err(trouble(HostError::NoLauncher));
        }
        if self.gone.contains(host) {
            return Err(trouble(HostError::Gone));
        }
        Ok(Some(host.to_owned()))
    }

    /// Where a process is to be restarted that ran on `host`.
    ///
    /// Without a launcher and unless it is said otherwise everything comes here: so a set moves
    /// from one machine to another.
    pub(super) fn of_image(&self, host: &OsStr) -> Result<Place, AttemptError> {
        match self.moved.get(host) {
            Some(to) => self.named(to),
            None if host.is_empty() || self.launcher.is_none() => Ok(None),
            None => self.named(host),
        }
    }

    /// What the configuration of the coordinator has to say to workers on this host.
    pub(super) fn advertised_ip(&self) -> Option<[u8; 4]> {
        let ip = match self.listen.ip() {
            ip if ip.is_unspecified() => self.reached_at?,
            ip => ip,
        };
        match ip {
            IpAddr::V4(ip) => Some(ip.octets()),
            IpAddr::V6(_) => None,
        }
    }

    /// The address of a coordinator that listens at `addr`, as seen from there.
    pub(super) fn coordinator_from(
        &self,
        place: Option<&OsStr>,
        addr: SocketAddr,
    ) -> Result<SocketAddr, AttemptError> {
        let mut seen = addr;
        match (place, self.reached_at) {
            (Some(_), Some(ip)) => seen.set_ip(ip),
            (Some(_), None) if addr.ip().is_loopback() || addr.ip().is_unspecified() => {
                return Err(AttemptError::NotReachable { addr });
            }
            (None, _) if addr.ip().is_unspecified() => seen.set_ip(Ipv4Addr::LOCALHOST.into()),
            _ => {}
        }
        Ok(seen)
    }

    /// Those at which something may still run.
    pub(super) fn clean(&self, hosts: &[OsString], tmp: &Path) -> Result<(), AttemptError> {
        let hosts: Vec<OsString> = hosts
            .iter()
            .filter(|host| !self.gone.contains(*host))
            .cloned()
            .collect();
        let cleaned = self.on_each(&hosts, |launcher, host| {
            remote::clean(launcher, host, tmp, self.limit)
        });
        let troubles: Vec<HostTrouble> = cleaned
            .into_iter()
            .filter_map(|(host, cleaned)| Some(HostTrouble::new(&host, cleaned.err()?)))
            .collect();
        match troubles.is_empty() {
            true => Ok(()),
            false => Err(AttemptError::HostsLeft { troubles }),
        }
    }

    /// Looks at all of them at once, before anything is started.
    pub(super) fn probe(
        &self,
        hosts: &[OsString],
        tmp: &Path,
        note: &Path,
        tools: Option<&Tools>,
    ) -> Result<BTreeMap<OsString, Probed>, AttemptError> {
        let probed = self.on_each(hosts, |launcher, host| {
            let question = Question {
                tmp,
                note: note.to_owned(),
                tools,
            };
            remote::probe(launcher, host, &question, self.limit)
        });
        let mut found = BTreeMap::new();
        let mut failed = None;
        for (host, probed) in probed {
            match probed {
                Ok(probed) => {
                    found.insert(host, probed);
                }
                Err(reason) => failed = failed.or(Some(HostTrouble::new(&host, reason))),
            }
        }
        let Some(trouble) = failed else {
            return Ok(found);
        };
        // Of what was made there. Nothing runs, so that it may fail.
        let made: Vec<OsString> = found.into_keys().collect();
        drop(self.clean(&made, tmp));
        Err(AttemptError::Host(trouble))
    }

    fn on_each<T: Send>(
        &self,
        hosts: &[OsString],
        work: impl Fn(&dyn HostLauncher, &OsStr) -> Result<T, HostError> + Sync,
    ) -> Vec<(OsString, Result<T, HostError>)> {
        let Some(launcher) = self.launcher.as_deref() else {
            let none = |host: &OsString| (host.clone(), Err(HostError::NoLauncher));
            return hosts.iter().map(none).collect();
        };
        let mut done = Vec::with_capacity(hosts.len());
        // More at once would be refused by an sshd with its default limits, or look like an attack.
        for some in hosts.chunks(AT_ONCE) {
            thread::scope(|scope| {
                let threads = some.iter().map(|host| {
                    let thread =
                        thread::Builder::new().spawn_scoped(scope, || work(launcher, host));
                    (host.clone(), thread)
                });
                let threads: Vec<_> = threads.collect();
                for (host, thread) in threads {
                    let result = match thread {
                        Ok(thread) => thread.join().unwrap_or(Err(HostError::Panicked)),
                        // Without a thread one after the other will do.
                        Err(_) => work(launcher, &host),
                    };
                    done.push((host, result));
                }
            });
        }
        done
    }

    /// The command of this host that runs `command` on that one, unless the attempt whose
    /// `DMTCP_TMPDIR` this is has been cleaned away there.
    pub(super) fn send(
        &self,
        host: &OsStr,
        command: &Command,
        tmp: PathBuf,
    ) -> Result<Command, AttemptError> {
        let trouble = |reason| AttemptError::Host(HostTrouble::new(host, reason));
        let launcher = self.launcher.as_deref();
        let launcher = launcher.ok_or_else(|| trouble(HostError::NoLauncher))?;
        let what = RemoteCommand::of(command).only_with(tmp);
        remote::local_command(launcher, host, &what).map_err(trouble)
    }
}

impl fmt::Debug for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hosts")
            .field("this", &self.this)
            .field("launcher", &self.launcher.is_some())
            .field("moved", &self.moved)
            .field("gone", &self.gone)
            .field("limit", &self.limit)
            .field("listen", &self.listen)
            .field("reached_at", &self.reached_at)
            .finish()
    }
}

const AT_ONCE: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::Ssh;

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn without_a_launcher_everything_comes_here() {
        let mut hosts = Hosts::new();
        let here = hosts.this.clone();
        for host in [OsStr::new(""), OsStr::new("n2"), &here] {
            assert_eq!(hosts.of_image(host).unwrap(), None);
        }
        // Unless it is told where it shall go.
        hosts.move_to("n2".into(), "n3".into());
        let error = hosts.of_image(OsStr::new("n2")).unwrap_err();
        assert!(error.to_string().starts_with("host n3 "), "{error}");
        let error = hosts.named(OsStr::new("n2")).unwrap_err();
        assert!(error.to_string().starts_with("host n2 "), "{error}");
    }

    #[test]
    fn with_a_launcher_each_goes_where_it_ran_or_was_moved() {
        let mut hosts = Hosts::new();
        let here = hosts.this.clone();
        hosts.launcher = Some(Arc::new(Ssh::new()));
        hosts.move_to("n2".into(), here.clone());
        hosts.move_to(here.clone(), "n2".into());
        hosts.move_to("n4".into(), "n5".into());
        hosts.is_gone("n5".into());
        let place = |host: &str| hosts.of_image(OsStr::new(host)).map_err(|e| e.to_string());
        assert_eq!(place("n2"), Ok(None));
        assert_eq!(hosts.of_image(&here).unwrap(), Some("n2".into()));
        assert_eq!(place("n3"), Ok(Some("n3".into())));
        assert!(place("n4").unwrap_err().starts_with("host n5 "));
        assert!(place("-oProxyCommand=x").is_err());
    }

    #[test]
    fn the_coordinator_has_an_address_that_works_there() {
        let far = Some(OsStr::new("n2"));
        let mut hosts = Hosts::new();
        let seen = |hosts: &Hosts, place, at| hosts.coordinator_from(place, addr(at));
        for at in ["127.0.0.1:7", "0.0.0.0:7"] {
            assert_eq!(seen(&hosts, None, at).unwrap(), addr("127.0.0.1:7"));
            let error = seen(&hosts, far, at).unwrap_err();
            assert!(
                matches!(error, AttemptError::NotReachable { .. }),
                "{error}"
            );
        }
        assert_eq!(seen(&hosts, far, "10.0.0.1:7").unwrap(), addr("10.0.0.1:7"));
        hosts.reached_at = Some("192.0.2.1".parse().unwrap());
        assert_eq!(seen(&hosts, far, "0.0.0.0:7").unwrap(), addr("192.0.2.1:7"));
        assert_eq!(
            seen(&hosts, None, "0.0.0.0:7").unwrap(),
            addr("127.0.0.1:7")
        );
    }
}
