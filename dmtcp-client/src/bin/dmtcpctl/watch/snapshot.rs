//! What is seen at one look: a coordinator's workers, and a job's state directory.

use crate::ask::Asked;
use crate::failure::{Failure, Problem};
use dmtcp_client::coordinator::{Coordinator, Error};
use dmtcp_client::job::{Contact, CoordinatorRecord, JobRecord, Standing};
use dmtcp_client::set;
use dmtcp_client::watch::{Stall, StallWatch};
use dmtcp_client::{Interval, WorkerInfo, WorkerState};
use dmtcp_proto::ExchangeError;
use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// One look.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    pub(super) at: SystemTime,
    /// `None`: the job has no coordinator now.
    pub(super) coordinator: Option<Seen>,
    pub(super) set: Option<Set>,
    pub(super) job: Option<JobRecord>,
    /// Why the coordinator's part is not of this look, and since when.
    pub(super) silent: Option<(Duration, Problem)>,
    pub(super) ended: Option<Ended>,
}

/// What the coordinator said last.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) address: SocketAddr,
    pub(super) dialect: String,
    pub(super) release: Option<String>,
    pub(super) pid: Option<i32>,
    pub(super) peers: u32,
    pub(super) running: bool,
    pub(super) interval: Interval,
    /// `None`: it tells no list.
    pub(super) workers: Option<Vec<Worker>>,
    pub(super) stall: Option<Stall>,
    /// For how long not all workers have run, and how many bytes of images were written since.
    pub(super) round: Option<(Duration, Option<u64>)>,
}

/// A worker, and how long it has been seen as it is.
#[derive(Clone, Debug)]
pub(super) struct Worker {
    pub(super) info: WorkerInfo,
    pub(super) since: Duration,
}

/// The newest set of the state directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Set {
    pub(super) sequence: u64,
    pub(super) sealed_unix_ms: u64,
    pub(super) bytes: u64,
    pub(super) images: usize,
    /// How many sets there are.
    pub(super) sets: usize,
}

/// Why there is nothing more to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Coordinator,
    Job,
    /// It said nothing for too long.
    Silent,
}

/// What looks, and remembers what it takes to tell for how long something has been so.
#[derive(Debug)]
pub(super) struct Looker {
    job: Option<Job>,
    asked: Option<Asked>,
    seen: Option<Seen>,
    since: BTreeMap<u64, (WorkerState, Option<String>, Instant)>,
    round: Option<(Instant, SystemTime)>,
    stalls: StallWatch,
    heard: Instant,
    sets: Option<(SystemTime, Option<Set>)>,
    /// It said nothing for so long that it is given up.
    patience: Duration,
}

/// A job of which the coordinator changes with each restart.
#[derive(Debug)]
struct Job {
    dir: PathBuf,
    timeout: Duration,
    /// What is recorded of the coordinator that is asked.
    coordinator: Option<CoordinatorRecord>,
}

impl Looker {
    /// Looks at one coordinator.
    pub(super) fn of(asked: Asked, patience: Duration) -> Self {
        Self {
            asked: Some(asked),
            ..Self::new(None, patience)
        }
    }

    /// Looks at a job in its state directory, and at whichever coordinator it has.
    pub(super) fn of_job(dir: PathBuf, timeout: Duration, patience: Duration) -> Self {
        let job = Job {
            dir,
            timeout,
            coordinator: None,
        };
        Self::new(Some(job), patience)
    }

    fn new(job: Option<Job>, patience: Duration) -> Self {
        Self {
            job,
            asked: None,
            seen: None,
            since: BTreeMap::new(),
            round: None,
            stalls: StallWatch::new(STALL),
            heard: Instant::now(),
            sets: None,
            patience,
        }
    }

