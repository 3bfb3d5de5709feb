//! A computation that proves its own result: three processes share the sum of a long series.
//!
//! Each takes every third term, in order. A step that is lost or done twice makes the sum wrong.

use dmtcp_client::native::{Options, Worker};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

/// Processes that share the computation.
pub const WORKERS: u64 = 3;
/// Terms of the series.
pub const TERMS: u64 = 9_000;
/// Those behind are only added by workers that have been restarted: however long the checkpoints
/// take before everything is killed, there is work left to kill.
const BEFORE_RESTART: u64 = 6_000;

/// What a worker must not lose: all of it stands in its image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Share {
    /// The next term of this worker.
    pub next: u64,
    /// Sum of its terms so far.
    pub sum: u64,
}

/// What one worker was doing, as it left it in its file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Terms it has added since it was first started, those done again included.
    pub terms: u64,
    /// Terms that were in the image it was restarted from.
    pub restored: u64,
    /// Its sum, once it is at its end.
    pub result: Option<u64>,
}

/// A term of the series (the mixing function of splitmix64).
fn term(index: u64) -> u64 {
    let mut mixed = index.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The sum of the whole series, computed directly.
#[must_use]
pub fn expected() -> u64 {
    (0..TERMS).map(term).fold(0, u64::wrapping_add)
}

/// The body of one worker process, which rests for `pace` behind each term.
///
/// # Errors
///
/// As [`Worker::join`] and [`Worker::safe_point`], and when a file in `dir` cannot be written.
pub fn worker(index: u64, dir: &Path, pace: Duration) -> Result<(), Box<dyn std::error::Error>> {
    let mut worker = Worker::join(Options::from_env()?)?;
    let restored: Option<Share> = worker.restore()?;
    let end = restored.map_or(BEFORE_RESTART, |_| TERMS);
    let mut share = restored.unwrap_or(Share {
        next: index,
        sum: 0,
    });
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(progress_file(dir, index))?;
    // The directory may be that of an earlier run.
    put(&file, ENDED, 0)?;
    put(&file, RESTORED, share.next / WORKERS)?;
    while share.next < TERMS {
        if share.next < end {
            share.sum = share.sum.wrapping_add(term(share.next));
            share.next += WORKERS;
            put(&file, DONE, share.next / WORKERS)?;
        }
        thread::sleep(pace);
        worker.safe_point(&share)?;
    }
    put(&file, RESULT, share.sum)?;
    put(&file, ENDED, 1)?;
    Ok(worker.finish()?)
}

/// What the worker with this number has left in its file.
///
/// # Errors
///
/// When its file cannot be read.
pub fn progress(index: u64, dir: &Path) -> io::Result<Progress> {
    let bytes = fs::read(progress_file(dir, index))?;
    let field = |at: u64| {
        let at = usize::try_from(at).ok()?;
        bytes
            .get(at..at + 8)?
            .try_into()
            .ok()
            .map(u64::from_le_bytes)
    };
    Ok(Progress {
        terms: field(DONE).unwrap_or(0),
        restored: field(RESTORED).unwrap_or(0),
        result: field(ENDED)
            .filter(|&ended| ended == 1)
            .and_then(|_| field(RESULT)),
    })
}

fn put(file: &File, at: u64, value: u64) -> io::Result<()> {
    file.write_all_at(&value.to_le_bytes(), at)
}

fn progress_file(dir: &Path, index: u64) -> PathBuf {
    dir.join(format!("worker-{index}"))
}

// Places in a worker's file.
const DONE: u64 = 0;
const RESTORED: u64 = 8;
const RESULT: u64 = 16;
const ENDED: u64 = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_or_repeated_term_changes_the_sum() {
        assert!((0..TERMS).all(|index| term(index) != 0));
        let shares = (0..WORKERS).map(|worker| {
            (worker..TERMS)
                .step_by(WORKERS as usize)
                .map(term)
                .fold(0, u64::wrapping_add)
        });
        assert_eq!(shares.fold(0, u64::wrapping_add), expected());
    }
}
