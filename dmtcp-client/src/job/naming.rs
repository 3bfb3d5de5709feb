//! The directory of a job that nobody named: `output_<program>[_<id>][_<arguments>]`, as
//! `checkpoint.sh` calls it.
//!
//! A name that nothing had to be changed in is the script's own. Not here: whether the directory is
//! another job's; its `job.json` says of which program it is, and two can have one name
//! (`sim_a` alone and `sim` with the argument `a`).

use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _, path::Path};

/// The name of the directory for the state of `program`, run with `arguments`, under a tag of the
/// user's. It stands in the working directory.
///
/// - Of the program its last component counts, without `.py`. A Python that runs a script is left
///   out with its own options: `python3 -u train.py 3` is `output_train_3`.
/// - Bytes that are no letters, no digits and none of `-_.=+,@%` become `-`, and a name longer than
///   143 bytes (the shortest limit of a file system in use) is cut. Either way the name ends in `_` and
///   eight hexadecimal digits of a checksum over program, id and arguments, so that those that differ
///   only in what was changed differ in their names.
/// - An empty id is none.
///
/// ```
/// use dmtcp_client::job::directory_name;
///
/// let name = |argv: &[&str], id| {
///     let (program, arguments) = argv.split_first().unwrap();
///     directory_name(program.as_ref(), id, arguments)
/// };
/// assert_eq!(name(&["./train.py", "3"], Some("big")), "output_train_big_3");
/// assert_eq!(name(&["/opt/bin/simulate"], None), "output_simulate");
/// assert_eq!(name(&["sort", "in/a.txt"], None), "output_sort_in-a.txt_d4096ef0");
/// ```
#[must_use]
pub fn directory_name(
    program: &OsStr,
    id: Option<&str>,
    arguments: &[impl AsRef<OsStr>],
) -> String {
    let arguments: Vec<&OsStr> = arguments.iter().map(AsRef::as_ref).collect();
    let id = id.filter(|id| !id.is_empty()).map(OsStr::new);
    let (named, shown) = script_of(program, &arguments).unwrap_or((program, &arguments));
    let base = last_component(named);
    let stem = base.as_bytes().strip_suffix(b".py");
    let base = stem.map_or(base, OsStr::from_bytes);
    let parts = [base].into_iter().chain(id).chain(shown.iter().copied());
    let mut name = "output".to_owned();
    let mut exact = true;
    for part in parts {
        name.push('_');
        exact &= append(&mut name, part);
    }
    if exact && name.len() <= LONGEST {
        return name;
    }
    let digest = format!("_{:08x}", checksum(program, id, &arguments));
    let mut end = name.len().min(LONGEST - digest.len());
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.truncate(end);
    name + &digest
}

fn last_component(path: &OsStr) -> &OsStr {
    Path::new(path).file_name().unwrap_or(path)
}

/// The script that a Python runs, and the arguments of that.
fn script_of<'a>(
    program: &OsStr,
    arguments: &'a [&'a OsStr],
) -> Option<(&'a OsStr, &'a [&'a OsStr])> {
    let version = last_component(program).as_bytes().strip_prefix(b"python")?;
    if !version
        .iter()
        .all(|byte| byte.is_ascii_digit() || *byte == b'.')
    {
        return None;
    }
    let is_option = |argument: &&OsStr| argument.as_bytes().starts_with(b"-");
    let at = arguments.iter().position(|argument| !is_option(argument))?;
    let (script, rest) = arguments.get(at..)?.split_first()?;
    let is_script = script.as_bytes().ends_with(b".py");
    is_script.then_some((*script, rest))
}

/// Appends what a name may hold; whether that is all of it.
fn append(name: &mut String, part: &OsStr) -> bool {
    let text = part.to_string_lossy();
    let mut exact = part.to_str().is_some();
    for character in text.chars() {
        let kept = character.is_alphanumeric() || "-_.=+,@%".contains(character);
        name.push(if kept { character } else { '-' });
        exact &= kept;
    }
    exact
}

/// Over everything the name is made of, each with its length, so that no two run into each other.
fn checksum(program: &OsStr, id: Option<&OsStr>, arguments: &[&OsStr]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    let tag = id.unwrap_or_default();
    for part in [program, tag].into_iter().chain(arguments.iter().copied()) {
        sum.update(&(part.len() as u64).to_le_bytes());
        sum.update(part.as_bytes());
    }
    sum.finalize()
}

/// Bytes in a name where file names are encrypted (eCryptfs); 255 elsewhere.
const LONGEST: usize = 143;

#[cfg(test)]
mod tests {
    use std::{ffi::OsString, os::unix::ffi::OsStringExt as _};

    use proptest::prelude::*;

    use super::*;

    fn name(argv: &[&str], id: Option<&str>) -> String {
        let (program, arguments) = argv.split_first().unwrap();
        directory_name(program.as_ref(), id, arguments)
    }

    #[test]
    fn as_the_script_calls_them() {
        for (argv, id, expected) in [
            (&["train.py"][..], None, "output_train"),
            (&["train.py", "1", "x"], Some("A"), "output_train_A_1_x"),
            (&["dir/train.py", "--n=3"], None, "output_train_--n=3"),
            (&["train.py"], Some(""), "output_train"),
            (&["sim.pyc"], None, "output_sim.pyc"),
            (
                &["/usr/bin/python3", "-u", "train.py", "3"],
                None,
                "output_train_3",
            ),
            (&["python3.12", "a/b.py"], Some("t"), "output_b_t"),
            (
                &["python", "-m", "mod", "x.py"],
                None,
                "output_python_-m_mod_x.py",
            ),
            (&["pythonx", "a.py"], None, "output_pythonx_a.py"),
            (&["mésh", "größe"], None, "output_mésh_größe"),
        ] {
            assert_eq!(name(argv, id), expected);
        }
    }

    #[test]
    fn what_was_changed_still_tells_them_apart() {
        let names = [
            name(&["sort", "a/b"], None),
            name(&["sort", "a-b"], None),
            name(&["sort", "a b"], None),
            name(&["sort", "a\nb"], None),
            name(&["other/sort", "a\nb"], None),
            name(&["sort", "a\nb"], Some("x")),
            name(&["..", "a"], None),
            name(&["sort", &"x".repeat(300)], None),
            name(&["sort", &"x".repeat(301)], None),
            name(&["sort", &"é".repeat(200)], None),
        ];
        assert_eq!(names[1], "output_sort_a-b");
        assert!(names[0].starts_with("output_sort_a-b_"), "{names:?}");
        for (at, name) in names.iter().enumerate() {
            assert!(!names[..at].contains(name), "{name}");
        }
        assert_eq!(names[7].len(), 143);
    }

    proptest! {
        #[test]
        fn any_is_the_name_of_one_directory(
            argv in prop::collection::vec(prop::collection::vec(1..=255u8, 0..80), 1..6),
            id in prop::option::of(".*"),
        ) {
            let argv: Vec<_> = argv.into_iter().map(OsString::from_vec).collect();
            let (program, arguments) = argv.split_first().unwrap();
            let name = directory_name(program, id.as_deref(), arguments);
            prop_assert!(name.len() <= 143 && name.starts_with("output_"));
            prop_assert!(!name.contains(|c: char| c == '/' || c.is_control() || c == ' '));
            let again = directory_name(program, id.as_deref(), arguments);
            prop_assert_eq!(name, again);
        }
    }
}
