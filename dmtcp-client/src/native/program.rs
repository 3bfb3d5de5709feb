//! What this process is: its host, its program, its identity, and the name of its image.

use dmtcp_proto::{Text, UniquePid};
use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use super::error::{Error, cannot};
use crate::durable;
use crate::identity;
use crate::image::native::NativeHeader;

/// How this process was started.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) host: OsString,
    pub(super) path: PathBuf,
    pub(super) args: Vec<OsString>,
    pub(super) directory: PathBuf,
}

impl Program {
    pub(super) fn current() -> Result<Self, Error> {
        Ok(Self {
            host: identity::host_name().map_err(cannot("read the host's name"))?,
            path: env::current_exe().map_err(cannot("find this program's file"))?,
            args: env::args_os().skip(1).collect(),
            directory: env::current_dir().map_err(cannot("find the working directory"))?,
        })
    }

    /// The same, started again by this command.
    pub(super) fn started_by(self, program: &Path, args: &[OsString]) -> Result<Self, Error> {
        Ok(Self {
            path: std::path::absolute(program)
                .map_err(durable::failed("make absolute", program))?,
            args: args.to_vec(),
            ..self
        })
    }

    /// The program's name without its directories.
    pub(super) fn name(&self) -> &OsStr {
        self.path.file_name().unwrap_or_default()
    }

    /// This process before it has a pid of its computation.
    pub(super) fn launcher(&self) -> UniquePid {
        identity::fresh(&self.host)
    }

    pub(super) fn header(&self, process: UniquePid, computation: UniquePid) -> NativeHeader {
        let mut header = NativeHeader::new(process, computation);
        header.real_pid = identity::real_pid();
        header.program.clone_from(&self.path);
        header.args.clone_from(&self.args);
        header.directory.clone_from(&self.directory);
        header.host.clone_from(&self.host);
        header
    }

    /// Where the image of `process` goes: named as DMTCP does, so the name stays the same over
    /// checkpoints and restarts.
    pub(super) fn image_path(&self, dir: &Path, process: UniquePid) -> PathBuf {
        let mut name = OsString::from("ckpt_");
        name.push(self.name());
        name.push(format!("_{process}.dmtcp"));
        dir.join(name)
    }
}

/// For the wire. The system's names and paths have no NUL.
pub(super) fn wire_text(text: &OsStr) -> Text {
    Text::new(text.to_owned().into_vec()).unwrap_or_default()
}
