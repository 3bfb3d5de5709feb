//! The worker: joins, restores, takes part in checkpoints at safe points, finishes.

use dmtcp_proto::{Entry, Finished, Stage, UniquePid, WorkerConfig};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::Error;
use super::leaver::Leaver;
use super::link::Link;
use super::options::Options;
use super::program::{self, Program};
use super::state;
use crate::durable;
use crate::identity;
use crate::image::native::{self, NativeHeader};

/// This process as a worker of a computation. See the [module](super) for what that means.
///
/// Dropping it leaves the computation.
#[derive(Debug)]
pub struct Worker {
    link: Link,
    program: Program,
    image_path: PathBuf,
    barrier_limit: Duration,
    /// What the image held, until the program asks for it.
    restored: Option<(NativeHeader, Vec<u8>)>,
}

/// What happened at a safe point.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SafePoint {
    /// Nothing was asked.
    Nothing,
    /// A checkpoint: all workers have written their images, and this one's is on disk.
    Checkpointed {
        /// Generation of the computation.
        generation: u32,
        /// This worker's image.
        image: PathBuf,
    },
}

impl Worker {
    /// Joins the computation: as a new process, or as the restarted one of an image.
    ///
    /// # Errors
    ///
    /// [`Error::Connect`], [`Error::Rejected`], [`Error::TimedOut`] after the
    /// [join limit](Options::join_limit), [`Error::Image`] for an image that cannot be restarted,
    /// [`Error::File`] for a checkpoint directory that cannot be made.
    pub fn join(options: Options) -> Result<Self, Error> {
        let program = match &options.restart_with {
            Some((program, args)) => Program::current()?.started_by(program, args)?,
            None => Program::current()?,
        };
        let dir = checkpoint_dir(&options.checkpoint_dir)?;
        let restored = options.image.as_deref().map(native::read).transpose()?;
        let entry = match &restored {
            Some((header, _)) => Entry::Restart {
                process: header.process,
                computation: header.computation,
                peers: header.peers,
            },
            None => Entry::New {
                launcher: program.launcher(),
                process_time: identity::fresh_time(),
            },
        };
        let config = WorkerConfig::new(
            program::wire_text(&program.host),
            program::wire_text(program.name()),
            identity::real_pid(),
        )
        .barriers(options.checkpoint_barriers, options.restart_barriers);
        let link = Link::join(
            options.coordinator,
            options.dialect,
            config,
            entry,
            options.join_limit,
        )?;
        if !options.any_user {
            link.check_owner()?;
        }
        // Otherwise the flag stays up: a restart has its state to fetch, and who joins in the
        // middle of a checkpoint has been asked already.
        if link.core().is_running() {
            link.arm()?;
        }
        Ok(Self {
            image_path: program.image_path(&dir, link.core().identity()),
            link,
            program,
            barrier_limit: options.barrier_limit,
            restored,
        })
    }

    /// The state from the image; `None` after a fresh start.
    ///
    /// Waits until all processes of the computation are connected, within the
    /// [barrier limit](Options::barrier_limit) at each barrier or phase.
    ///
    /// # Errors
    ///
    /// [`Error::State`] when the image holds another type of state; [`Error::TimedOut`],
    /// [`Error::Left`]. The worker has left then.
    pub fn restore<S: DeserializeOwned>(&mut self) -> Result<Option<S>, Error> {
        self.restore_as(|header, payload| state::decode(&header.encoding, &payload))
    }

    /// The bytes from the image of a program that uses
    /// [`safe_point_bytes`](Self::safe_point_bytes); otherwise as [`restore`](Self::restore).
    ///
    /// # Errors
    ///
    /// As [`restore`](Self::restore).
    pub fn restore_bytes(&mut self) -> Result<Option<Vec<u8>>, Error> {
        self.restore_bytes_with(Ok)
    }

    /// The same for a program that may not be able to use them: `accept` makes of the bytes what it
    /// needs, or says why it cannot, before the others are told that this worker runs.
    ///
    /// # Errors
    ///
    /// As [`restore`](Self::restore), with what `accept` said in [`Error::State`].
    pub fn restore_bytes_with<T>(
        &mut self,
        accept: impl FnOnce(Vec<u8>) -> Result<T, String>,
    ) -> Result<Option<T>, Error> {
        self.restore_as(|header, payload| {
            let accepted = match header.encoding.as_str() {
                "" => accept(payload),
                other => Err(format!("it has the encoding {other:?}: use `restore`")),
            };
            accepted.map_err(|why| Error::State {
                action: "restored",
                why,
            })
        })
    }

