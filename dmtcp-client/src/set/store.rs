//! The directory of sets: sealing, finding, keeping few.

use super::archive::{self, PackError};
use super::checkpoint_set::CheckpointSet;
use super::error::{SealError, SetError};
use super::latest;
use super::lock::Lock;
use super::names::Entry;
use super::request::SealRequest;
use super::seal;
use super::sums::GoOn;
use crate::durable;
use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

/// The sets in one directory, and the right to change them.
///
/// There is one store for a directory at a time, in whatever process; reading needs none (see
/// [`list`] and [`CheckpointSet::open`]).
///
/// ```no_run
/// use dmtcp_client::set::{ImageReport, RetentionPolicy, SealRequest, SetStore};
/// use std::time::{Duration, Instant};
/// # let (computation, images) = (dmtcp_proto::UniquePid::NULL, Vec::<ImageReport>::new());
/// // `computation` and `images` are what the round's workers reported.
/// let store = SetStore::open("state".as_ref())?;
/// store.sweep()?;
/// let deadline = Instant::now() + Duration::from_secs(60);
/// let set = store.seal(&SealRequest::new(computation, 1, images, deadline))?;
/// println!("set {} with {} bytes", set.sequence(), set.total_bytes());
/// store.retain(&RetentionPolicy::new().keep_last(3))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SetStore {
    sets: PathBuf,
    /// The next number; held while a set is sealed, which can take long. Nobody else waits.
    sealing: Mutex<u64>,
    /// Sealed or verified by this store; held while sets are removed.
    pub(super) known_good: Mutex<BTreeSet<u64>>,
    /// Directories that were not there when it was opened, from the deepest on.
    made: Vec<PathBuf>,
    _lock: Lock,
}

impl SetStore {
    /// Opens the sets in `dir`, which is made if it is not there, with mode 0700.
    ///
    /// What a crash has left stays until [`sweep`](Self::sweep).
    ///
    /// # Errors
    ///
    /// [`SetError::Owned`] if there is another store for `dir`; [`SetError::Io`].
    pub fn open(dir: &Path) -> Result<Self, SetError> {
        let sets = dir.join(SETS);
        let above = sets.ancestors().filter(|dir| !dir.as_os_str().is_empty());
        let missing = above.take_while(|dir| !dir.exists());
        let made = missing.map(Path::to_owned).collect();
        durable::create_dirs(&sets, 0o700)?;
        durable::sync_dir(dir)?;
        let lock = Lock::take(&sets.join(LOCK))?;
        let last = entries(&sets)?.into_iter().map(Entry::sequence).max();
        Ok(Self {
            sealing: Mutex::new(last.map_or(1, |last| last.saturating_add(1))),
            known_good: Mutex::default(),
            sets,
            made,
            _lock: lock,
        })
    }

