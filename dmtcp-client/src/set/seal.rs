//! Making a set out of the images of a round.
//!
//! Not here: what is asked for (`request`), who may do so and under which number (`store`), and
//! waiting for the writers (`settle`).

use super::checkpoint_set::CheckpointSet;
use super::copy;
use super::error::SealError;
use super::latest;
use super::manifest::{ImageKind, Manifest, Phase, SealedImage};
use super::names::Entry;
use super::request::SealRequest;
use super::settle::{Settled, UNSEEN_WRITER_PAUSE, settle};
use super::writers::FileId;
use crate::host::HostFingerprint;
use crate::image::saved_files;
use crate::image::{self, Format, ImageError, ImageHeader, Whole};
use crate::{checksum, durable};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, Metadata};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What has just been done; a crash can come after each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Settled,
    DirectoryMade,
    ImagesAdded,
    ManifestWritten,
    DirectorySynced,
    Renamed,
}

/// Makes the set; `after` is told of each step and can end it there, as a crash would.
///
/// What a failure leaves is for the caller to remove.
pub(super) fn seal(
    sets: &Path,
    sequence: u64,
    request: &SealRequest,
    after: &dyn Fn(Step) -> Result<(), SealError>,
) -> Result<CheckpointSet, SealError> {
    let begun = Instant::now();
    check_request(request)?;
    let mut phases = request.phases.clone();
    let settled = settle(request)?;
    phases.push(Phase::new("settle", begun.elapsed()));
    after(Step::Settled)?;

    let partial = Entry::Partial(sequence).path(sets);
    DirBuilder::new()
        .mode(0o700)
        .create(&partial)
        .map_err(durable::failed("create", &partial))?;
    after(Step::DirectoryMade)?;
    let checking = Instant::now();
    let images = add_images(&partial, &settled, request, begun)?;
    phases.push(Phase::new("check", checking.elapsed()));
    after(Step::ImagesAdded)?;

    let total_bytes = images.iter().map(all_bytes).sum();
    let is_dmtcp = images.iter().any(|image| image.kind == ImageKind::Dmtcp);
    let manifest = Manifest {
        schema: Manifest::SCHEMA,
        sequence,
        computation: request.computation,
        round: request.round,
        parent: request.parent,
        started_unix_ms: unix_ms(request.started),
        created_unix_ms: unix_ms(SystemTime::now()),
        seal_ms: millis(begun.elapsed()),
        phases,
        dmtcp: request.dmtcp.clone().filter(|_| is_dmtcp),
        hosts: known_hosts(request, &images),
        packed_as: None,
        images,
        total_bytes,
    };
    manifest.write(&partial)?;
    after(Step::ManifestWritten)?;
    durable::sync_dir(&partial)?;
    after(Step::DirectorySynced)?;

    request.check_wanted()?;
    let dir = promote(sets, sequence, &|| after(Step::Renamed))?;
    Ok(CheckpointSet::new(dir, manifest))
}

/// Makes a set of the directory aside, which is complete and synced, and gives its new path.
///
/// `promoted` is told when the set is there and `latest` does not lead to it yet.
pub(super) fn promote<E: From<durable::Failed>>(
    sets: &Path,
    sequence: u64,
    promoted: &dyn Fn() -> Result<(), E>,
) -> Result<PathBuf, E> {
    let (partial, dir) = (
        Entry::Partial(sequence).path(sets),
        Entry::Set(sequence).path(sets),
    );
    let latest = latest::prepare(sets, sequence)?;
    fs::rename(&partial, &dir).map_err(durable::failed("promote", &partial))?;
    promoted()?;
    durable::sync_dir(sets)?;
    if let Some(latest) = latest {
        latest.switch(sets)?;
    }
    Ok(dir)
}

fn check_request(request: &SealRequest) -> Result<(), SealError> {
    if request.images.is_empty() {
        return Err(SealError::NoImages);
    }
    let mut names: BTreeMap<OsString, &Path> = BTreeMap::new();
    for image in &request.images {
        if !image.path.is_absolute() {
            return Err(SealError::RelativePath {
                path: image.path.clone(),
            });
        }
        // Reports of the same image with and without `.temp` would become the same name.
        let name = final_name(&image.path);
        if let Some(first) = names.insert(name, &image.path) {
            return Err(SealError::SameName {
                first: first.to_owned(),
                second: image.path.clone(),
            });
        }
    }
    Ok(())
}

