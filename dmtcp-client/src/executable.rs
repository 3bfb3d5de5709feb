//! Which file the name of a program stands for, as `execvp` looks for it, and why none does. Not here:
//! what is in that file.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs::File,
    io::Read as _,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use nix::unistd::{AccessFlags, access};
use thiserror::Error;

/// Why a program cannot be started, as its file tells before it is tried. The caller named it, or its
/// file is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NotExecutable {
    /// There is no such file.
    #[error("the program {} is not there: {} does not exist", program.to_string_lossy(), path.display())]
    Missing {
        /// As it was named.
        program: OsString,
        /// What was looked for.
        path: PathBuf,
    },
    /// It is a directory or the like.
    #[error("the program {} cannot be started: {} is no file", program.to_string_lossy(), path.display())]
    NoFile {
        /// As it was named.
        program: OsString,
        /// What is there.
        path: PathBuf,
    },
    /// This user may not execute it.
    #[error(
        "the program {} cannot be started: {} may not be executed", program.to_string_lossy(), path.display()
    )]
    NotAllowed {
        /// As it was named.
        program: OsString,
        /// Its file.
        path: PathBuf,
    },
    /// It is a script for an interpreter that cannot be started.
    #[error(
        "the program {} cannot be started: {} names the interpreter {interpreter:?}, which is not \
         there or may not be executed", program.to_string_lossy(), path.display()
    )]
    NoInterpreter {
        /// As it was named.
        program: OsString,
        /// Its file.
        path: PathBuf,
        /// As the first line of the file names it.
        interpreter: OsString,
    },
    /// A name without a slash that is in no directory of PATH.
    #[error("no directory of PATH has a program {} that may be executed", .0.to_string_lossy())]
    NotInPath(OsString),
}

impl NotExecutable {
    /// What to do, in words.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Missing { .. } => {
                "a relative name is taken from the directory that the program starts in"
            }
            Self::NoFile { .. } => "name the program's own file",
            Self::NotAllowed { .. } => {
                "`chmod +x` it, or name its interpreter first, as in `python3 train.py`"
            }
            Self::NoInterpreter { interpreter, .. } if interpreter.as_bytes().ends_with(b"\r") => {
                "its lines end as in Windows: `sed -i 's/\\r$//'` mends it"
            }
            Self::NoInterpreter { .. } => {
                "mend its first line, or name the interpreter first, as in `python3 train.py`"
            }
            Self::NotInPath(_) => "one in the current directory is named with `./`",
        }
    }
}

/// The file that this name stands for. Relative paths are taken from `directory`, or left as they
/// are; `path` is PATH.
pub(crate) fn find(
    program: &OsStr,
    path: Option<&OsStr>,
    directory: Option<&Path>,
) -> Result<PathBuf, NotExecutable> {
    let at = |path: PathBuf| match directory {
        Some(directory) => directory.join(path).components().collect(),
        None => path,
    };
    if !program.as_bytes().contains(&b'/') {
        let dirs = path.into_iter().flat_map(env::split_paths);
        let mut paths = dirs.map(|dir| at(dir.join(program)));
        let found = paths.find(|path| is_executable(path));
        let found = found.ok_or_else(|| NotExecutable::NotInPath(program.to_owned()))?;
        return with_interpreter(program, found, directory);
    }
    let path = at(program.into());
    if is_executable(&path) {
        return with_interpreter(program, path, directory);
    }
    let program = program.to_owned();
    if path.is_file() {
        Err(NotExecutable::NotAllowed { program, path })
    } else if path.exists() {
        Err(NotExecutable::NoFile { program, path })
    } else {
        Err(NotExecutable::Missing { program, path })
    }
}

