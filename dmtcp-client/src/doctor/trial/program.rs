//! What a program's file tells of whether DMTCP can enter it: it comes in through `LD_PRELOAD`,
//! which only the dynamic linker reads, and not for a program with other rights than its user's.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::Read as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use crate::executable::{self, NotExecutable};

/// A file that can be executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ProgramFile {
    pub(super) path: PathBuf,
    pub(super) kind: FileKind,
    /// setuid or setgid.
    pub(super) privileged: bool,
    /// Built by the Go compiler, whose programs call the kernel without the C library.
    pub(super) go: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    /// With a dynamic linker.
    Dynamic,
    /// Without one.
    Static,
    /// Run by this program.
    Script(PathBuf),
    /// Something else, or not to be read.
    Unknown,
}

impl ProgramFile {
    /// The one that a shell in the current directory would run.
    pub(super) fn find(program: &OsStr, path: Option<&OsStr>) -> Result<Self, NotExecutable> {
        executable::find(program, path, None).map(|path| Self::at(&path))
    }

    pub(super) fn at(path: &Path) -> Self {
        let mut content = Vec::new();
        let read = File::open(path).and_then(|file| file.take(MOST).read_to_end(&mut content));
        let mode = fs::metadata(path).map_or(0, |found| found.permissions().mode());
        Self {
            path: path.to_owned(),
            kind: read.map_or(FileKind::Unknown, |_| kind(&content)),
            privileged: mode & 0o6000 != 0,
            go: Elf::of(&content)
                .and_then(|elf| elf.is_go())
                .unwrap_or(false),
        }
    }
}

fn kind(content: &[u8]) -> FileKind {
    if let Some(interpreter) = executable::interpreter(content) {
        return FileKind::Script(interpreter.into());
    }
    match Elf::of(content).and_then(|elf| elf.has_interpreter()) {
        Some(true) => FileKind::Dynamic,
        Some(false) => FileKind::Static,
        None => FileKind::Unknown,
    }
}

/// A program's ELF file.
struct Elf<'a> {
    content: &'a [u8],
    is_64: bool,
}

impl<'a> Elf<'a> {
    /// `None`: it is none that is read here.
    fn of(content: &'a [u8]) -> Option<Self> {
        content.strip_prefix(b"\x7fELF")?;
        let is_64 = match content.get(4)? {
            1 => false,
            2 => true,
            _ => return None,
        };
        // Little-endian, as all architectures that DMTCP knows are.
        (*content.get(5)? == 1).then_some(Self { content, is_64 })
    }

    fn number(&self, at: u64, [narrow, wide]: [(u64, usize); 2]) -> Option<u64> {
        let (offset, len) = if self.is_64 { wide } else { narrow };
        number(
            self.content,
            usize::try_from(at.checked_add(offset)?).ok()?,
            len,
        )
    }

    /// Where the entries of the table of segments are; `None`: the file is cut or damaged.
    fn segments(&self) -> Option<Vec<u64>> {
        let table = self.number(0, [(28, 4), (32, 8)])?;
        let size = self.number(0, [(42, 2), (54, 2)])?;
        let count = self.number(0, [(44, 2), (56, 2)])?;
        (0..count)
            .map(|index| table.checked_add(index.checked_mul(size)?))
            .collect()
    }

    fn kind_of(&self, segment: u64) -> Option<u64> {
        self.number(segment, [(0, 4), (0, 4)])
    }

    /// Whether it names a dynamic linker.
    fn has_interpreter(&self) -> Option<bool> {
        for segment in self.segments()? {
            if self.kind_of(segment)? == INTERPRETER {
                return Some(true);
            }
        }
        Some(false)
    }

    /// Whether it has the note that Go's linker leaves.
    fn is_go(&self) -> Option<bool> {
        for segment in self.segments()? {
            if self.kind_of(segment)? != NOTES {
                continue;
            }
            let at = self.number(segment, [(4, 4), (8, 8)])?;
            let len = self.number(segment, [(16, 4), (32, 8)])?;
            let end = usize::try_from(at.checked_add(len)?).ok()?;
            let notes = self.content.get(usize::try_from(at).ok()?..end)?;
            if notes.windows(GO.len()).any(|part| part == GO) {
                return Some(true);
            }
        }
        Some(false)
    }
}

fn number(bytes: &[u8], at: usize, len: usize) -> Option<u64> {
    let field = bytes.get(at..at.checked_add(len)?)?;
    let folded = field
        .iter()
        .rev()
        .fold(0, |sum: u64, byte| sum << 8 | u64::from(*byte));
    Some(folded)
}

const INTERPRETER: u64 = 3;
const NOTES: u64 = 4;
/// Type and name of the note with the number of a build.
const GO: &[u8] = b"\x04\0\0\0Go\0\0";
/// Of a file that is looked at: its tables and notes are at its beginning.
const MOST: u64 = 1 << 20;

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::env;

    /// The beginning of a program, with these kinds of segments.
    pub(in crate::doctor) fn elf(segments: &[u32]) -> Vec<u8> {
        let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
        elf.resize(64, 0);
        elf[32] = 64;
        elf[54] = 56;
        elf[56] = u8::try_from(segments.len()).unwrap();
        for segment in segments {
            let mut entry = segment.to_le_bytes().to_vec();
            entry.resize(56, 0);
            elf.extend(entry);
        }
        elf
    }

    #[test]
    fn kinds_of_files() {
        assert_eq!(kind(&elf(&[6, 3, 1])), FileKind::Dynamic);
        assert_eq!(kind(&elf(&[1, 1, 4])), FileKind::Static);
        assert_eq!(
            kind(b"#! /bin/sh -e\necho"),
            FileKind::Script("/bin/sh".into())
        );
        assert_eq!(kind(b"#!"), FileKind::Unknown);
        assert_eq!(kind(b"text"), FileKind::Unknown);
        let whole = elf(&[6, 1]);
        for len in 0..whole.len() {
            // Cut anywhere: nothing but an answer.
            assert_ne!(kind(&whole[..len]), FileKind::Dynamic);
        }
    }

    #[test]
    fn programs_are_found_as_a_shell_does() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p");
        // Its segment of notes is all of it.
        let mut content = [elf(&[1, 4]), vec![4, 0, 0, 0], vec![9; 4], GO.to_vec()].concat();
        let len = u64::try_from(content.len()).unwrap();
        let at = 64 + 56 + 32;
        content[at..at + 8].copy_from_slice(&len.to_le_bytes());
        fs::write(&path, content).unwrap();
        let list = dir.path().as_os_str().to_owned();
        assert_eq!(ProgramFile::find(OsStr::new("p"), Some(&list)).ok(), None);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o4755)).unwrap();
        let found = ProgramFile::find(OsStr::new("p"), Some(&list)).unwrap();
        let expected = ProgramFile {
            path: path.clone(),
            kind: FileKind::Static,
            privileged: true,
            go: true,
        };
        assert_eq!(found, expected);
        assert_eq!(ProgramFile::find(path.as_os_str(), None), Ok(expected));
        assert_eq!(ProgramFile::find(OsStr::new("p"), None).ok(), None);
    }

    #[test]
    fn this_program_is_one() {
        let this = ProgramFile::at(&env::current_exe().unwrap());
        assert_eq!((this.privileged, this.go), (false, false));
        assert_ne!(this.kind, FileKind::Unknown);
    }
}