    pub(super) fn look(&mut self) -> Snapshot {
        let at = SystemTime::now();
        let contact = self.job.as_ref().map(|job| Contact::open(&job.dir));
        let (contact, mut problem) = match contact.transpose() {
            Ok(contact) => (contact, None),
            Err(error) => (None, Some(Failure::from(error).problem().clone())),
        };
        let mut ended = None;
        if let Some(contact) = &contact {
            match contact.standing() {
                Standing::Running(_) => problem = self.turn_to(contact),
                Standing::Elsewhere(_) => self.forget(),
                _ => ended = Some(Ended::Job),
            }
        }
        let asked = self.asked.as_ref();
        match asked.map(|asked| ask(&asked.coordinator, &mut self.stalls)) {
            Some(Ok(answer)) => {
                self.heard = Instant::now();
                self.note(answer);
            }
            Some(Err(error)) => {
                if is_gone(&error) && self.job.is_none() {
                    ended = Some(Ended::Coordinator);
                }
                problem = Some(Problem::from(error));
            }
            // A job that is known may have none for long: it waits before it restarts.
            None if contact.is_some() => {
                self.heard = Instant::now();
                self.seen = None;
            }
            None => {}
        }
        let silent = self.heard.elapsed();
        if silent > self.patience {
            ended = ended.or(Some(Ended::Silent));
        }
        Snapshot {
            at,
            coordinator: self.seen.clone(),
            set: self.newest_set(),
            job: contact.map(|contact| contact.record().clone()),
            silent: problem.map(|problem| (silent, problem)),
            ended,
        }
    }

    /// Sees to it that the coordinator is asked that the job has now; says why it cannot be.
    fn turn_to(&mut self, contact: &Contact) -> Option<Problem> {
        let job = self.job.as_mut()?;
        let recorded = contact.record().coordinator.as_ref();
        if self.asked.is_some() && job.coordinator.as_ref() == recorded {
            return None;
        }
        job.coordinator = recorded.cloned();
        let timeout = job.timeout;
        self.forget();
        recorded?;
        match Asked::of_job(contact.clone(), timeout) {
            Ok(asked) => {
                self.asked = Some(asked);
                None
            }
            // It may be gone again already.
            Err(error) => Some(Failure::from(error).problem().clone()),
        }
    }

    fn forget(&mut self) {
        self.asked = None;
        self.seen = None;
        self.since.clear();
        self.round = None;
    }

    fn note(&mut self, answer: Answer) {
        let Some(asked) = &self.asked else {
            return;
        };
        let coordinator = &asked.coordinator;
        let now = Instant::now();
        let workers = answer.workers.map(|workers| {
            let before = std::mem::take(&mut self.since);
            let mut seen = Vec::with_capacity(workers.len());
            for info in workers {
                let same = |(state, barrier, _): &&(WorkerState, Option<String>, Instant)| {
                    *state == info.state && *barrier == info.barrier
                };
                let since = before.get(&info.number).filter(same);
                let since = since.map_or(now, |(_, _, since)| *since);
                let kept = (info.state, info.barrier.clone(), since);
                self.since.insert(info.number, kept);
                let since = now - since;
                seen.push(Worker { info, since });
            }
            seen
        });
        let is_in_round = answer.peers > 0 && !answer.running;
        self.round = match (is_in_round, self.round) {
            (true, None) => Some((now, SystemTime::now())),
            (true, known) => known,
            (false, _) => None,
        };
        let images = self.job.as_ref().map(|job| job.dir.join("attempts"));
        let round = self.round.map(|(since, began)| {
            let written = images.as_deref().and_then(|dir| written_since(dir, began));
            (now - since, written)
        });
        self.seen = Some(Seen {
            address: coordinator.addr(),
            dialect: format!("{:?}", coordinator.dialect()),
            release: coordinator.release().map(ToString::to_string),
            pid: asked.pid,
            peers: answer.peers,
            running: answer.running,
            interval: answer.interval,
            workers,
            stall: answer.stall,
            round,
        });
    }

    /// Reads the manifests only when the directory has changed.
    fn newest_set(&mut self) -> Option<Set> {
        let dir = self.job.as_ref()?.dir.as_path();
        let changed = fs::metadata(dir.join("sets")).and_then(|sets| sets.modified());
        let changed = changed.ok()?;
        if let Some((known, set)) = &self.sets {
            // A change may follow in the same tick of the file system's clock.
            if *known == changed && changed.elapsed().is_ok_and(|age| age > TICK) {
                return set.clone();
            }
        }
        let listing = set::list(dir).ok()?;
        let newest = listing.sets.first().map(|set| Set {
            sequence: set.sequence(),
            sealed_unix_ms: set.manifest().created_unix_ms,
            bytes: set.total_bytes(),
            images: set.manifest().images.len(),
            sets: listing.sets.len(),
        });
        self.sets = Some((changed, newest.clone()));
        newest
    }
}

