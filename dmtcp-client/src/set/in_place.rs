//! Images of a round where their processes wrote them, checked and not made a set.

use super::error::SealError;
use super::request::SealRequest;
use super::seal::{check_identity, look_at, same_content};
use super::settle::{Settled, UNSEEN_WRITER_PAUSE, settle};
use crate::checksum;
use crate::image::{self, ImageError, ImageHeader};
use dmtcp_proto::UniquePid;
use std::path::PathBuf;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

/// Whose image is where, once all have their final names, nobody writes them, and each is whole, of
/// its process and of this round.
pub(crate) fn whole_in_place(
    request: &SealRequest,
) -> Result<Vec<(UniquePid, PathBuf)>, SealError> {
    let settled = settle(request)?;
    let found = Mutex::new(Vec::with_capacity(settled.len()));
    checksum::for_each_parallel(&settled, checksum::processors(), |image| {
        let header = whole(image, request)?;
        check_identity(&image.path, &header, image, request)?;
        let mut found = found.lock().unwrap_or_else(|e| e.into_inner());
        found.push((image.report.process, image.path.clone()));
        Ok::<(), SealError>(())
    })?;
    Ok(found.into_inner().unwrap_or_else(|e| e.into_inner()))
}

/// Once more, while it may have a writer that cannot be seen.
fn whole(image: &Settled<'_>, request: &SealRequest) -> Result<ImageHeader, SealError> {
    loop {
        request.check_wanted()?;
        let before = look_at(&image.path)?;
        let error = match image::check_whole(&image.path) {
            Ok(header) => return Ok(header),
            Err(error @ ImageError::Cut { .. }) if image.unseen > 0 => error,
            Err(error) => return Err(SealError::Image(error)),
        };
        let left = request.deadline.saturating_duration_since(Instant::now());
        thread::sleep(UNSEEN_WRITER_PAUSE.min(left));
        if left.is_zero() || same_content(&before, &look_at(&image.path)?) {
            return Err(SealError::Image(error));
        }
    }
}
