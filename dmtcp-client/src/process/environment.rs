//! The environment that the DMTCP tools run in.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    process::Command,
};

/// The exit code that DMTCP is told to use for its own fatal errors (`DMTCP_FAIL_RC`): no
/// coordinator, coordinator lost, program or image not found, internal failure.
///
/// DMTCP's default is 99, which Grid Engine and its relatives take as "run me again". 198 has
/// no meaning to the schedulers we know, is no `128 + signal` that a shell could give (signals
/// end at 64, so those end at 192), no code of `sysexits.h`, and neither 85, which we use for
/// "checkpointed, run me again", nor 255 of ssh. A program may still return 198 by
/// itself; DMTCP says on standard error why it does, by which a [`Job`](crate::job::Job) tells the two apart.
pub const FAIL_CODE: i32 = 198;

/// `DMTCP_*` variables that a computation keeps from this program's environment; all others
/// are removed.
///
/// These say how a program must be run and are set by people for all their programs. The
/// others name a coordinator, directories and options that [`Launch`](crate::Launch) and
/// [`Restart`](crate::Restart) decide, or were left by a DMTCP under which this program itself
/// runs.
pub const KEPT_VARIABLES: &[&str] = &[
    "DMTCP_ALLOC_PLUGIN",
    "DMTCP_DL_PLUGIN",
    "DMTCP_LOG_LEVEL",
    "DMTCP_LOG_OVERRIDES",
    "DMTCP_PLUGIN",
    "DMTCP_SIGCKPT",
];

/// Takes out of `command` what `inherited`, this program's environment, holds of another DMTCP.
pub(crate) fn clean_environment(
    command: &mut Command,
    inherited: impl IntoIterator<Item = (OsString, OsString)>,
) {
    for (name, value) in inherited {
        if misleads(&name) {
            command.env_remove(name);
        } else if name == PRELOAD {
            match without_dmtcp(&value) {
                Some(rest) if rest == value => {}
                Some(rest) => {
                    command.env(PRELOAD, rest);
                }
                None => {
                    command.env_remove(PRELOAD);
                }
            }
        }
    }
}

fn misleads(name: &OsStr) -> bool {
    let bytes = name.as_bytes();
    PREFIXES
        .iter()
        .any(|prefix| bytes.starts_with(prefix.as_bytes()))
        && !KEPT_VARIABLES.iter().any(|kept| name == *kept)
}

/// The list without DMTCP's own libraries; `None` when nothing is left.
fn without_dmtcp(list: &OsStr) -> Option<OsString> {
    let entries: Vec<&[u8]> = list
        .as_bytes()
        .split(|&byte| byte == b':' || byte == b' ')
        .collect();
    let kept: Vec<&[u8]> = entries
        .iter()
        .copied()
        .filter(|entry| !entry.is_empty() && !is_dmtcp_library(entry))
        .collect();
    if kept.is_empty() {
        return None;
    }
    let foreign = entries.iter().all(|entry| !is_dmtcp_library(entry));
    if foreign {
        return Some(list.to_owned());
    }
    Some(OsString::from_vec(kept.join(&b':')))
}

fn is_dmtcp_library(path: &[u8]) -> bool {
    path.rsplit(|&byte| byte == b'/')
        .next()
        .is_some_and(|name| name.starts_with(b"libdmtcp"))
}

const PRELOAD: &str = "LD_PRELOAD";
/// The last two are read by DMTCP's own libraries.
const PREFIXES: &[&str] = &["DMTCP_", "MTCP_", "JALIB_"];

#[cfg(test)]
mod tests {
    use super::*;

    fn cleaned(inherited: &[(&str, &str)]) -> Vec<(String, Option<String>)> {
        let mut command = Command::new("true");
        let inherited = inherited
            .iter()
            .map(|(name, value)| (OsString::from(name), OsString::from(value)));
        clean_environment(&mut command, inherited);
        command
            .get_envs()
            .map(|(name, value)| {
                let text = |text: &OsStr| text.to_str().unwrap().to_owned();
                (text(name), value.map(text))
            })
            .collect()
    }

    #[test]
    fn what_misleads_goes_and_the_rest_stays() {
        let changes = cleaned(&[
            ("DMTCP_COORD_HOST", "far"),
            ("DMTCP_COORD_PORT", "7779"),
            ("DMTCP_DL_PLUGIN", "0"),
            ("DMTCP_HIJACK_LIBS", "/l/libdmtcp.so"),
            ("JALIB_STDERR_PATH", "/x"),
            ("MY_DMTCP_COORD_HOST", "stays"),
            ("PATH", "/bin"),
        ]);
        let gone = [
            "DMTCP_COORD_HOST",
            "DMTCP_COORD_PORT",
            "DMTCP_HIJACK_LIBS",
            "JALIB_STDERR_PATH",
        ];
        assert_eq!(changes, gone.map(|name| (name.to_owned(), None)));
    }

    #[test]
    fn only_its_own_libraries_leave_the_preload_list() {
        for (before, after) in [
            ("/o/lib/dmtcp/libdmtcp.so", Some(None)),
            ("/o/libdmtcp_pid.so:libdmtcp.so", Some(None)),
            (
                "/a/libx.so:/o/libdmtcp.so /b/liby.so",
                Some(Some("/a/libx.so:/b/liby.so")),
            ),
            ("/a/libx.so /dmtcp/liby.so", None),
            ("/a/notlibdmtcp.so", None),
        ] {
            let expected: Vec<_> = after
                .map(|value| ("LD_PRELOAD".to_owned(), value.map(str::to_owned)))
                .into_iter()
                .collect();
            assert_eq!(cleaned(&[("LD_PRELOAD", before)]), expected, "{before}");
        }
    }
}
