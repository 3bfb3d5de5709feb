//! What a process has open that matters in a checkpoint: its connection to the coordinator, and the
//! image that it writes.

use std::{
    collections::HashMap,
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{Unseen, thread::read_at_most};
use crate::process::{is_gone, listener::address};

/// A checkpoint image that a process has open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OpenImage {
    /// Its path as the system names it; DMTCP writes to a name that ends in `.temp`.
    pub path: PathBuf,
    /// How far it is written (or read), in bytes.
    pub position: u64,
    /// Bytes since the look that this one was [compared with](super::Situation::compare); `None`:
    /// it was not.
    pub grown: Option<u64>,
}

/// A worker's connection to its coordinator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Connection {
    /// Bytes of the coordinator that have arrived and that the process has not read.
    pub unread: u64,
    /// The thread that waits for more: DMTCP's checkpoint thread, when it has nothing else to do.
    /// `None`: no thread does, or this may not be read.
    pub read_by: Option<i32>,
}

#[derive(Debug, Default)]
pub(super) struct OpenFiles {
    pub(super) count: Option<usize>,
    pub(super) images: Vec<OpenImage>,
    /// Descriptors that are a connection to the coordinator, with what is unread.
    pub(super) connections: Vec<(u64, u64)>,
}

impl OpenFiles {
    /// Of the process in this folder of `/proc`. Touches no file but the system's own: a hung file
    /// system does not hold it up.
    pub(super) fn of(folder: &Path, coordinator: Option<SocketAddr>, unseen: &mut Unseen) -> Self {
        let mut found = Self::default();
        let descriptors = match fs::read_dir(folder.join("fd")) {
            Ok(descriptors) => descriptors,
            Err(error) => {
                if !is_gone(&error) {
                    unseen.note("open files", &error);
                }
                return found;
            }
        };
        let sockets = match coordinator.map(|addr| sockets_to(folder, addr)).transpose() {
            Ok(sockets) => sockets.unwrap_or_default(),
            Err(error) => {
                unseen.note("connections", &error);
                HashMap::new()
            }
        };
        let mut count = 0;
        for descriptor in descriptors.flatten() {
            count += 1;
            if count > MAX_FILES {
                continue;
            }
            let Ok(target) = fs::read_link(descriptor.path()) else {
                continue;
            };
            let number = descriptor.file_name();
            let Some(number) = number.to_str().and_then(|text| text.parse().ok()) else {
                continue;
            };
            let name = target.to_string_lossy();
            let inode = name
                .strip_prefix("socket:[")
                .and_then(|rest| rest.strip_suffix(']'))
                .and_then(|digits| digits.parse::<u64>().ok());
            if let Some(unread) = inode.and_then(|inode| sockets.get(&inode)) {
                found.connections.push((number, *unread));
            } else if is_image(&name) && found.images.len() < MAX_IMAGES {
                found
                    .images
                    .extend(position(folder, number).map(|position| OpenImage {
                        path: target.clone(),
                        position,
                        grown: None,
                    }));
            }
        }
        found.count = Some(count);
        found
    }
}

fn is_image(path: &str) -> bool {
    let path = path.trim_end_matches(" (deleted)");
    path.ends_with(".dmtcp") || path.ends_with(".dmtcp.temp")
}

fn position(folder: &Path, descriptor: u64) -> Option<u64> {
    let text = read_at_most(&folder.join(format!("fdinfo/{descriptor}"))).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("pos:"))?;
    line.trim().parse().ok()
}

/// The sockets of the process's network whose peer has the coordinator's port, by inode, with
/// what has arrived there unread. By the port alone: a host has more than one address.
fn sockets_to(folder: &Path, coordinator: SocketAddr) -> io::Result<HashMap<u64, u64>> {
    let mut found = HashMap::new();
    for table in ["net/tcp", "net/tcp6"] {
        match fs::read_to_string(folder.join(table)) {
            Ok(text) => {
                let rows = text.lines().filter_map(row);
                found.extend(
                    rows.filter(|(remote, ..)| remote.port() == coordinator.port())
                        .map(|(_, inode, unread)| (inode, unread)),
                );
            }
            // Not there on a system without IPv6.
            Err(error) if table.ends_with('6') && is_gone(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Fields: number, local address, remote address, state, queues, timer, retransmits, user,
/// timeout, inode.
fn row(line: &str) -> Option<(SocketAddr, u64, u64)> {
    let mut fields = line.split_ascii_whitespace().skip(2);
    let (ip, port) = fields.next()?.split_once(':')?;
    let remote = SocketAddr::new(address(ip)?, u16::from_str_radix(port, 16).ok()?);
    let (_, unread) = fields.nth(1)?.split_once(':')?;
    let unread = u64::from_str_radix(unread, 16).ok()?;
    let inode = fields.nth(4)?.parse().ok()?;
    Some((remote, inode, unread))
}

/// A process can have a million; each costs a system call.
const MAX_FILES: usize = 4096;
const MAX_IMAGES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_the_kernel_are_read() {
        let line = "   1: 0100007F:A1B2 0100007F:1E63 01 00000000:000000D0 00:00000000 00000000     0        0 2585043 1 0000000000000000 20 4 30 10 -1";
        let (remote, inode, unread) = row(line).unwrap();
        assert_eq!((remote.port(), inode, unread), (7779, 2_585_043, 208));
        assert_eq!(row("  sl  local_address rem_address   st tx_queue"), None);
        assert_eq!(row(""), None);
    }

    #[test]
    fn images_are_told_by_their_names() {
        assert!(is_image("/a/ckpt_x_1-2-3.dmtcp.temp"));
        assert!(is_image("/a/ckpt_x_1-2-3.dmtcp (deleted)"));
        assert!(!is_image("/a/dmtcp"));
        assert!(!is_image("pipe:[1]"));
    }
}