    /// Takes part in a checkpoint if one is asked for; costs next to nothing otherwise.
    ///
    /// `state` is all that a restart will have. It is encoded when all workers have been asked,
    /// and decoded once to prove that it can be; it is not touched when nothing is asked.
    ///
    /// # Errors
    ///
    /// [`Error::Left`] when the computation is over for this process: killed, told to exit behind
    /// a checkpoint, or without a coordinator. [`Error::State`], [`Error::Image`] or
    /// [`Error::File`] when the image could not be written: the protocol has no word for that, so
    /// the worker leaves, and our coordinator fails the round (a stock one goes on without this
    /// worker). [`Error::TimedOut`] when another worker did not come. Always: this worker has
    /// left, and the next call is [`Error::AlreadyLeft`].
    #[inline]
    pub fn safe_point<S: Serialize + DeserializeOwned>(
        &mut self,
        state: &S,
    ) -> Result<SafePoint, Error> {
        if !self.link.is_asked() {
            return Ok(SafePoint::Nothing);
        }
        self.answer(state::MESSAGE_PACK, &|| {
            state::encode(state).map(Encoded::Whole)
        })
    }

    /// The same for a state that the program has encoded itself.
    ///
    /// # Errors
    ///
    /// As [`safe_point`](Self::safe_point).
    #[inline]
    pub fn safe_point_bytes(&mut self, state: &[u8]) -> Result<SafePoint, Error> {
        if !self.link.is_asked() {
            return Ok(SafePoint::Nothing);
        }
        self.safe_point_parts(&[state])
    }

    /// The same for a state that lies in several places of memory: the image holds them one behind
    /// the other, and they are not copied together for that. Where one part ends is for the program
    /// to know: [`restore_bytes`](Self::restore_bytes) gives all of it in one piece.
    ///
    /// # Errors
    ///
    /// As [`safe_point`](Self::safe_point).
    #[inline]
    pub fn safe_point_parts(&mut self, state: &[&[u8]]) -> Result<SafePoint, Error> {
        if !self.link.is_asked() {
            return Ok(SafePoint::Nothing);
        }
        self.answer("", &|| Ok(Encoded::Parts(state)))
    }

