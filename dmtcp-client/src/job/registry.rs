//! Which state directories this user has, on whatever host, for who wants to see all their jobs.
//!
//! ```text
//! $XDG_STATE_HOME/dmtcp-rs/jobs/  or ~/.local/state/…, shared by the hosts of a cluster or not
//!     4f0c9d1be2a87766.json       one state directory, as one host knows it
//! ```
//!
//! An entry only says where to look: how a job stands is in its state directory. Each is a file of
//! its own, written aside and renamed, and named by host and path, so that no two writers meet. Nothing
//! depends on an entry: it may be missing, or name what has gone. Not here: what a job is doing
//! ([`Contact`]).

use std::{
    collections::BTreeSet,
    env,
    ffi::{OsStr, OsString},
    fs,
    io::{self, ErrorKind},
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread,
    time::{Duration, SystemTime},
};

use nix::unistd::{Uid, User};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Contact, ContactError, StateError, outcome::unix_ms, state_file};
use crate::{deadline::Deadline, durable, identity, os_text};

/// The state directories of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registry {
    directory: PathBuf,
}

/// A state directory that was registered.
#[derive(Debug)]
#[non_exhaustive]
pub struct RegisteredJob {
    /// The state directory.
    pub directory: PathBuf,
    /// The host on which it was registered.
    pub host: OsString,
    /// When a run of it began there last, in milliseconds since 1970.
    pub registered_unix_ms: u64,
    /// What is to be seen of it from here.
    pub seen: Seen,
}

/// What is to be seen of a registered job.
#[derive(Debug)]
#[non_exhaustive]
pub enum Seen {
    /// The job.
    Job(Box<Contact>),
    /// There is one, and this keeps it from being read.
    Unreadable(ContactError),
    /// It is not visible on this host: on a disk of the other one, or one that is not mounted now.
    NotHere,
    /// The file system that it is on did not answer within five seconds.
    NoAnswer,
}

/// Why the state directories of the user are not known.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// The environment: `XDG_STATE_HOME` is not set and the user has no home.
    #[error("neither XDG_STATE_HOME nor HOME is set, and the system knows no home of this user")]
    NoHome,
    /// The environment: a file or directory of the registry.
    #[error(transparent)]
    State(#[from] StateError),
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    schema: u32,
    #[serde(with = "os_text")]
    directory: PathBuf,
    #[serde(with = "os_text")]
    host: OsString,
    /// Of the directory: tells it from one of another host with the same path.
    inode: u64,
    /// Of the directory above it: tells it from the place where its file system is not mounted.
    #[serde(default)]
    parent_inode: Option<u64>,
    registered_unix_ms: u64,
}

impl Registry {
    /// That of the user of this process.
    ///
    /// # Errors
    ///
    /// [`RegistryError::NoHome`].
    pub fn of_this_user() -> Result<Self, RegistryError> {
        let absolute =
            |value: OsString| Some(PathBuf::from(value)).filter(|path| path.is_absolute());
        let home = || {
            let told = env::var_os("HOME").and_then(absolute);
            told.or_else(|| Some(User::from_uid(Uid::current()).ok()??.dir))
        };
        let state = env::var_os("XDG_STATE_HOME").and_then(absolute);
        let state = state.or_else(|| home().map(|home| home.join(".local/state")));
        let state = state.ok_or(RegistryError::NoHome)?;
        Ok(Self::at(state.join("dmtcp-rs/jobs")))
    }

