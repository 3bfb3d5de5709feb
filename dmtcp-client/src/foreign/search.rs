//! Which of the files that are there are the images of a round, and whether they are all of it.
//!
//! One look at a time; what to do while something is still to come is `round`'s to say.

use super::error::{ForeignError, Refusal, Refused};
use super::files::{Before, Candidate, Images, Stamp};
use super::places::Places;
use crate::image::{self, ImageHeader};
use crate::set::ImageReport;
use dmtcp_proto::{UniquePid, WorkerInfo};
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Who was in the round.
#[derive(Clone, Debug)]
pub(super) enum Members {
    /// The coordinator lists its workers.
    Listed {
        /// Seen stopped in it.
        certain: Vec<WorkerInfo>,
        /// Listed about that time.
        possible: Vec<WorkerInfo>,
    },
    /// It does not; these its restart script names.
    Named(Vec<PathBuf>),
}

/// Every image of a round.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) computation: UniquePid,
    pub(super) reports: Vec<ImageReport>,
}

/// What one look gave.
#[derive(Debug)]
pub(super) enum Look {
    Complete(Found),
    /// Not all are there.
    Lacking {
        /// Why, if nothing comes any more.
        error: ForeignError,
        /// What is not finished, and may still become an image that lacks.
        unfinished: Vec<Candidate>,
        /// There are images of several rounds: another one has begun to replace them.
        is_mixed: bool,
        /// All new files: as long as these change, something comes.
        seen: Vec<(PathBuf, Stamp)>,
    },
}

/// Looks for the images of one round, reading each header once.
#[derive(Debug, Default)]
pub(super) struct Search {
    headers: HashMap<(PathBuf, Stamp), ImageHeader>,
}

/// A new file with a header.
struct Fresh {
    image: Candidate,
    header: ImageHeader,
}

impl Search {
    /// Looks everywhere once.
    pub(super) fn look(
        &mut self,
        addr: SocketAddr,
        places: &Places,
        before: &Before,
        members: &Members,
    ) -> Look {
        let Images { finals, temps } = Images::list(places.dirs().iter().map(PathBuf::as_path));
        let mut rest = Rest::default();
        let mut fresh = Vec::new();
        for image in finals {
            if !before.is_new(&image) {
                rest.refused.push(refused(&image, Refusal::Older));
                continue;
            }
            match self.header(&image) {
                Ok(header) => fresh.push(Fresh { image, header }),
                Err(error) => {
                    let why = Refusal::Unreadable(error);
                    rest.refused.push(refused(&image, why));
                    rest.unfinished.push(image);
                }
            }
        }
        for image in temps {
            rest.refused.push(refused(&image, Refusal::Unfinished));
            rest.unfinished.push(image);
        }
        let seen = fresh.iter().map(|file| &file.image);
        let seen = seen.chain(&rest.unfinished);
        let seen = seen
            .map(|image| (image.path.clone(), image.stamp))
            .collect();
        match judge(addr, places, members, fresh, rest) {
            Ok(found) => Look::Complete(found),
            Err(lack) => Look::Lacking {
                error: lack.error,
                unfinished: lack.unfinished,
                is_mixed: lack.is_mixed,
                seen,
            },
        }
    }

    fn header(&mut self, image: &Candidate) -> Result<ImageHeader, image::ImageError> {
        let key = (image.path.clone(), image.stamp);
        if let Some(header) = self.headers.get(&key) {
            return Ok(header.clone());
        }
        let header = image::read_header(&image.path)?;
        self.headers.insert(key, header.clone());
        Ok(header)
    }
}

/// Files that are no images of the round, or not yet.
#[derive(Default)]
struct Rest {
    refused: Vec<Refused>,
    unfinished: Vec<Candidate>,
}

impl Rest {
    /// Only what is about one of these processes.
    fn only_of(mut self, workers: &[WorkerInfo]) -> Self {
        let ids: Vec<String> = workers.iter().map(|worker| worker.id.to_string()).collect();
        let of_them = |path: &Path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            ids.iter().any(|id| name.contains(id))
        };
        self.refused.retain(|file| of_them(&file.path));
        self.unfinished.retain(|file| of_them(&file.path));
        self
    }
}

/// Why a round is not complete.
struct Lack {
    error: ForeignError,
    unfinished: Vec<Candidate>,
    is_mixed: bool,
}

