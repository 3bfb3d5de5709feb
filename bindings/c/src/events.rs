//! `dmtcp_event` and `dmtcp_subscription`: news of a computation or a job, by callback.

use std::ffi::c_char;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dmtcp_client::server::{ComputationEvent, Event as Core, Events};
use dmtcp_client::standalone::in_words;

use crate::arguments::millis;
use crate::boundary::{c_string, contain};
use crate::codes::ResultCode;
use crate::failure::Failure;
use crate::ffi::{Listener, Owned, growing};

/// What happened to a computation.
#[expect(non_camel_case_types, reason = "the names are those of the header")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
#[non_exhaustive]
pub enum EventKind {
    /// Something that this release has no number for; the text says it.
    DMTCP_EVENT_OTHER = 0,
    /// A process was accepted.
    DMTCP_EVENT_WORKER_JOINED = 1,
    /// A process told its final identity: after its start, a fork or an exec.
    DMTCP_EVENT_WORKER_UPDATED = 2,
    /// A process ended or lost its connection.
    DMTCP_EVENT_WORKER_LEFT = 3,
    /// The last process left; the computation is over, and another may begin.
    DMTCP_EVENT_COMPUTATION_ENDED = 4,
    /// A round has begun.
    DMTCP_EVENT_CHECKPOINT_STARTED = 10,
    /// All workers reached a barrier and were released.
    DMTCP_EVENT_BARRIER_RELEASED = 11,
    /// Every worker has reported its image.
    DMTCP_EVENT_IMAGES_REPORTED = 12,
    /// The images became a set.
    DMTCP_EVENT_SET_SEALED = 13,
    /// The round is complete, and sealed if sets are kept.
    DMTCP_EVENT_CHECKPOINT_COMPLETE = 14,
    /// The round ended without a complete set.
    DMTCP_EVENT_CHECKPOINT_FAILED = 15,
    /// All workers run again after a checkpoint.
    DMTCP_EVENT_RESUMED = 16,
    /// Workers hold a round or a restart up.
    DMTCP_EVENT_STALLED = 17,
    /// A restart has begun.
    DMTCP_EVENT_RESTART_STARTED = 20,
    /// All processes of a restart run.
    DMTCP_EVENT_RESTART_COMPLETE = 21,
    /// All workers are told to exit.
    DMTCP_EVENT_KILLING = 30,
    /// Somebody asked over the wire to end this coordinator.
    DMTCP_EVENT_QUIT_REQUESTED = 31,
    /// A peer was turned away, cut off, or could not be freed; the text says which and why.
    DMTCP_EVENT_PEER_TROUBLE = 40,
    /// Earlier events were dropped because the callback was too slow.
    DMTCP_EVENT_LAGGED = 50,
    /// The computation is closed: no more events come.
    DMTCP_EVENT_END = 99,
}

/// An [`EventKind`] as a number.
///
/// cbindgen:no-export
pub type EventKindNumber = i32;

/// Something that happened to a computation. It lives during the call of the callback.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
#[non_exhaustive]
pub struct Event {
    /// sizeof(dmtcp_event) as this library knows it.
    pub size: usize,
    /// Rises by one with each event of the computation; where one is missing, it was dropped.
    pub sequence: u64,
    /// The time of day then, in milliseconds since 1970.
    pub unix_ms: u64,
    /// Number of the round, where it is about one; else 0.
    pub round: u64,
    /// Number of the set, of DMTCP_EVENT_SET_SEALED; else 0.
    pub set: u64,
    /// For people.
    pub text: *const c_char,
    /// What happened.
    pub kind: EventKindNumber,
    /// Workers that it is about, where it tells how many; else 0.
    pub peers: u32,
    /// Pid of the worker on its host, where it is about one; else 0.
    pub real_pid: i32,
    /// Generation of the computation, where it tells it; else 0.
    pub generation: u32,
}

growing!(Event, oldest = generation);

/// A callback that is called until this is freed.
pub struct Subscription {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Ends the calls. When this returns, the callback is not running and will not be called again; from
/// within the callback itself, it is not called again after it returns.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_subscription_free(subscription: Owned<Subscription>) {
    contain((), || drop(subscription.take()));
}

impl Subscription {
    pub(crate) fn to_computation(
        events: Events,
        listener: Listener<Event>,
    ) -> Result<Self, Failure> {
        let mut last = 0;
        Self::start(listener, move |listener, limit| {
            let (known, text) = match events.recv_stamped(limit) {
                Ok(stamped) => {
                    let text = in_words(&stamped.event);
                    let text = text.map_or_else(|| debug_text(&stamped.event), |(_, text)| text);
                    last = stamped.sequence;
                    let mut event = describe(&stamped.event);
                    event.unix_ms = unix_ms(stamped.time);
                    (event, text)
                }
                Err(RecvTimeoutError::Timeout) => return true,
                Err(RecvTimeoutError::Disconnected) => {
                    last += 1;
                    let mut event = Event::of(EventKind::DMTCP_EVENT_END);
                    event.unix_ms = unix_ms(SystemTime::now());
                    (event, "the computation is closed".to_owned())
                }
            };
            let text = c_string(&text);
            let is_end = known.kind == EventKind::DMTCP_EVENT_END as i32;
            listener.tell(&Event {
                sequence: last,
                text: text.as_ptr(),
                ..known
            });
            !is_end
        })
    }

