//! Rounds of the embedded coordinator become sets of the store.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt as _,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    server::{SealError, SealRound, SealedSet, Sealer},
    set::{ImageReport, SealRequest, SetStore},
};

/// A sealer that takes the images of an attempt, written to `images`, into `store`.
pub(super) fn of(
    store: Arc<SetStore>,
    images: PathBuf,
    parent: Option<u64>,
    limit: Duration,
) -> impl Sealer + 'static {
    move |round: &SealRound| -> Result<SealedSet, SealError> {
        let reports = round.images.iter().map(|image| {
            // A worker may report a path relative to its directory; ours is absolute, so joining
            // changes nothing but that.
            let path = images.join(OsStr::from_bytes(image.path.as_bytes()));
            let mut report = ImageReport::new(path, image.worker.id);
            report.host = image.worker.host.clone().into();
            report.program = image.worker.program.clone().into();
            report.virtual_pid = image.worker.virtual_pid;
            report.real_pid = image.worker.real_pid;
            report
        });
        let reports = reports.collect();
        let deadline = Instant::now() + limit;
        let mut request = SealRequest::new(round.computation, round.round, reports, deadline);
        request.started = round.started;
        request.parent = parent;
        let set = store.seal(&request)?;
        Ok(SealedSet::new(set.sequence(), set.dir()))
    }
}
