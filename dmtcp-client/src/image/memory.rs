//! The memory in a DMTCP image, added up by what it is.
//!
//! Not here: where the areas are in the file (`areas`).

use super::areas::{Area, AreaForm};
use crate::os_text;
use serde::Serialize;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// Memory areas of the process, added up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Memory {
    /// All of them.
    pub total: AreaTotal,
    /// What `brk` gave, as the kernel names it.
    pub heap: AreaTotal,
    /// The main thread's stack. Those of other threads are anonymous.
    pub stack: AreaTotal,
    /// Mapped files, programs and libraries among them.
    pub files: AreaTotal,
    /// Memory without a name.
    pub anonymous: AreaTotal,
    /// What has another name, such as `[anon: …]`.
    pub other: AreaTotal,
    /// The files of [`files`](Self::files), by name.
    pub mapped: Vec<MappedFile>,
    /// Areas of `files` whose file is not in `mapped`: there are 4096 others, or their names take
    /// more than 1 MiB.
    pub unlisted_areas: u64,
}

/// How much memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AreaTotal {
    /// Number of areas.
    pub areas: u64,
    /// Bytes of address space.
    pub bytes: u64,
    /// Bytes that the image holds of them; the others are zeros, or are read from their file.
    pub stored_bytes: u64,
}

/// A file that was mapped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct MappedFile {
    /// Its name, with ` (deleted)` behind it if the kernel said so.
    #[serde(with = "os_text")]
    pub path: PathBuf,
    /// How much of it.
    #[serde(flatten)]
    pub total: AreaTotal,
    /// Some of it can be executed: a program or a library.
    pub executable: bool,
    /// Some of it is shared with other processes. The images of 2.x do not tell.
    pub shared: bool,
}

/// Adds up.
#[derive(Debug)]
pub(super) struct MemorySum {
    form: AreaForm,
    stack_end: Option<u64>,
    memory: Memory,
    mapped: BTreeMap<Vec<u8>, MappedFile>,
    name_bytes: usize,
    /// Where the last piece of an area ends, and where its area does.
    last_piece: (u64, u64),
    /// The last area, of which runs may follow, is the stack.
    is_in_stack: bool,
}

impl MemorySum {
    pub(super) fn new(form: AreaForm, stack_end: Option<u64>) -> Self {
        Self {
            form,
            stack_end,
            memory: Memory::default(),
            mapped: BTreeMap::new(),
            name_bytes: 0,
            last_piece: (0, 0),
            is_in_stack: false,
        }
    }

    /// Adds a record; whether it is of the main thread's stack.
    pub(super) fn add(&mut self, area: &Area<'_>, stored: u64) -> bool {
        let is_child = self.form == AreaForm::V3 && area.is_child();
        // A piece where the one before ended, of an area with the same end.
        let continues = area.address < area.end && self.last_piece == (area.address, area.end);
        self.last_piece = (area.address.saturating_add(area.size), area.end);
        if !is_child {
            self.is_in_stack = area.name() == b"[stack]" || self.holds_stack_end(area);
        }
        let one = AreaTotal {
            areas: u64::from(!continues && !is_child),
            bytes: if is_child { 0 } else { area.size },
            stored_bytes: stored,
        };
        self.memory.total.add(one);
        match area.name() {
            _ if self.is_in_stack => self.memory.stack.add(one),
            b"[heap]" => self.memory.heap.add(one),
            b"" => self.memory.anonymous.add(one),
            name if name.starts_with(b"/") => {
                self.memory.files.add(one);
                self.add_file(name, area, one);
            }
            _ => self.memory.other.add(one),
        }
        self.is_in_stack
    }

    pub(super) fn finish(mut self) -> Memory {
        self.memory.mapped = self.mapped.into_values().collect();
        self.memory
    }

    /// After a restart the kernel does not name the stack any more.
    fn holds_stack_end(&self, area: &Area<'_>) -> bool {
        self.stack_end
            .is_some_and(|end| area.address < end && end <= area.end)
    }

    fn add_file(&mut self, name: &[u8], area: &Area<'_>, one: AreaTotal) {
        if !self.mapped.contains_key(name) {
            if self.mapped.len() >= MAX_FILES || self.name_bytes + name.len() > MAX_NAME_BYTES {
                self.memory.unlisted_areas += one.areas;
                return;
            }
            self.name_bytes += name.len();
        }
        let file = self
            .mapped
            .entry(name.to_vec())
            .or_insert_with(|| MappedFile {
                path: OsString::from_vec(name.to_vec()).into(),
                total: AreaTotal::default(),
                executable: false,
                shared: false,
            });
        file.total.add(one);
        file.executable |= area.protection & PROTECTION_EXECUTE != 0;
        file.shared |= area.flags & MAP_SHARED != 0;
    }
}

impl AreaTotal {
    /// The sizes are what a file says, and may be anything.
    fn add(&mut self, one: Self) {
        self.areas = self.areas.saturating_add(one.areas);
        self.bytes = self.bytes.saturating_add(one.bytes);
        self.stored_bytes = self.stored_bytes.saturating_add(one.stored_bytes);
    }
}

const MAX_FILES: usize = 4096;
const MAX_NAME_BYTES: usize = 1 << 20;
const PROTECTION_EXECUTE: u64 = 4;
const MAP_SHARED: u64 = 1;