    /// The one in this directory, which is made once something is registered.
    #[must_use]
    pub fn at(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Notes that a job runs in this state directory, which must be there. Once for each run; a job can
    /// do without.
    ///
    /// # Errors
    ///
    /// [`RegistryError::State`].
    pub fn register(&self, state: &Path) -> Result<(), RegistryError> {
        // A link may point elsewhere later.
        let directory = fs::canonicalize(state).map_err(failed("find", state))?;
        let metadata = fs::metadata(&directory).map_err(failed("look at", &directory))?;
        let host = identity::host_name().unwrap_or_default();
        let path = self.entry(&host, &directory);
        let entry = Entry {
            schema: SCHEMA,
            inode: metadata.ino(),
            parent_inode: parent_inode(&directory),
            registered_unix_ms: unix_ms(SystemTime::now()),
            directory,
            host,
        };
        durable::create_dirs(&self.directory, 0o700).map_err(StateError::from)?;
        state_file::write(&path, &entry)?;
        Ok(())
    }

    /// All jobs that are registered and may still be there, those first of which a run began last.
    ///
    /// Entries of what has gone are removed on the way. On this host: one whose state directory is gone
    /// from the directory above it comes once more, as [`Seen::NotHere`], and then not again; where the one
    /// above is gone or another one, too, which may be a disk that is not mounted, a month after the
    /// last run began; where only the job is gone from its directory, ten minutes after that. Of other
    /// hosts: after three months in which nothing ran there. A directory that several hosts have
    /// registered and that is visible here comes once.
    ///
    /// # Errors
    ///
    /// [`RegistryError::State`] if the registry cannot be read; a single entry that cannot be is
    /// passed over.
    pub fn jobs(&self) -> Result<Vec<RegisteredJob>, RegistryError> {
        let entries = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed("list", &self.directory))?,
        };
        let here = identity::host_name().unwrap_or_default();
        let deadline = Deadline::after(LOOK);
        let mut jobs: Vec<RegisteredJob> = Vec::new();
        for entry in entries.flatten().take(MOST_ENTRIES) {
            let path = entry.path();
            let is_entry = path.extension().is_some_and(|suffix| suffix == SUFFIX);
            // Another process may just remove it; a later release may have written it.
            let Ok(Some(entry)) = state_file::read::<Entry>(&path, SCHEMA) else {
                continue;
            };
            if !is_entry || path != self.entry(&entry.host, &entry.directory) {
                continue;
            }
            let (is_own, entry) = (entry.host == here, Arc::new(entry));
            let limit = deadline.left().clamp(SHORT_LOOK, LOOK);
            let (seen, kept) = look_within(limit, Arc::clone(&entry), is_own);
            let age = unix_ms(SystemTime::now()).saturating_sub(entry.registered_unix_ms);
            let is_over = match kept {
                Kept::For(limit) => Duration::from_millis(age) > limit,
                Kept::OnceMore => true,
            };
            if is_over {
                // Read-only, or somebody else was faster.
                let _ = fs::remove_file(&path);
            }
            if is_over && !matches!(kept, Kept::OnceMore) {
                continue;
            }
            jobs.push(RegisteredJob {
                directory: entry.directory.clone(),
                host: entry.host.clone(),
                registered_unix_ms: entry.registered_unix_ms,
                seen,
            });
        }
        jobs.sort_by(|a, b| {
            let key = |job: &RegisteredJob| (job.registered_unix_ms, job.directory.clone());
            key(b).cmp(&key(a))
        });
        let mut visible = BTreeSet::new();
        jobs.retain(|job| {
            matches!(job.seen, Seen::NotHere | Seen::NoAnswer)
                || visible.insert(job.directory.clone())
        });
        Ok(jobs)
    }

    fn entry(&self, host: &OsStr, directory: &Path) -> PathBuf {
        let parts = [host.as_bytes(), b"\0", directory.as_os_str().as_bytes()];
        let name = fnv_1a(parts.into_iter().flatten());
        self.directory.join(format!("{name:016x}.{SUFFIX}"))
    }
}

/// A file system of the network may not answer for hours: the thread that asks it is left to itself
/// then.
fn look_within(limit: Duration, entry: Arc<Entry>, is_own: bool) -> (Seen, Kept) {
    let (sender, seen) = mpsc::channel();
    let look = move || {
        // Nobody listens any more when it is late.
        let seen = look(&entry, is_own);
        let kept = kept(&entry, &seen, is_own);
        let _ = sender.send((seen, kept));
    };
    match thread::Builder::new()
        .name("job list".to_owned())
        .spawn(look)
    {
        Ok(_) => seen.recv_timeout(limit).ok(),
        Err(_) => None,
    }
    .unwrap_or((Seen::NoAnswer, Kept::For(Duration::MAX)))
}

