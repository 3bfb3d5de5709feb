//! Rounds of an embedded coordinator become sets of a store.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use dmtcp_client::server::{SealError, SealRound, SealedSet, Sealer};
use dmtcp_client::set::{ImageReport, Phase, SealRequest, SetStore};

/// Seals into a store that it owns.
pub(crate) struct StoreSealer {
    store: SetStore,
    limit: Duration,
}

impl StoreSealer {
    pub(crate) fn new(store: SetStore, limit: Duration) -> Self {
        Self { store, limit }
    }
}

impl Sealer for StoreSealer {
    fn seal(&mut self, round: &SealRound) -> Result<SealedSet, SealError> {
        let reports = round.images.iter().map(|image| {
            let path = PathBuf::from(OsStr::from_bytes(image.path.as_bytes()));
            let mut report = ImageReport::new(path, image.worker.id);
            report.host = image.worker.host.clone().into();
            report.program = image.worker.program.clone().into();
            report.virtual_pid = image.worker.virtual_pid;
            report.real_pid = image.worker.real_pid;
            report
        });
        let deadline = Instant::now() + self.limit;
        let (computation, number) = (round.computation, round.round);
        let mut request = SealRequest::new(computation, number, reports.collect(), deadline);
        request.started = round.started;
        let barriers = round.barriers.iter();
        request.phases = barriers
            .map(|(name, took)| Phase::new(name.to_string(), *took))
            .collect();
        let set = self.store.seal(&request)?;
        Ok(SealedSet::new(set.sequence(), set.dir()).bytes(set.total_bytes()))
    }
}
