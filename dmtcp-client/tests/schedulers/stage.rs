//! A folder in which one job runs: its program as `my_program`, and what that leaves.

use crate::processes::{eventually, kill_tree};
use crate::series::{self, DIRECTORY};
use dmtcp_client::Tools;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::{env, fmt, fs};
use tempfile::TempDir;

/// How a job's program is made to checkpoint.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// By itself.
    Native,
    /// By this DMTCP.
    Dmtcp(Tools),
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Native => f.write_str("a native worker"),
            Self::Dmtcp(tools) => write!(f, "DMTCP in {}", tools.dir().display()),
        }
    }
}

/// Both, as far as they are there.
pub(crate) fn kinds() -> Vec<Kind> {
    let mut kinds = vec![Kind::Native];
    let all = Tools::all();
    if all.is_empty() {
        println!("SKIPPED: no DMTCP");
    } else if !has_python() {
        println!("SKIPPED: no Python interpreter in /usr/bin");
    } else {
        kinds.extend(all.into_iter().map(Kind::Dmtcp));
    }
    kinds
}

/// Not a script that starts one: DMTCP would hold its shell.
fn has_python() -> bool {
    fs::read(PYTHON).is_ok_and(|bytes| bytes.starts_with(b"\x7fELF"))
}

const PRINTED: &str = "printed";
const PYTHON: &str = "/usr/bin/python3";

pub(crate) struct Stage {
    folder: TempDir,
    pub(crate) kind: Kind,
}

impl Stage {
    pub(crate) fn new(kind: &Kind) -> Self {
        let stage = Self {
            folder: tempfile::tempdir().unwrap(),
            kind: kind.clone(),
        };
        let text = match kind {
            Kind::Native => format!(
                "#!/bin/sh\nexec '{}' --ignored --exact series_program --nocapture \"$@\"\n",
                env::current_exe().unwrap().display()
            ),
            Kind::Dmtcp(_) => format!("#!{PYTHON} -u\n{}", series::PYTHON),
        };
        let program = stage.program();
        fs::write(&program, text).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        stage
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn program(&self) -> PathBuf {
        self.folder().join("my_program")
    }

    /// What `dmtcpctl run` is told besides what a recipe says.
    pub(crate) fn run_options(&self) -> &'static str {
        match self.kind {
            Kind::Native => "--native",
            Kind::Dmtcp(_) => "",
        }
    }

    /// The environment of whoever submits the job.
    pub(crate) fn environment(&self) -> Vec<(&'static str, OsString)> {
        let ours = Path::new(env!("CARGO_BIN_EXE_dmtcpctl")).parent().unwrap();
        let path = env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(ours.to_owned()).chain(env::split_paths(&path));
        let mut variables = vec![
            ("PATH", env::join_paths(folders).unwrap()),
            (DIRECTORY, self.folder().into()),
            // Not into the list of jobs of whoever runs the tests.
            ("XDG_STATE_HOME", self.folder().join("home").into()),
        ];
        if let Kind::Dmtcp(tools) = &self.kind {
            variables.push(("DMTCP_BIN", tools.dir().into()));
        }
        variables
    }

    /// A command in the folder with that environment.
    pub(crate) fn command(&self, program: impl Into<OsString>) -> Command {
        let mut command = Command::new(program.into());
        command
            .envs(self.environment())
            .current_dir(self.folder())
            .stdin(Stdio::null());
        command
    }

    /// Starts it; what it prints is added to [`printed`](Self::printed).
    pub(crate) fn spawn(&self, command: &mut Command) -> Child {
        let path = self.folder().join(PRINTED);
        let file = fs::File::options()
            .create(true)
            .append(true)
            .open(path)
            .unwrap();
        let streams = command.stdout(file.try_clone().unwrap()).stderr(file);
        streams.spawn().unwrap()
    }

    /// What all that was started so has printed.
    pub(crate) fn printed(&self) -> String {
        fs::read_to_string(self.folder().join(PRINTED)).unwrap_or_default()
    }

    /// Waits until the program is in its middle; again, if it was waited for before.
    pub(crate) fn wait_half(&self) {
        let half = self.folder().join("half");
        // Gone already: it was not there yet.
        let _ = fs::remove_file(&half);
        eventually("half of the series", || half.exists().then_some(()));
    }

    /// Lets it go on to its end.
    pub(crate) fn let_go(&self) {
        fs::write(self.folder().join("go"), "").unwrap();
    }

    /// The number of the newest set in this state directory.
    pub(crate) fn newest_set(&self, state: &Path) -> Option<u64> {
        let entries = fs::read_dir(state.join("sets")).ok()?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        names.filter_map(|name| name.parse().ok()).max()
    }

    /// SIGKILL for everything of the job of this state directory, as when its node fails.
    pub(crate) fn kill_job(&self, state: &Path) {
        let record = fs::read(state.join("job.json")).unwrap();
        let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
        let owner = record["owner"]["pid"].as_i64().expect("a job that runs");
        kill_tree(i32::try_from(owner).unwrap());
    }

    /// How the last run of the job ended.
    pub(crate) fn outcome(&self, state: &Path) -> serde_json::Value {
        let outcome = fs::read(state.join("outcome.json")).unwrap();
        serde_json::from_slice(&outcome).unwrap()
    }

    /// All files of a folder in it, one after the other.
    pub(crate) fn read_all(&self, folder: &str) -> String {
        let entries = fs::read_dir(self.folder().join(folder))
            .into_iter()
            .flatten();
        let files = entries.filter_map(|entry| fs::read(entry.ok()?.path()).ok());
        files
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .collect()
    }

    /// The result is there once and right, and all of it came from one start.
    pub(crate) fn assert_right(&self, result: &Path) {
        let lines = |path: &Path| -> Vec<String> {
            let text = fs::read_to_string(path).unwrap_or_default();
            text.lines().map(Into::into).collect()
        };
        assert_eq!(
            (lines(result), lines(&self.folder().join("started"))),
            (
                vec![series::expected().to_string()],
                vec!["fresh".to_owned()]
            ),
            "{}\n{}",
            self.kind,
            self.printed()
        );
    }
}

/// A file of `examples/schedulers`.
pub(crate) fn example(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let path = root.join("examples/schedulers").join(name);
    assert!(path.is_file(), "{}", path.display());
    path
}
