//! What stays the same over all attempts at one job.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use dmtcp_proto::{CoordinatorConfig, Dialect, Interval};

use super::{
    Attempt, AttemptError, Program,
    directory::{AttemptDir, attempts_dir, failed},
    leftover,
    running::{Parts, Turn},
    sealer::Seals,
    stall_guard::{OnStall, StallGuard, StallPolicy},
};
use crate::{
    Tools, native,
    process::{Child, ComputationTmp},
    server::{ComputationConfig, Server, ServerError},
    set::{SetHold, SetStore},
};

/// Starts attempts at one job, one after the other: afresh, or from its newest set.
///
/// It owns the job: while it lives no other one can be opened for the same directory, and while
/// one of its attempts lives it starts no other.
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
/// attempt.wait_until_running(Duration::from_secs(60))?;
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
    pub(super) restart_limit: Option<Duration>,
    pub(super) tries: u32,
    pub(super) any_host: bool,
    pub(super) interrupt: Arc<AtomicBool>,
    on_stall: OnStall,
    turn: Arc<AtomicBool>,
}

impl<'s> Attempts<'s> {
    /// The attempts at the job whose state is in `dir`, which is made if it is not there.
    ///
    /// What a crash left of earlier ones is cleared away: half-made sets, processes that still
    /// run, raw images. The directory may have been moved meanwhile. A copy of it is a job of its
    /// own: nothing is done to the processes of the original.
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
            restart_limit: None,
            tries: 3,
            any_host: false,
            interrupt: Arc::default(),
            on_stall: OnStall::default(),
            turn: Arc::default(),
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
            // More would not fit into the system's clock.
            seal_limit: limit.min(Duration::from_secs(1 << 30)),
            ..self
        }
    }

    /// How long one try at a restart may take until all processes run. Default: a minute, and a
    /// second more for each 16 MiB of the set. A try that hangs once memory is read back is given
    /// up after ten seconds.
    #[must_use]
    pub fn restart_limit(self, limit: Duration) -> Self {
        Self {
            restart_limit: Some(limit),
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

    /// Tries sets also where [`CheckpointSet::compatible_with`] says that this host cannot restore
    /// them. Default: they are passed over.
    ///
    /// [`CheckpointSet::compatible_with`]: crate::set::CheckpointSet::compatible_with
    #[must_use]
    pub fn on_any_host(self) -> Self {
        Self {
            any_host: true,
            ..self
        }
    }

    /// Once `flag` is set, from any thread or signal handler, a restart gives up at the next look
    /// at it, and kills what it had started. Default: never.
    #[must_use]
    pub fn interrupted_by(self, flag: Arc<AtomicBool>) -> Self {
        Self {
            interrupt: flag,
            ..self
        }
    }

    /// What to do when processes hold a checkpoint up for this long. Default: it is
    /// [reported](StallPolicy::Report) after a minute.
    ///
    /// Choose more than any process needs to stop its threads, or to read back what a restart maps;
    /// the time in which an image grows does not count.
    #[must_use]
    pub fn on_stall(self, policy: StallPolicy, after: Duration) -> Self {
        Self {
            on_stall: OnStall { policy, after },
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
        let programs: Vec<Program> = programs.into_iter().collect();
        if programs.is_empty() {
            return Err(AttemptError::NoProgram);
        }
        let launches = u32::try_from(programs.len()).unwrap_or(u32::MAX);
        let mut attempt = self.prepare(None, launches)?;
        match programs
            .into_iter()
            .try_for_each(|program| self.launch(program, &mut attempt))
        {
            Ok(()) => Ok(attempt),
            Err(error) => {
                attempt.kill()?;
                Err(error)
            }
        }
    }

    fn launch(&self, program: Program, attempt: &mut Attempt) -> Result<(), AttemptError> {
        let child = match program {
            Program::Dmtcp(launch) => launch
                .join(attempt.computation().addr())
                .checkpoint_dir(attempt.images_dir())
                .tmpdir(attempt.tmp_dir())
                .spawn()?,
            Program::Native(mut command) => {
                self.native_options(attempt)?.to_env(&mut command);
                spawn_native(command, attempt)?
            }
        };
        attempt.add(child);
        Ok(())
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
    pub(super) fn prepare(
        &self,
        parent: Option<(u64, SetHold)>,
        launches: u32,
    ) -> Result<Attempt, AttemptError> {
        let turn = Turn::take(&self.turn).ok_or(AttemptError::StillRunning)?;
        let dir = AttemptDir::create(&attempts_dir(&self.dir))?;
        let tmp = ComputationTmp::create()?;
        leftover::note(dir.path(), &tmp)?;
        let abandoned = Arc::default();
        let (parent, origin) = parent.unzip();
        // A set without its release is better than none.
        let release = self.tools.as_ref().and_then(|tools| tools.version().ok());
        let dmtcp = release.map(|release| release.text);
        let sealer = Seals {
            store: Arc::clone(&self.store),
            images: dir.images(),
            parent,
            origin,
            dmtcp,
            limit: self.seal_limit,
            abandoned: Arc::clone(&abandoned),
            follower: None,
        };
        let coordinator = CoordinatorConfig::default()
            .interval(self.interval)
            .launches(launches);
        let config = ComputationConfig::default()
            .coordinator(coordinator)
            .sealer(sealer);
        let computation = self.server.open(config)?;
        let guard = StallGuard::start(computation.clone(), self.on_stall);
        let guard = guard.map_err(|source| ServerError::Start { source })?;
        Ok(Attempt::new(Parts {
            guard,
            computation,
            dir,
            tmp,
            abandoned,
            _turn: turn,
        }))
    }
}

pub(super) fn spawn_native(mut command: Command, attempt: &Attempt) -> Result<Child, AttemptError> {
    // The mark by which what a crash leaves is found.
    command.env("DMTCP_TMPDIR", attempt.tmp_dir());
    Ok(Child::spawn(command)?)
}
