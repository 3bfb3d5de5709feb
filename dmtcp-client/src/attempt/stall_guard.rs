//! Watches the rounds of an attempt on a thread of its own, and does what was decided on stalls.

use std::{
    fs, io,
    os::unix::ffi::OsStrExt as _,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    durable,
    server::{Computation, ServerError, Survivors},
    watch::{Awaited, Seen, Stall, StallWatch},
};

/// What to do about a [stall](crate::watch::Stall) in a checkpoint round. In every case it is told
/// as [`ComputationEvent::Stalled`](crate::server::ComputationEvent::Stalled), again when it lasts
/// twice as long or others are late.
///
/// No more than a report comes of it while a laggard's image grows, or did within the time after
/// which a stall is one; for laggards that cannot be looked into, as on another host, while any image
/// of the attempt does. Nor in a restart, which has [limits of its
/// own](super::Attempts::restart_limit).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StallPolicy {
    /// Nothing.
    #[default]
    Report,
    /// The round ends as failed and the laggards are killed; the others run on, and the next
    /// checkpoint is one of them alone. For processes that do not need each other.
    FailRound,
    /// All processes are killed. The attempt is over: its calls say
    /// [`AttemptError::Stalled`](super::AttemptError::Stalled), and whoever owns it drops it and calls
    /// [`Attempts::restart`](super::Attempts::restart), which goes on from the last set. It does not
    /// replace itself: only its owner knows who else holds on to it.
    Restart,
}

/// When a stall is one, and what follows.
#[derive(Clone, Copy, Debug)]
pub(super) struct OnStall {
    pub(super) policy: StallPolicy,
    pub(super) after: Duration,
}

impl Default for OnStall {
    fn default() -> Self {
        Self {
            policy: StallPolicy::Report,
            after: Duration::from_secs(60),
        }
    }
}

/// The thread; it ends when this goes.
#[derive(Debug)]
pub(super) struct StallGuard {
    _alive: mpsc::Sender<std::convert::Infallible>,
    ended_by: Arc<Mutex<Option<Stall>>>,
}

impl StallGuard {
    /// `images`: where the processes of all hosts write.
    pub(super) fn start(
        computation: Computation,
        on_stall: OnStall,
        images: PathBuf,
    ) -> io::Result<Self> {
        let (alive, ended) = mpsc::channel();
        let ended_by = Arc::new(Mutex::new(None));
        let mut patrol = Patrol {
            watch: StallWatch::new(on_stall.after),
            computation,
            on_stall,
            told: None,
            grew: None,
            growth: Growth::of(images),
            ended_by: Arc::clone(&ended_by),
        };
        let pause = (on_stall.after / 4).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
        thread::Builder::new()
            .name("stall-guard".to_owned())
            .spawn(move || {
                while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(pause) {
                    match patrol.look() {
                        Ok(()) | Err(ServerError::TimedOut { .. }) => {}
                        // There is nothing to watch any more.
                        Err(_) => break,
                    }
                }
            })?;
        Ok(Self {
            _alive: alive,
            ended_by,
        })
    }