fn final_name(path: &Path) -> OsString {
    let temp = durable::TEMP_SUFFIX.trim_start_matches('.');
    let name = match path.extension() {
        Some(extension) if extension == temp => path.file_stem(),
        _ => path.file_name(),
    };
    name.unwrap_or_default().to_owned()
}

/// This host, if a process ran on it, and what the caller knows of others.
fn known_hosts(request: &SealRequest, images: &[SealedImage]) -> Vec<HostFingerprint> {
    let mut hosts = request.hosts.clone();
    let this = HostFingerprint::of_this_host();
    let ran_here = |image: &SealedImage| image.host.is_empty() || image.host == this.name;
    if images.iter().any(ran_here) && hosts.iter().all(|host| host.name != this.name) {
        hosts.push(this);
    }
    hosts
}

fn add_images(
    partial: &Path,
    settled: &[Settled<'_>],
    request: &SealRequest,
    begun: Instant,
) -> Result<Vec<SealedImage>, SealError> {
    let added = Mutex::new(Vec::with_capacity(settled.len()));
    checksum::for_each_parallel(settled, checksum::processors(), |image| {
        let sealed = add_image(partial, image, request, begun)?;
        added.lock().unwrap_or_else(|e| e.into_inner()).push(sealed);
        Ok::<(), SealError>(())
    })?;
    let mut added = added.into_inner().unwrap_or_else(|e| e.into_inner());
    added.sort_by(|a, b| a.file.cmp(&b.file));
    Ok(added)
}

fn add_image(
    partial: &Path,
    settled: &Settled<'_>,
    request: &SealRequest,
    begun: Instant,
) -> Result<SealedImage, SealError> {
    request.check_wanted()?;
    let name = PathBuf::from(settled.path.file_name().unwrap_or_default());
    let inside = partial.join(&name);
    let go_on = || still_time(settled, request, begun);
    let taken = copy::link_or_copy(&settled.path, &inside, &go_on)?;
    if FileId::of(&taken) != settled.id {
        return Err(SealError::Changed {
            path: settled.path.clone(),
        });
    }
    let owner = look_at(partial)?.uid();
    check_owner(&settled.path, &taken, owner)?;
    let whole = check_until_stable(&inside, settled, request, begun)?;
    check_identity(&settled.path, &whole.header, settled, request)?;
    let kind = match whole.header.format {
        Format::Native => ImageKind::Native,
        _ => ImageKind::Dmtcp,
    };
    // Native images have none: what stands beside one is of somebody else's making.
    let is_dmtcp = kind == ImageKind::Dmtcp;
    let saved_files = match saved_files::saved_files_dir(&settled.path).filter(|_| is_dmtcp) {
        Some(saved) => {
            check_owner(&saved, &look_at(&saved)?, owner)?;
            let to = saved_files::saved_files_name(&inside);
            copy::copy_tree(&saved, &to, &saved_files::saved_files_name(&name), &go_on)?
        }
        None => Vec::new(),
    };
    let report = settled.report;
    let header = whole.header;
    Ok(SealedImage {
        file: name,
        written_in: durable::parent_of(&settled.path).to_owned(),
        kind,
        format: header.format.to_string(),
        compressed: header.compressed,
        process: report.process,
        host: report.host.clone(),
        program: if report.program.is_empty() {
            header.program
        } else {
            report.program.clone()
        },
        virtual_pid: report.virtual_pid,
        real_pid: report.real_pid,
        size: whole.size,
        crc32: whole.crc32,
        saved_files,
    })
}

/// Whoever reaches the coordinator can report an image, and what is restarted is run with the
/// rights of the owner of the sets.
fn check_owner(path: &Path, found: &Metadata, owner: u32) -> Result<(), SealError> {
    if found.uid() == owner {
        return Ok(());
    }
    Err(SealError::OtherOwner {
        path: path.to_owned(),
        expected: owner,
        found: found.uid(),
    })
}

/// While something is copied into the set.
fn still_time(
    settled: &Settled<'_>,
    request: &SealRequest,
    begun: Instant,
) -> Result<(), SealError> {
    if Instant::now() < request.deadline {
        return request.check_wanted();
    }
    Err(SealError::TimedOut {
        limit: request.deadline.saturating_duration_since(begun),
        what: format!("{} was being copied", settled.path.display()),
    })
}

/// Checks the image; once more, while it may have a writer that cannot be seen.
fn check_until_stable(
    inside: &Path,
    settled: &Settled<'_>,
    request: &SealRequest,
    begun: Instant,
) -> Result<Whole, SealError> {
    loop {
        request.check_wanted()?;
        let before = look_at(inside)?;
        // What was read while it was written is the file itself, not a copy; and of this host: while
        // another one writes it, a network file system may show gaps in it, which read as zeros.
        let follower = request.follower.as_ref();
        let followed = follower
            .filter(|_| !settled.far && FileId::of(&before) == settled.id)
            .and_then(|follower| follower.take(settled.id, request.deadline));
        let checked = match followed {
            Some(whole) => sync(inside).map(|()| whole),
            None => check_and_sync(inside, request),
        };
        let error = match checked {
            Ok(whole) if same_content(&before, &look_at(inside)?) && whole.size == before.len() => {
                return Ok(whole);
            }
            Ok(_) => SealError::Changed {
                path: settled.path.clone(),
            },
            Err(SealError::Image(ImageError::TimedOut { done, len, .. })) => {
                return Err(SealError::TimedOut {
                    limit: request.deadline.saturating_duration_since(begun),
                    what: format!(
                        "{done} of {len} bytes of {} were checked",
                        settled.path.display()
                    ),
                });
            }
            Err(error) => error,
        };
        let left = request.deadline.saturating_duration_since(Instant::now());
        let pause = match settled {
            Settled { far: true, .. } => FAR_WRITER_PAUSE,
            Settled { unseen: 0, .. } => return Err(error),
            _ => UNSEEN_WRITER_PAUSE,
        };
        if left.is_zero() {
            return Err(error);
        }
        thread::sleep(pause.min(left));
        if same_content(&before, &look_at(inside)?) {
            return Err(error);
        }
    }
}

/// Reads the image while the file system writes it out: the one waits for the processor, the
/// other for the disk.
fn check_and_sync(inside: &Path, request: &SealRequest) -> Result<Whole, SealError> {
    let threads = (checksum::processors() / request.images.len().max(1)).max(1);
    thread::scope(|scope| {
        let synced = thread::Builder::new().spawn_scoped(scope, || sync(inside));
        let whole = image::checksum_with(inside, Some(request.deadline), threads);
        // One after the other where there is no thread to be had.
        let synced = match synced.map(|thread| thread.join()) {
            Ok(Ok(synced)) => synced,
            _ => sync(inside),
        };
        let whole = whole.map_err(SealError::Image)?;
        synced?;
        Ok(whole)
    })
}

fn sync(inside: &Path) -> Result<(), SealError> {
    let synced = File::open(inside).and_then(|file| file.sync_all());
    Ok(synced.map_err(durable::failed("sync", inside))?)
}

pub(super) fn check_identity(
    path: &Path,
    header: &ImageHeader,
    settled: &Settled<'_>,
    request: &SealRequest,
) -> Result<(), SealError> {
    let expected = settled.report.process;
    if !header.process.same_as(&expected) {
        return Err(SealError::OtherProcess {
            path: path.to_owned(),
            expected,
            found: header.process,
        });
    }
    if header.computation != request.computation {
        return Err(SealError::OtherRound {
            path: path.to_owned(),
            expected: request.computation,
            found: header.computation,
        });
    }
    Ok(())
}

pub(super) fn look_at(path: &Path) -> Result<Metadata, SealError> {
    Ok(fs::symlink_metadata(path).map_err(durable::failed("look at", path))?)
}

pub(super) fn same_content(a: &Metadata, b: &Metadata) -> bool {
    let key = |m: &Metadata| (m.len(), m.mtime(), m.mtime_nsec(), m.ino());
    key(a) == key(b)
}

fn all_bytes(image: &SealedImage) -> u64 {
    let saved: u64 = image.saved_files.iter().map(|file| file.size).sum();
    image.size + saved
}

fn unix_ms(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, millis)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The same on another host, whose writes a network file system shows in its own time.
const FAR_WRITER_PAUSE: Duration = Duration::from_secs(3);