    /// The directory that holds the sets.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.sets
    }

    /// Gives the store up: removes the directories that [`open`](Self::open) had to make for it,
    /// unless something is in them by now. For who opened it for something that failed.
    ///
    /// What cannot be removed stays; it is harmless.
    pub fn abandon(self) {
        let Some(sets) = self.made.first() else {
            return;
        };
        let is_lock = |entry: &fs::DirEntry| entry.file_name() == LOCK;
        let is_empty = fs::read_dir(sets)
            .is_ok_and(|mut entries| entries.all(|entry| entry.is_ok_and(|entry| is_lock(&entry))));
        if !is_empty {
            return;
        }
        // While it is ours.
        let _ = fs::remove_file(sets.join(LOCK));
        for dir in &self.made {
            // Not if anything is in it.
            if fs::remove_dir(dir).is_err() {
                return;
            }
        }
    }

    /// Makes a set of the images of a round: waits until they are complete and nobody writes
    /// them, links them, checks and syncs them, and promotes the set with one rename.
    ///
    /// A failure leaves the sets before as they were; its number is not used again.
    ///
    /// # Errors
    ///
    /// See [`SealError`]; each names the file it is about, if it is about one.
    pub fn seal(&self, request: &SealRequest) -> Result<CheckpointSet, SealError> {
        self.make(|sequence| seal::seal(&self.sets, sequence, request, &|_| Ok(())))
    }

    /// Makes a set of an archive that [`CheckpointSet::pack`] wrote: unpacked aside, verified,
    /// synced, and promoted with one rename, as the newest set of this store. It gets a number of
    /// its own; [`Manifest::packed_as`](super::Manifest::packed_as) is the one it had.
    ///
    /// Nothing is taken from the archive on trust: names, sizes, order and kinds of its entries
    /// must be those of the manifest that it begins with; links, devices and names that lead out
    /// of the set are refused. But a restart runs what is in DMTCP's images, and puts the files that
    /// were saved with them wherever the manifest says: unpack what you would also run. Whether it
    /// can be restarted here is
    /// [`compatible_with`](CheckpointSet::compatible_with)'s to say.
    ///
    /// # Errors
    ///
    /// See [`PackError`]. The sets before are as they were.
    pub fn unpack(&self, archive: &Path) -> Result<CheckpointSet, PackError> {
        self.make(|sequence| {
            let partial = Entry::Partial(sequence).path(&self.sets);
            let manifest = archive::unpack(archive, &partial, sequence)?;
            let dir = seal::promote(&self.sets, sequence, &|| Ok::<(), PackError>(()))?;
            Ok(CheckpointSet::new(dir, manifest))
        })
    }

    /// Gives out the next number, and removes what a failure leaves of it.
    fn make<E>(
        &self,
        set: impl FnOnce(u64) -> Result<CheckpointSet, E>,
    ) -> Result<CheckpointSet, E> {
        let mut next = lock(&self.sealing);
        let sequence = *next;
        *next = sequence.saturating_add(1);
        let made = set(sequence);
        match &made {
            Ok(_) => {
                lock(&self.known_good).insert(sequence);
            }
            // The first failure is the one to report; `sweep` removes what stays.
            Err(_) => {
                let _ = fs::remove_dir_all(Entry::Partial(sequence).path(&self.sets));
                let _ = latest::remove_aside(&self.sets);
            }
        }
        made
    }

    /// All sets, newest first.
    ///
    /// # Errors
    ///
    /// [`SetError::Io`] if the directory cannot be read.
    pub fn list(&self) -> Result<Listing, SetError> {
        list_sets(&self.sets)
    }

    /// The newest set whose every byte is as it was sealed.
    ///
    /// # Errors
    ///
    /// [`SetError::Io`] if the directory cannot be read.
    pub fn newest_verified(&self) -> Result<Newest, SetError> {
        self.newest_verified_before(u64::MAX)
    }

    /// The newest such set with a number below `sequence`: what to try when that one does not
    /// restart.
    ///
    /// # Errors
    ///
    /// [`SetError::Io`] if the directory cannot be read.
    pub fn newest_verified_before(&self, sequence: u64) -> Result<Newest, SetError> {
        self.newest_verified_within(0, sequence, &|| Ok(()))
    }

    /// The same of those above `after`, as long as it is wanted: those that were not read to their end
    /// are among the refused.
    pub(crate) fn newest_verified_within(
        &self,
        after: u64,
        before: u64,
        go_on: &GoOn<'_>,
    ) -> Result<Newest, SetError> {
        let mut refused = Vec::new();
        for entry in newest_first(&self.sets)? {
            if entry.sequence() >= before || entry.sequence() <= after {
                continue;
            }
            let set = CheckpointSet::open(&entry.path(&self.sets));
            match set.and_then(|set| set.verify_while(go_on).map(|()| set)) {
                Ok(set) => {
                    lock(&self.known_good).insert(set.sequence());
                    return Ok(Newest {
                        set: Some(set),
                        refused,
                    });
                }
                Err(error) => refused.push(error),
            }
        }
        Ok(Newest { set: None, refused })
    }

    /// Removes what crashed attempts to seal or to prune have left, and returns its paths. Lets
    /// `latest` lead to the newest set.
    ///
    /// Safe because this store is the only one for its directory.
    ///
    /// # Errors
    ///
    /// [`SetError::Io`].
    pub fn sweep(&self) -> Result<Vec<PathBuf>, SetError> {
        let _nobody_seals = lock(&self.sealing);
        let _nobody_prunes = lock(&self.known_good);
        let mut removed = Vec::new();
        for entry in entries(&self.sets)? {
            if !matches!(entry, Entry::Set(_)) {
                let path = entry.path(&self.sets);
                remove_dir(&path)?;
                removed.push(path);
            }
        }
        latest::remove_aside(&self.sets)?;
        if let Some(newest) = self.list()?.sets.first() {
            latest::point_at(&self.sets, newest.sequence())?;
        }
        Ok(removed)
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

/// All sets of a directory, newest first; see [`list`].
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Listing {
    /// Those whose manifest could be read.
    pub sets: Vec<CheckpointSet>,
    /// The directories of the others, and why.
    pub broken: Vec<(PathBuf, SetError)>,
}

/// The newest good set and why newer ones were passed over.
#[derive(Debug)]
#[non_exhaustive]
pub struct Newest {
    /// None if no set is good.
    pub set: Option<CheckpointSet>,
    /// What was wrong with those that were looked at before it, newest first.
    pub refused: Vec<SetError>,
}

/// Lists the sets in `dir`, the directory that a store was opened for, without owning it.
///
/// Sets that are being sealed or removed are not in the list. A directory without sets has none.
///
/// # Errors
///
/// [`SetError::Io`] if the directory cannot be read.
pub fn list(dir: &Path) -> Result<Listing, SetError> {
    list_sets(&dir.join(SETS))
}

/// The newest set with a number above `known` whose manifest can be read, without owning `dir`; at
/// most eight manifests are tried.
pub(crate) fn newest_above(dir: &Path, known: u64) -> Option<CheckpointSet> {
    let sets = dir.join(SETS);
    let newer = newest_first(&sets).ok()?.into_iter();
    newer
        .take_while(|entry| entry.sequence() > known)
        .take(MOST_TRIED)
        .find_map(|entry| CheckpointSet::open(&entry.path(&sets)).ok())
}

fn list_sets(sets: &Path) -> Result<Listing, SetError> {
    let mut listing = Listing::default();
    for entry in newest_first(sets)? {
        let dir = entry.path(sets);
        match CheckpointSet::open(&dir) {
            Ok(set) => listing.sets.push(set),
            Err(error) => listing.broken.push((dir, error)),
        }
    }
    Ok(listing)
}

fn newest_first(sets: &Path) -> Result<Vec<Entry>, SetError> {
    let mut found = entries(sets)?;
    found.retain(|entry| matches!(entry, Entry::Set(_)));
    found.sort_by_key(|entry| std::cmp::Reverse(entry.sequence()));
    Ok(found)
}

fn entries(sets: &Path) -> Result<Vec<Entry>, SetError> {
    let dir = match fs::read_dir(sets) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(durable::failed("list", sets))?,
    };
    let mut entries = Vec::new();
    for entry in dir {
        let entry = entry.map_err(durable::failed("list", sets))?;
        let name = entry.file_name();
        let Some(known) = name.to_str().and_then(Entry::of) else {
            continue;
        };
        // The number under another spelling is not one of ours.
        if known.path(sets) == entry.path() {
            entries.push(known);
        }
    }
    Ok(entries)
}

pub(super) fn remove_dir(path: &Path) -> Result<(), SetError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(durable::failed("remove", path)(error).into())
        }
        _ => Ok(()),
    }
}

/// Of manifests that cannot be read: one after the other on a slow disk.
const MOST_TRIED: usize = 8;
const SETS: &str = "sets";
const LOCK: &str = ".lock";
