//! `dmtcp_set`: all images of one round, as they were sealed.

use std::ffi::{CString, OsStr, c_char};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use dmtcp_client::set::{CheckpointSet, ImageKind as Kind};

use crate::boundary::{c_string, call, contain};
use crate::codes::ResultCode;
use crate::failure::Failure;
use crate::ffi::{GrowingOut, In, Out, Owned, Text, growing};

/// A checkpoint set: the images of one round, sealed. It reads files and holds none open.
pub struct Set {
    set: CheckpointSet,
    dir: CString,
    dmtcp: Option<CString>,
    images: Vec<Entry>,
}

/// An image with its texts as C reads them.
struct Entry {
    path: CString,
    host: CString,
    program: CString,
}

/// What a set says of itself. The texts belong to the set and live as long as it.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
#[non_exhaustive]
pub struct SetInfo {
    /// In: sizeof(dmtcp_set_info).
    pub size: usize,
    /// Its number; a later set of the same directory has a higher one.
    pub number: u64,
    /// Bytes of all images and the files saved with them.
    pub total_bytes: u64,
    /// When it was sealed, in milliseconds since 1970.
    pub sealed_unix_ms: u64,
    /// The coordinator's number of the round.
    pub round: u64,
    /// The set that the computation was restarted from; 0: none.
    pub parent: u64,
    /// Its directory.
    pub dir: *const c_char,
    /// The DMTCP release that wrote the images; NULL: not known, or none did.
    pub dmtcp: *const c_char,
    /// How many images there are.
    pub images: u32,
    /// Generation of the computation.
    pub generation: u32,
}

growing!(SetInfo, oldest = generation);

/// Who can restart an image.
#[expect(non_camel_case_types, reason = "the names are those of the header")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
#[non_exhaustive]
pub enum ImageKind {
    /// Something that this release has no number for.
    DMTCP_IMAGE_OTHER = 0,
    /// dmtcp_restart.
    DMTCP_IMAGE_DMTCP = 1,
    /// The program itself, as a native worker.
    DMTCP_IMAGE_NATIVE = 2,
}

/// An [`ImageKind`] as a number.
///
/// cbindgen:no-export
pub type ImageKindNumber = i32;

/// An image of a set. The texts belong to the set and live as long as it.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
#[non_exhaustive]
pub struct Image {
    /// In: sizeof(dmtcp_image).
    pub size: usize,
    /// Bytes of the file.
    pub bytes: u64,
    /// The file.
    pub path: *const c_char,
    /// Where the process ran.
    pub host: *const c_char,
    /// What it ran.
    pub program: *const c_char,
    /// Who can restart it.
    pub kind: ImageKindNumber,
    /// CRC-32 of the file.
    pub crc32: u32,
    /// The pid that the process sees.
    pub virtual_pid: i32,
    /// The pid that others saw when the image was written.
    pub real_pid: i32,
}

growing!(Image, oldest = real_pid);

/// The set in this directory, such as DIR/sets/000007. Reads its manifest only, and needs no store.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_set_open(dir: Text, set: Out<*mut Set>) -> ResultCode {
    call(|| {
        let place = set.place("set")?;
        place.put_object(CheckpointSet::open(dir.path("dir")?)?.into());
        Ok(())
    })
}

/// What it says of itself.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_set_get(set: In<Set>, info: GrowingOut<SetInfo>) -> ResultCode {
    call(|| {
        let set = set.get("set")?;
        info.place("info")?.put(set.info());
        Ok(())
    })
}

/// The image at an index from 0.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_set_image(
    set: In<Set>,
    index: usize,
    image: GrowingOut<Image>,
) -> ResultCode {
    call(|| {
        let set = set.get("set")?;
        let place = image.place("image")?;
        place.put(set.image(index)?);
        Ok(())
    })
}

/// Reads every file and compares it with its checksum. DMTCP_ERR_DAMAGED: one is missing, cut or
/// changed; the message names it.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_set_verify(set: In<Set>) -> ResultCode {
    call(|| Ok(set.get("set")?.set.verify()?))
}

/// Writes the set into one file, checked while it is read; the file is there whole or not at all.
/// dmtcp_set_store_unpack() makes a set of it again.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_set_pack(set: In<Set>, archive: Text) -> ResultCode {
    call(|| {
        let set = &set.get("set")?.set;
        set.pack(archive.path("archive")?)?;
        Ok(())
    })
}

/// Frees the object; the set stays on disk.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_set_free(set: Owned<Set>) {
    contain((), || drop(set.take()));
}

impl From<CheckpointSet> for Set {
    fn from(set: CheckpointSet) -> Self {
        let images = set.manifest().images.iter().map(|image| Entry {
            path: c_path(&set.dir().join(&image.file)),
            host: c_os(&image.host),
            program: c_os(&image.program),
        });
        Self {
            dir: c_path(set.dir()),
            dmtcp: set.manifest().dmtcp.as_deref().map(c_string),
            images: images.collect(),
            set,
        }
    }
}

impl Set {
    fn info(&self) -> SetInfo {
        let manifest = self.set.manifest();
        SetInfo {
            size: size_of::<SetInfo>(),
            number: manifest.sequence,
            total_bytes: manifest.total_bytes,
            sealed_unix_ms: manifest.created_unix_ms,
            round: manifest.round,
            parent: manifest.parent.unwrap_or(0),
            dir: self.dir.as_ptr(),
            dmtcp: self
                .dmtcp
                .as_ref()
                .map_or(std::ptr::null(), |dmtcp| dmtcp.as_ptr()),
            images: u32::try_from(self.images.len()).unwrap_or(u32::MAX),
            generation: manifest.computation.generation,
        }
    }

    fn image(&self, index: usize) -> Result<Image, Failure> {
        let entry = self.images.get(index);
        let (entry, found) = entry
            .zip(self.set.manifest().images.get(index))
            .ok_or_else(|| {
                let count = self.images.len();
                Failure::argument(format!(
                    "there is no index {index} in a set of {count} images"
                ))
            })?;
        let kind = match found.kind {
            Kind::Dmtcp => ImageKind::DMTCP_IMAGE_DMTCP,
            Kind::Native => ImageKind::DMTCP_IMAGE_NATIVE,
            _ => ImageKind::DMTCP_IMAGE_OTHER,
        };
        Ok(Image {
            size: size_of::<Image>(),
            bytes: found.size,
            path: entry.path.as_ptr(),
            host: entry.host.as_ptr(),
            program: entry.program.as_ptr(),
            kind: kind as i32,
            crc32: found.crc32,
            virtual_pid: found.virtual_pid,
            real_pid: found.real_pid,
        })
    }
}

fn c_os(text: &OsStr) -> CString {
    // What the system gave has no NUL in it; what a manifest says may.
    CString::new(text.as_bytes()).unwrap_or_else(|_| c_string(&text.to_string_lossy()))
}

pub(crate) fn c_path(path: &Path) -> CString {
    c_os(path.as_os_str())
}
