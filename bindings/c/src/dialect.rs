//! Dialects by number.

use dmtcp_proto::Dialect;

use crate::failure::Failure;

/// The version of the wire format. It must be the coordinator's own, and there is no question that
/// is safe in every dialect: asked in V5, a coordinator of 3.0.0 to 3.2.0 ends, and its computation
/// with it. dmtcp_coordinator_detect() finds it out.
#[expect(non_camel_case_types, reason = "the names are those of the header")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
#[non_exhaustive]
pub enum DialectName {
    /// DMTCP 2.4.0 to 2.5.0.
    DMTCP_DIALECT_V2_4 = 24,
    /// DMTCP 2.5.1 and 2.5.2.
    DMTCP_DIALECT_V2_5 = 25,
    /// DMTCP 2.6.0.
    DMTCP_DIALECT_V2_6 = 26,
    /// DMTCP 3.0.0 to 4.2.0.
    DMTCP_DIALECT_V3 = 3,
    /// The development head, which calls itself 5.0.
    DMTCP_DIALECT_V5 = 5,
}

/// A [`DialectName`] as C passes one, which may be any number.
///
/// cbindgen:no-export
pub type DialectNumber = i32;

/// Each dialect with its name in C.
pub const DIALECTS: &[(DialectName, Dialect)] = &[
    (DialectName::DMTCP_DIALECT_V2_4, Dialect::V2_4),
    (DialectName::DMTCP_DIALECT_V2_5, Dialect::V2_5),
    (DialectName::DMTCP_DIALECT_V2_6, Dialect::V2_6),
    (DialectName::DMTCP_DIALECT_V3, Dialect::V3),
    (DialectName::DMTCP_DIALECT_V5, Dialect::V5),
];

pub(crate) fn dialect_of(number: i32) -> Result<Dialect, Failure> {
    DIALECTS
        .iter()
        .find(|(known, _)| *known as i32 == number)
        .map(|(_, dialect)| *dialect)
        .ok_or_else(|| Failure::argument(format!("there is no dialect {number}")))
}
