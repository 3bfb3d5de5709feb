//! Which `dmtcpctl` is run.

use super::error::HelperError;
use crate::executable;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf, absolute};

/// The file that the caller names, else the variable, else PATH: what is asked for more exactly is
/// never replaced by something else.
pub(super) fn find(
    named: Option<&Path>,
    variable: Option<OsString>,
    path: Option<&OsStr>,
) -> Result<PathBuf, HelperError> {
    let variable = variable.filter(|value| !value.is_empty());
    let (named_by, name) = match (named, &variable) {
        (Some(name), _) => ("the caller", name.as_os_str()),
        (None, Some(name)) => (VARIABLE, name.as_os_str()),
        (None, None) => ("PATH", OsStr::new("dmtcpctl")),
    };
    let found = executable::find(name, path, None);
    let found = found.map_err(|error| HelperError::NoProgram {
        named_by,
        source: error.into(),
    })?;
    absolute(&found).map_err(|source| HelperError::File {
        action: "make absolute",
        path: found,
        source,
    })
}

pub(super) const VARIABLE: &str = "DMTCPCTL";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::with_causes;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn who_names_it_and_who_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let [one, two, three] = ["one", "two", "dmtcpctl"].map(|name| {
            let file = dir.path().join(name);
            fs::write(&file, "").unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
            file
        });
        let path = Some(dir.path().as_os_str());
        let variable = Some(OsString::from(&two));
        let found = |named: Option<&Path>, variable: &Option<OsString>| {
            find(named, variable.clone(), path).unwrap()
        };
        assert_eq!(found(Some(&one), &variable), one);
        assert_eq!(found(None, &variable), two);
        assert_eq!(found(None, &Some("two".into())), two);
        assert_eq!(found(None, &Some(OsString::new())), three);
        assert_eq!(found(None, &None), three);
    }

    #[test]
    fn one_that_is_not_there_is_named_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("none");
        let path = Some(dir.path().as_os_str());
        for (named, variable, by) in [
            (Some(missing.as_path()), None, "the caller"),
            (None, Some(OsString::from(&missing)), "DMTCPCTL"),
            (None, None, "PATH"),
        ] {
            let error = find(named, variable, path).unwrap_err();
            let text = with_causes(&error);
            assert!(text.contains(&format!("named by {by}")), "{text}");
            assert!(text.contains("install"), "{text}");
        }
    }
}
