//! `dmtcp_restart`: processes back from their images.

use dmtcp_client::Restart as Command;
use dmtcp_client::process::Stream;

use crate::arguments::{address, port_of, zero};
use crate::boundary::call;
use crate::child::Child;
use crate::codes::ResultCode;
use crate::failure::Failure;
use crate::ffi::{GrowingIn, In, Out, Text, TextList, filled_in};
use crate::launch::stream;
use crate::tools::Tools;

/// The processes of one host that are restarted from their images, as workers of a coordinator that
/// runs. Zeros are the defaults. A job does all of this, and tries again, and knows when it is done.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
#[non_exhaustive]
pub struct Restart {
    /// sizeof(dmtcp_restart).
    pub size: usize,
    /// All images of one computation on this host; a NULL ends them. Required. Not those in a set
    /// itself: the processes write their next images over them.
    pub images: TextList,
    /// Host of the coordinator. NULL: 127.0.0.1.
    pub host: Text,
    /// Where later images go; it must exist. NULL: where they went before.
    pub checkpoint_dir: Text,
    /// For DMTCP's temporary files. NULL: DMTCP's own.
    pub tmpdir: Text,
    /// File from which it reads. NULL: nothing.
    pub input: Text,
    /// File to which its output is appended. NULL: this process's.
    pub output: Text,
    /// File to which its errors are appended, and DMTCP's. NULL: this process's.
    pub errors: Text,
    /// Port of the coordinator. Required.
    pub port: u32,
    /// 0.
    pub reserved: u32,
}

filled_in!(Restart: images host checkpoint_dir tmpdir input output errors port reserved,
    oldest = reserved);

/// Starts it. That means nothing yet: a restart can hang. It is done when the coordinator has all
/// workers running; give it a limit, and kill what is left.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_restart_spawn(
    tools: In<Tools>,
    restart: GrowingIn<Restart>,
    child: Out<*mut Child>,
) -> ResultCode {
    call(|| {
        let tools = tools.get("tools")?;
        let restart = restart.get("restart")?;
        let place = child.place("child")?;
        place.put_object(restart.command(tools)?.spawn()?.into());
        Ok(())
    })
}

impl Restart {
    fn command(&self, tools: &Tools) -> Result<Command, Failure> {
        zero(self.reserved, "restart->reserved")?;
        let images = self.images.get().unwrap_or_default();
        let host = self.host.optional("restart->host")?.unwrap_or("127.0.0.1");
        let mut command = Command::new(tools.found(), images)
            .join(address(host, port_of(self.port)?)?)
            .stdin(stream(&self.input, "restart->input", Stream::Null)?)
            .stdout(stream(&self.output, "restart->output", Stream::Inherit)?)
            .stderr(stream(&self.errors, "restart->errors", Stream::Inherit)?);
        if let Some(dir) = self
            .checkpoint_dir
            .optional_path("restart->checkpoint_dir")?
        {
            command = command.checkpoint_dir(dir);
        }
        if let Some(dir) = self.tmpdir.optional_path("restart->tmpdir")? {
            command = command.tmpdir(dir);
        }
        Ok(command)
    }
}
