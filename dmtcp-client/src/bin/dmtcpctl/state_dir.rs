//! The state directory of a job, as the commands about jobs take it.

use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(crate) struct StateDir {
    /// The state directory of the job
    #[arg(value_name = "STATE_DIR", required_unless_present = "state_dir")]
    directory: Option<PathBuf>,
    /// The same, as `run` takes it
    #[arg(long, value_name = "DIR", conflicts_with = "directory")]
    state_dir: Option<PathBuf>,
}

impl StateDir {
    pub(crate) fn path(&self) -> &Path {
        let given = self.directory.as_ref().or(self.state_dir.as_ref());
        // One of them is required.
        given.map_or_else(|| Path::new("."), PathBuf::as_path)
    }
}
