//! What is known of a job over all its runs: `job.json`.
//!
//! Not here: when it is written (`life`), and whether the process it names still runs (`contact`).

use std::{
    ffi::OsString,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use dmtcp_proto::UniquePid;
use serde::{Deserialize, Serialize};

use super::{
    outcome::unix_ms,
    pace::{CheckpointCost, CheckpointTime, Interruptions},
    state_file::{self, StateError},
};
use crate::{
    id_json, identity, os_text,
    process::{Identity, ProcessError},
};

/// `job.json` in a job's state directory. Fields that later releases of the same schema add are
/// ignored.
///
/// Only the owner of the job writes it; everybody of this user may read it at any time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct JobRecord {
    /// Version of this description; [`JobRecord::SCHEMA`] when written here.
    pub schema: u32,
    /// What runs.
    pub program: ProgramRecord,
    /// The name that its user gave it.
    pub id: Option<String>,
    /// The DMTCP release of the latest run, such as `4.2.0`; `None`: native workers only.
    pub dmtcp: Option<String>,
    /// The process that runs it now. After an orderly end `None`; one that crashed stays.
    pub owner: Option<Owner>,
    /// Where the coordinator of the attempt that runs is; `None`: nothing runs.
    pub coordinator: Option<CoordinatorRecord>,
    /// When the first run began, in milliseconds since 1970.
    pub created_unix_ms: u64,
    /// When this was written, in milliseconds since 1970: with each set, and at least each minute.
    pub updated_unix_ms: u64,
    /// Runs of the job: processes that have owned it.
    pub runs: u64,
    /// Attempts in all runs, fresh ones and restarts.
    pub attempts: u64,
    /// Restarts in all runs that came to run.
    pub restarts: u64,
    /// Restarts, and tries of them, since a set was sealed or the program ended.
    pub restarts_since_progress: u32,
    /// Times that it was interrupted: by a crash, a kill, a purposeful stop.
    pub interruptions: u32,
    /// For how long its programs ran, in milliseconds, as far as it was noted before a crash.
    pub ran_ms: u64,
    /// Sets that were sealed.
    pub sets_sealed: u64,
    /// The last set that was sealed.
    pub last_set: Option<SetRecord>,
    /// How long the last checkpoints took.
    pub checkpoints: CheckpointCost,
    /// Sets up to this number are not gone on from: a fresh start came after them.
    #[serde(default)]
    pub fresh_after: u64,
}

/// The command of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ProgramRecord {
    /// Who takes its images.
    pub kind: ProgramKind,
    /// The program and its arguments.
    #[serde(with = "os_text::list")]
    pub argv: Vec<OsString>,
    /// The directory in which it was started.
    #[serde(with = "os_text")]
    pub directory: PathBuf,
}

/// What makes the images of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ProgramKind {
    /// DMTCP.
    Dmtcp,
    /// The program itself ([`native`](crate::native)).
    Native,
}

/// The process that runs a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Owner {
    /// Name of its host.
    #[serde(with = "os_text")]
    pub host: OsString,
    /// Its pid there.
    pub pid: i32,
    /// When it started, in clock ticks since that host booted.
    pub start_time: u64,
    /// Which boot of the host that was; empty where the system does not say.
    pub boot_id: String,
    /// Since when it has the job, in milliseconds since 1970.
    pub since_unix_ms: u64,
}

/// A coordinator that runs in the owner's process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CoordinatorRecord {
    /// Where it listens.
    pub address: SocketAddr,
    /// The computation, once it is known.
    #[serde(with = "computation_form")]
    pub computation: Option<UniquePid>,
}

/// A set that was sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SetRecord {
    /// Its number.
    pub sequence: u64,
    /// When it was sealed, in milliseconds since 1970.
    pub sealed_unix_ms: u64,
    /// Its size in bytes.
    pub bytes: u64,
}

