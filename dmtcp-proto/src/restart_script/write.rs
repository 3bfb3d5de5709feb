//! From what a script says to our text of it.
//!
//! Where all names are plain, the images stand in the lines that stock scripts have, because
//! people and their tools read them there; otherwise in `host_ckpts` commands. Nothing of what a
//! script says stands outside quotation marks unless it is plain.

use alloc::vec::Vec;

use super::{RestartHost, RestartMode, RestartScript};
use crate::text::Text;

/// Options and what the rest needs, before the data.
pub(crate) const HEAD: &str = include_str!("head.sh");
/// What is done with them.
pub(crate) const TAIL: &str = include_str!("tail.sh");

impl RestartScript {
    /// The script as a text for bash, which starts every `dmtcp_restart` it takes.
    ///
    /// It takes the options that users of stock scripts know, and names from the network are
    /// quoted, whatever they hold. [`parse`](Self::parse) gives back the same script, provided
    /// that each of its hosts has an image, no image an empty path, no host an empty name, and
    /// the interval is one of whole seconds.
    #[must_use]
    pub fn to_text(&self) -> Vec<u8> {
        let mut out = Vec::from(HEAD.as_bytes());
        let stamp_is_plain = |&byte: &u8| is_plain_byte(byte) || matches!(byte, b' ' | b':');
        out.extend_from_slice(b"\nckpt_timestamp=");
        if self.timestamp.as_bytes().iter().all(stamp_is_plain) {
            put(&mut out, [b"\"", self.timestamp.as_bytes(), b"\""]);
        } else {
            quote(&mut out, self.timestamp.as_bytes());
        }
        out.extend_from_slice(b"\nremote_shell_cmd=\"ssh\"\ncoord_host=");
        quote(&mut out, self.coordinator_host.as_bytes());
        put(
            &mut out,
            [
                b"\ncoord_port=",
                number(self.coordinator_port).as_slice(),
                b"\ncheckpoint_interval=",
                number(self.interval.to_wire()).as_slice(),
                b"\ndmt_rstr_cmd=",
            ],
        );
        quote(&mut out, self.restart_command.as_bytes());
        put(
            &mut out,
            [
                b"\n\n# Number of hosts in the computation = ".as_slice(),
                number(self.hosts.len()).as_slice(),
                b"\n# Number of processes in the computation = ",
                number(self.processes()).as_slice(),
                b"\n\n",
            ],
        );
        self.images(&mut out);
        out.push(b'\n');
        out.extend_from_slice(TAIL.as_bytes());
        out
    }

    fn images(&self, out: &mut Vec<u8>) {
        let files_are_plain = |host: &RestartHost| host.images.iter().all(is_plain);
        match self.hosts.as_slice() {
            [host] if is_anonymous(host) && files_are_plain(host) => {
                out.extend_from_slice(b"given_ckpt_files=\"");
                for image in &host.images {
                    put(out, [b" ", image.as_bytes()]);
                }
                out.extend_from_slice(b"\"\n");
            }
            hosts if hosts.iter().all(|h| name_is_plain(h) && files_are_plain(h)) => {
                out.extend_from_slice(b"worker_ckpts='");
                for host in hosts {
                    let name = host.name.as_ref().map_or(&[][..], Text::as_bytes);
                    let mode = host.mode.word().as_bytes();
                    put(out, [b"\n :: ", name, b" :", mode, b":"]);
                    for image in &host.images {
                        put(out, [b" ", image.as_bytes()]);
                    }
                    if let Some(shell) = host.shell {
                        put(out, [b" : ", shell.word().as_bytes()]);
                    }
                }
                out.extend_from_slice(b"\n'\n");
            }
            hosts => {
                for host in hosts {
                    out.extend_from_slice(b"host_ckpts ");
                    quote(out, host.name.as_ref().map_or(&[], Text::as_bytes));
                    put(out, [b" ", host.mode.word().as_bytes(), b" "]);
                    quote(out, host.shell.map_or("", |shell| shell.word()).as_bytes());
                    for image in &host.images {
                        out.push(b' ');
                        quote(out, image.as_bytes());
                    }
                    out.push(b'\n');
                }
            }
        }
    }
}

fn is_anonymous(host: &RestartHost) -> bool {
    host.name.is_none() && host.shell.is_none() && host.mode == RestartMode::Background
}

fn name_is_plain(host: &RestartHost) -> bool {
    host.name.as_ref().is_some_and(is_plain)
}

/// Whether no shell, quoted or not, and neither form of stock scripts changes this text.
pub(crate) fn is_plain(text: &Text) -> bool {
    !text.is_empty() && text.as_bytes().iter().copied().all(is_plain_byte)
}

fn is_plain_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/._-+,@%=".contains(&byte)
}

/// One word for a shell.
fn quote(out: &mut Vec<u8>, bytes: &[u8]) {
    if !bytes.is_empty() && bytes.iter().copied().all(is_plain_byte) {
        out.extend_from_slice(bytes);
        return;
    }
    out.push(b'\'');
    for (index, part) in bytes.split(|&byte| byte == b'\'').enumerate() {
        if index > 0 {
            out.extend_from_slice(br"'\''");
        }
        out.extend_from_slice(part);
    }
    out.push(b'\'');
}

fn put<const N: usize>(out: &mut Vec<u8>, parts: [&[u8]; N]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}

fn number(number: impl alloc::string::ToString) -> Vec<u8> {
    number.to_string().into_bytes()
}
