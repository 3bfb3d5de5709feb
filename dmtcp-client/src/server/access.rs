//! Who may connect to a computation's port.
//!
//! DMTCP's protocol knows no passwords, so what can be asked is where a connection comes from:
//! on this host, which user's it is, as the kernel tells; from another host, its network.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    str::FromStr,
    sync::Arc,
};

use nix::unistd::geteuid;
use thiserror::Error;

use crate::process::TcpOwners;

/// Who may connect. Default: this process's user and root on this host, and nobody from elsewhere.
///
/// A peer of this host that has hung up before it could be looked at is let in, since nobody can
/// tell any more whose it was, and stock `dmtcp_command --quit` does so. What it sent counts, unless
/// commands are taken from the [owner](CommandAccess::Owner) only.
///
/// ```
/// use dmtcp_client::server::Access;
///
/// let access = Access::default().network("10.1.0.0/16".parse()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    everybody: bool,
    other_users: bool,
    networks: Vec<Network>,
    commands: CommandAccess,
}

/// Whose commands are taken over the wire: checkpoint, kill, quit, interval, log mask. The status and
/// the list of workers are told to whoever may connect. Calls of the embedding program are not
/// touched, nor what workers do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommandAccess {
    /// Of everybody who may connect.
    #[default]
    Peers,
    /// Of processes of this process's user and of root on this host. Stock `dmtcp_command --quit`
    /// hangs up at once, and may be gone before it is seen whose it is: then it is not obeyed.
    Owner,
    /// Of nobody.
    Nobody,
}

impl Access {
    /// Whoever reaches the port, as the stock coordinator does.
    #[must_use]
    pub fn everybody() -> Self {
        Self {
            everybody: true,
            ..Self::default()
        }
    }

    /// The same, and all users of this host.
    #[must_use]
    pub fn other_users(self) -> Self {
        Self {
            other_users: true,
            ..self
        }
    }

    /// The same, and the hosts of this network, whichever user speaks there.
    #[must_use]
    pub fn network(mut self, network: Network) -> Self {
        self.networks.push(network);
        self
    }

    /// The same, and commands are taken from these.
    #[must_use]
    pub fn commands(self, commands: CommandAccess) -> Self {
        Self { commands, ..self }
    }

    /// Whether anybody could come in at this address of this host.
    pub(super) fn lets_in_at(&self, addr: IpAddr) -> bool {
        self.everybody || addr.to_canonical().is_loopback() || !self.networks.is_empty()
    }

    /// Whether this peer may stay, and what it may do then; the connection's two ends as this
    /// process sees them.
    pub(super) fn check(
        &self,
        owners: &TcpOwners,
        ours: SocketAddr,
        theirs: SocketAddr,
    ) -> Result<Rights, PeerRefusal> {
        let ip = theirs.ip().to_canonical();
        let is_named = self.everybody
            || self.networks.iter().any(|network| network.holds(ip))
            || (self.other_users && is_of_this_host(ours, theirs));
        // The kernel is asked only where it matters.
        let whose = match !is_named || self.commands == CommandAccess::Owner {
            true => whose(owners, ours, theirs).map(Some),
            false => Ok(None),
        };
        let whose = match whose {
            Err(refusal) if !is_named => return Err(refusal),
            other => other.unwrap_or(None),
        };
        Ok(match (self.commands, whose) {
            (CommandAccess::Peers, _) | (CommandAccess::Owner, Some(Whose::Owner)) => {
                Rights::Command
            }
            (CommandAccess::Owner | CommandAccess::Nobody, _) => Rights::Ask,
        })
    }
}

/// What a peer that may stay may do as a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rights {
    Command,
    Ask,
}

/// A peer of this host that is not another user's.
enum Whose {
    Owner,
    /// It hung up before it could be looked at.
    Gone,
}

fn whose(owners: &TcpOwners, ours: SocketAddr, theirs: SocketAddr) -> Result<Whose, PeerRefusal> {
    if !is_of_this_host(ours, theirs) {
        return Err(PeerRefusal::OtherHost);
    }
    let owner = owners
        .find(theirs, ours)
        .map_err(|error| PeerRefusal::Unknown(Arc::new(error)))?;
    match owner {
        Some(owner) if owner.uid != 0 && owner.uid != geteuid().as_raw() => {
            Err(PeerRefusal::OtherUser { uid: owner.uid })
        }
        Some(owner) if owner.inode != 0 => Ok(Whose::Owner),
        // What is left of a closed socket is nobody's.
        _ => Ok(Whose::Gone),
    }
}

