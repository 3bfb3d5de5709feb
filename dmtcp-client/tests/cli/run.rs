//! Running it, and holding what it writes against what is documented.

use serde_json::Value;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// What a run has left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Not started yet, and without the caller's coordinator.
pub(crate) fn command<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dmtcpctl"));
    command
        .args(arguments)
        .env_remove("DMTCP_COORD_HOST")
        .env_remove("DMTCP_COORD_PORT")
        .stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub(crate) fn run<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Ran {
    let _alone = crate::state::nobody_starts();
    let output = command(arguments).output().unwrap();
    Ran {
        code: output.status.code().expect("an exit code"),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Ran {
    /// The JSON on stdout, every field of which is documented.
    pub(crate) fn json(&self, command: &str) -> Value {
        let json: Value =
            serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {self:?}"));
        assert_eq!(json["command"], command);
        assert_eq!(json["schema"], 1);
        check_names(&json);
        json
    }

    /// The name of the error on stderr, which is documented.
    pub(crate) fn slug(&self) -> &str {
        let line = self
            .err
            .lines()
            .find_map(|line| line.strip_prefix("dmtcpctl: "));
        let line = line.unwrap_or_else(|| panic!("no error: {self:?}"));
        let slug = line.split(": ").next().unwrap();
        assert!(documented().contains(slug), "{slug} is not documented");
        slug
    }
}

fn check_names(json: &Value) {
    match json {
        Value::Object(fields) => {
            for (name, value) in fields {
                assert!(
                    documented().contains(name.as_str()),
                    "{name} is not documented"
                );
                check_names(value);
            }
        }
        Value::Array(items) => items.iter().for_each(check_names),
        _ => {}
    }
}

/// Every name in backticks.
fn documented() -> &'static BTreeSet<&'static str> {
    static NAMES: OnceLock<BTreeSet<&'static str>> = OnceLock::new();
    NAMES.get_or_init(|| {
        let pages = [
            include_str!("../../../docs/CLI.md"),
            include_str!("../../../docs/JOBS.md"),
            include_str!("../../../docs/SETS.md"),
            include_str!("../../../docs/IMAGE.md"),
        ];
        let ids = ["id", "generation", "slug", "text"];
        let names = pages
            .iter()
            .flat_map(|page| page.split('`').skip(1).step_by(2));
        names.chain(ids).collect()
    })
}
