//! Open files that DMTCP saved beside an image.
//!
//! Not here: what else a process had open. DMTCP keeps its tables of descriptors, sockets and
//! terminals in its own memory, in C++ objects whose layout is not told; no image has them in a
//! form that can be read.

use crate::os_text;
use nix::fcntl::OFlag;
use serde::Serialize;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A file that was open, with its content at the checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SavedOpenFile {
    /// Name in the directory beside the image.
    #[serde(with = "os_text")]
    pub name: PathBuf,
    /// Bytes.
    pub size: u64,
    /// Where the process had it; `None`: not told, as by DMTCP 2.4.
    #[serde(with = "os_text::option")]
    pub path: Option<PathBuf>,
}

/// Where DMTCP keeps the open files that it saved with an image, if it did.
pub(crate) fn saved_files_dir(image: &Path) -> Option<PathBuf> {
    let dir = saved_files_name(image);
    fs::symlink_metadata(&dir)
        .is_ok_and(|metadata| metadata.is_dir())
        .then_some(dir)
}

/// `<name>.dmtcp` has its files in `<name>_files`.
pub(crate) fn saved_files_name(image: &Path) -> PathBuf {
    let mut name = match image.extension() {
        Some(extension) if extension == "dmtcp" => OsString::from(image.with_extension("")),
        _ => OsString::from(image),
    };
    name.push("_files");
    PathBuf::from(name)
}

/// The saved files of an image, by name, at most [`MAX_FILES`]; none without a directory. Those in
/// directories below, which no release makes, are not looked at.
pub(super) fn list(image: &Path) -> io::Result<Vec<SavedOpenFile>> {
    let Some(dir) = saved_files_dir(image) else {
        return Ok(Vec::new());
    };
    let paths = paths(&dir.join(INFO));
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(&dir)? {
        let entry = entry?;
        let name = entry.file_name();
        // Gone since is as good as never there.
        let metadata = entry.metadata().ok().filter(fs::Metadata::is_file);
        let Some(metadata) = metadata.filter(|_| name != INFO) else {
            continue;
        };
        if files.len() >= MAX_FILES {
            break;
        }
        let file = SavedOpenFile {
            size: metadata.len(),
            path: paths.get(name.as_os_str()).cloned(),
            name: PathBuf::from(&name),
        };
        files.insert(name, file);
    }
    Ok(files.into_values().collect())
}

/// What DMTCP says of them, `NAME:PATH` in lines; nothing if it says nothing that can be read.
fn paths(info: &Path) -> BTreeMap<OsString, PathBuf> {
    let Ok(text) = read_info(info) else {
        return BTreeMap::new();
    };
    let lines = text.split(|&byte| byte == b'\n').take(MAX_FILES);
    lines
        .filter_map(|line| {
            let colon = line.iter().position(|&byte| byte == b':')?;
            let (name, path) = (line.get(..colon)?, line.get(colon + 1..)?);
            let path = OsString::from_vec(path.to_vec());
            Some((OsStr::from_bytes(name).to_owned(), PathBuf::from(path)))
        })
        .collect()
}

/// Its beginning, if it is a regular file.
fn read_info(info: &Path) -> io::Result<Vec<u8>> {
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits())
        .open(info)?;
    let mut text = Vec::new();
    if file.metadata()?.is_file() {
        file.take(MAX_INFO).read_to_end(&mut text)?;
    }
    Ok(text)
}

const INFO: &str = "fd-info.txt";
const MAX_INFO: u64 = 1 << 20;
const MAX_FILES: usize = 4096;
