//! The files in which a coordinator says where it is.
//!
//! Both appear whole, by a rename: who waits for a port file never reads half a number.

use crate::durable::{self, Failed};
use dmtcp_proto::Interval;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::words::utc;

/// The number of the port; removed when this is dropped.
#[derive(Debug)]
pub(super) struct PortFile {
    path: PathBuf,
}

impl PortFile {
    pub(super) fn write(path: &Path, port: u16) -> Result<Self, Failed> {
        durable::write_aside(path, |file| write!(file, "{port}"))?;
        Ok(Self {
            path: path.to_owned(),
        })
    }
}

impl Drop for PortFile {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = fs::remove_file(&self.path);
    }
}

/// What is known at the start, and when it ended.
#[derive(Debug)]
pub(super) struct StatusFile {
    path: PathBuf,
}

impl StatusFile {
    pub(super) fn write(
        path: &Path,
        host: &str,
        addr: SocketAddr,
        interval: Interval,
    ) -> Result<Self, Failed> {
        let interval = match interval.to_wire() {
            seconds if seconds > 0 => seconds.to_string(),
            _ => "disabled (checkpoint manually instead)".to_owned(),
        };
        let text = format!(
            "Coordinator started: {}\nStatus...\nHost: {host} ({})\nPort: {}\nPID: {}\n\
             Checkpoint Interval: {interval}\n",
            utc(SystemTime::now()),
            addr.ip(),
            addr.port(),
            std::process::id(),
        );
        durable::write_aside(path, |file| file.write_all(text.as_bytes()))?;
        Ok(Self {
            path: path.to_owned(),
        })
    }

    /// Says that it has ended. A status file that somebody has removed stays so.
    pub(super) fn ended(&self, why: &str) -> Result<(), Failed> {
        let failed = durable::failed("append to", &self.path);
        let mut file = match OpenOptions::new().append(true).open(&self.path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            other => other.map_err(failed)?,
        };
        let text = format!("Coordinator exited: {}\n> {why}\n", utc(SystemTime::now()));
        file.write_all(text.as_bytes())
            .map_err(durable::failed("append to", &self.path))
    }
}
