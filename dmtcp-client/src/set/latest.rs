//! The link `latest`: the newest set, for people and scripts. Nothing here follows it.
//!
//! It is switched after the set is there, by one rename, so that it never leads to less than a
//! whole set; a crash in between leaves it at the set before, which
//! [`sweep`](super::SetStore::sweep) mends. Whatever else has its name is left alone.

use super::names::Entry;
use crate::durable::{self, Failed};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// A link that leads to a set that may still have to come; nobody sees it until it is switched.
#[derive(Debug)]
pub(super) struct Prepared {
    aside: PathBuf,
    latest: PathBuf,
}

/// Takes what the file system needs for the switch. `None` if something else has the name.
pub(super) fn prepare(sets: &Path, sequence: u64) -> Result<Option<Prepared>, Failed> {
    let latest = sets.join(LATEST);
    if fs::symlink_metadata(&latest).is_ok_and(|found| !found.is_symlink()) {
        return Ok(None);
    }
    let aside = durable::temp_name(&latest);
    remove_aside(sets)?;
    // Relative, as the whole directory may be moved.
    let target = Entry::Set(sequence).path(Path::new(""));
    symlink(target, &aside).map_err(durable::failed("create the link", &aside))?;
    Ok(Some(Prepared { aside, latest }))
}

impl Prepared {
    pub(super) fn switch(self, sets: &Path) -> Result<(), Failed> {
        fs::rename(&self.aside, &self.latest).map_err(durable::failed("switch", &self.latest))?;
        durable::sync_dir(sets)
    }
}

/// Lets it lead to this set, if it does not.
pub(super) fn point_at(sets: &Path, sequence: u64) -> Result<(), Failed> {
    let target = Entry::Set(sequence).path(Path::new(""));
    if fs::read_link(sets.join(LATEST)).is_ok_and(|now| now == target) {
        return Ok(());
    }
    match prepare(sets, sequence)? {
        Some(prepared) => prepared.switch(sets),
        None => Ok(()),
    }
}

/// Removes what a failure or a crash has left.
pub(super) fn remove_aside(sets: &Path) -> Result<(), Failed> {
    let aside = durable::temp_name(&sets.join(LATEST));
    match fs::remove_file(&aside) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(durable::failed("remove", &aside)(error))
        }
        _ => Ok(()),
    }
}

const LATEST: &str = "latest";
