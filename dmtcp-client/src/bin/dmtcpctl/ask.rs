//! Which coordinator a subcommand asks, and in what it speaks to it.

use crate::duration;
use crate::failure::Failure;
use clap::Args;
use dmtcp_client::Dialect;
use dmtcp_client::coordinator::{Coordinator, DetectOptions, Detected, detect, find_address};
use std::ffi::OsString;
use std::time::Duration;

/// Where the coordinator is and how long it may take.
#[derive(Debug, Args)]
pub(crate) struct Where {
    /// Host of the coordinator; default: DMTCP_COORD_HOST, then 127.0.0.1
    #[arg(long, value_name = "HOST")]
    host: Option<OsString>,
    /// Port of the coordinator; default: DMTCP_COORD_PORT, then 7779
    #[arg(short, long, value_name = "PORT")]
    port: Option<OsString>,
    /// What the coordinator speaks, where it cannot be found out: 2.4, 2.5, 2.6, 3 (to 4.2) or 5
    /// (main). A wrong one can end it
    #[arg(long, value_name = "RELEASE", value_parser = dialect)]
    dialect: Option<Dialect>,
    /// How long one question may take
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration::parse)]
    pub(crate) timeout: Duration,
}

impl Where {
    /// Finds out what it speaks, without harm to it.
    pub(crate) fn coordinator(&self) -> Result<(Coordinator, Detected), Failure> {
        let value = |given: &Option<OsString>, variable| {
            given.clone().or_else(|| std::env::var_os(variable))
        };
        let host = value(&self.host, "DMTCP_COORD_HOST");
        let port = value(&self.port, "DMTCP_COORD_PORT");
        let mut options = DetectOptions::default().timeout(self.timeout);
        if let Some(dialect) = self.dialect {
            options = options.dialect(dialect);
        }
        let detected = detect(find_address(host, port)?, &options)?;
        let coordinator = detected.handle().timeout(self.timeout);
        Ok((coordinator, detected))
    }
}

fn dialect(text: &str) -> Result<Dialect, String> {
    match text.trim_start_matches('v') {
        "2.4" => Ok(Dialect::V2_4),
        "2.5" => Ok(Dialect::V2_5),
        "2.6" => Ok(Dialect::V2_6),
        "3" | "4" => Ok(Dialect::V3),
        "5" => Ok(Dialect::V5),
        _ => Err("try 2.4 (to 2.5.0), 2.5, 2.6, 3 or 5".to_owned()),
    }
}