impl Snapshot {
    /// How long ago the newest set was sealed, by the system's clock.
    pub(super) fn set_age(&self) -> Option<Duration> {
        let sealed = Duration::from_millis(self.set.as_ref()?.sealed_unix_ms);
        let now = self.at.duration_since(UNIX_EPOCH).ok()?;
        Some(now.saturating_sub(sealed))
    }
}

struct Answer {
    peers: u32,
    running: bool,
    interval: Interval,
    workers: Option<Vec<WorkerInfo>>,
    stall: Option<Stall>,
}

fn ask(coordinator: &Coordinator, stalls: &mut StallWatch) -> Result<Answer, Error> {
    let status = coordinator.status()?;
    let workers = match coordinator.workers() {
        Err(Error::Exchange {
            source: ExchangeError::NoList { .. },
            ..
        }) => None,
        workers => Some(workers?),
    };
    let list = workers.as_deref().unwrap_or_default();
    let stall = stalls.look_at_list(list, coordinator.addr());
    // Somebody may have come or gone between the two.
    let listed = workers.as_ref().map(|workers| u32::try_from(workers.len()));
    Ok(Answer {
        peers: listed.map_or(status.peers, |listed| listed.unwrap_or(u32::MAX)),
        running: status.running,
        interval: status.interval,
        workers,
        stall,
    })
}

fn is_gone(error: &Error) -> bool {
    let Error::Connect { source, .. } = error else {
        return false;
    };
    source.kind() == std::io::ErrorKind::ConnectionRefused
}

/// Bytes of the files in the newest attempt's directory of images that are being written, or were
/// since then.
fn written_since(attempts: &Path, began: SystemTime) -> Option<u64> {
    let attempts = fs::read_dir(attempts).ok()?.flatten();
    let newest = attempts.max_by_key(|entry| {
        let name = entry.file_name();
        name.to_str().and_then(|name| name.parse::<u64>().ok())
    })?;
    let images = fs::read_dir(newest.path().join("images")).ok()?.flatten();
    let sizes = images.filter_map(|entry| {
        let file = entry.metadata().ok()?;
        let name = entry.file_name();
        let is_being_written = name.as_encoded_bytes().ends_with(b".temp");
        let was_written = || file.modified().is_ok_and(|changed| changed >= began);
        let is_new = is_being_written || was_written();
        (file.is_file() && is_new).then_some(file.len())
    });
    Some(sizes.fold(0, u64::saturating_add))
}

/// From when on a worker that others wait for is spoken of.
const STALL: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_this_round_writes_counts() {
        let attempts = tempfile::tempdir().unwrap();
        assert_eq!(written_since(attempts.path(), UNIX_EPOCH), None);
        let write = |attempt: &str, name: &str, bytes: usize| {
            let images = attempts.path().join(attempt).join("images");
            fs::create_dir_all(images.join("ckpt_a_files")).unwrap();
            let file = fs::File::create(images.join(name)).unwrap();
            file.set_len(bytes as u64).unwrap();
            file
        };
        let began = SystemTime::now() - Duration::from_secs(60);
        write("000009", "ckpt_a.dmtcp", 1000);
        let old = write("000010", "ckpt_a.dmtcp", 100);
        old.set_modified(began - Duration::from_secs(1)).unwrap();
        assert_eq!(written_since(attempts.path(), began), Some(0));
        // It was opened before anybody was seen in the round.
        let temp = write("000010", "ckpt_a.dmtcp.temp", 10);
        temp.set_modified(began - Duration::from_secs(1)).unwrap();
        write("000010", "ckpt_b.dmtcp", 7);
        assert_eq!(written_since(attempts.path(), began), Some(17));
    }
}
