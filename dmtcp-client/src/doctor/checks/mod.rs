//! The checks, one file each: what is looked at, and apart from that what follows from it.

pub(super) mod clock;
pub(super) mod container;
pub(super) mod dmtcp;
pub(super) mod environment;
pub(super) mod host_name;
pub(super) mod kernel;
pub(super) mod known;
pub(super) mod limits;
pub(super) mod scheduler;
pub(super) mod state_dir;
pub(super) mod storage;
pub(super) mod strays;
pub(super) mod temp_dir;
