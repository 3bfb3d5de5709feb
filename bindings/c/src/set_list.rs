//! `dmtcp_sets`: the sets of a directory, as they were when asked for.

use std::path::Path;

use dmtcp_client::set::{self, CheckpointSet, Listing};

use crate::boundary::{call, contain};
use crate::codes::ResultCode;
use crate::failure::Failure;
use crate::ffi::{In, Out, Owned, Text};
use crate::set::Set;

/// A list of sets, newest first, as it was when it was asked for.
pub struct Sets {
    sets: Vec<CheckpointSet>,
    broken: Vec<String>,
}

/// The sets in a state directory, newest first, without owning it: a running job may. Those that are
/// being sealed or removed are not in it; a directory without sets has none.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_sets_list(state_dir: Text, sets: Out<*mut Sets>) -> ResultCode {
    call(|| {
        let place = sets.place("sets")?;
        place.put_object(list(state_dir.path("state_dir")?)?);
        Ok(())
    })
}

/// How many there are whose manifest can be read; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_sets_count(sets: In<Sets>) -> usize {
    contain(0, || sets.optional().map_or(0, |sets| sets.sets.len()))
}

/// The set at an index from 0; free it with dmtcp_set_free().
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_sets_get(sets: In<Sets>, index: usize, set: Out<*mut Set>) -> ResultCode {
    call(|| {
        let sets = &sets.get("sets")?.sets;
        let place = set.place("set")?;
        let found = sets.get(index).ok_or_else(|| {
            let count = sets.len();
            Failure::argument(format!("there is no index {index} in a list of {count}"))
        })?;
        place.put_object(found.clone().into());
        Ok(())
    })
}

/// What is wrong with the directories that look like sets and cannot be read, one a line; "" if
/// there are none. Free it with dmtcp_text_free().
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_sets_broken(
    sets: In<Sets>,
    text: Out<*mut std::ffi::c_char>,
) -> ResultCode {
    call(|| {
        let sets = sets.get("sets")?;
        text.place("text")?.put_text(&sets.broken.join("\n"));
        Ok(())
    })
}

/// Frees a list; sets that were taken out of it stay.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_sets_free(sets: Owned<Sets>) {
    contain((), || drop(sets.take()));
}

fn list(state_dir: &Path) -> Result<Sets, Failure> {
    Ok(set::list(state_dir)?.into())
}

impl From<Listing> for Sets {
    fn from(listing: Listing) -> Self {
        let broken = listing.broken.iter();
        Self {
            broken: broken
                .map(|(dir, error)| {
                    let why = dmtcp_client::with_causes(error);
                    format!("{}: {why}", dir.display())
                })
                .collect(),
            sets: listing.sets,
        }
    }
}
