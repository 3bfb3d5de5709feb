//! Rounds of the embedded coordinator become sets of the store.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt as _,
    path::PathBuf,
    sync::{Arc, Mutex, atomic::AtomicBool},
    time::{Duration, Instant},
};

use crate::{
    host::HostFingerprint,
    server::{SealError, SealRound, SealedSet, Sealer},
    set::{Follower, ImageReport, Phase, SealRequest, SetHold, SetStore},
};

/// What a sealer needs to know of its attempt.
#[derive(Debug)]
pub(super) struct Seals {
    pub(super) store: Arc<SetStore>,
    /// Where relative reports are meant.
    pub(super) images: PathBuf,
    /// The set that the attempt was restarted from.
    pub(super) parent: Option<u64>,
    /// Keeps that set until there is one of this attempt: a newer one may be good and yet not
    /// restart.
    pub(super) origin: Option<SetHold>,
    /// The release of the DMTCP programs, if there are any.
    pub(super) dmtcp: Option<String>,
    /// The other hosts that its processes run on.
    pub(super) hosts: Arc<Mutex<Vec<HostFingerprint>>>,
    /// How long a round may take.
    pub(super) limit: Duration,
    /// The attempt is killed: there shall be no more sets of it.
    pub(super) abandoned: Arc<AtomicBool>,
    /// Looks at the images of a round while they are written.
    pub(super) follower: Option<Arc<Follower>>,
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
        request.dmtcp.clone_from(&self.dmtcp);
        let hosts = self.hosts.lock().unwrap_or_else(|error| error.into_inner());
        request.hosts.clone_from(&hosts);
        drop(hosts);
        request.phases = phases(round);
        request.abandoned = Arc::clone(&self.abandoned);
        request.follower = self.follower.take();
        let set = self.store.seal(&request)?;
        self.origin = None;
        Ok(SealedSet::new(set.sequence(), set.dir()).bytes(set.total_bytes()))
    }

    fn round_begins(&mut self) {
        self.follower = Some(Arc::new(Follower::start(&self.images)));
    }

    fn round_failed(&mut self) {
        self.follower = None;
    }
}

/// How long each barrier took, and the time since the last.
fn phases(round: &SealRound) -> Vec<Phase> {
    let mut rest = round.started.elapsed().unwrap_or_default();
    let mut phases = Vec::with_capacity(round.barriers.len() + 1);
    for (name, took) in &round.barriers {
        rest = rest.saturating_sub(*took);
        phases.push(Phase::new(name.to_string(), *took));
    }
    phases.push(Phase::new("report", rest));
    phases
}
