//! How a native image is started again.

use std::path::Path;
use std::process::Command;

use super::error::Error;
use super::options::Options;
use crate::durable;
use crate::image::native;

/// The command that restarts a native image under the coordinator of `options`.
///
/// The image's program runs with its arguments in its directory; its environment is the caller's
/// and that of [`Options::to_env`]. Later images go to the checkpoint directory of `options`: not
/// into the set the image is in. All processes of the set must be restarted under the same
/// coordinator; each waits until all are there.
///
/// The image is read and checked as a whole, so that a damaged one fails here.
///
/// # Errors
///
/// [`Error::Image`] when it cannot be read, is damaged, or is not a native image (those of DMTCP
/// are restarted with `dmtcp_restart`).
pub fn restart_command(image: &Path, options: &Options) -> Result<Command, Error> {
    let absolute =
        |path: &Path| std::path::absolute(path).map_err(durable::failed("make absolute", path));
    let image = absolute(image)?;
    let header = native::read_checked_header(&image)?;
    let dir = absolute(&options.checkpoint_dir)?;
    let mut command = Command::new(&header.program);
    command.args(&header.args).current_dir(&header.directory);
    options
        .clone()
        .checkpoint_dir(dir)
        .image(image)
        .to_env(&mut command);
    Ok(command)
}
