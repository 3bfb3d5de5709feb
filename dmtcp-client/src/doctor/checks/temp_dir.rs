//! The directory for temporary files, in which each computation has one of its own for what DMTCP
//! shares between its processes.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::storage::{Free, Scratch};
use crate::{
    doctor::{
        Finding, World,
        mounts::{Medium, Mounts},
        world::size,
    },
    process::ComputationTmp,
};

pub(crate) fn check(world: &World, mounts: &Mounts) -> Vec<Finding> {
    let dir = world.temp_dir();
    vec![judge(&look(&dir, world.user(), mounts))]
}

#[derive(Clone, Debug)]
struct Seen {
    dir: PathBuf,
    /// Why no directory can be made in it.
    unusable: Option<String>,
    /// Others may write to it and take away what is ours.
    unprotected: bool,
    noexec: bool,
    medium: Medium,
    kind: String,
    free: Option<Free>,
}

fn look(dir: &Path, user: u32, mounts: &Mounts) -> Seen {
    let resolved = fs::canonicalize(dir);
    let unusable = match &resolved {
        Ok(dir) => Scratch::in_dir(dir).err().map(|error| text(&error)),
        Err(error) => Some(text(error)),
    };
    let resolved = resolved.unwrap_or_else(|_| dir.to_owned());
    let mount = mounts.at(&resolved);
    let unprotected = fs::metadata(&resolved).is_ok_and(|found| {
        let is_others = found.uid() != user && found.uid() != 0;
        is_others || (found.mode() & 0o002 != 0 && found.mode() & 0o1000 == 0)
    });
    Seen {
        dir: dir.to_owned(),
        unusable,
        unprotected,
        noexec: mount.is_some_and(|mount| mount.has("noexec")),
        medium: mount.map_or(Medium::Local, |mount| mount.medium()),
        kind: mount.map_or_else(String::new, |mount| mount.kind.clone()),
        free: Free::at(&resolved),
    }
}

fn text(error: &io::Error) -> String {
    error.to_string()
}

fn judge(seen: &Seen) -> Finding {
    const SLUG: &str = "temp-dir";
    let dir = seen.dir.display();
    let elsewhere = "set TMPDIR to a directory of a local file system";
    if let Some(why) = &seen.unusable {
        return Finding::failure(SLUG, format!("{dir} cannot be used: {why}")).advice(elsewhere);
    }
    // A name of ours behind it.
    let len = seen.dir.as_os_str().len() + NAME;
    if len > ComputationTmp::MAX_LEN {
        return Finding::failure(
            SLUG,
            format!("{dir} is so long that DMTCP has no room for names in it"),
        )
        .advice(elsewhere);
    }
    let free = seen.free.map_or(u64::MAX, |free| free.bytes);
    let free_files = seen.free.and_then(|free| free.files).unwrap_or(u64::MAX);
    let kind = match seen.kind.as_str() {
        "" => String::new(),
        kind => format!(" ({kind})"),
    };
    let text = match seen.free {
        Some(_) => format!("{dir}{kind}, {} free", size(free)),
        None => format!("{dir}{kind}"),
    };
    if free < LEAST || free_files < LEAST_FILES {
        let text = match free < LEAST {
            true => text,
            false => format!("{text}, but only {free_files} more files"),
        };
        return Finding::failure(SLUG, text)
            .advice("each computation needs a few MiB there: make room, or set TMPDIR");
    }
    if seen.unprotected {
        return Finding::warning(SLUG, format!("{text}; others may remove what is in it"))
            .advice("chmod 1777, or set TMPDIR to a directory of your own");
    }
    if seen.medium == Medium::Network {
        return Finding::warning(SLUG, format!("{text}: on the network")).advice(format!(
            "processes share memory through a file in it, which is made for a local disk: {elsewhere}"
        ));
    }
    if seen.noexec {
        return Finding::note(SLUG, format!("{text}, noexec"))
            .advice("only a setuid program needs it: DMTCP runs a copy of it from there");
    }
    // Abstract names are what DMTCP uses; a program that puts a socket there has 107 bytes.
    if seen.dir.as_os_str().len() > LONG_FOR_SOCKETS {
        return Finding::note(SLUG, format!("{text}; a long path for sockets of programs"));
    }
    Finding::ok(SLUG, text)
}

/// The shared-area file has 2.3 MB; a few of them.
const LEAST: u64 = 16 << 20;
const LEAST_FILES: u64 = 100;
/// Of the directory that a computation makes.
const NAME: usize = 64;
/// Of the 107 that the kernel has for a socket's path.
const LONG_FOR_SOCKETS: usize = 70;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    fn usual() -> Seen {
        Seen {
            dir: "/tmp".into(),
            unusable: None,
            unprotected: false,
            noexec: false,
            medium: Medium::Local,
            kind: "ext4".to_owned(),
            free: Some(Free {
                bytes: 1 << 30,
                files: Some(1000),
            }),
        }
    }

    #[test]
    fn what_is_wrong_with_it_is_told() {
        let free = |bytes, files| Some(Free { bytes, files });
        assert_eq!(judge(&usual()).seen, "/tmp (ext4), 1024 MiB free");
        let cases: [(&str, Seen, Verdict); 9] = [
            ("usual", usual(), Verdict::Ok),
            (
                "no counts",
                Seen {
                    free: None,
                    ..usual()
                },
                Verdict::Ok,
            ),
            (
                "unusable",
                Seen {
                    unusable: Some("no".into()),
                    ..usual()
                },
                Verdict::Failure,
            ),
            (
                "long",
                Seen {
                    dir: "x".repeat(3600).into(),
                    ..usual()
                },
                Verdict::Failure,
            ),
            (
                "full",
                Seen {
                    free: free(1 << 20, None),
                    ..usual()
                },
                Verdict::Failure,
            ),
            (
                "no inodes",
                Seen {
                    free: free(1 << 30, Some(3)),
                    ..usual()
                },
                Verdict::Failure,
            ),
            (
                "open to all",
                Seen {
                    unprotected: true,
                    ..usual()
                },
                Verdict::Warning,
            ),
            (
                "network",
                Seen {
                    medium: Medium::Network,
                    ..usual()
                },
                Verdict::Warning,
            ),
            (
                "noexec",
                Seen {
                    noexec: true,
                    ..usual()
                },
                Verdict::Note,
            ),
        ];
        for (name, seen, expected) in cases {
            assert_eq!(judge(&seen).verdict, expected, "{name}");
        }
    }

    #[test]
    fn a_real_directory_is_looked_at() {
        use std::os::unix::fs::PermissionsExt as _;
        let base = tempfile::tempdir().unwrap();
        let user = fs::metadata(base.path()).unwrap().uid();
        let seen = look(base.path(), user, &Mounts::default());
        assert_eq!((seen.unusable.is_some(), seen.unprotected), (false, false));
        assert_eq!(
            fs::read_dir(base.path()).unwrap().count(),
            0,
            "nothing is left"
        );
        fs::set_permissions(base.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(look(base.path(), user, &Mounts::default()).unprotected);
        let missing = look(&base.path().join("missing"), user, &Mounts::default());
        assert!(missing.unusable.is_some());
    }
}
