//! What `checkpoint_every` keeps beside the sets: which command they are of, and how it ended.

use dmtcp_client::set;
use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    io::{self, ErrorKind, Write as _},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::{Path, PathBuf},
};

/// The files of one job.
#[derive(Debug)]
pub struct JobFiles {
    dir: PathBuf,
    command: Vec<u8>,
}

impl JobFiles {
    /// Those in `dir` for this program and its arguments. Touches nothing.
    #[must_use]
    pub fn of(dir: &Path, program: &OsStr, args: &[OsString]) -> Self {
        let words = std::iter::once(program).chain(args.iter().map(OsString::as_os_str));
        let words: Vec<&[u8]> = words.map(OsStr::as_bytes).collect();
        Self {
            dir: dir.to_owned(),
            // No word has a NUL in it.
            command: words.join(&0),
        }
    }

    /// The other command, if the directory is that of another one: its sets must not become this
    /// one's, and its end is not this one's.
    ///
    /// # Errors
    ///
    /// When the directory cannot be read.
    pub fn other_command(&self) -> Result<Option<OsString>, Box<dyn std::error::Error>> {
        let found = match fs::read(self.dir.join(COMMAND)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            found => found?,
        };
        if found == self.command {
            return Ok(None);
        }
        let sets = set::list(&self.dir)?;
        if sets.sets.is_empty() && sets.broken.is_empty() && self.exit_code()?.is_none() {
            return Ok(None);
        }
        let words: Vec<&[u8]> = found.split(|&byte| byte == 0).collect();
        Ok(Some(OsString::from_vec(words.join(&b' '))))
    }

    /// Writes down which command it is.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn write_command(&self) -> io::Result<()> {
        write_aside(&self.dir.join(COMMAND), &self.command)
    }

    /// The exit code with which the program has ended before, if it has.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or holds no exit code.
    pub fn exit_code(&self) -> io::Result<Option<u8>> {
        match fs::read_to_string(self.dir.join(FINISHED)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
            Ok(text) => text.trim().parse().map(Some).map_err(io::Error::other),
        }
    }

    /// Writes down that the program has ended by itself.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn write_exit_code(&self, code: u8) -> io::Result<()> {
        write_aside(&self.dir.join(FINISHED), code.to_string().as_bytes())
    }
}

fn write_aside(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let aside = path.with_extension("partial");
    let mut file = File::create(&aside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&aside, path)
}

const COMMAND: &str = "command";
const FINISHED: &str = "finished";

#[cfg(test)]
mod tests {
    use super::*;

    fn files(dir: &Path, args: &[&str]) -> JobFiles {
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        JobFiles::of(dir, OsStr::new("program"), &args)
    }

    #[test]
    fn another_command_is_told_once_there_is_something_to_lose() {
        let dir = tempfile::tempdir().unwrap();
        let first = files(dir.path(), &["a b"]);
        assert_eq!(first.other_command().unwrap(), None);
        first.write_command().unwrap();
        let second = files(dir.path(), &["a", "b"]);
        assert_eq!(second.other_command().unwrap(), None);
        assert_eq!(first.exit_code().unwrap(), None);
        first.write_exit_code(7).unwrap();
        assert_eq!(first.exit_code().unwrap(), Some(7));
        assert_eq!(first.other_command().unwrap(), None);
        assert_eq!(
            second.other_command().unwrap(),
            Some(OsString::from("program a b"))
        );
    }
}
