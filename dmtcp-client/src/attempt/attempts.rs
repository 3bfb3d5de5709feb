//! What stays the same over all attempts at one job.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use dmtcp_proto::{CoordinatorConfig, Dialect, Interval};

use super::{
    Attempt, AttemptError, Program, leftover,
    running::{Parts, images_dir},
    sealer,
};
use crate::{
    Tools, native,
    process::{Child, ComputationTmp},
    server::{ComputationConfig, Server},
    set::SetStore,
};

/// Starts attempts at one job, one after the other: afresh, or from its newest set.
///
/// ```no_run
/// use dmtcp_client::attempt::{Attempts, Program};
/// use dmtcp_client::server::Server;
/// use dmtcp_client::{Launch, Tools};
/// use std::time::Duration;
///
/// let server = Server::start()?;
/// let tools = Tools::find(None)?;
/// let attempts = Attempts::open(&server, "state".as_ref())?.tools(tools.clone());
/// let attempt = attempts.start([Launch::new(&tools, "./simulate").into()])?;
/// attempt.computation().wait_until_running(None, Duration::from_secs(60))?;
/// let set = attempt.computation().checkpoint(Duration::from_secs(600))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Attempts<'s> {
    server: &'s Server,
    pub(super) store: Arc<SetStore>,
    dir: PathBuf,
    tools: Option<Tools>,
    interval: Interval,
    seal_limit: Duration,
    pub(super) restart_limit: Duration,
    pub(super) tries: u32,
}

impl<'s> Attempts<'s> {
    /// The attempts at the job whose state is in `dir`, which is made if it is not there.
    ///
    /// What a crash left of earlier ones is cleared away: half-made sets, processes that still
    /// run, raw images.
    ///
    /// # Errors
    ///
    /// [`SetError::Owned`](crate::set::SetError::Owned) in [`AttemptError::Set`] if another process
    /// is at this job; [`AttemptError::Leftover`]; [`AttemptError::Io`].
    pub fn open(server: &'s Server, dir: &Path) -> Result<Self, AttemptError> {
        let dir = std::path::absolute(dir).map_err(failed("find", dir))?;
        let store = SetStore::open(&dir)?;
        store.sweep()?;
        leftover::clear(&attempts_dir(&dir))?;
        Ok(Self {
            server,
            store: Arc::new(store),
            dir,
            tools: None,
            interval: Interval::Never,
            seal_limit: Duration::from_secs(3600),
            restart_limit: Duration::from_secs(60),
            tries: 3,
        })
    }

    /// The DMTCP programs. Default: none; native workers need none.
    #[must_use]
    pub fn tools(self, tools: Tools) -> Self {
        Self {
            tools: Some(tools),
            ..self
        }
    }

    /// Periodic checkpoints. Default: never.
    #[must_use]
    pub fn interval(self, interval: Interval) -> Self {
        Self { interval, ..self }
    }

    /// How long sealing a round may take: DMTCP may still be compressing. Default: an hour.
    #[must_use]
    pub fn seal_limit(self, limit: Duration) -> Self {
        Self {
            seal_limit: limit,
            ..self
        }
    }

    /// How long one try at a restart may take until all processes run. Default: a minute.
    #[must_use]
    pub fn restart_limit(self, limit: Duration) -> Self {
        Self {
            restart_limit: limit,
            ..self
        }
    }

    /// How often a set is tried before the one before it is. Default: 3, and at least 1.
    #[must_use]
    pub fn tries(self, tries: u32) -> Self {
        Self {
            tries: tries.max(1),
            ..self
        }
    }

    /// The sets of this job.
    #[must_use]
    pub fn store(&self) -> &SetStore {
        &self.store
    }

    /// Starts the programs afresh, as one computation. Sets of earlier attempts stay.
    ///
    /// Returns when they are started; whether they run is asked of
    /// [`computation`](Attempt::computation).
    ///
    /// # Errors
    ///
    /// See [`AttemptError`]. Nothing is left running then.
    pub fn start(
        &self,
        programs: impl IntoIterator<Item = Program>,
    ) -> Result<Attempt, AttemptError> {
        let mut attempt = self.prepare(None)?;
        for program in programs {
            let child = match program {
                Program::Dmtcp(launch) => launch
                    .join(attempt.computation().addr())
                    .checkpoint_dir(attempt.images_dir())
                    .tmpdir(attempt.tmp_dir())
                    .spawn()?,
                Program::Native(mut command) => {
                    self.native_options(&attempt)?.to_env(&mut command);
                    spawn_native(command, &attempt)?
                }
            };
            attempt.add(child);
        }
        Ok(attempt)
    }

    pub(super) fn tools_for_dmtcp(&self) -> Result<&Tools, AttemptError> {
        self.tools.as_ref().ok_or(AttemptError::NoTools)
    }

    /// What a native worker has to know. Beside DMTCP it speaks the release's dialect.
    pub(super) fn native_options(
        &self,
        attempt: &Attempt,
    ) -> Result<native::Options, AttemptError> {
        let dialect = match &self.tools {
            Some(tools) => tools.dialect()?,
            None => Dialect::V5,
        };
        Ok(native::Options::new(attempt.computation().addr(), dialect)
            .checkpoint_dir(attempt.images_dir()))
    }

    /// A coordinator and a place to work for one more attempt, without processes.
    pub(super) fn prepare(&self, parent: Option<u64>) -> Result<Attempt, AttemptError> {
        let dir = next_dir(&attempts_dir(&self.dir))?;
        let tmp = ComputationTmp::create()?;
        leftover::note(&dir, &tmp)?;
        let images = images_dir(&dir);
        fs::create_dir(&images).map_err(failed("create", &images))?;
        let sealer = sealer::of(Arc::clone(&self.store), images, parent, self.seal_limit);
        let coordinator = CoordinatorConfig::default().interval(self.interval);
        let config = ComputationConfig::default()
            .coordinator(coordinator)
            .sealer(sealer);
        let computation = self.server.open(config)?;
        Ok(Attempt::new(Parts {
            computation,
            dir,
            tmp,
        }))
    }
}

pub(super) fn spawn_native(mut command: Command, attempt: &Attempt) -> Result<Child, AttemptError> {
    // The mark by which what a crash leaves is found.
    command.env("DMTCP_TMPDIR", attempt.tmp_dir());
    Ok(Child::spawn(command)?)
}

fn attempts_dir(dir: &Path) -> PathBuf {
    dir.join("attempts")
}

/// A new directory with the next number.
fn next_dir(attempts: &Path) -> Result<PathBuf, AttemptError> {
    let mut builder = fs::DirBuilder::new();
    builder.mode(0o700);
    builder
        .recursive(true)
        .create(attempts)
        .map_err(failed("create", attempts))?;
    let numbers = fs::read_dir(attempts).map_err(failed("list", attempts))?;
    let last = numbers
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u64>().ok())
        .max();
    let dir = attempts.join(format!(
        "{:06}",
        last.map_or(1, |last| last.saturating_add(1))
    ));
    builder
        .recursive(false)
        .create(&dir)
        .map_err(failed("create", &dir))?;
    Ok(dir)
}

pub(super) fn failed(
    action: &'static str,
    path: &Path,
) -> impl FnOnce(io::Error) -> AttemptError + use<> {
    let path = path.to_owned();
    move |source| AttemptError::Io {
        action,
        path,
        source,
    }
}
