//! What is decided of a job before its attempts: every setting and its default.
//!
//! Not here: what is done with them.

use std::{
    ffi::OsString,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use dmtcp_proto::Interval;

use super::{
    Attempts,
    stall_guard::{OnStall, StallPolicy},
};
use crate::{Tools, process::Stream, remote::HostLauncher, server::Access};

impl Attempts<'_> {
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

    /// Tries sets also with the DMTCP of another release than the one that wrote them. Default: they
    /// are passed over: an image is read by its own release only.
    #[must_use]
    pub fn on_any_release(self) -> Self {
        Self {
            any_release: true,
            ..self
        }
    }

    /// Where the coordinators listen. Default: 127.0.0.1, a free port.
    ///
    /// **Whoever may [connect](Self::access) can kill, checkpoint and join: the protocol knows no
    /// passwords.** Programs on other hosts need an address of this host that they reach: best
    /// the one of a network that only the hosts of the computation are in. With `0.0.0.0` it has
    /// to be said by [`reached_at`](Self::reached_at) which one. A port that is taken is
    /// [`ServerError::Listen`](crate::server::ServerError::Listen) before anything is started.
    #[must_use]
    pub fn listen(mut self, addr: SocketAddr) -> Self {
        self.hosts.listen = addr;
        self
    }

    /// Who may connect there. Default: this process's user and root on this host; hosts on which
    /// something is to run need their [network](Access::network) to be named.
    #[must_use]
    pub fn access(self, access: Access) -> Self {
        Self { access, ..self }
    }

    /// The address of this host that programs on other hosts connect to, on the port of the
    /// coordinator. Default: the one that it [listens](Self::listen) on.
    #[must_use]
    pub fn reached_at(mut self, ip: IpAddr) -> Self {
        self.hosts.reached_at = Some(ip);
        self
    }

    /// How to get to other hosts. Default: none, and then everything runs on this host, wherever a
    /// set was made.
    ///
    /// With one, a process is restarted on the host it ran on, by the name that it reported
    /// (`gethostname`), or where [`on_host`](Self::on_host) moves it. All hosts must see the
    /// directory of this job under the same path, and have the same DMTCP in the same place;
    /// both is looked at before anything is started. See [`remote`](crate::remote).
    #[must_use]
    pub fn launcher(mut self, launcher: impl HostLauncher + 'static) -> Self {
        self.hosts.launcher = Some(Arc::new(launcher));
        self
    }

    /// Processes that ran on host `from`, as the set has it, are restarted on host `to`, by the
    /// name that the [launcher](Self::launcher) knows; this host's own name needs none. Two hosts
    /// can be swapped so. Default: each process goes where it ran.
    #[must_use]
    pub fn on_host(mut self, from: impl Into<OsString>, to: impl Into<OsString>) -> Self {
        self.hosts.move_to(from.into(), to.into());
        self
    }

    /// How long the host of a process may be cut off before the process counts as lost:
    /// [`ComputationConfig::silence_limit`](crate::server::ComputationConfig::silence_limit). Default: two minutes.
    #[must_use]
    pub fn silence_limit(self, limit: Duration) -> Self {
        Self {
            silence_limit: limit,
            ..self
        }
    }

    /// How long a look at another host, and ending what runs there, may take. Default: 30 s.
    #[must_use]
    pub fn host_limit(mut self, limit: Duration) -> Self {
        self.hosts.limit = limit;
        self
    }

    /// The caller answers for it that nothing of this job runs on `host` any more: it has crashed,
    /// was switched off, or is cut off for good. Nothing is ended there then, where otherwise
    /// nothing is started before that was done.
    #[must_use]
    pub fn gone(mut self, host: impl Into<OsString>) -> Self {
        self.hosts.is_gone(host.into());
        self
    }

    /// Where it is written down what was seen of a restart that failed: reason, workers with their
    /// states, what the coordinator told and when, exits, what the system tells of the processes
    /// and of the sockets of the coordinator's port, releases, host and manifest. Each in a
    /// directory of its own, readable by its owner only, of at most some MiB; the last eight are
    /// kept, and [`FailedRestart::diagnostics`](super::FailedRestart::diagnostics) names it.
    /// `None`: it is not. Default: `diagnostics` in the directory of the job.
    #[must_use]
    pub fn diagnostics(self, dir: Option<&Path>) -> Self {
        Self {
            diagnostics: dir.map(Path::to_owned),
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

    /// Input, output and errors of what is restarted. Default: no input, and this program's own
    /// output and errors.
    ///
    /// Programs of DMTCP that wrote to a pipe or terminal of this program write to these after a
    /// restart. What is started afresh has streams of its own.
    #[must_use]
    pub fn restart_streams(self, stdin: Stream, stdout: Stream, stderr: Stream) -> Self {
        Self {
            streams: Some([stdin, stdout, stderr]),
            ..self
        }
    }

    /// The directory in which `dmtcp_restart` is started: where the programs were started that it
    /// restarts. A program of DMTCP that never changed its directory goes on in that of its
    /// `dmtcp_restart`, and relative names mean files there. Default: this program's own.
    #[must_use]
    pub fn restart_in(self, dir: impl Into<PathBuf>) -> Self {
        Self {
            restart_dir: Some(dir.into()),
            ..self
        }
    }

    /// Sets up to this number are not restarted: what they hold was begun again since. Default: 0,
    /// which none has.
    #[must_use]
    pub fn newer_than(self, sequence: u64) -> Self {
        Self {
            newer_than: sequence,
            ..self
        }
    }

    /// The same for an owner that learns of it later.
    pub(crate) fn set_newer_than(&mut self, sequence: u64) {
        self.newer_than = sequence;
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
}
