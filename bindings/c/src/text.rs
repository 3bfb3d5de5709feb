//! Texts that a function gives out by themselves.

use crate::boundary::contain;
use crate::ffi::OwnedText;

/// Frees a text that a function gave out as `char **`. Those that belong to an object are freed with
/// it, and not here.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_text_free(text: OwnedText) {
    contain((), || text.free());
}