/// A host that speaks to itself does so from the address that it speaks to.
fn is_of_this_host(ours: SocketAddr, theirs: SocketAddr) -> bool {
    let ip = theirs.ip().to_canonical();
    ip.is_loopback() || ip == ours.ip().to_canonical()
}

/// Why a peer was cut off before anything of it was read.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum PeerRefusal {
    /// It is a process of another user of this host.
    #[error("it is a process of user {uid}")]
    OtherUser {
        /// The user's number.
        uid: u32,
    },
    /// It comes from a host of no network that was allowed.
    #[error("its host is in none of the networks that are allowed")]
    OtherHost,
    /// The system does not tell whose it is.
    #[error("cannot see whose it is")]
    Unknown(#[source] Arc<io::Error>),
}

/// Hosts whose addresses begin with the same bits, such as `10.1.0.0/16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    ip: IpAddr,
    prefix: u8,
}

impl Network {
    fn holds(self, ip: IpAddr) -> bool {
        let same = |a: &[u8], b: &[u8]| {
            let whole = usize::from(self.prefix / 8);
            let mask = !(0xff_u8.checked_shr((self.prefix % 8).into()).unwrap_or(0));
            let last = |bytes: &[u8]| bytes.get(whole).map_or(0, |byte| byte & mask);
            a.get(..whole) == b.get(..whole) && last(a) == last(b)
        };
        match (self.ip, ip) {
            (IpAddr::V4(a), IpAddr::V4(b)) => same(&a.octets(), &b.octets()),
            (IpAddr::V6(a), IpAddr::V6(b)) => same(&a.octets(), &b.octets()),
            _ => false,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ip, self.prefix)
    }
}

impl FromStr for Network {
    type Err = ParseNetworkError;

    /// `ADDRESS/BITS`, or one `ADDRESS`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseNetworkError {
            text: text.to_owned(),
        };
        let (ip, prefix) = match text.split_once('/') {
            Some((ip, prefix)) => (ip, Some(prefix)),
            None => (text, None),
        };
        let ip: IpAddr = ip.parse().map_err(|_| error())?;
        let bits = if ip.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(bits), |prefix| prefix.parse().map_err(|_| error()))?;
        if prefix > bits {
            return Err(error());
        }
        Ok(Self { ip, prefix })
    }
}

/// The caller: this is no network.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{text:?} is not a network: write it as 10.1.0.0/16 or fd00::/8")]
pub struct ParseNetworkError {
    text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(network: &str, ip: &str) -> bool {
        network
            .parse::<Network>()
            .unwrap()
            .holds(ip.parse().unwrap())
    }

    #[test]
    fn networks_hold_their_hosts() {
        assert!(holds("10.1.0.0/16", "10.1.255.7"));
        assert!(!holds("10.1.0.0/16", "10.2.0.1"));
        assert!(holds("10.1.2.128/25", "10.1.2.129"));
        assert!(!holds("10.1.2.128/25", "10.1.2.1"));
        assert!(holds("10.1.2.3", "10.1.2.3"));
        assert!(!holds("10.1.2.3", "10.1.2.2"));
        assert!(holds("0.0.0.0/0", "192.0.2.1"));
        assert!(!holds("0.0.0.0/0", "2001:db8::1"));
        assert!(holds("2001:db8::/33", "2001:db8:7fff::1"));
        assert!(!holds("2001:db8::/33", "2001:db8:8000::1"));
        assert!(holds("::/0", "::1"));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "10.1",
            "10.1.0.0/33",
            "10.1.0.0/",
            "::/129",
            "::/-1",
            "/8",
            "x/8",
        ] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }

    #[test]
    fn by_default_nobody_comes_from_elsewhere() {
        let (ours, there) = (
            "192.0.2.1:7779".parse().unwrap(),
            "192.0.2.7:1000".parse().unwrap(),
        );
        let owners = TcpOwners::open();
        let refused = Access::default().check(&owners, ours, there);
        assert!(matches!(refused, Err(PeerRefusal::OtherHost)));
        assert!(!Access::default().lets_in_at(ours.ip()));
        let access = Access::default().network("192.0.2.0/24".parse().unwrap());
        assert!(access.check(&owners, ours, there).is_ok() && access.lets_in_at(ours.ip()));
        assert!(Access::everybody().check(&owners, ours, there).is_ok());
    }
}
