//! Names in the directory of sets: which entry is what.

use std::path::{Path, PathBuf};

/// An entry of the directory of sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// Complete, if its manifest says so.
    Set(u64),
    /// Being sealed, or left by a crash.
    Partial(u64),
    /// Being removed, or left by a crash.
    Removing(u64),
}

impl Entry {
    /// `None` for what is not ours.
    pub(super) fn of(name: &str) -> Option<Self> {
        let (digits, kind): (&str, fn(u64) -> Self) =
            if let Some(digits) = name.strip_suffix(PARTIAL) {
                (digits, Self::Partial)
            } else if let Some(digits) = name.strip_suffix(REMOVING) {
                (digits, Self::Removing)
            } else {
                (name, Self::Set)
            };
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        digits.parse().ok().map(kind)
    }

    pub(super) fn sequence(self) -> u64 {
        match self {
            Self::Set(n) | Self::Partial(n) | Self::Removing(n) => n,
        }
    }

    /// Where the entry is, as this release names it.
    pub(super) fn path(self, sets: &Path) -> PathBuf {
        let suffix = match self {
            Self::Set(_) => "",
            Self::Partial(_) => PARTIAL,
            Self::Removing(_) => REMOVING,
        };
        sets.join(format!("{:06}{suffix}", self.sequence()))
    }
}

const PARTIAL: &str = ".partial";
const REMOVING: &str = ".removing";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_back() {
        for entry in [Entry::Set(7), Entry::Partial(1_234_567), Entry::Removing(0)] {
            let path = entry.path(Path::new("/sets"));
            let name = path.file_name().and_then(|name| name.to_str());
            assert_eq!(name.and_then(Entry::of), Some(entry));
        }
    }

    #[test]
    fn strangers_are_left_alone() {
        for name in [
            "",
            ".lock",
            "+7",
            "7a",
            ".partial",
            "latest",
            "7.partial.old",
            "99999999999999999999999",
        ] {
            assert_eq!(Entry::of(name), None, "{name:?}");
        }
    }
}
