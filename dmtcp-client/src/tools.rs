//! Where the DMTCP programs are and which release they belong to. Runs none of them except to
//! ask for its version.

use std::{
    collections::HashSet,
    env,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf, absolute},
    process::Command,
    sync::{Arc, OnceLock},
    time::Duration,
};

use dmtcp_proto::{Dialect, Release};
use thiserror::Error;

use crate::{
    executable::is_executable,
    process::{ProcessError, capture, clean_environment},
};

/// The folder of one DMTCP installation. Cheap to clone; clones share what was learnt about
/// the version.
#[derive(Clone, Debug)]
pub struct Tools {
    dir: PathBuf,
    release: Arc<OnceLock<Release>>,
}

impl Tools {
    /// Looks in `explicit` if given, else in the folders of the environment variable
    /// `DMTCP_BIN` (separated by colons) if that is set and not empty, else in those of PATH.
    /// The first folder that has all four programs wins. What is asked for more exactly is
    /// never replaced by something else: with `DMTCP_BIN` set PATH is not looked at.
    ///
    /// # Errors
    /// [`ToolsError::NotFound`], with every place that was looked at.
    pub fn find(explicit: Option<&Path>) -> Result<Self, ToolsError> {
        let places = Places {
            explicit,
            dmtcp_bin: env::var_os(DMTCP_BIN),
            path: env::var_os("PATH"),
        };
        places.find()
    }

    /// The programs in `dir`, and nowhere else.
    ///
    /// # Errors
    /// [`ToolsError::NotFound`] when one of them is missing there.
    pub fn in_dir(dir: impl AsRef<Path>) -> Result<Self, ToolsError> {
        Self::find(Some(dir.as_ref()))
    }

    /// All complete folders of `DMTCP_BIN`, or, when that is not set, the first one of PATH.
    /// For tests that run against every installed release. Empty when there is no DMTCP.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let places = Places {
            explicit: None,
            dmtcp_bin: env::var_os(DMTCP_BIN),
            path: env::var_os("PATH"),
        };
        places.all()
    }

    /// The folder, absolute.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// `dmtcp_launch`.
    #[must_use]
    pub fn launch(&self) -> PathBuf {
        self.dir.join(LAUNCH)
    }

    /// `dmtcp_restart`.
    #[must_use]
    pub fn restart(&self) -> PathBuf {
        self.dir.join("dmtcp_restart")
    }

    /// `dmtcp_command`.
    #[must_use]
    pub fn command(&self) -> PathBuf {
        self.dir.join("dmtcp_command")
    }

    /// `dmtcp_coordinator`, the stock one.
    #[must_use]
    pub fn coordinator(&self) -> PathBuf {
        self.dir.join("dmtcp_coordinator")
    }

    /// The release they belong to, from `dmtcp_launch --version`, which talks to no
    /// coordinator. Asked once; waits at most five seconds.
    ///
    /// # Errors
    /// [`ToolsError::Run`]; [`ToolsError::UnknownVersion`].
    pub fn version(&self) -> Result<Release, ToolsError> {
        self.version_within(VERSION_LIMIT)
    }

    /// The dialect the release speaks; see [`Release::dialect`].
    ///
    /// # Errors
    /// [`ToolsError::NotSupported`] before 2.4.0; and as [`version`](Self::version).
    pub fn dialect(&self) -> Result<Dialect, ToolsError> {
        let release = self.version()?;
        release.dialect.ok_or(ToolsError::NotSupported {
            version: release.text,
        })
    }

    fn version_within(&self, limit: Duration) -> Result<Release, ToolsError> {
        if let Some(release) = self.release.get() {
            return Ok(release.clone());
        }
        let tool = self.launch();
        let mut command = Command::new(&tool);
        clean_environment(&mut command, env::vars_os());
        command.arg("--version");
        // The exit code says nothing: some tools of some releases give 1 here.
        let (_, output) = capture(command, limit).map_err(|source| ToolsError::Run {
            tool: tool.clone(),
            source,
        })?;
        let release = Release::parse(&String::from_utf8_lossy(&output)).ok_or_else(|| {
            let shown = output.get(..SHOWN_OUTPUT).unwrap_or(&output);
            let output = String::from_utf8_lossy(shown).into_owned();
            ToolsError::UnknownVersion { tool, output }
        })?;
        Ok(self.release.get_or_init(|| release).clone())
    }
}

/// A folder in which the DMTCP programs were not found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Looked {
    /// The folder.
    pub dir: PathBuf,
    /// Who named it: `the given folder`, `DMTCP_BIN` or `PATH`.
    pub named_by: &'static str,
    /// The programs that are not there, or not executable.
    pub missing: Vec<&'static str>,
}

