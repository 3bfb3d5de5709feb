//! Going on in the background.
//!
//! A second process of this program does, with the socket as its standard input: a copy of this
//! one, as `fork` makes it, would lack all its threads but one.

use super::arguments::{Arguments, LISTENER_IS_STDIN};
use super::is_called;
use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Starts it; returns the exit code of this process, once the port file is there.
pub(super) fn start(
    arguments: &Arguments,
    words: &[OsString],
    listener: Option<TcpListener>,
) -> io::Result<u8> {
    let listener = match listener {
        Some(listener) => listener,
        None => TcpListener::bind(arguments.addr).map_err(|error| {
            io::Error::other(format!("cannot listen on {}: {error}", arguments.addr))
        })?,
    };
    if let Some(file) = &arguments.port_file {
        // That of another one would be taken for ours.
        match fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    let log = || match &arguments.log_file {
        Some(path) => {
            let mut options = OpenOptions::new();
            let file = options.create(true).append(true).mode(0o600).open(path);
            file.map(Stdio::from)
        }
        None => Ok(Stdio::null()),
    };
    let words = words.iter().filter(|word| *word != "--daemon");
    // As this one was called: it looks for the programs that it stands among.
    let name = std::env::args_os().next().unwrap_or_default();
    let subcommand = (!is_called(&name)).then_some("coordinator");
    let mut child = Command::new("/proc/self/exe")
        .arg0(&name)
        .args(subcommand)
        .arg(LISTENER_IS_STDIN)
        .args(words)
        .stdin(Stdio::from(OwnedFd::from(listener)))
        .stdout(log()?)
        .stderr(log()?)
        // What a terminal sends to its foreground is not meant for it.
        .process_group(0)
        .spawn()?;
    // It listens already; who waits for the port file waits for this.
    while arguments
        .port_file
        .as_ref()
        .is_some_and(|file| !file.exists())
    {
        if let Some(status) = child.try_wait()? {
            let text = format!("the background process ended: {status}");
            return Err(io::Error::other(text));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(0)
}
