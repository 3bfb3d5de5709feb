//! Why something could not be done on another host.

use std::{error::Error, ffi::OsString, path::PathBuf, time::Duration};

use thiserror::Error;

use crate::{ToolsError, process::Exit, process::ProcessError};

/// What a [`HostLauncher`](super::HostLauncher) says when it cannot make a command.
pub type LauncherError = Box<dyn Error + Send + Sync>;

/// Why a host cannot be used, or why what runs there could not be ended.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HostError {
    /// The caller: no host has such a name, or a launcher would take it for something else.
    #[error(
        "{0:?} is no name of a host: it is empty, begins with '-', or has blanks or control characters"
    )]
    Name(OsString),
    /// The caller: there is no launcher
    /// ([`Attempts::launcher`](crate::attempt::Attempts::launcher)).
    #[error("it needs a launcher, and none is given")]
    NoLauncher,
    /// The caller said that it is gone ([`Attempts::gone`](crate::attempt::Attempts::gone)).
    #[error("it is said to be gone: move its processes to another host")]
    Gone,
    /// The launcher panicked.
    #[error("the launcher panicked")]
    Panicked,
    /// The launcher made no command.
    #[error("the launcher made no command")]
    Launcher(#[source] LauncherError),
    /// The launcher's command could not be run here.
    #[error("the launcher's command cannot be run")]
    Process(#[from] ProcessError),
    /// The host did not answer in time: it is down, cut off, or the launcher waits for a password
    /// or an allocation.
    #[error(
        "it did not answer within {limit:?}; is it up, and does the launcher get there without a question?"
    )]
    TimedOut {
        /// How long it was waited for.
        limit: Duration,
    },
    /// The launcher's command ended without having done its work there.
    #[error("the launcher's command ended with {exit}{}", said(.stderr))]
    Failed {
        /// How it ended; 255 is ssh's own code for a connection that failed.
        exit: Exit,
        /// The end of what it wrote to standard error.
        stderr: String,
    },
    /// The directory is not there, or is another one: it must be on a file system that all hosts
    /// share, under the same path.
    #[error("{} is not visible there: all hosts must share it under this path", path.display())]
    NotShared {
        /// The directory.
        path: PathBuf,
    },
    /// The private directory for DMTCP's temporary files cannot be made, or is somebody else's.
    #[error("{} cannot be made there", path.display())]
    NotMade {
        /// The directory.
        path: PathBuf,
    },
    /// DMTCP's programs are not there.
    #[error("{} cannot be run there: DMTCP must be installed at the same path on all hosts", tool.display())]
    NoTools {
        /// The program that was looked for.
        tool: PathBuf,
    },
    /// Another release of DMTCP is there than here.
    #[error("DMTCP there is {there}, and {here} here: install the same release on all hosts")]
    OtherRelease {
        /// As DMTCP there names itself.
        there: String,
        /// As the one here does.
        here: String,
    },
    /// The release of DMTCP here, to compare with.
    #[error(transparent)]
    Tools(#[from] ToolsError),
    /// Processes there did not end of SIGKILL in time.
    #[error("processes there do not end: {pids}")]
    Survivors {
        /// Their numbers there.
        pids: String,
    },
}

fn said(stderr: &str) -> String {
    match stderr.trim() {
        "" => String::new(),
        text => format!(": {text}"),
    }
}