    /// Whether the next safe point has something to do: a checkpoint, or news of the end.
    ///
    /// For programs to whom it costs something to get their state together.
    #[inline]
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.link.is_asked()
    }

    /// What makes this worker leave from another thread, while this one is in a call.
    ///
    /// # Errors
    ///
    /// [`Error::Io`]: there is no descriptor for it.
    pub fn leaver(&self) -> Result<Leaver, Error> {
        self.link.leaver()
    }

    /// Leaves the computation because the program is done.
    ///
    /// # Errors
    ///
    /// [`Error::NotRestored`] if the program never asked for the state it was restarted with.
    pub fn finish(mut self) -> Result<(), Error> {
        self.link.close();
        match self.restored {
            Some(_) => Err(Error::NotRestored),
            None => Ok(()),
        }
    }

    /// Identity of this process in the computation; the pid in it is the virtual one.
    #[must_use]
    pub fn identity(&self) -> UniquePid {
        self.link.core().identity()
    }

    /// The computation, with the generation of its last checkpoint.
    #[must_use]
    pub fn computation(&self) -> UniquePid {
        self.link.core().computation()
    }

    /// Where this worker's images go; absolute, the same for each checkpoint, unless a plugin
    /// under a coordinator of 2.5.1 to 2.6.0 moves the images of all workers.
    #[must_use]
    pub fn image_path(&self) -> &Path {
        &self.image_path
    }

    fn restore_as<T>(
        &mut self,
        decode: impl FnOnce(&NativeHeader, Vec<u8>) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let Some((header, payload)) = self.restored.take() else {
            return Ok(None);
        };
        // First decode: a worker that cannot must not let the others believe that it runs.
        let state = decode(&header, payload).and_then(|state| {
            self.resume_restored()?;
            Ok(state)
        });
        self.leave_on_error(state).map(Some)
    }

    fn resume_restored(&mut self) -> Result<(), Error> {
        let mut stage = None;
        while stage != Some(Stage::Restore) {
            stage = self.link.next_stage(self.barrier_limit)?;
        }
        self.link.finished(Finished::Restored)?;
        // Before 3.0.0 only now begins the wait for the other processes.
        self.link.wait(self.barrier_limit)?;
        if self.link.core().is_running() {
            self.link.arm()?;
        }
        Ok(())
    }

    #[cold]
    fn answer(
        &mut self,
        encoding: &'static str,
        payload: &Payload<'_>,
    ) -> Result<SafePoint, Error> {
        if self.link.core().is_over() {
            return Err(Error::AlreadyLeft);
        }
        let result = if self.restored.is_some() {
            Err(Error::NotRestored)
        } else {
            self.take_part(encoding, payload)
        };
        self.leave_on_error(result)
    }

    fn take_part(
        &mut self,
        encoding: &'static str,
        payload: &Payload<'_>,
    ) -> Result<SafePoint, Error> {
        let mut done = SafePoint::Nothing;
        let mut encoded = Encoded::Parts(&[]);
        let mut stage = if self.link.core().is_running() {
            self.link.take(self.barrier_limit)?
        } else {
            None
        };
        loop {
            let finished = match stage {
                None if self.link.core().is_running() => {
                    self.link.arm()?;
                    return Ok(done);
                }
                None => {
                    stage = self.link.next_stage(self.barrier_limit)?;
                    continue;
                }
                // Before the barrier behind which stock workers cannot be released any more.
                Some(Stage::Suspend) => self.follow_move().and_then(|()| payload()).map(|bytes| {
                    encoded = bytes;
                    Finished::Suspended
                }),
                Some(Stage::WriteImage {
                    computation,
                    process,
                    peers,
                }) => {
                    let mut header = self.program.header(process, computation);
                    header.peers = peers;
                    encoding.clone_into(&mut header.encoding);
                    self.write(&header, &encoded)
                        .map(|()| Finished::ImageWritten)
                }
                Some(Stage::PublishImage) => self.publish().map(|()| {
                    encoded = Encoded::Parts(&[]);
                    done = SafePoint::Checkpointed {
                        generation: self.link.core().computation().generation,
                        image: self.image_path.clone(),
                    };
                    Finished::ImagePublished {
                        path: program::wire_text(self.image_path.as_os_str()),
                        unique: false,
                    }
                }),
                // The core asks for it only before it has run.
                Some(Stage::Restore) => Err(Error::NotRestored),
            };
            stage = match finished {
                Ok(finished) => self.link.finished(finished)?,
                Err(error) => {
                    // The core's own word for it says less than the error.
                    let _ = self.link.finished(Finished::Failed);
                    return Err(error);
                }
            };
        }
    }

    /// Takes over the directory that a plugin has set for the images of all workers.
    fn follow_move(&mut self) -> Result<(), Error> {
        if let Some(dir) = self.link.moved_to() {
            let identity = self.link.core().identity();
            self.image_path = self.program.image_path(&checkpoint_dir(&dir)?, identity);
        }
        Ok(())
    }

    /// The image stands beside its final name until all workers have written theirs; before 3.0.0,
    /// until it is whole.
    fn write(&self, header: &NativeHeader, payload: &Encoded<'_>) -> Result<(), Error> {
        let path = durable::temp_name(&self.image_path);
        Ok(match payload {
            Encoded::Whole(bytes) => native::write(&path, header, bytes),
            Encoded::Parts(parts) => native::write_parts(&path, header, parts),
        }?)
    }

    fn publish(&self) -> Result<(), Error> {
        fs::rename(durable::temp_name(&self.image_path), &self.image_path)
            .map_err(durable::failed("give its final name to", &self.image_path))?;
        Ok(durable::sync_dir(durable::parent_of(&self.image_path))?)
    }

    fn leave_on_error<T>(&mut self, result: Result<T, Error>) -> Result<T, Error> {
        if result.is_err() {
            self.link.close();
            // Left behind if the round ended between writing and renaming.
            let _ = fs::remove_file(durable::temp_name(&self.image_path));
        }
        result
    }
}

/// A state as it is written.
enum Encoded<'a> {
    Whole(Vec<u8>),
    Parts(&'a [&'a [u8]]),
}

/// Encodes the state; called once in each round.
type Payload<'a> = dyn Fn() -> Result<Encoded<'a>, Error> + 'a;

fn checkpoint_dir(dir: &Path) -> Result<PathBuf, Error> {
    durable::create_dirs(dir, 0o777)?;
    Ok(std::path::absolute(dir).map_err(durable::failed("make absolute", dir))?)
}