fn look(entry: &Entry, is_own: bool) -> Seen {
    let inode = fs::metadata(&entry.directory).map(|metadata| metadata.ino());
    match inode {
        Ok(inode) if is_own || inode == entry.inode => match Contact::open(&entry.directory) {
            Ok(contact) => {
                // Here, where a disk that does not answer keeps nobody waiting.
                let _ = contact.last_set();
                Seen::Job(Box::new(contact))
            }
            Err(ContactError::NoJob { .. }) => Seen::NotHere,
            Err(error) => Seen::Unreadable(error),
        },
        _ => Seen::NotHere,
    }
}

/// How long an entry stays.
#[derive(Clone, Copy, Debug)]
enum Kept {
    /// Behind its last registration.
    For(Duration),
    /// It is told of, and then not again.
    OnceMore,
}

fn kept(entry: &Entry, seen: &Seen, is_own: bool) -> Kept {
    const DAY: Duration = Duration::from_secs(24 * 3600);
    Kept::For(match seen {
        Seen::NotHere if !is_own => 90 * DAY,
        Seen::NotHere => match fs::symlink_metadata(&entry.directory) {
            Ok(_) => STARTING,
            Err(error) if error.kind() == ErrorKind::NotFound && is_where_it_was(entry) => {
                return Kept::OnceMore;
            }
            Err(_) => 30 * DAY,
        },
        Seen::Job(_) | Seen::Unreadable(_) | Seen::NoAnswer => Duration::MAX,
    })
}

/// Whether the directory above can be read, and is that which had it.
fn is_where_it_was(entry: &Entry) -> bool {
    let now = parent_inode(&entry.directory);
    let is_same = now.is_some() && (entry.parent_inode.is_none() || now == entry.parent_inode);
    is_same && fs::read_dir(durable::parent_of(&entry.directory)).is_ok()
}

fn parent_inode(directory: &Path) -> Option<u64> {
    let parent = fs::metadata(durable::parent_of(directory));
    parent.ok().map(|parent| parent.ino())
}

/// The 64-bit hash of Fowler, Noll and Vo: names must be the same in every release.
fn fnv_1a<'a>(bytes: impl Iterator<Item = &'a u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StateError {
    let path = path.to_owned();
    move |source| StateError::Io {
        action,
        path,
        source,
    }
}

