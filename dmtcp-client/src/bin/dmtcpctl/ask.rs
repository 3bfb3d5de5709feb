//! Which coordinator a subcommand asks, and in what it speaks to it.

use crate::duration;
use crate::failure::Failure;
use clap::Args;
use dmtcp_client::coordinator::{Coordinator, DetectOptions, Error, How, detect, find_address};
use dmtcp_client::job::{Contact, ContactError};
use dmtcp_client::{Dialect, Release, with_causes};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the coordinator is and how long it may take.
#[derive(Clone, Debug, Args)]
pub(crate) struct Where {
    /// The state directory of a job: its coordinator, once it is certain that it is that
    #[arg(value_name = "STATE_DIR", conflicts_with_all = ["host", "port", "dialect"])]
    directory: Option<PathBuf>,
    /// The same, as `run` takes it
    #[arg(long, value_name = "DIR", conflicts_with_all = ["directory", "host", "port", "dialect"])]
    state_dir: Option<PathBuf>,
    /// Host of the coordinator; default: DMTCP_COORD_HOST, then 127.0.0.1
    #[arg(long, value_name = "HOST")]
    host: Option<OsString>,
    /// Port of the coordinator; default: DMTCP_COORD_PORT, then 7779
    #[arg(short, long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// What the coordinator speaks, where it cannot be found out: its release, such as 4.2.0, or
    /// 2.4 (to 2.5.0), 2.5 (from 2.5.1), 2.6, 3 (to 4.2), 5 (main). A wrong one can end it
    #[arg(long, value_name = "RELEASE", value_parser = dialect)]
    dialect: Option<Dialect>,
    /// How long one question may take
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration::parse)]
    pub(crate) timeout: Duration,
}

impl Where {
    /// The state directory of the job that is meant; `None`: it is not told as one of a job.
    pub(crate) fn job(&self) -> Option<&Path> {
        let given = self.directory.as_ref().or(self.state_dir.as_ref());
        given.map(PathBuf::as_path)
    }

    /// Finds out what it speaks, without harm to it.
    pub(crate) fn coordinator(&self) -> Result<Asked, Failure> {
        if let Some(directory) = self.job() {
            return Asked::of_job(Contact::open(directory)?, self.timeout).map_err(Failure::from);
        }
        let port = self.port.map(|port| port.to_string().into());
        let mut options = DetectOptions::default().timeout(self.timeout);
        if let Some(dialect) = self.dialect {
            options = options.dialect(dialect);
        }
        let addr = find_address(self.host.clone(), port).map_err(named)?;
        let detected = detect(addr, &options)?;
        Ok(Asked {
            coordinator: detected.handle().timeout(self.timeout),
            known_by: match detected.how {
                How::Told => "told",
                How::Tools => "tools",
                How::Executable(_) => "executable",
                How::Asked => "asked",
                _ => "other",
            },
            pid: detected.process.map(|process| process.pid()),
            job: None,
        })
    }
}

/// The error with the option in it that was given.
fn named(error: Error) -> Failure {
    match error {
        Error::Address { part, .. } => {
            let text = format!("--{part} {}", with_causes(&error));
            Failure::new("environment", text)
        }
        error => error.into(),
    }
}

/// A coordinator to ask.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) coordinator: Coordinator,
    /// How it is known what it speaks.
    pub(crate) known_by: &'static str,
    /// `None`: not known.
    pub(crate) pid: Option<i32>,
    /// Whose it is; `None`: it was found by its address.
    pub(crate) job: Option<Contact>,
}

impl Asked {
    /// That of a job, if it runs here.
    pub(crate) fn of_job(contact: Contact, limit: Duration) -> Result<Self, ContactError> {
        Ok(Self {
            coordinator: contact.coordinator(limit)?,
            known_by: "state-directory",
            pid: contact.standing().owner().map(|owner| owner.pid),
            job: Some(contact),
        })
    }
}

/// Reads a release, the beginning of one as `--help` says, or the name that `status` prints.
fn dialect(text: &str) -> Result<Dialect, String> {
    let plain = text.trim_start_matches(['v', 'V']).replace('_', ".");
    let known = match plain.as_str() {
        "2.4" => Some(Dialect::V2_4),
        "2.5" => Some(Dialect::V2_5),
        "2.6" => Some(Dialect::V2_6),
        "3" | "4" => Some(Dialect::V3),
        "5" | "main" => Some(Dialect::V5),
        release if release.contains('.') => Release::parse(&format!("(DMTCP) {release}"))
            .filter(|release| release.major <= 5)
            .and_then(|release| release.dialect),
        _ => None,
    };
    known.ok_or_else(|| {
        "try its release, such as 4.2.0, or 2.4 (to 2.5.0), 2.5 (from 2.5.1), 2.6, 3 (to 4.2), \
         5 (main)"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_and_names_of_dialects() {
        for (texts, expected) in [
            (&["2.4", "2.4.9", "2.5.0", "V2_4"][..], Dialect::V2_4),
            (&["2.5", "2.5.1", "2.5.2", "v2.5", "V2_5"], Dialect::V2_5),
            (&["2.6", "2.6.0", "V2_6"], Dialect::V2_6),
            (&["3", "4", "3.0.0", "4.2", "4.2.0", "V3"], Dialect::V3),
            (&["5", "5.0", "main", "V5"], Dialect::V5),
        ] {
            for text in texts {
                assert_eq!(dialect(text), Ok(expected), "{text}");
            }
        }
    }

    #[test]
    fn what_is_no_release() {
        for text in ["", "9", "9.0", "2", "1.2", "2.3.9", "x.y", "."] {
            assert!(dialect(text).is_err(), "{text:?}");
        }
    }
}
