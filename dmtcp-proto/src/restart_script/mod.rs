//! Restart scripts as data: what a coordinator leaves beside the images.
//!
//! [`RestartScript::parse`] reads the scripts of all releases and ours; [`RestartScript::to_text`]
//! writes ours. Nothing is ever executed here, no file is read or written, and whether the images
//! exist is not asked. What the elements are, release by release, stands in `docs/PROTOCOL.md`,
//! "Restart script".

mod error;
mod host;
mod lexer;
mod parse;
mod write;

pub use error::RestartScriptError;
pub use host::{RemoteShell, RestartHost, RestartMode};

pub(crate) use write::{HEAD, TAIL, is_plain};

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::ids::UniquePid;
use crate::interval::Interval;
use crate::text::Text;

/// A restart script: which images, on which hosts, and how their coordinator is reached.
///
/// ```
/// use dmtcp_proto::{RestartHost, RestartScript};
/// let images = [("vm".into(), None, "/d/ckpt_a.dmtcp".into())];
/// let script = RestartScript::new("vm".into(), 7779, RestartHost::group(images));
/// assert_eq!(RestartScript::parse(&script.to_text()), Ok(script));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestartScript {
    /// When the checkpoint began, as text; stock coordinators write it as `ctime` does, in local
    /// time. Default: empty.
    pub timestamp: Text,
    /// Host of the coordinator that wrote the script; the default of `--coord-host`.
    pub coordinator_host: Text,
    /// Its port; the default of `--coord-port`.
    pub coordinator_port: u16,
    /// The coordinator's interval; the default of `--interval`. Whole seconds: fractions are
    /// rounded up. Default: never. 3.1.1 always writes never.
    pub interval: Interval,
    /// Path of `dmtcp_restart`; where there is none, scripts fall back to the one in `PATH`.
    /// Default: `dmtcp_restart`.
    pub restart_command: Text,
    /// The images, one entry for each line of the script. Each has at least one image.
    pub hosts: Vec<RestartHost>,
}

impl RestartScript {
    /// The name under which users find the latest script: a symbolic link beside it.
    pub const LINK_NAME: &'static str = "dmtcp_restart_script.sh";

    /// The longest script that [`parse`](Self::parse) takes, in bytes: 4 MiB, which is tens of
    /// thousands of images.
    pub const MAX_LEN: usize = 4 << 20;

    /// A script with defaults for what is not given.
    #[must_use]
    pub fn new(coordinator_host: Text, coordinator_port: u16, hosts: Vec<RestartHost>) -> Self {
        Self {
            timestamp: Text::default(),
            coordinator_host,
            coordinator_port,
            interval: Interval::Never,
            restart_command: Text::from("dmtcp_restart"),
            hosts,
        }
    }

    /// The same of a checkpoint that began then.
    #[must_use]
    pub fn timestamp(self, timestamp: Text) -> Self {
        Self { timestamp, ..self }
    }

    /// The same with this interval.
    #[must_use]
    pub fn interval(self, interval: Interval) -> Self {
        Self { interval, ..self }
    }

    /// The same with this `dmtcp_restart`.
    #[must_use]
    pub fn restart_command(self, restart_command: Text) -> Self {
        Self {
            restart_command,
            ..self
        }
    }

    /// File name of the script of a checkpoint, without its directory.
    ///
    /// `unique`: whether the images have names that no other checkpoint uses; the script's name
    /// then holds the generation, too.
    ///
    /// ```
    /// use dmtcp_proto::RestartScript;
    /// let id = "98ff-40000-14d2d64226d".parse::<dmtcp_proto::UniquePid>()?.with_generation(3);
    /// let name = RestartScript::file_name(id, true);
    /// assert_eq!(name, "dmtcp_restart_script_98ff-40000-14d2d64226d_00003.sh");
    /// # Ok::<(), dmtcp_proto::ParseUniquePidError>(())
    /// ```
    #[must_use]
    pub fn file_name(computation: UniquePid, unique: bool) -> String {
        if unique {
            let generation = computation.generation;
            format!("dmtcp_restart_script_{computation}_{generation:05}.sh")
        } else {
            format!("dmtcp_restart_script_{computation}.sh")
        }
    }

    /// Number of images; one process is restored from each.
    #[must_use]
    pub fn processes(&self) -> usize {
        self.hosts.iter().map(|host| host.images.len()).sum()
    }
}
