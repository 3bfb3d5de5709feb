//! The images of one host, and how it is reached.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::text::Text;

/// The images that one `dmtcp_restart` restores.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestartHost {
    /// The host, as its workers announced it. `None`: the script of a computation on one host,
    /// which does not say which.
    pub name: Option<Text>,
    /// How it is reached. `None`: the script does not say (2.4.x, and where one host is all).
    pub shell: Option<RemoteShell>,
    /// Where its terminal goes. Coordinators write `bg` only; users edit it.
    pub mode: RestartMode,
    /// Paths on that host; at least one, and none of them empty.
    pub images: Vec<Text>,
}

/// The program that starts another one on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RemoteShell {
    /// `rsh`
    Rsh,
    /// `ssh`
    Ssh,
}

impl RemoteShell {
    /// The shell that a worker or a script names; no other word ever becomes a command.
    #[must_use]
    pub fn from_word(word: &[u8]) -> Option<Self> {
        match word {
            b"rsh" => Some(Self::Rsh),
            b"ssh" => Some(Self::Ssh),
            _ => None,
        }
    }

    /// Its name.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Rsh => "rsh",
            Self::Ssh => "ssh",
        }
    }
}

/// Where the terminal of a restored process is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RestartMode {
    /// `bg`: nowhere.
    #[default]
    Background,
    /// `fg`: the script's own. One host of a script at most.
    Foreground,
    /// `xterm`: a window of its own.
    Xterm,
}

impl RestartMode {
    /// The mode that a script names.
    #[must_use]
    pub fn from_word(word: &[u8]) -> Option<Self> {
        match word {
            b"bg" => Some(Self::Background),
            b"fg" => Some(Self::Foreground),
            b"xterm" => Some(Self::Xterm),
            _ => None,
        }
    }

    /// Its word in a script.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Background => "bg",
            Self::Foreground => "fg",
            Self::Xterm => "xterm",
        }
    }
}

impl RestartHost {
    /// Images on a host, to be restored in the background.
    #[must_use]
    pub fn new(name: Option<Text>, shell: Option<RemoteShell>, images: Vec<Text>) -> Self {
        Self {
            name,
            shell,
            mode: RestartMode::default(),
            images,
        }
    }

    /// The same in this mode.
    #[must_use]
    pub fn mode(self, mode: RestartMode) -> Self {
        Self { mode, ..self }
    }

    /// The hosts of a script from what its workers reported: host name, how the worker was
    /// started there (`None`: not by a remote shell), path of the image.
    ///
    /// One entry for each host and shell: those of `rsh` first, then `ssh`, then the others, by
    /// name; images in the order they come. Workers that no remote shell started are reached by
    /// the shell that another worker of their host had, otherwise by `rsh` if any worker had it,
    /// otherwise by `ssh`; if all of them are on one host, that host is not named.
    #[must_use]
    pub fn group(images: impl IntoIterator<Item = (Text, Option<RemoteShell>, Text)>) -> Vec<Self> {
        let mut groups = BTreeMap::<_, Vec<Text>>::new();
        for (host, shell, image) in images {
            let key = (shell.is_none(), shell, host);
            groups.entry(key).or_default().push(image);
        }
        let alone = groups.len() == 1;
        let reached: BTreeSet<_> = groups
            .keys()
            .filter_map(|(_, shell, host)| Some(((*shell)?, host.clone())))
            .collect();
        let any_rsh = reached.iter().any(|(shell, _)| *shell == RemoteShell::Rsh);
        let default_for = |host: &Text| {
            [RemoteShell::Ssh, RemoteShell::Rsh]
                .into_iter()
                .find(|&shell| reached.contains(&(shell, host.clone())))
                .unwrap_or(if any_rsh {
                    RemoteShell::Rsh
                } else {
                    RemoteShell::Ssh
                })
        };
        groups
            .into_iter()
            .map(|((_, shell, host), images)| match shell {
                None if alone => Self::new(None, None, images),
                None => {
                    let shell = default_for(&host);
                    Self::new(Some(host), Some(shell), images)
                }
                Some(shell) => Self::new(Some(host), Some(shell), images),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn group(images: &[(&'static str, &str, &'static str)]) -> Vec<RestartHost> {
        RestartHost::group(images.iter().map(|&(host, shell, image)| {
            let shell = RemoteShell::from_word(shell.as_bytes());
            (host.into(), shell, image.into())
        }))
    }

    fn host(name: &'static str, shell: RemoteShell, images: &[&'static str]) -> RestartHost {
        let images = images.iter().map(|&image| image.into()).collect();
        RestartHost::new(Some(name.into()), Some(shell), images)
    }

    #[test]
    fn one_host_is_not_named() {
        let alone = RestartHost::new(None, None, vec!["2".into(), "1".into()]);
        assert_eq!(group(&[("a", "", "2"), ("a", "", "1")]), [alone]);
    }

    #[test]
    fn shells_go_before_names() {
        use RemoteShell::{Rsh, Ssh};
        assert_eq!(
            group(&[("b", "", "1"), ("a", "", "2"), ("b", "", "3")]),
            [host("a", Ssh, &["2"]), host("b", Ssh, &["1", "3"])]
        );
        assert_eq!(
            group(&[
                ("a", "", "1"),
                ("b", "", "2"),
                ("c", "ssh", "3"),
                ("b", "ssh", "4"),
                ("d", "rsh", "5"),
            ]),
            [
                host("d", Rsh, &["5"]),
                host("b", Ssh, &["4"]),
                host("c", Ssh, &["3"]),
                host("a", Rsh, &["1"]),
                host("b", Ssh, &["2"]),
            ]
        );
        assert_eq!(
            group(&[("a", "ssh", "1")]),
            [host("a", Ssh, &["1"])],
            "a shell is never forgotten"
        );
    }

    #[test]
    fn a_shell_is_never_another_word() {
        for word in ["", "sh", "ssh ", "/usr/bin/ssh", "rm"] {
            assert_eq!(RemoteShell::from_word(word.as_bytes()), None, "{word:?}");
        }
    }
}