/// Why there is no usable DMTCP. All are faults of the environment.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ToolsError {
    /// No folder has all programs.
    #[error("no DMTCP found{}", looked_text(looked))]
    NotFound {
        /// Every place, in the order looked at.
        looked: Vec<Looked>,
    },
    /// The program did not tell its version in time.
    #[error("cannot ask {} for its version", tool.display())]
    Run {
        /// The program.
        tool: PathBuf,
        /// What happened.
        source: ProcessError,
    },
    /// The program answered something else; it may not be DMTCP's.
    #[error("{} --version does not answer as DMTCP does: {output:?}", tool.display())]
    UnknownVersion {
        /// The program.
        tool: PathBuf,
        /// The beginning of what it printed.
        output: String,
    },
    /// A release whose protocol this crate does not speak.
    #[error("DMTCP {version} is not supported; 2.4 and later are")]
    NotSupported {
        /// The version as printed.
        version: String,
    },
}

fn looked_text(looked: &[Looked]) -> String {
    let mut text = String::new();
    let has_nothing = |place: &Looked| place.missing.len() == PROGRAMS.len();
    let mut empty: Vec<(&'static str, Vec<String>)> = Vec::new();
    for place in looked.iter().filter(|place| !has_nothing(place)) {
        let missing = place.missing.join(", no ");
        let dir = place.dir.display();
        text += &format!("\n  {dir} ({}): no {missing}", place.named_by);
    }
    for place in looked.iter().filter(|place| has_nothing(place)) {
        let bin = place.dir.join("bin");
        let dir = match complete(&bin) {
            Ok(_) => format!("{} (did you mean {}?)", place.dir.display(), bin.display()),
            Err(_) => place.dir.display().to_string(),
        };
        match empty.iter_mut().find(|(by, _)| *by == place.named_by) {
            Some((_, dirs)) => dirs.push(dir),
            None => empty.push((place.named_by, vec![dir])),
        }
    }
    for (named_by, dirs) in empty {
        text += &format!("\n  {named_by}: nothing of it in {}", dirs.join(", "));
    }
    if looked.is_empty() {
        text += "; neither DMTCP_BIN nor PATH names a folder";
    }
    text + HOW_TO_GET
}

/// What [`Tools::find`] takes from the world.
struct Places<'a> {
    explicit: Option<&'a Path>,
    dmtcp_bin: Option<OsString>,
    path: Option<OsString>,
}

impl Places<'_> {
    fn find(&self) -> Result<Tools, ToolsError> {
        let mut looked = Vec::new();
        for (named_by, dir) in self.dirs() {
            match complete(&dir) {
                Ok(tools) => return Ok(tools),
                Err(missing) => looked.push(Looked {
                    dir,
                    named_by,
                    missing,
                }),
            }
        }
        Err(ToolsError::NotFound { looked })
    }

    fn all(&self) -> Vec<Tools> {
        let complete = self
            .dirs()
            .into_iter()
            .filter_map(|(_, dir)| complete(&dir).ok());
        if self.dmtcp_bin().is_some() {
            complete.collect()
        } else {
            complete.take(1).collect()
        }
    }

    fn dirs(&self) -> Vec<(&'static str, PathBuf)> {
        let (named_by, list) = match (self.explicit, self.dmtcp_bin(), &self.path) {
            (Some(dir), ..) => return vec![("the given folder", dir.to_owned())],
            (None, Some(list), _) => (DMTCP_BIN, list),
            (None, None, Some(list)) => ("PATH", list.as_os_str()),
            (None, None, None) => return Vec::new(),
        };
        let mut seen = HashSet::new();
        env::split_paths(list)
            // An empty entry of PATH means the current directory: no place to run programs from.
            .filter(|dir| !dir.as_os_str().is_empty() && seen.insert(dir.clone()))
            .map(|dir| (named_by, dir))
            .collect()
    }

    fn dmtcp_bin(&self) -> Option<&OsStr> {
        self.dmtcp_bin.as_deref().filter(|list| !list.is_empty())
    }
}

/// The tools in `dir`, or what is missing there.
fn complete(dir: &Path) -> Result<Tools, Vec<&'static str>> {
    // Absolute, as a computation may start in another directory.
    let dir = absolute(dir).map_err(|_| PROGRAMS.to_vec())?;
    let missing: Vec<&'static str> = PROGRAMS
        .into_iter()
        .filter(|program| !is_executable(&dir.join(program)))
        .collect();
    if missing.is_empty() {
        Ok(Tools {
            dir,
            release: Arc::default(),
        })
    } else {
        Err(missing)
    }
}

const DMTCP_BIN: &str = "DMTCP_BIN";
const LAUNCH: &str = "dmtcp_launch";
const PROGRAMS: [&str; 4] = [
    LAUNCH,
    "dmtcp_restart",
    "dmtcp_command",
    "dmtcp_coordinator",
];
const VERSION_LIMIT: Duration = Duration::from_secs(5);
const SHOWN_OUTPUT: usize = 200;
const HOW_TO_GET: &str = "\nDMTCP (Distributed MultiThreaded CheckPointing) is in many \
    distributions as the package `dmtcp`; its source is at github.com/dmtcp/dmtcp. Then put its \
    bin folder into DMTCP_BIN or PATH.";

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::{fake, fake_tools};
