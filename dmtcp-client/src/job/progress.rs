//! How far a checkpoint has come that somebody asked for from another process.
//!
//! Not here: how it is shown. It is a guess for people: what counts is the answer to the checkpoint.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use dmtcp_proto::WorkerState;

use crate::coordinator::{Coordinator, Error};

/// How far it has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Workers of the computation.
    pub workers: usize,
    /// Those of them that take part by now.
    pub stopped: usize,
    /// Where most of these wait for the others, and how many of them.
    pub barrier: Option<(String, usize)>,
    /// Bytes of images that were written.
    pub written_bytes: u64,
    /// Bytes of the set before, which the new one is likely to have, too; `None`: there is none.
    pub expected_bytes: Option<u64>,
}

/// Looks at a checkpoint from the moment on at which this is made.
#[derive(Clone, Debug)]
pub struct ProgressWatch {
    coordinator: Coordinator,
    /// The state directory, and the size of its last set.
    job: Option<(PathBuf, Option<u64>)>,
    begun: SystemTime,
}

impl ProgressWatch {
    /// Of the computation of this coordinator. Bytes are looked for in the state directory of its job, if
    /// there is one: `directory`, and the size of its last set.
    #[must_use]
    pub fn new(coordinator: Coordinator, job: Option<(&Path, Option<u64>)>) -> Self {
        Self {
            coordinator,
            job: job.map(|(directory, expected)| (directory.to_owned(), expected)),
            begun: SystemTime::now(),
        }
    }

    /// How far it is now. It asks the coordinator for its list.
    ///
    /// # Errors
    ///
    /// As [`Coordinator::workers`].
    pub fn look(&self) -> Result<Progress, Error> {
        let workers = self.coordinator.workers()?;
        let mut barriers: BTreeMap<&str, usize> = BTreeMap::new();
        for barrier in workers
            .iter()
            .filter_map(|worker| worker.barrier.as_deref())
        {
            *barriers.entry(barrier).or_default() += 1;
        }
        let stopped = |state: WorkerState| state != WorkerState::Running;
        let fullest = barriers.into_iter().max_by_key(|(_, count)| *count);
        let (directory, expected_bytes) = self.job.clone().unzip();
        Ok(Progress {
            workers: workers.len(),
            stopped: workers
                .iter()
                .filter(|worker| stopped(worker.state))
                .count(),
            barrier: fullest.map(|(barrier, count)| (barrier.to_owned(), count)),
            written_bytes: directory.map_or(0, |directory| self.written(&directory)),
            expected_bytes: expected_bytes.flatten(),
        })
    }

    /// Of images that were changed since it began; those that an attempt was restarted from are older.
    fn written(&self, directory: &Path) -> u64 {
        let entries = |directory: &Path| fs::read_dir(directory).into_iter().flatten().flatten();
        let attempts = entries(&directory.join("attempts"));
        let images = attempts.flat_map(|attempt| entries(&attempt.path().join("images")));
        let sizes = images.filter_map(|image| {
            // It is renamed while it is looked at.
            let metadata = image.metadata().ok()?;
            let is_new = metadata.is_file() && metadata.modified().ok()? >= self.begun;
            is_new.then_some(metadata.len())
        });
        sizes.sum()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dmtcp_proto::Dialect;

    use super::*;
    use crate::server::{ComputationConfig, Server};

    #[test]
    fn only_what_was_written_since_counts() {
        let dir = tempfile::tempdir().unwrap();
        let images = dir.path().join("attempts/000001/images");
        fs::create_dir_all(&images).unwrap();
        let old = fs::File::create(images.join("old")).unwrap();
        old.set_len(1000).unwrap();
        let hour = Duration::from_secs(3600);
        old.set_modified(SystemTime::now() - hour).unwrap();
        fs::write(images.join("a.temp"), [0; 300]).unwrap();
        fs::write(images.join("b"), [0; 30]).unwrap();
        let server = Server::start().unwrap();
        let computation = server.open(ComputationConfig::default()).unwrap();
        let coordinator = Coordinator::new(computation.addr(), Dialect::V5).timeout(hour);
        let mut watch = ProgressWatch::new(coordinator, Some((dir.path(), Some(400))));
        // Clocks of file systems are coarse.
        watch.begun -= Duration::from_secs(60);
        let progress = watch.look().unwrap();
        let expected = Progress {
            written_bytes: 330,
            expected_bytes: Some(400),
            ..Progress::default()
        };
        assert_eq!(progress, expected);
    }
}
