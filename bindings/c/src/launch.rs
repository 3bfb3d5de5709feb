//! `dmtcp_launch`: a program under DMTCP.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use dmtcp_client::Launch as Command;
use dmtcp_client::process::Stream;

use crate::arguments::{address, port_of, zero};
use crate::boundary::call;
use crate::child::Child;
use crate::codes::ResultCode;
use crate::failure::Failure;
use crate::ffi::{GrowingIn, In, Out, Text, TextList, filled_in};
use crate::tools::Tools;

/// A program that is started under DMTCP, as a worker of a coordinator that runs. Zeros are the
/// defaults.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
#[non_exhaustive]
pub struct Launch {
    /// sizeof(dmtcp_launch).
    pub size: usize,
    /// The program and its arguments; a NULL ends them. Required.
    pub argv: TextList,
    /// More of its environment, as "NAME=VALUE"; a NULL ends it. NULL: no more.
    pub env: TextList,
    /// Host of the coordinator. NULL: 127.0.0.1.
    pub host: Text,
    /// Where it starts. NULL: in this process's directory.
    pub directory: Text,
    /// Where images go; it must exist. NULL: where the program starts.
    pub checkpoint_dir: Text,
    /// For DMTCP's temporary files, best for no other computation. NULL: DMTCP's own.
    pub tmpdir: Text,
    /// File from which it reads. NULL: nothing.
    pub input: Text,
    /// File to which its output is appended. NULL: this process's.
    pub output: Text,
    /// File to which its errors are appended, and DMTCP's. NULL: this process's.
    pub errors: Text,
    /// Port of the coordinator. Required.
    pub port: u32,
    /// 1: images are not compressed, which is several times faster and larger.
    pub no_gzip: i32,
    /// 1: images hold the contents of open files, too.
    pub checkpoint_open_files: i32,
    /// 0.
    pub reserved: u32,
}

filled_in!(Launch: argv env host directory checkpoint_dir tmpdir input output errors port no_gzip
    checkpoint_open_files reserved, oldest = reserved);

/// Starts it. That it has joined is for its coordinator to tell. Its exit code and signal are the
/// program's own.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_launch_spawn(
    tools: In<Tools>,
    launch: GrowingIn<Launch>,
    child: Out<*mut Child>,
) -> ResultCode {
    call(|| {
        let tools = tools.get("tools")?;
        let launch = launch.get("launch")?;
        let place = child.place("child")?;
        place.put_object(launch.command(tools)?.spawn()?.into());
        Ok(())
    })
}

impl Launch {
    fn command(&self, tools: &Tools) -> Result<Command, Failure> {
        zero(self.reserved, "launch->reserved")?;
        let argv = self.argv.get().unwrap_or_default();
        let (program, args) = argv
            .split_first()
            .ok_or_else(|| Failure::argument("launch->argv names no program"))?;
        let host = self.host.optional("launch->host")?.unwrap_or("127.0.0.1");
        let mut command = Command::new(tools.found(), *program)
            .args(args.iter().copied())
            .join(address(host, port_of(self.port)?)?)
            .gzip(self.no_gzip == 0)
            .checkpoint_open_files(self.checkpoint_open_files != 0)
            .stdin(stream(&self.input, "launch->input", Stream::Null)?)
            .stdout(stream(&self.output, "launch->output", Stream::Inherit)?)
            .stderr(stream(&self.errors, "launch->errors", Stream::Inherit)?);
        for (name, value) in variables(&self.env)? {
            command = command.env(name, value);
        }
        if let Some(dir) = self.directory.optional_path("launch->directory")? {
            command = command.current_dir(dir);
        }
        if let Some(dir) = self
            .checkpoint_dir
            .optional_path("launch->checkpoint_dir")?
        {
            command = command.checkpoint_dir(dir);
        }
        if let Some(dir) = self.tmpdir.optional_path("launch->tmpdir")? {
            command = command.tmpdir(dir);
        }
        Ok(command)
    }
}

pub(crate) fn stream(path: &Text, name: &str, otherwise: Stream) -> Result<Stream, Failure> {
    let path = path.optional_path(name)?;
    Ok(path.map_or(otherwise, |path| Stream::File(path.to_owned())))
}

/// Names and values of "NAME=VALUE".
pub(crate) fn variables(env: &TextList) -> Result<Vec<(&OsStr, &OsStr)>, Failure> {
    let variables = env.get().unwrap_or_default().into_iter().map(|variable| {
        let bytes = variable.as_bytes();
        let at = bytes.iter().position(|&byte| byte == b'=');
        let split = at
            .filter(|&at| at > 0)
            .and_then(|at| bytes.split_at_checked(at));
        let (name, value) = split
            .ok_or_else(|| Failure::argument(format!("{variable:?} in env is not NAME=VALUE")))?;
        let value = value.strip_prefix(b"=").unwrap_or_default();
        Ok((OsStr::from_bytes(name), OsStr::from_bytes(value)))
    });
    variables.collect()
}
