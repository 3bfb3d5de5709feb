//! A C compiler and the library as cargo has just built it, if this machine has a compiler.
//!
//! `DMTCP_C_FLAGS` has more flags for it, such as `-fsanitize=address`; `DMTCP_C_RUN` the command
//! under which programs run, such as `valgrind`. That is slow, so what differs only in how it is linked
//! or in the dialect is then run once.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// How a program gets the library.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Linked {
    Shared,
    Static,
}

/// A compiler with a place for its programs.
pub(crate) struct Compiler {
    cc: String,
    dir: TempDir,
}

impl Compiler {
    /// `None`, and a word about it, where there is no C compiler.
    pub(crate) fn find() -> Option<Self> {
        let found = Self::find_as("CC", "cc");
        if found.is_none() {
            println!("SKIPPED: no C compiler");
        }
        found
    }

    /// The compiler that this variable names, else this command.
    pub(crate) fn find_as(variable: &str, command: &str) -> Option<Self> {
        let cc = env::var(variable).unwrap_or_else(|_| command.to_owned());
        Command::new(&cc).arg("--version").output().ok()?;
        let dir = tempfile::tempdir().unwrap();
        Some(Self { cc, dir })
    }

    /// Compiles this file of the crate, every warning an error.
    pub(crate) fn program(&self, source: &str, linked: Linked) -> PathBuf {
        self.program_in("-std=c11", &in_crate(source), linked)
    }

    /// The same of any file, in a standard.
    pub(crate) fn program_in(&self, standard: &str, source: &Path, linked: Linked) -> PathBuf {
        let stem = source.file_stem().unwrap().to_str().unwrap();
        let program = self.dir.path().join(format!("{stem}-{linked:?}"));
        let mut cc = self.command(standard);
        cc.arg("-o").arg(&program).arg(source);
        let more = env::var("DMTCP_C_FLAGS").unwrap_or_default();
        cc.args(more.split_whitespace());
        match linked {
            Linked::Shared => {
                let library = library("libdmtcp_rs.so");
                // Under the name that it has once it is installed.
                let named = rpath_name(&library, self.dir.path());
                cc.arg(&library)
                    .arg(format!("-Wl,-rpath,{}", named.display()));
            }
            Linked::Static => {
                cc.arg(library("libdmtcp_rs.a"))
                    .args(["-lgcc_s", "-lutil", "-lrt", "-lm", "-ldl"]);
            }
        }
        cc.arg("-lpthread");
        succeed(&mut cc);
        program
    }

    /// Looks whether the header is one of this language.
    pub(crate) fn accept_header(&self, language: &str, standard: &str) {
        let mut cc = self.command(standard);
        cc.args(["-fsyntax-only", "-x", language])
            .arg(in_crate("include/dmtcp_rs.h"));
        succeed(&mut cc);
    }

    /// The same program as a command of one word, for who starts it elsewhere.
    pub(crate) fn wrapped(&self, program: PathBuf) -> PathBuf {
        if !is_slow() {
            return program;
        }
        let script = program.with_extension("sh");
        let command = format!("{:?}", run(&program)).replace('"', "'");
        std::fs::write(&script, format!("#!/bin/sh\nexec {command} \"$@\"\n")).unwrap();
        succeed(Command::new("chmod").arg("755").arg(&script));
        script
    }

    /// A place for more files.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Its command, for a test that needs other arguments.
    pub(crate) fn name(&self) -> &str {
        &self.cc
    }

    fn command(&self, standard: &str) -> Command {
        let mut cc = Command::new(&self.cc);
        cc.args([standard, "-g", "-Wall", "-Wextra", "-Werror", "-pedantic"])
            .arg("-I")
            .arg(in_crate("include"))
            .arg("-I")
            .arg(in_crate("tests/c"));
        cc
    }
}

/// How a program is run.
pub(crate) fn run(program: &Path) -> Command {
    let under = env::var("DMTCP_C_RUN").unwrap_or_default();
    let mut words = under.split_whitespace();
    match words.next() {
        Some(first) => {
            let mut command = Command::new(first);
            command.args(words).arg(program);
            command
        }
        None => Command::new(program),
    }
}

/// Whether programs run under another one.
pub(crate) fn is_slow() -> bool {
    env::var_os("DMTCP_C_RUN").is_some()
}

/// Both ways, if that does not take too long.
pub(crate) fn linked() -> &'static [Linked] {
    match is_slow() {
        true => &[Linked::Shared],
        false => &[Linked::Shared, Linked::Static],
    }
}

/// What valgrind and the sanitizers write has these words in it.
pub(crate) fn assert_no_findings(output: &str) {
    for word in ["\n==", "Sanitizer"] {
        assert!(!output.contains(word), "{output}");
    }
}

/// The directory where the library is found under the name that programs know it by.
fn rpath_name(library: &Path, dir: &Path) -> PathBuf {
    let linked = dir.join("libdmtcp_rs.so.0");
    // Another program may have had it made.
    let _ = std::os::unix::fs::symlink(library, &linked);
    assert!(linked.exists(), "{}", linked.display());
    dir.to_owned()
}

/// A file of this crate.
pub(crate) fn in_crate(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Runs a command that has to succeed, and gives what it printed.
pub(crate) fn succeed(command: &mut Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let (stdout, stderr) = (
        String::from_utf8_lossy(&stdout),
        String::from_utf8_lossy(&stderr),
    );
    assert!(status.success(), "{command:?}: {status}\n{stdout}{stderr}");
    stdout.into_owned()
}

/// Cargo builds the library beside the tests that use it.
pub(crate) fn library(name: &str) -> PathBuf {
    let test = env::current_exe().unwrap();
    let found = test.ancestors().skip(1).take(2).map(|dir| dir.join(name));
    found
        .clone()
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("none of {:?}", found.collect::<Vec<_>>()))
}
