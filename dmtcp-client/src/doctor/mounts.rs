//! Which file system a path is on, and how it is mounted.

use std::{
    os::unix::ffi::OsStringExt as _,
    path::{Path, PathBuf},
};

use super::world::World;

/// A mount, as `/proc/self/mountinfo` tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) point: PathBuf,
    pub(super) kind: String,
    options: Vec<String>,
}

/// What a kind of file system means for checkpoint sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Medium {
    /// A disk of this host, as far as one can tell.
    Local,
    /// In memory: gone with the host's power.
    Memory,
    /// On other hosts.
    Network,
}

impl Mount {
    pub(super) fn has(&self, option: &str) -> bool {
        self.options.iter().any(|found| found == option)
    }

    pub(super) fn value(&self, option: &str) -> Option<&str> {
        let mut pairs = self.options.iter().filter_map(|text| text.split_once('='));
        pairs.find(|(name, _)| *name == option).map(|pair| pair.1)
    }

    pub(super) fn medium(&self) -> Medium {
        let kind = self.kind.as_str();
        match kind {
            "tmpfs" | "ramfs" => Medium::Memory,
            _ if NETWORK.contains(&kind) => Medium::Network,
            _ => Medium::Local,
        }
    }
}

/// All mounts of this process.
#[derive(Clone, Debug, Default)]
pub(super) struct Mounts(Vec<Mount>);

impl Mounts {
    pub(super) fn of(world: &World) -> Self {
        let text = world.read("/proc/self/mountinfo").unwrap_or_default();
        Self(text.lines().filter_map(mount).collect())
    }

    /// The one that a path without links is on.
    pub(super) fn at(&self, path: &Path) -> Option<&Mount> {
        let holds = |mount: &&Mount| path.starts_with(&mount.point);
        // Of those at the same point, the last one hides the others.
        let holding = self.0.iter().filter(holds);
        holding.max_by_key(|mount| mount.point.components().count())
    }
}

/// Fields: number, parent, device, root, point, options, tags, `-`, kind, source, more options.
fn mount(line: &str) -> Option<Mount> {
    let (first, second) = line.split_once(" - ")?;
    let mut first = first.split(' ').skip(4);
    let point = PathBuf::from(std::ffi::OsString::from_vec(unescaped(first.next()?)));
    let mut options: Vec<String> = first.next()?.split(',').map(str::to_owned).collect();
    let mut second = second.split(' ');
    let kind = second.next()?.to_owned();
    let more = second.nth(1).unwrap_or_default();
    options.extend(more.split(',').map(str::to_owned));
    Some(Mount {
        point,
        kind,
        options,
    })
}

/// Blanks and the like are written as a backslash and three octal digits.
fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..3).and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok()?;
            u8::from_str_radix(digits, 8).ok()
        });
        match digits.filter(|_| byte == b'\\') {
            Some(number) => {
                bytes.push(number);
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    bytes
}

/// Those that several hosts share.
const NETWORK: [&str; 14] = [
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "lustre",
    "gpfs",
    "beegfs",
    "ceph",
    "glusterfs",
    "fuse.sshfs",
    "afs",
    "9p",
    "pvfs2",
    "panfs",
];

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r"22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
23 22 0:5 / /proc rw,nosuid,noexec - proc proc rw,hidepid=invisible
24 22 0:6 / /tmp rw,noexec - tmpfs tmpfs rw,size=1024k
25 22 0:7 / /home rw - nfs4 server:/home rw,vers=4.2
26 22 0:8 / /my\040disk rw master:1 shared:2 - xfs /dev/x rw
27 22 0:9 / /my\040disk rw - tmpfs over rw
broken
";

    fn mounts() -> Mounts {
        Mounts(TEXT.lines().filter_map(mount).collect())
    }

    #[test]
    fn the_longest_point_and_the_last_mount_count() {
        let mounts = mounts();
        let kind = |path: &str| mounts.at(Path::new(path)).unwrap().kind.clone();
        for (path, expected) in [
            ("/var/x", "ext4"),
            ("/tmp", "tmpfs"),
            ("/tmpx", "ext4"),
            ("/home/me/a", "nfs4"),
            ("/my disk/a", "tmpfs"),
        ] {
            assert_eq!(kind(path), expected, "{path}");
        }
        assert_eq!(mounts.at(Path::new("relative")), None);
    }

    #[test]
    fn options_of_both_kinds_and_media() {
        let mounts = mounts();
        let at = |path: &str| mounts.at(Path::new(path)).unwrap();
        assert!(at("/tmp").has("noexec") && !at("/").has("noexec"));
        assert_eq!(at("/proc").value("hidepid"), Some("invisible"));
        assert_eq!(at("/tmp").medium(), Medium::Memory);
        assert_eq!(at("/home").medium(), Medium::Network);
        assert_eq!(at("/").medium(), Medium::Local);
    }
}
