//! The life of a coordinator that is a program of its own, from its start to its exit code.

use super::error::StandaloneError;
use super::files::{PortFile, StatusFile};
use super::key_values;
use super::news::News;
use super::script::{ScriptSealer, Told};
use crate::server::{
    Access, Computation, ComputationConfig, ComputationEvent, Event, MetricsEndpoint, ReportFiles,
    Reports, Server, ServerError,
};
use crate::{durable, identity, with_causes};
use dmtcp_proto::{CoordinatorConfig, Dialect, Interval};
use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// What is decided at the start.
#[derive(Debug)]
#[non_exhaustive]
pub struct StandaloneConfig {
    /// Where to listen. Default: 127.0.0.1:7779.
    pub addr: SocketAddr,
    /// A socket that listens already; then [`addr`](Self::addr) does not count. Default: none.
    pub listener: Option<TcpListener>,
    /// Who may connect. Default: this process's user and root on this host.
    pub access: Access,
    /// Periodic checkpoints. Default: never.
    pub interval: Interval,
    /// What processes are assumed to speak until it is known
    /// ([`CoordinatorConfig::assumed`]). Default: none.
    pub assumed: Option<Dialect>,
    /// Processes exit behind every checkpoint. Default: no.
    pub kill_after_checkpoint: bool,
    /// It ends with its last process. Default: no.
    pub exit_on_last: bool,
    /// It ends after this time, whoever runs. Default: never.
    pub timeout: Option<Duration>,
    /// It ends after this time without processes. Default: 8 hours.
    pub stale_timeout: Option<Duration>,
    /// How long processes run undisturbed behind a checkpoint or restart
    /// ([`CoordinatorConfig::settle_time`]). Default: 200 ms.
    pub settle_time: Duration,
    /// Directory of the restart script. Default: the working directory.
    pub script_dir: PathBuf,
    /// The `dmtcp_restart` that the script starts. Default: the one in its `PATH`.
    pub restart_command: OsString,
    /// File for the number of the port, removed in the end. Default: none.
    pub port_file: Option<PathBuf>,
    /// File for host, port, pid, interval. Default: none.
    pub status_file: Option<PathBuf>,
    /// Directory for files with all of the key-value store: a new one behind each complete checkpoint
    /// and restart, and one in the end. Default: none.
    pub key_values_dir: Option<PathBuf>,
    /// Files with a trace of the last 32 rounds, and with metrics. Default: none.
    pub reports: ReportFiles,
    /// Where metrics are served over HTTP ([`MetricsEndpoint`]). Default: nowhere.
    pub metrics_addr: Option<SocketAddr>,
}

impl Default for StandaloneConfig {
    fn default() -> Self {
        Self {
            addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 7779)),
            listener: None,
            access: Access::default(),
            interval: Interval::Never,
            assumed: None,
            kill_after_checkpoint: false,
            exit_on_last: false,
            timeout: None,
            stale_timeout: Some(Duration::from_secs(8 * 3600)),
            settle_time: CoordinatorConfig::default().settle_time,
            script_dir: PathBuf::from("."),
            restart_command: OsString::from("dmtcp_restart"),
            port_file: None,
            status_file: None,
            key_values_dir: None,
            reports: ReportFiles::default(),
            metrics_addr: None,
        }
    }
}

/// What a running coordinator is told.
#[derive(Debug)]
#[non_exhaustive]
pub enum Input {
    /// Something happened in its computation.
    Event(ComputationEvent),
    /// Its computation has ended: it was told over the wire to quit, or by
    /// [`Computation::quit`].
    Closed,
    /// End, and let all processes exit.
    Quit,
    /// A file of [`StandaloneConfig::reports`] could not be written; why.
    ReportNotWritten(String),
}

/// Why it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// It was told to.
    Quit,
    /// With its last process ([`StandaloneConfig::exit_on_last`]).
    LastLeft,
    /// [`StandaloneConfig::timeout`]
    TimedOut,
    /// [`StandaloneConfig::stale_timeout`]
    Stale,
}

impl Ending {
    /// What `dmtcp_coordinator` exits with.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Quit | Self::LastLeft => 0,
            Self::TimedOut | Self::Stale => 1,
        }
    }

    /// In words.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Quit => "told to quit",
            Self::LastLeft => "the last process has left",
            Self::TimedOut => "the time that it was given is over",
            Self::Stale => "there were no processes for too long",
        }
    }
}