impl JobRecord {
    /// The newest schema that is read here, and the one that is written.
    pub const SCHEMA: u32 = 1;
    /// Name of the file in the state directory.
    pub const FILE_NAME: &str = "job.json";

    /// That of a job which has never run.
    #[must_use]
    pub fn new(program: ProgramRecord) -> Self {
        let now = unix_ms(SystemTime::now());
        Self {
            schema: Self::SCHEMA,
            program,
            id: None,
            dmtcp: None,
            owner: None,
            coordinator: None,
            created_unix_ms: now,
            updated_unix_ms: now,
            runs: 0,
            attempts: 0,
            restarts: 0,
            restarts_since_progress: 0,
            interruptions: 0,
            ran_ms: 0,
            sets_sealed: 0,
            last_set: None,
            checkpoints: CheckpointCost::new(),
            fresh_after: 0,
        }
    }

    /// That of the job in this state directory; `None`: there is none.
    ///
    /// # Errors
    ///
    /// [`StateError`].
    pub fn read(dir: &Path) -> Result<Option<Self>, StateError> {
        state_file::read(&dir.join(Self::FILE_NAME), Self::SCHEMA)
    }

    /// Writes it to the state directory, whole or not at all, for its owner only. For who owns the
    /// job.
    ///
    /// # Errors
    ///
    /// [`StateError::Io`].
    pub fn write(&mut self, dir: &Path) -> Result<(), StateError> {
        self.updated_unix_ms = unix_ms(SystemTime::now());
        state_file::write(&dir.join(Self::FILE_NAME), self)
    }

    /// Notes a checkpoint whose set was sealed.
    pub fn note_checkpoint(&mut self, took: CheckpointTime, set: SetRecord) {
        self.checkpoints.push(took);
        self.sets_sealed = self.sets_sealed.saturating_add(1);
        self.last_set = Some(set);
        self.restarts_since_progress = 0;
    }

    /// How often the job was interrupted, for what is learned of it.
    #[must_use]
    pub fn history(&self) -> Interruptions {
        Interruptions::recorded(self.interruptions, Duration::from_millis(self.ran_ms))
    }

    /// Takes over what was learned since.
    pub fn note_history(&mut self, history: Interruptions) {
        self.interruptions = history.count();
        self.ran_ms = u64::try_from(history.ran().as_millis()).unwrap_or(u64::MAX);
    }
}

impl ProgramRecord {
    /// The command of a job.
    #[must_use]
    pub fn new(kind: ProgramKind, argv: Vec<OsString>, directory: impl Into<PathBuf>) -> Self {
        Self {
            kind,
            argv,
            directory: directory.into(),
        }
    }
}

impl SetRecord {
    /// A set that was sealed at this time.
    #[must_use]
    pub fn new(sequence: u64, sealed: SystemTime, bytes: u64) -> Self {
        Self {
            sequence,
            sealed_unix_ms: unix_ms(sealed),
            bytes,
        }
    }
}

impl CoordinatorRecord {
    /// One that listens here.
    #[must_use]
    pub fn new(address: SocketAddr, computation: Option<UniquePid>) -> Self {
        Self {
            address,
            computation,
        }
    }
}

impl Owner {
    /// This process, from now on.
    ///
    /// # Errors
    ///
    /// [`ProcessError`] when the system does not tell of this process.
    pub fn this_process() -> Result<Self, ProcessError> {
        let pid = identity::real_pid();
        // The first process of a container is no process to signal.
        let this = match pid {
            2.. => Identity::of(pid)?,
            _ => None,
        };
        Ok(Self {
            host: identity::host_name().unwrap_or_default(),
            pid,
            start_time: this.map_or(0, |this| this.start_time()),
            boot_id: boot_id(),
            since_unix_ms: unix_ms(SystemTime::now()),
        })
    }

