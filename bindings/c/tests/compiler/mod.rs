//! A C compiler and the library as cargo has just built it, if this machine has a compiler.

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
        let stem = Path::new(source).file_stem().unwrap().to_str().unwrap();
        let program = self.dir.path().join(format!("{stem}-{linked:?}"));
        let mut cc = self.command("-std=c11");
        cc.arg("-o").arg(&program).arg(in_crate(source));
        match linked {
            Linked::Shared => {
                let library = library("libdmtcp_rs.so");
                let rpath = library.parent().unwrap().display();
                cc.arg(&library).arg(format!("-Wl,-rpath,{rpath}"));
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

    fn command(&self, standard: &str) -> Command {
        let mut cc = Command::new(&self.cc);
        cc.args([standard, "-g", "-Wall", "-Wextra", "-Werror", "-pedantic"])
            .arg("-I")
            .arg(in_crate("include"));
        cc
    }
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
fn library(name: &str) -> PathBuf {
    let test = env::current_exe().unwrap();
    let found = test.ancestors().skip(1).take(2).map(|dir| dir.join(name));
    found
        .clone()
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("none of {:?}", found.collect::<Vec<_>>()))
}
