//! What a worker's driver hands in, and what it has to do.

use alloc::collections::VecDeque;
use bytes::Bytes;

use super::WorkerExit;
use crate::ids::UniquePid;
use crate::message::Reject;
use crate::text::Text;

/// Something that happened, for the worker to act on.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "made by drivers")]
pub enum WorkerInput<'a> {
    /// The connection to the coordinator is open.
    Opened,
    /// Bytes arrived; any split.
    Received(&'a [u8]),
    /// The connection ended, for whatever reason.
    Closed,
    /// The answer to [`WorkerOutput::Perform`].
    Finished(Finished),
}

/// How a [`Stage`] ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "made by drivers")]
pub enum Finished {
    /// [`Stage::Restore`]: the state is back.
    Restored,
    /// [`Stage::Suspend`]: nothing changes the state any more.
    Suspended,
    /// [`Stage::WriteImage`]: the image is on disk, under a temporary name.
    ImageWritten,
    /// [`Stage::PublishImage`]: the image has its final name.
    ImagePublished {
        /// Path of the image on this host; not empty.
        path: Text,
        /// Whether no other checkpoint uses this name.
        unique: bool,
    },
    /// Any stage: it could not be done.
    ///
    /// The protocol has no word for this. A worker can only leave, so [`WorkerExit::Failed`]
    /// follows and the driver closes the connection: the coordinator counts the peer as lost, and
    /// ours fails the round. Whether the program goes on without checkpoints or stops is the
    /// driver's choice.
    Failed,
}

/// Work for the driver, to be done in order.
///
/// Exhaustive on purpose: a driver that forgets one must not compile.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a driver that forgets one must not compile"
)]
pub enum WorkerOutput {
    /// Send these bytes to the coordinator.
    Transmit(Bytes),
    /// The coordinator took this process in.
    Accepted {
        /// The pid that identifies this process in the computation.
        virtual_pid: i32,
        /// The computation; at a restart with the image's generation.
        computation: UniquePid,
        /// The same number for all workers of a computation; 0 while a checkpoint is under way.
        time_stamp: u64,
    },
    /// The coordinator did not take this process in. Close the connection; nothing follows.
    Rejected(Reject),
    /// 2.5.1 to 2.6.0: a plugin has set this directory for the images of all workers, from the
    /// round that begins on. Relative to the program's working directory. Not answered.
    CheckpointDir(Text),
    /// Do this, then hand in [`WorkerInput::Finished`].
    Perform(Stage),
    /// Let the program run. Not answered.
    Resume,
    /// Close the connection; nothing follows. What it means for the program is the reason's.
    Exit {
        /// Why.
        reason: WorkerExit,
    },
}

/// A step that only the driver can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a driver that forgets one must not compile"
)]
pub enum Stage {
    /// Put the state of the image back. From 3.0.0 on all processes of the computation are
    /// connected by then; before, some may be missing, but none runs until all have done it.
    Restore,
    /// Stop whatever changes the state.
    Suspend,
    /// Write the image under a temporary name. All workers have stopped.
    WriteImage {
        /// The computation with this round's generation.
        computation: UniquePid,
        /// This process.
        process: UniquePid,
        /// Processes of the computation; a restart must announce the same number.
        peers: u32,
    },
    /// Rename the image to its final name. From 3.0.0 on all workers have written theirs; before,
    /// one may still fail.
    PublishImage,
}

/// What to do, in order. Borrows the core, so the next input waits until this is gone.
///
/// What is left here when it is dropped comes first the next time.
#[must_use = "outputs left here are only acted on after the next input"]
#[derive(Debug)]
pub struct WorkerOutputs<'a> {
    queue: &'a mut VecDeque<WorkerOutput>,
}

impl<'a> WorkerOutputs<'a> {
    pub(super) fn new(queue: &'a mut VecDeque<WorkerOutput>) -> Self {
        Self { queue }
    }
}

impl Iterator for WorkerOutputs<'_> {
    type Item = WorkerOutput;

    fn next(&mut self) -> Option<WorkerOutput> {
        self.queue.pop_front()
    }
}