    /// The stall for which all processes were killed.
    pub(super) fn ended_by(&self) -> Option<Stall> {
        let stall = self.ended_by.lock();
        // Nothing panics while it holds the lock.
        stall.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

struct Patrol {
    computation: Computation,
    on_stall: OnStall,
    watch: StallWatch,
    /// The latest stall that was told.
    told: Option<Told>,
    /// When an image of a laggard was last seen to grow.
    grew: Option<Instant>,
    growth: Growth,
    ended_by: Arc<Mutex<Option<Stall>>>,
}

#[derive(Debug)]
struct Told {
    awaited: Awaited,
    laggards: Vec<u64>,
    quiet: Duration,
}

impl Patrol {
    fn look(&mut self) -> Result<(), ServerError> {
        let Some(stall) = self.watch.look(&self.computation)? else {
            self.told = None;
            self.grew = None;
            self.growth.forget();
            return Ok(());
        };
        if is_news(self.told.as_ref(), &stall) {
            self.told = Some(Told {
                awaited: stall.awaited.clone(),
                laggards: numbers(&stall),
                quiet: stall.quiet,
            });
            self.computation.tell_stall(stall.clone());
        }
        let is_hidden = stall.more > 0 || stall.laggards.iter().any(|late| is_hidden(&late.seen));
        let may_grow = self.growth.look() && is_hidden;
        if may_grow || stall.may_progress() {
            self.grew = Some(Instant::now());
        }
        let moves = |grew: Instant| grew.elapsed() < self.on_stall.after;
        if self.grew.is_some_and(moves) || stall.round.is_none() {
            return Ok(());
        }
        match self.on_stall.policy {
            StallPolicy::Report => {}
            StallPolicy::FailRound => {
                self.computation.give_up(&stall, Survivors::RunOn)?;
            }
            StallPolicy::Restart => {
                // Before they end: who sees that they have shall see why.
                let before = self.set_ended_by(Some(stall.clone()));
                let killed = self.computation.give_up(&stall, Survivors::Killed);
                if !killed.as_ref().is_ok_and(|killed| !killed.is_empty()) {
                    self.set_ended_by(before);
                }
                killed?;
            }
        }
        Ok(())
    }

    fn set_ended_by(&self, stall: Option<Stall>) -> Option<Stall> {
        let lock = self.ended_by.lock();
        std::mem::replace(&mut *lock.unwrap_or_else(PoisonError::into_inner), stall)
    }
}

/// Whether it may be writing its image without being seen.
fn is_hidden(seen: &Seen) -> bool {
    !matches!(seen, Seen::Here(_) | Seen::Ended)
}

/// The images that are being written, by their sizes alone.
#[derive(Debug)]
struct Growth {
    dir: PathBuf,
    /// Bytes at the look before.
    before: Option<u64>,
}

impl Growth {
    fn of(dir: PathBuf) -> Self {
        Self { dir, before: None }
    }

    /// The next look is the first.
    fn forget(&mut self) {
        self.before = None;
    }

    /// Whether one has grown since the look before, or is there at the first.
    fn look(&mut self) -> bool {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let is_being_written = |entry: &fs::DirEntry| {
            let name = entry.file_name();
            name.as_bytes().ends_with(durable::TEMP_SUFFIX.as_bytes())
        };
        let sizes = entries
            .filter(is_being_written)
            // Renamed meanwhile: then the sum is another one, too.
            .filter_map(|entry| Some(entry.metadata().ok()?.len()));
        let now = sizes.fold(0, u64::saturating_add);
        let before = self.before.replace(now);
        now != before.unwrap_or(0)
    }
}

/// Whether this is worth telling behind what was told.
fn is_news(told: Option<&Told>, stall: &Stall) -> bool {
    told.is_none_or(|told| {
        told.awaited != stall.awaited
            || told.laggards != numbers(stall)
            || stall.quiet >= told.quiet * 2
    })
}

fn numbers(stall: &Stall) -> Vec<u64> {
    let laggards = stall.laggards.iter();
    laggards.map(|laggard| laggard.worker.number).collect()
}

const SHORTEST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_that_are_written_anywhere_are_seen_to_grow() {
        let dir = tempfile::tempdir().unwrap();
        let mut growth = Growth::of(dir.path().to_owned());
        fs::write(dir.path().join("ckpt_a.dmtcp"), "an old one").unwrap();
        assert!(!growth.look(), "nobody writes");
        let image = dir.path().join("ckpt_b.dmtcp.temp");
        for (text, expected) in [("1", true), ("12", true), ("12", false)] {
            fs::write(&image, text).unwrap();
            assert_eq!(growth.look(), expected, "{text}");
        }
        growth.forget();
        assert!(growth.look(), "it may have grown");
        fs::rename(&image, dir.path().join("ckpt_b.dmtcp")).unwrap();
        assert!(growth.look());
        assert!(!growth.look());
    }
}