    /// Whether it is of this host, in its present boot. Where the system tells no boot, its name
    /// decides.
    #[must_use]
    pub fn is_of_this_host(&self) -> bool {
        let here = boot_id();
        match (self.boot_id.is_empty(), here.is_empty()) {
            (false, false) => self.boot_id == here,
            _ => identity::host_name().is_ok_and(|name| name == self.host),
        }
    }

    /// Whether this very process runs on this host; `None`: it is one of another host, or of another
    /// boot of this one, of which nothing is known here.
    ///
    /// # Errors
    ///
    /// [`ProcessError`] when the system does not tell.
    pub fn is_alive(&self) -> Result<Option<bool>, ProcessError> {
        if !self.is_of_this_host() {
            return Ok(None);
        }
        if self.pid < 2 {
            return Ok(Some(self.pid == identity::real_pid()));
        }
        let there = Identity::of(self.pid)?;
        Ok(Some(there.is_some_and(|process| {
            process.start_time() == self.start_time
        })))
    }
}

fn boot_id() -> String {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    text.trim().to_owned()
}

/// An identity that may not be known yet.
mod computation_form {
    use dmtcp_proto::UniquePid;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::id_json;

    #[derive(Serialize, Deserialize)]
    struct Form(#[serde(with = "id_json")] UniquePid);

    pub(super) fn serialize<S: Serializer>(
        id: &Option<UniquePid>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        id.map(Form).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<UniquePid>, D::Error> {
        let form = Option::<Form>::deserialize(deserializer)?;
        Ok(form.map(|form| form.0))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::{ffi::OsStringExt as _, fs::MetadataExt as _};

    use super::*;

    fn record() -> JobRecord {
        let strange = OsString::from_vec(vec![b'a', 0xff]);
        let argv = vec!["./simulate".into(), strange];
        JobRecord::new(ProgramRecord::new(ProgramKind::Dmtcp, argv, "/work"))
    }

    #[test]
    fn what_is_written_is_read_by_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(JobRecord::read(dir.path()).unwrap(), None);
        let mut record = record();
        record.owner = Some(Owner::this_process().unwrap());
        record.coordinator = Some(CoordinatorRecord::new(
            "127.0.0.1:7779".parse().unwrap(),
            Some(identity::fresh("vm".as_ref()).with_generation(3)),
        ));
        record.write(dir.path()).unwrap();
        assert_eq!(JobRecord::read(dir.path()).unwrap(), Some(record));
        let mode = fs::metadata(dir.path().join("job.json")).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_last_checkpoint_times_are_kept() {
        let mut record = record();
        record.restarts_since_progress = 4;
        for number in 1..=40 {
            let took = CheckpointTime::new(Duration::from_millis(number), Duration::from_secs(1));
            record.note_checkpoint(took, SetRecord::new(number, SystemTime::now(), 7));
        }
        assert_eq!(record.checkpoints.len(), CheckpointCost::WINDOW);
        assert_eq!(record.last_set.as_ref().map(|set| set.sequence), Some(40));
        assert_eq!(
            (record.sets_sealed, record.restarts_since_progress),
            (40, 0)
        );
    }

    #[test]
    fn what_is_learned_is_kept() {
        let mut record = record();
        assert_eq!(record.history(), Interruptions::new());
        let mut history = record.history();
        history.note_run(Duration::from_secs(9));
        history.note_interruption();
        record.note_history(history);
        assert_eq!((record.interruptions, record.ran_ms), (1, 9000));
        assert_eq!(record.history(), history);
    }

    #[test]
    fn an_owner_is_this_very_process_of_this_boot() {
        let owner = Owner::this_process().unwrap();
        assert_eq!(owner.is_alive().unwrap(), Some(true));
        let former = Owner {
            start_time: owner.start_time - 1,
            ..owner.clone()
        };
        assert_eq!(former.is_alive().unwrap(), Some(false));
        let elsewhere = Owner {
            boot_id: "4711".to_owned(),
            ..owner
        };
        assert_eq!(elsewhere.is_alive().unwrap(), None);
    }
}