    /// Calls `next` again and again, until it says `false` or this is dropped. It may wait so long.
    pub(crate) fn start<E: 'static>(
        listener: Listener<E>,
        mut next: impl FnMut(&Listener<E>, Duration) -> bool + Send + 'static,
    ) -> Result<Self, Failure> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::Builder::new()
            .name("dmtcp-events".to_owned())
            .spawn(move || {
                contain((), move || {
                    while !stopped.load(Ordering::Acquire) && next(&listener, LOOK) {}
                });
            })
            .map_err(|error| Failure {
                code: ResultCode::DMTCP_ERR_START,
                message: format!("cannot start a thread for events: {error}"),
            })?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        let Some(thread) = self.thread.take() else {
            return;
        };
        // A callback that frees its own subscription cannot wait for itself.
        if thread.thread().id() != thread::current().id() {
            // It contains its panics.
            drop(thread.join());
        }
    }
}

impl Event {
    fn of(kind: EventKind) -> Self {
        Self {
            size: size_of::<Self>(),
            sequence: 0,
            unix_ms: 0,
            round: 0,
            set: 0,
            text: std::ptr::null(),
            kind: kind as i32,
            peers: 0,
            real_pid: 0,
            generation: 0,
        }
    }
}

fn describe(event: &ComputationEvent) -> Event {
    use EventKind as K;
    match event {
        ComputationEvent::Coordinator(event) => describe_core(event),
        ComputationEvent::SetSealed { round, set, .. } => Event {
            round: *round,
            set: set.sequence,
            ..Event::of(K::DMTCP_EVENT_SET_SEALED)
        },
        ComputationEvent::Stalled(_) => Event::of(K::DMTCP_EVENT_STALLED),
        ComputationEvent::PeerRefused { .. } | ComputationEvent::PeerNotReading { .. } => {
            Event::of(K::DMTCP_EVENT_PEER_TROUBLE)
        }
        ComputationEvent::ProcessKilled(worker)
        | ComputationEvent::ProcessSpared { worker, .. } => Event {
            real_pid: worker.real_pid,
            ..Event::of(K::DMTCP_EVENT_PEER_TROUBLE)
        },
        ComputationEvent::Lagged(_) => Event::of(K::DMTCP_EVENT_LAGGED),
        _ => Event::of(K::DMTCP_EVENT_OTHER),
    }
}

fn describe_core(event: &Core) -> Event {
    use EventKind as K;
    match event {
        Core::WorkerJoined(worker) => of_worker(K::DMTCP_EVENT_WORKER_JOINED, worker.real_pid),
        Core::WorkerUpdated(worker) => of_worker(K::DMTCP_EVENT_WORKER_UPDATED, worker.real_pid),
        Core::WorkerLeft(worker) => of_worker(K::DMTCP_EVENT_WORKER_LEFT, worker.real_pid),
        Core::ComputationEnded { .. } => Event::of(K::DMTCP_EVENT_COMPUTATION_ENDED),
        Core::Refused { .. }
        | Core::TooManyWorkers { .. }
        | Core::PeerMisbehaved { .. }
        | Core::PeerSilent { .. } => Event::of(K::DMTCP_EVENT_PEER_TROUBLE),
        Core::CheckpointStarted {
            round,
            generation,
            workers,
        } => Event {
            round: *round,
            generation: *generation,
            peers: *workers,
            ..Event::of(K::DMTCP_EVENT_CHECKPOINT_STARTED)
        },
        Core::BarrierReleased { peers, .. } => of_peers(K::DMTCP_EVENT_BARRIER_RELEASED, *peers),
        Core::ImagesReported { round } => Event {
            round: *round,
            ..Event::of(K::DMTCP_EVENT_IMAGES_REPORTED)
        },
        Core::CheckpointComplete {
            round,
            generation,
            images,
        } => Event {
            round: *round,
            generation: *generation,
            peers: u32::try_from(images.len()).unwrap_or(u32::MAX),
            ..Event::of(K::DMTCP_EVENT_CHECKPOINT_COMPLETE)
        },
        Core::CheckpointFailed {
            round, generation, ..
        } => Event {
            round: *round,
            generation: *generation,
            ..Event::of(K::DMTCP_EVENT_CHECKPOINT_FAILED)
        },
        Core::Resumed => Event::of(K::DMTCP_EVENT_RESUMED),
        Core::RestartStarted { expected, .. } => {
            of_peers(K::DMTCP_EVENT_RESTART_STARTED, *expected)
        }
        Core::RestartComplete { peers } => of_peers(K::DMTCP_EVENT_RESTART_COMPLETE, *peers),
        Core::Killing { workers } => of_peers(K::DMTCP_EVENT_KILLING, *workers),
        Core::QuitRequested => Event::of(K::DMTCP_EVENT_QUIT_REQUESTED),
        _ => Event::of(K::DMTCP_EVENT_OTHER),
    }
}

fn of_worker(kind: EventKind, real_pid: i32) -> Event {
    Event {
        real_pid,
        ..Event::of(kind)
    }
}

fn of_peers(kind: EventKind, peers: u32) -> Event {
    Event {
        peers,
        ..Event::of(kind)
    }
}

/// For those that are too small for a log.
fn debug_text(event: &ComputationEvent) -> String {
    match event {
        ComputationEvent::Coordinator(Core::BarrierReleased { name, peers }) => {
            format!("{peers} workers passed the barrier {name}")
        }
        ComputationEvent::Coordinator(event) => format!("{event:?}"),
        event => format!("{event:?}"),
    }
}

pub(crate) fn unix_ms(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, millis)
}

/// How long a wait for news may take until somebody looks whether they are still wanted.
const LOOK: Duration = Duration::from_millis(50);