fn judge(
    addr: SocketAddr,
    places: &Places,
    members: &Members,
    fresh: Vec<Fresh>,
    mut rest: Rest,
) -> Result<Found, Lack> {
    let computation = round_of(members, &fresh);
    let mut images: BTreeMap<UniquePid, Fresh> = BTreeMap::new();
    let mut is_mixed = false;
    for file in fresh {
        let found = file.header.computation;
        let process = file.header.process;
        if Some(found) == computation {
            if !members.has(process) {
                let why = Refusal::OtherProcess(process);
                rest.refused.push(refused(&file.image, why));
            }
            images.entry(process.with_generation(0)).or_insert(file);
            continue;
        }
        is_mixed |= computation.is_some_and(|ours| found.same_as(&ours));
        let why = match members.has(process) {
            true => Refusal::OtherRound(found),
            false => Refusal::OtherProcess(process),
        };
        rest.refused.push(refused(&file.image, why));
    }
    let lack = |error, rest: Rest| Lack {
        error,
        unfinished: rest.unfinished,
        is_mixed,
    };
    let looked_in = || places.dirs().to_vec();

    let missing = members.missing(&images);
    if !missing.is_empty() {
        let mut rest = rest.only_of(&missing);
        let refused = std::mem::take(&mut rest.refused);
        return Err(lack(no_image(places, missing, refused), rest));
    }
    let Some(computation) = computation else {
        // Who is listed and has an image says which round it was.
        let error = ForeignError::Unlisted {
            addr,
            looked_in: looked_in(),
        };
        return Err(lack(error, rest));
    };
    let (named, named_found) = match members {
        Members::Listed { .. } => (0, 0),
        Members::Named(paths) => {
            let is_named = |file: &&Fresh| paths.contains(&file.image.path);
            (paths.len(), images.values().filter(is_named).count())
        }
    };
    let peers = images.values().map(|file| file.header.peers).max();
    let count = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
    let (expected, found) = (peers.unwrap_or(0), count(images.len()));
    if found != expected || named_found != named {
        let error = ForeignError::Incomplete {
            expected: expected.max(count(named)),
            found,
            without: members.without(&images),
            looked_in: looked_in(),
        };
        return Err(lack(error, rest));
    }
    let reports = images.into_values().map(|file| report(file, members));
    Ok(Found {
        computation,
        reports: reports.collect(),
    })
}

/// The computation, with the generation of the newest round of which a member has an image.
fn round_of(members: &Members, fresh: &[Fresh]) -> Option<UniquePid> {
    let mut of_members = fresh.iter().filter(|file| match members {
        // Who only may have been in it does not say which round it was, unless nobody does.
        Members::Listed { certain, possible } if certain.is_empty() => {
            lists(possible, file.header.process)
        }
        Members::Listed { certain, .. } => lists(certain, file.header.process),
        Members::Named(paths) => paths.contains(&file.image.path),
    });
    let first = of_members.next()?.header.computation;
    let all = of_members.map(|file| file.header.computation);
    let same = all.filter(|found| found.same_as(&first));
    let newest = same.map(|found| found.generation).max().unwrap_or(0);
    Some(first.with_generation(first.generation.max(newest)))
}

fn lists(workers: &[WorkerInfo], process: UniquePid) -> bool {
    workers.iter().any(|worker| worker.id.same_as(&process))
}

impl Members {
    /// Whether this may be one; `true` where nobody tells.
    fn has(&self, process: UniquePid) -> bool {
        match self {
            Self::Listed { certain, possible } => {
                lists(certain, process) || lists(possible, process)
            }
            Self::Named(_) => true,
        }
    }

    /// Who may have an image, and has none among these.
    fn without(&self, images: &BTreeMap<UniquePid, Fresh>) -> Vec<WorkerInfo> {
        let Self::Listed { certain, possible } = self else {
            return Vec::new();
        };
        let has = |worker: &&WorkerInfo| images.contains_key(&worker.id.with_generation(0));
        let all = certain.iter().chain(possible);
        all.filter(|worker| !has(worker)).cloned().collect()
    }

    /// Who must have an image, and has none among these.
    fn missing(&self, images: &BTreeMap<UniquePid, Fresh>) -> Vec<WorkerInfo> {
        let Self::Listed { certain, possible } = self else {
            return Vec::new();
        };
        // With no image at all, nobody has come through.
        let must = match images.is_empty() && certain.is_empty() {
            true => possible,
            false => certain,
        };
        let has = |worker: &&WorkerInfo| images.contains_key(&worker.id.with_generation(0));
        must.iter().filter(|worker| !has(worker)).cloned().collect()
    }
}

/// About those of this host first: of them it is known that their images should be found.
fn no_image(places: &Places, mut missing: Vec<WorkerInfo>, refused: Vec<Refused>) -> ForeignError {
    let looked_in = places.dirs().to_vec();
    let here = missing.iter().position(|worker| places.is_here(worker));
    match (here, missing.first().map(|worker| worker.host.clone())) {
        (None, Some(host)) => {
            missing.retain(|worker| worker.host == host);
            ForeignError::Elsewhere {
                host,
                workers: missing,
                looked_in,
            }
        }
        (here, _) => ForeignError::NoImage {
            worker: Box::new(missing.swap_remove(here.unwrap_or(0))),
            refused,
            looked_in,
        },
    }
}

fn report(file: Fresh, members: &Members) -> ImageReport {
    let process = file.header.process;
    let mut report = ImageReport::new(file.image.path, process);
    report.program = file.header.program;
    report.virtual_pid = file.header.virtual_pid;
    report.host = file.header.host.unwrap_or_default();
    if let Members::Listed { certain, possible } = members {
        let mut workers = certain.iter().chain(possible);
        if let Some(worker) = workers.find(|worker| worker.id.same_as(&process)) {
            report.host = worker.host.clone().into();
            report.program = worker.program.clone().into();
            report.virtual_pid = worker.virtual_pid;
            report.real_pid = worker.real_pid.max(0);
        }
    }
    report
}

fn refused(image: &Candidate, why: Refusal) -> Refused {
    Refused {
        path: image.path.clone(),
        why,
    }
}
