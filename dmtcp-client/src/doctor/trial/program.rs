//! What a program's file tells of whether DMTCP can enter it: it comes in through `LD_PRELOAD`,
//! which only the dynamic linker reads, and not for a program with other rights than its user's.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs::{self, File},
    io::Read as _,
    os::unix::{ffi::OsStringExt as _, fs::PermissionsExt as _},
    path::{Path, PathBuf},
};

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
    /// The one that a shell in the current directory would run; `None`: there is none.
    pub(super) fn find(program: &OsStr, path: Option<&OsStr>) -> Option<Self> {
        if Path::new(program).components().count() > 1 {
            return is_executable(Path::new(program)).then(|| Self::at(Path::new(program)));
        }
        let dirs = env::split_paths(path?).map(|dir| dir.join(program));
        let mut found = dirs.filter(|path| is_executable(path));
        found.next().map(|path| Self::at(&path))
    }

    pub(super) fn at(path: &Path) -> Self {
        let mut content = Vec::new();
        let read = File::open(path).and_then(|file| file.take(MOST).read_to_end(&mut content));
        let mode = fs::metadata(path).map_or(0, |found| found.permissions().mode());
        Self {
            path: path.to_owned(),
            kind: read.map_or(FileKind::Unknown, |_| kind(&content)),
            privileged: mode & 0o6000 != 0,
            go: contains(&content, GO),
        }
    }
}

fn is_executable(path: &Path) -> bool {
    let found = fs::metadata(path);
    found.is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

fn kind(content: &[u8]) -> FileKind {
    if let Some(line) = content.strip_prefix(b"#!") {
        let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let mut words = line
            .split(|byte| byte.is_ascii_whitespace())
            .filter(|word| !word.is_empty());
        return words.next().map_or(FileKind::Unknown, |word| {
            FileKind::Script(OsString::from_vec(word.to_vec()).into())
        });
    }
    match has_interpreter(content) {
        Some(true) => FileKind::Dynamic,
        Some(false) => FileKind::Static,
        None => FileKind::Unknown,
    }
}

/// Whether an ELF file names a dynamic linker; `None`: it is none that is read here.
fn has_interpreter(elf: &[u8]) -> Option<bool> {
    elf.strip_prefix(b"\x7fELF")?;
    let is_64 = match elf.get(4)? {
        1 => false,
        2 => true,
        _ => return None,
    };
    // Little-endian, as all architectures that DMTCP knows are.
    (*elf.get(5)? == 1).then_some(())?;
    let (table, size, count) = match is_64 {
        true => (
            number(elf, 32, 8)?,
            number(elf, 54, 2)?,
            number(elf, 56, 2)?,
        ),
        false => (
            number(elf, 28, 4)?,
            number(elf, 42, 2)?,
            number(elf, 44, 2)?,
        ),
    };
    for index in 0..count {
        let at = table.checked_add(index.checked_mul(size)?)?;
        if number(elf, usize::try_from(at).ok()?, 4)? == INTERPRETER {
            return Some(true);
        }
    }
    Some(false)
}

fn number(bytes: &[u8], at: usize, len: usize) -> Option<u64> {
    let field = bytes.get(at..at.checked_add(len)?)?;
    let folded = field
        .iter()
        .rev()
        .fold(0, |sum: u64, byte| sum << 8 | u64::from(*byte));
    Some(folded)
}

fn contains(content: &[u8], text: &[u8]) -> bool {
    content.windows(text.len()).any(|part| part == text)
}

const INTERPRETER: u64 = 3;
/// Where Go keeps what a program was built from.
const GO: &[u8] = b"\xff Go buildinf:";
/// Of a file that is looked at.
const MOST: u64 = 32 << 20;

#[cfg(test)]
pub(super) mod tests {
    use super::*;

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
        let content = [elf(&[1]), GO.to_vec()].concat();
        fs::write(&path, content).unwrap();
        let list = OsString::from(dir.path());
        assert_eq!(ProgramFile::find(OsStr::new("p"), Some(&list)), None);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o4755)).unwrap();
        let found = ProgramFile::find(OsStr::new("p"), Some(&list)).unwrap();
        let expected = ProgramFile {
            path: path.clone(),
            kind: FileKind::Static,
            privileged: true,
            go: true,
        };
        assert_eq!(found, expected);
        assert_eq!(ProgramFile::find(path.as_os_str(), None), Some(expected));
        assert_eq!(ProgramFile::find(OsStr::new("p"), None), None);
    }

    #[test]
    fn this_program_is_one() {
        let this = ProgramFile::at(&env::current_exe().unwrap());
        assert_eq!((this.privileged, this.go), (false, false));
        assert_ne!(this.kind, FileKind::Unknown);
    }
}
