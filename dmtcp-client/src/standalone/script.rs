//! The restart script, written when all images of a round are there.

use crate::durable;
use crate::identity;
use crate::server::{SealError, SealRound, SealedSet, Sealer};
use crate::set::{ImageReport, SealRequest, whole_in_place};
use dmtcp_proto::{Interval, RestartHost, RestartScript, Text};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::words::utc;

/// Makes no set: images stay where they are, and a restart script names them.
///
/// The images of this host are waited for until they have their final names and nobody writes them,
/// since DMTCP reports an image before its compressor is done; then each must be whole, of its
/// process and of this round. Those of other hosts cannot be looked at, and are named as they were
/// reported. The script is written aside and renamed, and so is the
/// link `dmtcp_restart_script.sh` beside it; a round that fails leaves both as they were.
#[derive(Debug)]
pub struct ScriptSealer {
    dir: PathBuf,
    restart_command: Text,
    /// Shared, since the coordinator has a port only after its sealer is made.
    told: Arc<Mutex<Told>>,
}

/// What a script says of its coordinator.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    pub(super) port: u16,
    pub(super) interval: Interval,
}

impl ScriptSealer {
    /// Scripts in `dir`, which start this `dmtcp_restart` and, unless they are told another port,
    /// want to find a coordinator at `port`.
    #[must_use]
    pub fn new(dir: &Path, restart_command: &OsStr, port: u16, interval: Interval) -> Self {
        Self::told_later(
            dir,
            restart_command,
            &Arc::new(Mutex::new(Told { port, interval })),
        )
    }

    pub(super) fn told_later(dir: &Path, restart_command: &OsStr, told: &Arc<Mutex<Told>>) -> Self {
        Self {
            dir: dir.to_owned(),
            // A path has no NUL.
            restart_command: Text::new(restart_command.as_bytes().to_vec()).unwrap_or_default(),
            told: Arc::clone(told),
        }
    }

    fn write(&self, round: &SealRound) -> Result<PathBuf, SealError> {
        let here = identity::host_name()?;
        let is_here = |host: &str| host.is_empty() || OsStr::new(host) == here;
        let local = round
            .images
            .iter()
            .filter(|image| is_here(&image.worker.host));
        let reports = local.map(|image| {
            let path = from_root(image.path.as_bytes(), image.worker.real_pid)?;
            Ok(ImageReport::new(path, image.worker.id))
        });
        let reports = reports.collect::<io::Result<Vec<_>>>()?;
        let deadline = Instant::now() + LIMIT;
        let request = SealRequest::new(round.computation, round.round, reports, deadline);
        let there: BTreeMap<_, _> = whole_in_place(&request)?.into_iter().collect();
        let images = round.images.iter().map(|image| {
            let path = match there.get(&image.worker.id) {
                Some(path) => path.clone().into_os_string().into_vec(),
                None => final_name(image.path.as_bytes()).to_vec(),
            };
            let path = Text::new(path).ok_or("an image's path has a NUL")?;
            Ok((Text::from(image.worker.host.clone()), None, path))
        });
        let images = images.collect::<Result<Vec<_>, SealError>>()?;
        let told = *self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let script = RestartScript::new(
            Text::from(here.to_string_lossy().into_owned()),
            told.port,
            RestartHost::group(images),
        )
        .timestamp(Text::from(utc(round.started)))
        .interval(told.interval)
        .restart_command(self.restart_command.clone());
        if script.processes() != round.images.len() {
            return Err("the script would not name every image".into());
        }
        let unique = round.images.iter().any(|image| image.unique);
        let name = RestartScript::file_name(round.computation, unique);
        let path = self.dir.join(&name);
        durable::write_aside(&path, |file| file.write_all(&script.to_text())).map_err(io_error)?;
        fs::set_permissions(&path, Permissions::from_mode(0o755))?;
        self.link(&name)?;
        Ok(path)
    }

    /// Lets the link lead to the newest script.
    fn link(&self, name: &str) -> io::Result<()> {
        let aside = self.dir.join(format!(
            "{}.{}",
            RestartScript::LINK_NAME,
            std::process::id()
        ));
        match fs::remove_file(&aside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => symlink(name, &aside)?,
        }
        fs::rename(&aside, self.dir.join(RestartScript::LINK_NAME))
    }
}

impl Sealer for ScriptSealer {
    fn seal(&mut self, round: &SealRound) -> Result<SealedSet, SealError> {
        let script = self.write(round)?;
        Ok(SealedSet::new(round.round, script))
    }
}

/// A process may name its image relative to its own working directory.
fn from_root(path: &[u8], real_pid: i32) -> io::Result<PathBuf> {
    let path = Path::new(OsStr::from_bytes(path));
    if path.is_absolute() {
        return Ok(path.to_owned());
    }
    Ok(fs::read_link(format!("/proc/{real_pid}/cwd"))?.join(path))
}

/// A forked checkpoint reports the file that is being written.
fn final_name(path: &[u8]) -> &[u8] {
    path.strip_suffix(durable::TEMP_SUFFIX.as_bytes())
        .unwrap_or(path)
}

fn io_error(failed: durable::Failed) -> SealError {
    let durable::Failed {
        action,
        path,
        source,
    } = failed;
    format!("cannot {action} {}: {source}", path.display()).into()
}

/// Images of this host are there sooner: their processes have said that they were written.
const LIMIT: Duration = Duration::from_secs(3600);