/// The file, unless it is a script whose interpreter cannot be started.
fn with_interpreter(
    program: &OsStr,
    path: PathBuf,
    directory: Option<&Path>,
) -> Result<PathBuf, NotExecutable> {
    let mut begin = Vec::new();
    let read = File::open(&path).and_then(|file| file.take(LINE).read_to_end(&mut begin));
    // One that cannot be read may still be executed.
    let named = read.ok().and_then(|_| interpreter(&begin));
    let Some(interpreter) = named.map(OsStr::to_owned) else {
        return Ok(path);
    };
    // The kernel takes a relative one from the directory in which the script starts.
    let file = directory.map_or_else(PathBuf::new, PathBuf::from);
    if is_executable(&file.join(&interpreter)) {
        return Ok(path);
    }
    Err(NotExecutable::NoInterpreter {
        program: program.to_owned(),
        path,
        interpreter,
    })
}

/// What the first line of a script names, as the kernel reads it; `None`: it is no script.
pub(crate) fn interpreter(content: &[u8]) -> Option<&OsStr> {
    let is_end = |byte: &u8| *byte == b'\n';
    let line = content.split(is_end).next()?.strip_prefix(b"#!")?;
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let mut words = line.split(is_blank).filter(|word| !word.is_empty());
    words.next().map(OsStr::from_bytes)
}

/// So much of a script the kernel looks at.
const LINE: u64 = 256;

/// Whether it is a file that this process may execute.
pub(crate) fn is_executable(path: &Path) -> bool {
    path.is_file() && access(path, AccessFlags::X_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt as _};

    #[test]
    fn programs_are_found_as_execvp_does_and_else_it_is_said_why_not() {
        let dir = tempfile::tempdir().unwrap();
        let (bin, other) = (dir.path().join("bin"), dir.path().join("other"));
        for path in [&bin, &other] {
            fs::create_dir(path).unwrap();
            fs::write(path.join("p"), "#!/bin/sh\n").unwrap();
        }
        let find_p = |name: &str| {
            let path = OsString::from("other:bin");
            find(OsStr::new(name), Some(&path), Some(dir.path()))
        };
        let program = OsString::from("bin/p");
        let path = bin.join("p");
        let denied = NotExecutable::NotAllowed { program, path };
        assert_eq!(find_p("bin/p"), Err(denied));
        assert_eq!(find_p("p"), Err(NotExecutable::NotInPath("p".into())));

        fs::set_permissions(bin.join("p"), fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(find_p("bin/p"), Ok(bin.join("p")));
        // The one before it may not be executed.
        assert_eq!(find_p("p"), Ok(bin.join("p")));
        assert_eq!(
            find(OsStr::new("p"), None, None),
            Err(NotExecutable::NotInPath("p".into()))
        );
        assert!(matches!(find_p("./bin"), Err(NotExecutable::NoFile { .. })));
        let missing = find_p("./p").unwrap_err().to_string();
        assert!(
            missing.starts_with("the program ./p is not there"),
            "{missing}"
        );
        assert!(missing.contains(dir.path().to_str().unwrap()), "{missing}");
    }

    #[test]
    fn a_script_without_its_interpreter_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("script");
        let with_line = |line: &[u8]| {
            fs::write(&path, [line, b"\nexit 3\n"].concat()).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            find(path.as_os_str(), None, Some(dir.path()))
        };
        // What the kernel takes for no script is not judged.
        for line in [&b"#! /bin/sh -e"[..], b"#!/bin/sh", b"#!", b"\x7fELF", b""] {
            assert_eq!(with_line(line), Ok(path.clone()), "{line:?}");
        }
        for (line, named, advice) in [
            (
                &b"#!/nowhere/python3 -u"[..],
                "/nowhere/python3",
                "first line",
            ),
            (b"#!relative/sh", "relative/sh", "first line"),
            (b"#!/bin/sh\r", "/bin/sh\\r", "Windows"),
        ] {
            let error = with_line(line).unwrap_err();
            let text = error.to_string();
            assert!(
                text.contains(&format!("{named:?}").replace("\\\\", "\\")),
                "{text}"
            );
            assert!(error.hint().contains(advice), "{}", error.hint());
        }
        fs::create_dir(dir.path().join("relative")).unwrap();
        std::os::unix::fs::symlink("/bin/sh", dir.path().join("relative/sh")).unwrap();
        assert_eq!(with_line(b"#!relative/sh"), Ok(path.clone()));
    }
}
