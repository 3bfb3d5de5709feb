//! Errors for people.

use std::error::Error;

/// An error and what caused it, in one line: the texts of errors here do not repeat those of their
/// sources, so that the first alone may say little.
///
/// ```
/// use dmtcp_client::{set::SetStore, with_causes};
///
/// if let Err(error) = SetStore::open("/dev/null/state".as_ref()) {
///     eprintln!("{}", with_causes(&error));
/// }
/// ```
#[must_use]
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
