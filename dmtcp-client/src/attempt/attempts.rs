//! What stays the same over all attempts at one job.

use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex, atomic::AtomicBool},
    time::Duration,
};

use dmtcp_proto::{CoordinatorConfig, Dialect, Interval};

use super::{
    Attempt, AttemptError, Program,
    diagnostics::Bundle,
    directory::{AttemptDir, attempts_dir, failed},
    hosts::{Hosts, Place},
    leftover,
    running::{Parts, Turn},
    sealer::Seals,
    stall_guard::{OnStall, StallGuard},
};
use crate::{
    Tools, native,
    process::{Child, ComputationTmp, Stream},
    server::{Access, ComputationConfig, Server, ServerError},
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
    pub(super) server: &'s Server,
    pub(super) store: Arc<SetStore>,
    pub(super) dir: PathBuf,
    pub(super) tools: Option<Tools>,
    pub(super) diagnostics: Option<PathBuf>,
    pub(super) interval: Interval,
    pub(super) seal_limit: Duration,
    pub(super) silence_limit: Duration,
    pub(super) access: Access,
    pub(super) restart_limit: Option<Duration>,
    pub(super) tries: u32,
    pub(super) any_host: bool,
    pub(super) any_release: bool,
    pub(super) hosts: Hosts,
    pub(super) interrupt: Arc<AtomicBool>,
    pub(super) on_stall: OnStall,
    pub(super) streams: Option<[Stream; 3]>,
    pub(super) restart_dir: Option<PathBuf>,
    pub(super) newer_than: u64,
    pub(super) turn: Arc<AtomicBool>,
}