/// A coordinator of its own, listening.
#[derive(Debug)]
pub struct Standalone {
    server: Server,
    computation: Arc<Computation>,
    inputs: Receiver<Input>,
    input: Sender<Input>,
    exit_on_last: bool,
    ends_at: Option<Instant>,
    stale_timeout: Option<Duration>,
    /// Removed with it.
    _port_file: Option<PortFile>,
    status_file: Option<StatusFile>,
    key_values_dir: Option<PathBuf>,
    reports: Reports,
    /// Ended with it.
    _metrics: Option<MetricsEndpoint>,
}

impl Standalone {
    /// Listens and writes its files.
    ///
    /// # Errors
    /// [`StandaloneError`].
    pub fn start(config: StandaloneConfig) -> Result<Self, StandaloneError> {
        let now = Instant::now();
        let server = Server::start()?;
        let interval = config.interval;
        let told = Arc::new(Mutex::new(Told { port: 0, interval }));
        let sealer = ScriptSealer::told_later(&config.script_dir, &config.restart_command, &told);
        let mut core = CoordinatorConfig::default()
            .interval(interval)
            .settle_time(config.settle_time);
        core.kill_after_checkpoint = config.kill_after_checkpoint;
        core.assumed = config.assumed;
        let opening = ComputationConfig::default()
            .addr(config.addr)
            .access(config.access)
            .coordinator(core)
            .timelines(match config.reports.trace {
                Some(_) => TRACED_ROUNDS,
                None => 0,
            })
            .sealer(sealer);
        let computation = match config.listener {
            Some(listener) => server.open_on(listener, opening)?,
            None => server.open(opening)?,
        };
        told.lock().unwrap_or_else(|e| e.into_inner()).port = computation.port();
        let status_file = match &config.status_file {
            Some(path) => {
                let host = identity::host_name().unwrap_or_default();
                let host = host.to_string_lossy();
                let addr = computation.addr();
                Some(StatusFile::write(path, &host, addr, interval)?)
            }
            None => None,
        };
        let port_file = config.port_file.as_deref();
        let port_file = port_file.map(|path| PortFile::write(path, computation.port()));
        let (input, inputs) = mpsc::channel();
        forward(&computation, &input)?;
        let told = input.clone();
        let reports = Reports::start(&computation, config.reports, move |error| {
            // Nobody is there to be told if it has ended meanwhile.
            let _ = told.send(Input::ReportNotWritten(with_causes(error)));
        });
        let reports = reports.map_err(durable::failed("start a thread for", "reports".as_ref()))?;
        let asked = computation.clone();
        let serve =
            |addr| MetricsEndpoint::start(addr, move || asked.metrics().into_iter().collect());
        let metrics = config
            .metrics_addr
            .map(|addr| serve(addr).map_err(|source| ServerError::Listen { addr, source }));
        Ok(Self {
            server,
            computation: Arc::new(computation),
            inputs,
            input,
            exit_on_last: config.exit_on_last,
            ends_at: config.timeout.and_then(|limit| now.checked_add(limit)),
            stale_timeout: config.stale_timeout,
            _port_file: port_file.transpose()?,
            status_file,
            key_values_dir: config.key_values_dir,
            reports,
            _metrics: metrics.transpose()?,
        })
    }

    /// Its computation, for whoever asks it in this process.
    #[must_use]
    pub fn computation(&self) -> &Arc<Computation> {
        &self.computation
    }

    /// The way to tell it something, from any thread.
    #[must_use]
    pub fn input(&self) -> Sender<Input> {
        self.input.clone()
    }

