//! Pointers from and to C, and the only `unsafe` code of the project.
//!
//! Each type is a pointer, or two values, as C passes them, with the same ABI. Only C makes values
//! of them (their fields are private), and the header says what C promises by passing one. What can
//! be checked, NULL and sizes, is checked before anything else is done; outputs are written only on
//! success. The header knows none of these types: `tests/header/generate.rs` puts in their place
//! what they are.
#![expect(
    unsafe_code,
    reason = "what C promises about its pointers is taken on here"
)]

mod callback;
mod growing;
mod memory;
mod object;
mod text;

pub use callback::{Callback, Context};
pub use growing::{AnyBytes, GrowingIn, GrowingOut, Grows, GrowsFromC};
pub use memory::Memory;
pub use object::{In, Out, Owned};
pub use text::{OwnedText, Text, TextList};

pub(crate) use callback::Listener;
pub(crate) use growing::{filled_in, growing};
pub(crate) use memory::Region;

use crate::codes::ResultCode;
use crate::failure::Failure;

fn null(name: &str) -> Failure {
    Failure {
        code: ResultCode::DMTCP_ERR_NULL,
        message: format!("{name} is NULL"),
    }
}
