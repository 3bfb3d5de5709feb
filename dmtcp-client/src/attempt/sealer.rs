//! Rounds of the embedded coordinator become sets of the store.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt as _,
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};

use crate::{
    server::{SealError, SealRound, SealedSet, Sealer},
    set::{ImageReport, SealRequest, SetStore},
};

/// What a sealer needs to know of its attempt.
#[derive(Debug)]
pub(super) struct Seals {
    pub(super) store: Arc<SetStore>,
    /// Where relative reports are meant.
    pub(super) images: PathBuf,
    /// The set that the attempt was restarted from.
    pub(super) parent: Option<u64>,
    /// How long a round may take.
    pub(super) limit: Duration,
    /// The attempt is killed: there shall be no more sets of it.
    pub(super) abandoned: Arc<AtomicBool>,
}

impl Sealer for Seals {
    fn seal(&mut self, round: &SealRound) -> Result<SealedSet, SealError> {
        let reports = round.images.iter().map(|image| {
            // A worker may report a path relative to its directory; ours is absolute, so joining
            // changes nothing but that.
            let path = self.images.join(OsStr::from_bytes(image.path.as_bytes()));
            let mut report = ImageReport::new(path, image.worker.id);
            report.host = image.worker.host.clone().into();
            report.program = image.worker.program.clone().into();
            report.virtual_pid = image.worker.virtual_pid;
            report.real_pid = image.worker.real_pid;
            report
        });
        let reports = reports.collect();
        let deadline = Instant::now() + self.limit;
        let mut request = SealRequest::new(round.computation, round.round, reports, deadline);
        request.started = round.started;
        request.parent = self.parent;
        request.abandoned = Arc::clone(&self.abandoned);
        let set = self.store.seal(&request)?;
        Ok(SealedSet::new(set.sequence(), set.dir()))
    }
}
