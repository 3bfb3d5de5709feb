//! What the embedding program decides once per computation.

use core::time::Duration;

use crate::dialect::Dialect;
use crate::ids::UniquePid;
use crate::interval::Interval;
use crate::wire::Limits;

/// Configuration of a [`CoordinatorCore`](super::CoordinatorCore).
///
/// ```
/// use dmtcp_proto::{CoordinatorConfig, Interval};
/// use std::time::Duration;
/// let config = CoordinatorConfig::default().interval(Interval::Every(Duration::from_secs(600)));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CoordinatorConfig {
    /// The coordinator's own identity; its `time` is also the base of the computation's time
    /// stamp. Default: null, with a warning in the driver's hands: two coordinators that share a
    /// `DMTCP_TMPDIR` need different ones.
    pub identity: UniquePid,
    /// Periodic checkpoints. Default: never.
    pub interval: Interval,
    /// Programs that are being launched: until so many have joined, the computation does not count
    /// as running and no round begins, whoever asks. Otherwise a set could lack those that are
    /// still on their way. Children and restored processes do not count. Default: 0.
    pub launches: u32,
    /// Workers exit behind every checkpoint. Default: no.
    pub kill_after_checkpoint: bool,
    /// Whether a round waits for [`Input::Sealed`](super::Input::Sealed) before anybody is told
    /// that it is complete. Default: yes. Turn it off only where nothing is kept on disk.
    pub seal: bool,
    /// What workers speak that have said nothing yet by which their dialect is told, when something
    /// has to be sent to them: the releases from 3.0 on begin in the same way. Real workers tell
    /// it with the next message after their first. Default: none; then a checkpoint has to wait for
    /// it, and a kill cuts them off.
    pub assumed: Option<Dialect>,
    /// IPv4 address that workers on this host publish to their peers. Default: 127.0.0.1.
    pub advertised_ip: [u8; 4],
    /// How much one peer may make us hold.
    pub limits: Limits,
    /// How much the key-value store may hold, in bytes. Default: 256 MiB.
    pub max_store: usize,
    /// A new connection must have sent its first message within this time. Default: 10 s.
    pub hello_timeout: Duration,
    /// After a kill, a worker that is still connected is cut off after this time. Default: 5 s.
    pub kill_timeout: Duration,
    /// A round in which no worker reaches its next step for this long has failed, and its
    /// survivors are killed. Default: none, since a large image may take hours; calls have
    /// deadlines of their own.
    pub stall_timeout: Option<Duration>,
    /// How long workers run undisturbed after a checkpoint or restart; an order that is asked for
    /// sooner goes out then. Default: 200 ms. A stock worker says that it runs while its threads
    /// are still waking up: told to checkpoint at once, the development head aborted and 4.2.0
    /// hung, in about one of a hundred rounds on a loaded machine; with the pause, in none of 75.
    pub settle_time: Duration,
    /// The most connections at once. Default: 65,536.
    pub max_connections: usize,
    /// Whether every worker's [steps](super::Output::Step) are told. Default: no.
    pub steps: bool,
}

impl Default for CoordinatorConfig {
    fn default() -> Self {
        Self {
            identity: UniquePid::NULL,
            interval: Interval::Never,
            launches: 0,
            kill_after_checkpoint: false,
            seal: true,
            assumed: None,
            advertised_ip: [127, 0, 0, 1],
            limits: Limits::default(),
            max_store: 256 << 20,
            hello_timeout: Duration::from_secs(10),
            kill_timeout: Duration::from_secs(5),
            stall_timeout: None,
            settle_time: Duration::from_millis(200),
            max_connections: 1 << 16,
            steps: false,
        }
    }
}

impl CoordinatorConfig {
    /// The same with this identity.
    #[must_use]
    pub fn identity(self, identity: UniquePid) -> Self {
        Self { identity, ..self }
    }

    /// The same with this interval of periodic checkpoints.
    #[must_use]
    pub fn interval(self, interval: Interval) -> Self {
        Self { interval, ..self }
    }

    /// The same for so many programs that are being launched.
    #[must_use]
    pub fn launches(self, launches: u32) -> Self {
        Self { launches, ..self }
    }

    /// The same with or without waiting for seals.
    #[must_use]
    pub fn seal(self, seal: bool) -> Self {
        Self { seal, ..self }
    }

    /// The same with this limit on silence within a round.
    #[must_use]
    pub fn stall_timeout(self, limit: Option<Duration>) -> Self {
        Self {
            stall_timeout: limit,
            ..self
        }
    }

    /// The same with or without telling of every worker's steps.
    #[must_use]
    pub fn steps(self, steps: bool) -> Self {
        Self { steps, ..self }
    }

    /// The same with this pause between rounds.
    #[must_use]
    pub fn settle_time(self, pause: Duration) -> Self {
        Self {
            settle_time: pause,
            ..self
        }
    }
}
