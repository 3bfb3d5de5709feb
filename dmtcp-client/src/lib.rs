//! Start, checkpoint, query and restart DMTCP computations.
#![forbid(unsafe_code)]
