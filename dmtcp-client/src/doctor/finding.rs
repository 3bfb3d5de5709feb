//! What a check found, and how bad it is.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How bad a finding is. They are ordered: a failure is the greatest.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Verdict {
    /// As it should be.
    #[default]
    Ok,
    /// Worth knowing; nothing has to be done.
    Note,
    /// It may go wrong, now or some day.
    Warning,
    /// It will go wrong, or did.
    Failure,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Failure => "failure",
        })
    }
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Finding {
    /// The name of the check; it does not change between releases. One that looks at several things
    /// has several findings of the same name.
    pub slug: String,
    /// How bad it is.
    pub verdict: Verdict,
    /// What was seen.
    pub seen: String,
    /// What to do; `None` where nothing has to be done.
    pub advice: Option<String>,
}

impl Finding {
    pub(super) fn new(slug: &str, verdict: Verdict, seen: impl Into<String>) -> Self {
        Self {
            slug: slug.to_owned(),
            verdict,
            seen: seen.into(),
            advice: None,
        }
    }

    pub(super) fn ok(slug: &str, seen: impl Into<String>) -> Self {
        Self::new(slug, Verdict::Ok, seen)
    }

    pub(super) fn note(slug: &str, seen: impl Into<String>) -> Self {
        Self::new(slug, Verdict::Note, seen)
    }

    pub(super) fn warning(slug: &str, seen: impl Into<String>) -> Self {
        Self::new(slug, Verdict::Warning, seen)
    }

    pub(super) fn failure(slug: &str, seen: impl Into<String>) -> Self {
        Self::new(slug, Verdict::Failure, seen)
    }

    pub(super) fn advice(self, advice: impl Into<String>) -> Self {
        Self {
            advice: Some(advice.into()),
            ..self
        }
    }
}

/// The worst of them; of none [`Verdict::Ok`].
pub(super) fn worst<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Verdict {
    let verdicts = findings.into_iter().map(|finding| finding.verdict);
    verdicts.max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_counts() {
        let findings = [
            Finding::note("a", ""),
            Finding::failure("b", ""),
            Finding::ok("c", ""),
        ];
        assert_eq!(worst(&findings), Verdict::Failure);
        assert_eq!(worst([]), Verdict::Ok);
        assert!(Verdict::Warning > Verdict::Note);
        assert_eq!(format!("{:8}|", Verdict::Ok), "ok      |");
    }
}