/// For one state directory, and for all that do not answer at once.
const LOOK: Duration = Duration::from_secs(5);
/// What each is given when that is over.
const SHORT_LOOK: Duration = Duration::from_millis(500);
const SCHEMA: u32 = 1;
const SUFFIX: &str = "json";
/// More would take minutes to look at.
const MOST_ENTRIES: usize = 10_000;
/// A job that is only just being started has no record yet.
const STARTING: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests {
    use super::super::{JobRecord, ProgramKind, ProgramRecord};
    use super::*;

    struct Home {
        dir: tempfile::TempDir,
        registry: Registry,
    }

    impl Home {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let registry = Registry::at(dir.path().join("state/jobs"));
            Self { dir, registry }
        }

        fn job(&self, name: &str) -> PathBuf {
            let state = self.dir.path().join(name);
            fs::create_dir(&state).unwrap();
            let program = ProgramRecord::new(ProgramKind::Dmtcp, vec!["sim".into()], "/");
            JobRecord::new(program).write(&state).unwrap();
            state
        }

        fn put(&self, entry: &Entry) {
            let path = self.registry.entry(&entry.host, &entry.directory);
            fs::create_dir_all(self.registry.directory()).unwrap();
            state_file::write(&path, entry).unwrap();
        }

        fn seen(&self) -> Vec<(PathBuf, &'static str)> {
            let jobs = self.registry.jobs().unwrap();
            let told = |seen: &Seen| match seen {
                Seen::Job(_) => "job",
                Seen::Unreadable(_) => "unreadable",
                Seen::NotHere => "not here",
                Seen::NoAnswer => "no answer",
            };
            jobs.into_iter()
                .map(|job| (job.directory, told(&job.seen)))
                .collect()
        }

        fn entries(&self) -> usize {
            fs::read_dir(self.registry.directory()).unwrap().count()
        }
    }

    fn entry(directory: &Path, host: OsString, days_ago: u64) -> Entry {
        let age = Duration::from_secs(days_ago * 24 * 3600);
        Entry {
            schema: SCHEMA,
            directory: directory.to_owned(),
            host,
            inode: 0,
            parent_inode: None,
            registered_unix_ms: unix_ms(SystemTime::now() - age),
        }
    }

    fn here() -> OsString {
        identity::host_name().unwrap()
    }

    #[test]
    fn what_is_registered_is_listed_newest_first_and_once() {
        let home = Home::new();
        assert!(home.registry.jobs().unwrap().is_empty());
        let (a, b) = (home.job("a"), home.job("b"));
        home.registry.register(&a).unwrap();
        home.put(&entry(&b, here(), 1));
        for _ in 0..2 {
            home.registry.register(&a).unwrap();
        }
        // Another host with the same file system, and one with a directory of that name.
        let inode = fs::metadata(&a).unwrap().ino();
        home.put(&Entry {
            inode,
            ..entry(&a, "n1".into(), 2)
        });
        home.put(&entry(&a, "n2".into(), 3));
        let expected = [(a.clone(), "job"), (b, "job"), (a, "not here")];
        assert_eq!(home.seen(), expected);
        let mode = fs::metadata(home.registry.directory()).unwrap().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn what_has_gone_is_told_of_once_more_and_what_may_come_back_stays() {
        let home = Home::new();
        let path = |name: &str| home.dir.path().join(name);
        // An entry of a release that did not write the directory above.
        home.put(&entry(&path("removed"), here(), 1));
        // A directory that has no job yet, or none any more.
        for (name, days_ago) in [("starting", 0), ("emptied", 1)] {
            fs::create_dir(path(name)).unwrap();
            home.put(&entry(&path(name), here(), days_ago));
        }
        // Its mount point is another directory than what was mounted there.
        fs::create_dir(path("mount point")).unwrap();
        home.put(&Entry {
            parent_inode: Some(2),
            ..entry(&path("mount point/x"), here(), 2)
        });
        home.put(&entry(&path("unmounted/x"), here(), 3));
        home.put(&entry(&path("long unmounted/x"), here(), 31));
        home.put(&entry(&path("on n1"), "n1".into(), 4));
        home.put(&entry(&path("n1 has gone"), "n1".into(), 91));
        let stay = ["starting", "mount point/x", "unmounted/x", "on n1"];
        let stay = stay.map(|name| (path(name), "not here"));
        let mut first = stay.to_vec();
        first.insert(1, (path("removed"), "not here"));
        assert_eq!(home.seen(), first);
        for _ in 0..2 {
            assert_eq!(home.seen(), stay);
        }
        assert_eq!(home.entries(), stay.len());
    }

    #[test]
    fn one_that_is_moved_is_told_of_once_more_and_comes_back_with_its_next_run() {
        let home = Home::new();
        let (old, new) = (home.job("old"), home.dir.path().join("new"));
        home.registry.register(&old).unwrap();
        let old = fs::canonicalize(old).unwrap();
        fs::rename(&old, &new).unwrap();
        assert_eq!(home.seen(), [(old, "not here")]);
        assert_eq!(home.seen(), []);
        home.registry.register(&new).unwrap();
        assert_eq!(home.seen(), [(fs::canonicalize(new).unwrap(), "job")]);
    }

    #[test]
    fn what_is_no_entry_is_passed_over() {
        let home = Home::new();
        let job = home.job("a");
        home.registry.register(&job).unwrap();
        fs::write(job.join(JobRecord::FILE_NAME), "{").unwrap();
        let put = |name: &str, text: &[u8]| {
            fs::write(home.registry.directory().join(name), text).unwrap();
        };
        put("x.json", b"{}");
        put("y.json", &vec![b'['; 100_000]);
        put("z.json", b"{\"schema\": 2}");
        // Of another name than its own: a copy made by hand.
        let own = fs::read_dir(home.registry.directory()).unwrap();
        let own = own
            .flatten()
            .find(|entry| entry.file_name().len() > 10)
            .unwrap();
        put("1.json", &fs::read(own.path()).unwrap());
        assert_eq!(
            home.seen(),
            [(fs::canonicalize(job).unwrap(), "unreadable")]
        );
        assert_eq!(home.entries(), 5);
    }

    #[test]
    fn names_are_the_same_in_every_release() {
        assert_eq!(fnv_1a(b"".iter()), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv_1a(b"foobar".iter()), 0x8594_4171_f739_67e8);
    }
}
