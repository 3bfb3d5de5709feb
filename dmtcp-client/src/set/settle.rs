//! Waiting until the images of a round are under their final names and nobody writes them.
//!
//! Processes of other users may not be looked into. What proves completeness then is the content
//! alone: an image leads to its end marker at its last byte, which is the last that a writer
//! writes (see [`image::check_whole`](crate::image::check_whole)).

use super::error::SealError;
use super::request::{ImageReport, SealRequest};
use super::writers::{self, FileId, Scan, Wanted};
use crate::durable;
use crate::identity;
use crate::image::{self, ImageError};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// An image that nobody seen writes any more.
#[derive(Debug)]
pub(super) struct Settled<'a> {
    pub(super) report: &'a ImageReport,
    /// Its final name, which a forked checkpoint does not report.
    pub(super) path: PathBuf,
    pub(super) id: FileId,
    /// Processes that may not be looked into when it was judged.
    pub(super) unseen: usize,
    /// It was written on another host, whose processes cannot be seen.
    pub(super) far: bool,
}

/// Waits for all images of the round, or until its deadline.
pub(super) fn settle(request: &SealRequest) -> Result<Vec<Settled<'_>>, SealError> {
    let begun = Instant::now();
    let this = identity::host_name().unwrap_or_default();
    let awaited = request
        .images
        .iter()
        .map(|report| Awaited::new(report, &this));
    let mut waiting: Vec<_> = awaited.collect();
    let mut settled = Vec::with_capacity(waiting.len());
    let mut pause = FIRST_PAUSE;
    loop {
        request.check_wanted()?;
        let what = look(&mut waiting, &mut settled, request)?;
        let Some(what) = what else {
            return Ok(settled);
        };
        let now = Instant::now();
        // What another host has just made may take a network file system some seconds to show.
        if now >= request.deadline || begun.elapsed() > VISIBLE_LIMIT {
            check_visible(&waiting)?;
        }
        if now >= request.deadline {
            return Err(SealError::TimedOut {
                limit: request.deadline.saturating_duration_since(begun),
                what,
            });
        }
        thread::sleep(pause.min(request.deadline - now));
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// A reported image and where it will be.
struct Awaited<'a> {
    report: &'a ImageReport,
    path: PathBuf,
    /// Reported under the name of a file that is being written: somebody else renames it.
    forked: bool,
    /// Written on another host.
    far: bool,
}

impl<'a> Awaited<'a> {
    fn new(report: &'a ImageReport, this: &OsStr) -> Self {
        let far = !report.host.is_empty() && report.host != this;
        let bytes = report.path.as_os_str().as_bytes();
        match bytes.strip_suffix(durable::TEMP_SUFFIX.as_bytes()) {
            Some(name) => Self {
                report,
                path: PathBuf::from(OsStr::from_bytes(name)),
                forked: true,
                far,
            },
            None => Self {
                report,
                path: report.path.clone(),
                forked: false,
                far,
            },
        }
    }

    /// The file under its final name; `None` if it is still to come.
    fn find(&self) -> Result<Option<FileId>, SealError> {
        match fs::symlink_metadata(&self.path) {
            Ok(metadata) if metadata.is_file() => Ok(Some(FileId::of(&metadata))),
            Ok(_) => Err(SealError::Image(ImageError::NotAnImage {
                path: self.path.clone(),
                what: "is not a regular file".to_owned(),
            })),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // What is not there of another host is told with all hosts of which that is so.
                if self.far || self.forked || durable::temp_name(&self.path).exists() {
                    Ok(None)
                } else {
                    Err(SealError::NoImage {
                        path: self.path.clone(),
                    })
                }
            }
            Err(error) => Err(durable::failed("look at", &self.path)(error).into()),
        }
    }

    /// Whether nothing of it can be seen, and it was written on another host.
    fn is_out_of_sight(&self) -> bool {
        let folder = durable::parent_of(&self.path);
        let is_made =
            || self.path.symlink_metadata().is_ok() || durable::temp_name(&self.path).exists();
        self.far && !(is_made() || (self.forked && folder.exists()))
    }

    /// Whether the final name still holds the image of an earlier round, to be replaced.
    fn is_of_earlier_round(&self, request: &SealRequest) -> bool {
        self.forked
            && image::read_header(&self.path).is_ok_and(|header| {
                header.computation.same_as(&request.computation)
                    && header.computation.generation < request.computation.generation
            })
    }
}

fn check_visible(waiting: &[Awaited<'_>]) -> Result<(), SealError> {
    let missing = || waiting.iter().filter(|image| image.is_out_of_sight());
    let Some(first) = missing().next() else {
        return Ok(());
    };
    let hosts: BTreeSet<_> = missing().map(|image| image.report.host.clone()).collect();
    Err(SealError::NotVisible {
        hosts: hosts.into_iter().collect(),
        path: first.path.clone(),
    })
}

/// Moves what has settled; says what is waited for, or `None` if nothing is.
fn look<'a>(
    waiting: &mut Vec<Awaited<'a>>,
    settled: &mut Vec<Settled<'a>>,
    request: &SealRequest,
) -> Result<Option<String>, SealError> {
    let mut found = Vec::with_capacity(waiting.len());
    for image in waiting.iter() {
        found.push(image.find()?);
    }
    let wanted: Vec<_> = waiting.iter().zip(&found).filter_map(wanted).collect();
    let scan = writers::scan(&wanted).unwrap_or(Scan {
        writers: Vec::new(),
        unseen: 1,
    });
    let mut still = Vec::new();
    let mut what = None;
    for (image, id) in std::mem::take(waiting).into_iter().zip(found) {
        let reason = match id {
            None if image.is_out_of_sight() => Some("is not there yet".to_owned()),
            None => Some("has not been renamed to its final name".to_owned()),
            Some(id) => match scan.writers.iter().find(|writer| writer.id == id) {
                Some(writer) => Some(format!(
                    "is still being written by process {} ({})",
                    writer.pid, writer.command
                )),
                None if image.is_of_earlier_round(request) => {
                    Some("has not replaced the image of an earlier round".to_owned())
                }
                // Judged was a file that has been replaced meanwhile.
                None if image.find()? != Some(id) => Some("has just been replaced".to_owned()),
                None => {
                    settled.push(Settled {
                        report: image.report,
                        path: image.path,
                        id,
                        unseen: scan.unseen,
                        far: image.far,
                    });
                    continue;
                }
            },
        };
        if let Some(reason) = reason {
            what.get_or_insert_with(|| format!("{} {reason}", image.path.display()));
        }
        still.push(image);
    }
    *waiting = still;
    Ok(what)
}

fn wanted((image, id): (&Awaited<'_>, &Option<FileId>)) -> Option<Wanted> {
    Some(Wanted {
        id: (*id)?,
        name: file_name(&image.path).to_owned(),
    })
}

fn file_name(path: &Path) -> &OsStr {
    path.file_name().unwrap_or_default()
}

/// Before an image is judged again that may have a writer that cannot be seen: longer than any pause
/// of a compressor at work.
pub(super) const UNSEEN_WRITER_PAUSE: Duration = Duration::from_millis(200);
const VISIBLE_LIMIT: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);