impl<'s> Attempts<'s> {
    /// The attempts at the job whose state is in `dir`, which is made if it is not there.
    ///
    /// What a crash left of earlier ones is cleared away: half-made sets, processes that still
    /// run, raw images. Processes on other hosts are ended before the next attempt begins, by the
    /// [launcher](Self::launcher). The directory may have been moved meanwhile. A copy of it is a job of its
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
            diagnostics: Some(dir.join("diagnostics")),
            dir,
            tools: None,
            interval: Interval::Never,
            seal_limit: Duration::from_secs(3600),
            silence_limit: Duration::from_secs(120),
            access: Access::default(),
            restart_limit: None,
            tries: 3,
            any_host: false,
            any_release: false,
            hosts: Hosts::new(),
            interrupt: Arc::default(),
            on_stall: OnStall::default(),
            streams: None,
            restart_dir: None,
            newer_than: 0,
            turn: Arc::default(),
        })
    }

    /// Writes down what can be seen of an attempt as it is now, for `reason`: the files that a failed
    /// try of a restart leaves, too (see [`diagnostics`](Self::diagnostics)). Gives the new directory
    /// that holds them, or `None` where nothing shall be written.
    ///
    /// # Errors
    ///
    /// [`AttemptError::Io`].
    pub fn diagnose(
        &self,
        attempt: &Attempt,
        reason: &str,
    ) -> Result<Option<PathBuf>, AttemptError> {
        let Some(dir) = self.diagnostics_dir() else {
            return Ok(None);
        };
        let bundle = Bundle {
            attempt,
            set: None,
            reason,
            timeline: std::iter::empty(),
            tools: self.tools.as_ref(),
        };
        let written = bundle.write(dir).map_err(|failed| AttemptError::Io {
            action: failed.action,
            path: failed.path,
            source: failed.source,
        })?;
        Ok(Some(written))
    }

    pub(super) fn diagnostics_dir(&self) -> Option<&Path> {
        self.diagnostics.as_deref()
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
        let placed = programs.into_iter().map(|program| {
            let (host, program) = program.placed();
            let place = host.map(|host| self.hosts.named(&host)).transpose()?;
            Ok((place.flatten(), program))
        });
        let placed: Vec<(Place, Program)> = placed.collect::<Result<_, AttemptError>>()?;
        // Before any of them does something. Files of other hosts are not seen here.
        for (place, program) in &placed {
            if let (None, Program::Dmtcp(launch)) = (place, program) {
                launch.check_program()?;
            }
        }
        let is_dmtcp = |(_, program): &(Place, Program)| matches!(program, Program::Dmtcp(_));
        let dmtcp = placed.iter().any(is_dmtcp);
        let far = distinct(placed.iter().map(|(place, _)| place));
        let mut attempt = self.prepare(None, launches, far, dmtcp)?;
        match placed
            .into_iter()
            .try_for_each(|(place, program)| self.launch(place, program, &mut attempt))
        {
            Ok(()) => Ok(attempt),
            Err(error) => {
                attempt.kill()?;
                Err(error)
            }
        }
    }

    fn launch(
        &self,
        place: Place,
        program: Program,
        attempt: &mut Attempt,
    ) -> Result<(), AttemptError> {
        let child = match program {
            Program::Dmtcp(launch) => {
                let launch = launch
                    .join(attempt.coordinator_from(place.as_deref())?)
                    .checkpoint_dir(attempt.images_dir())
                    .tmpdir(attempt.tmp_dir());
                let command = attempt.send(place.as_deref(), launch.to_command()?)?;
                launch.spawn_command(command)?
            }
            Program::Native(mut command) => {
                let options = self.native_options(attempt, place.as_deref())?;
                options.to_env(&mut command);
                spawn_native(command, None, attempt, place.as_deref())?
            }
            Program::OnHost { program, .. } => return self.launch(place, *program, attempt),
        };
        attempt.add(child, place);
        Ok(())
    }

    pub(super) fn tools_for_dmtcp(&self) -> Result<&Tools, AttemptError> {
        self.tools.as_ref().ok_or(AttemptError::NoTools)
    }

    /// What a native worker has to know. Beside DMTCP it speaks the release's dialect.
    pub(super) fn native_options(
        &self,
        attempt: &Attempt,
        place: Option<&OsStr>,
    ) -> Result<native::Options, AttemptError> {
        let dialect = match &self.tools {
            Some(tools) => tools.dialect()?,
            None => Dialect::V5,
        };
        let coordinator = attempt.coordinator_from(place)?;
        Ok(native::Options::new(coordinator, dialect).checkpoint_dir(attempt.images_dir()))
    }

    /// A coordinator and a place to work for one more attempt, without processes. The hosts `far`
    /// can be used then, also by the programs of DMTCP if that is wanted.
    pub(super) fn prepare(
        &self,
        parent: Option<(u64, SetHold)>,
        launches: u32,
        far: Vec<OsString>,
        dmtcp: bool,
    ) -> Result<Attempt, AttemptError> {
        let turn = Turn::take(&self.turn).ok_or(AttemptError::StillRunning)?;
        leftover::clear_hosts(&attempts_dir(&self.dir), &self.hosts)?;
        let dir = AttemptDir::create(&attempts_dir(&self.dir))?;
        let tmp = ComputationTmp::create()?;
        let note = leftover::note(dir.path(), &tmp, &far)?;
        let fingerprints = Arc::new(Mutex::new(Vec::new()));
        let abandoned = Arc::default();
        let (parent, origin) = parent.unzip();
        // A set without its release is better than none.
        let release = self.tools.as_ref().and_then(|tools| tools.version().ok());
        let dmtcp_release = release.map(|release| release.text);
        let sealer = Seals {
            store: Arc::clone(&self.store),
            images: dir.images(),
            parent,
            origin,
            dmtcp: dmtcp_release,
            hosts: Arc::clone(&fingerprints),
            limit: self.seal_limit,
            abandoned: Arc::clone(&abandoned),
            follower: None,
        };
        let mut coordinator = CoordinatorConfig::default()
            .interval(self.interval)
            .launches(launches);
        if let Some(ip) = self.hosts.advertised_ip() {
            coordinator.advertised_ip = ip;
        }
        let config = ComputationConfig::default()
            .addr(self.hosts.listen)
            .access(self.access.clone())
            .silence_limit(self.silence_limit)
            .max_events(MAX_EVENTS)
            .coordinator(coordinator)
            .sealer(sealer);
        for host in &far {
            // Before anybody is asked there.
            self.hosts.coordinator_from(Some(host), self.hosts.listen)?;
        }
        let tools = dmtcp.then(|| self.tools_for_dmtcp()).transpose()?;
        let probed = self.hosts.probe(&far, tmp.path(), &note, tools)?;
        let opened = self.server.open(config).inspect_err(|_| {
            // Nothing runs there; this is of what the look has made.
            drop(self.hosts.clean(&far, tmp.path()));
        });
        let computation = opened?;
        let guard = StallGuard::start(computation.clone(), self.on_stall, dir.images());
        let guard = guard.map_err(|source| ServerError::Start { source })?;
        let found = probed.values().map(|probed| probed.fingerprint.clone());
        fingerprints
            .lock()
            .unwrap_or_else(|error| error.into_inner())
            .extend(found);
        Ok(Attempt::new(Parts {
            guard,
            computation,
            dir,
            tmp,
            abandoned,
            hosts: self.hosts.clone(),
            far: probed,
            _turn: turn,
        }))
    }
}

/// As many as thousands of processes tell when they all end at the same time: how they did decides
/// what comes next.
const MAX_EVENTS: usize = 1 << 16;

/// With the streams of the command, or with these in place of them.
pub(super) fn spawn_native(
    mut command: Command,
    streams: Option<&[Stream; 3]>,
    attempt: &Attempt,
    place: Option<&OsStr>,
) -> Result<Child, AttemptError> {
    // The mark by which what a crash leaves is found.
    command.env("DMTCP_TMPDIR", attempt.tmp_dir());
    let mut sent = attempt.send(place, command)?;
    if let Some([stdin, stdout, stderr]) = streams {
        return Ok(Child::spawn_clean(sent, [stdin, stdout, stderr])?);
    }
    if place.is_some() {
        sent.stdin(Stdio::null());
    }
    Ok(Child::spawn(sent)?)
}

/// Every host but this one, once.
pub(super) fn distinct<'a>(places: impl Iterator<Item = &'a Place>) -> Vec<OsString> {
    let hosts: BTreeSet<&OsString> = places.flatten().collect();
    hosts.into_iter().cloned().collect()
}