    /// Serves until it ends; what happens is told as it comes.
    pub fn run(self, mut told: impl FnMut(&News<'_>)) -> Ending {
        let mut idle_since = Some(Instant::now());
        let mut last = LastProcess::default();
        let ending = loop {
            let idle_ends = idle_since
                .zip(self.stale_timeout)
                .and_then(|(since, limit)| since.checked_add(limit));
            let next = self.ends_at.into_iter().chain(idle_ends).min();
            let input = match next {
                Some(next) => {
                    let left = next.saturating_duration_since(Instant::now());
                    self.inputs.recv_timeout(left)
                }
                None => self.inputs.recv().map_err(RecvTimeoutError::from),
            };
            match input {
                Ok(Input::Event(event)) => {
                    told(&News::Event(&event));
                    self.reports.note(&event);
                    if let ComputationEvent::Coordinator(
                        Event::CheckpointComplete { .. } | Event::RestartComplete { .. },
                    ) = event
                    {
                        self.write_key_values(&mut told);
                    }
                    let is_empty = self.becomes_empty(&event);
                    last.note(&event, is_empty);
                    if self.exit_on_last && last.is_over() {
                        break Ending::LastLeft;
                    }
                    match event {
                        _ if is_empty => idle_since = Some(Instant::now()),
                        ComputationEvent::Coordinator(
                            Event::WorkerJoined(_) | Event::RestartStarted { .. },
                        ) => idle_since = None,
                        _ => {}
                    }
                }
                Ok(Input::ReportNotWritten(error)) => told(&News::ReportNotWritten(&error)),
                Ok(Input::Quit | Input::Closed) | Err(RecvTimeoutError::Disconnected) => {
                    break Ending::Quit;
                }
                Err(RecvTimeoutError::Timeout) => {
                    let now = Instant::now();
                    if self.ends_at.is_some_and(|end| end <= now) {
                        break Ending::TimedOut;
                    }
                    // An event that was lost may have said that somebody came.
                    match self.computation.status() {
                        Ok(status) if status.peers > 0 => idle_since = None,
                        _ => break Ending::Stale,
                    }
                }
            }
        };
        self.end(ending, &mut told);
        ending
    }

    fn becomes_empty(&self, event: &ComputationEvent) -> bool {
        match event {
            ComputationEvent::Coordinator(Event::ComputationEnded { .. }) => true,
            // That may have been among those that were lost.
            ComputationEvent::Lagged(_) => self
                .computation
                .status()
                .is_ok_and(|status| status.peers == 0),
            _ => false,
        }
    }

    fn write_key_values(&self, told: &mut impl FnMut(&News<'_>)) {
        let Some(dir) = &self.key_values_dir else {
            return;
        };
        let values = self.computation.key_values();
        let written = values
            .map_err(StandaloneError::from)
            .and_then(|values| Ok(key_values::write(dir, &values)?));
        match written {
            Ok(path) => told(&News::KeyValuesWritten(&path)),
            Err(error) => told(&News::KeyValuesNotWritten(&error)),
        }
    }

    fn end(self, ending: Ending, told: &mut impl FnMut(&News<'_>)) {
        // What does not end in time ends with the process.
        let _ = match ending {
            Ending::Quit => self.computation.quit(FAREWELL),
            _ => self.computation.close(FAREWELL),
        };
        self.write_key_values(told);
        drop(self.reports);
        let _ = self.server.shutdown(FAREWELL);
        if let Some(file) = self.status_file {
            // The process ends; who reads the file sees that its pid is gone.
            let _ = file.ended(ending.reason());
        }
    }
}

/// When the last process has left, and nothing of its is still to be done.
#[derive(Debug, Default)]
struct LastProcess {
    has_left: bool,
    /// Images are looked at: those of processes that exit behind a checkpoint outlive them, and whoever
    /// has asked for it is not answered before.
    seals: bool,
}

impl LastProcess {
    fn note(&mut self, event: &ComputationEvent, is_empty: bool) {
        match event {
            ComputationEvent::Coordinator(Event::ImagesReported { .. }) => self.seals = true,
            ComputationEvent::Coordinator(
                Event::CheckpointComplete { .. } | Event::CheckpointFailed { .. },
            )
            // The end of it may have been among those that were lost.
            | ComputationEvent::Lagged(_) => self.seals = false,
            ComputationEvent::Coordinator(
                Event::WorkerJoined(_) | Event::RestartStarted { .. },
            ) => self.has_left = false,
            _ => {}
        }
        self.has_left |= is_empty;
    }

    fn is_over(&self) -> bool {
        self.has_left && !self.seals
    }
}

/// Hands on what happens, until the computation ends.
fn forward(computation: &Computation, input: &Sender<Input>) -> Result<(), StandaloneError> {
    let (events, input) = (computation.events(), input.clone());
    thread::Builder::new()
        .name("dmtcp-events".to_owned())
        .spawn(move || {
            let told = events
                .into_iter()
                .all(|event| input.send(Input::Event(event)).is_ok());
            if told {
                // Nobody is there to be told if it has ended meanwhile.
                let _ = input.send(Input::Closed);
            }
        })
        .map_err(durable::failed("start a thread for", "events".as_ref()))?;
    Ok(())
}

/// Of a computation of a thousand processes, some 10 MB.
const TRACED_ROUNDS: usize = 32;
/// For processes that are told to exit, and for the script that is being written.
const FAREWELL: Duration = Duration::from_secs(20);
