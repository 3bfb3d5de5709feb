//! Child processes and their lives: started in a group of their own, waited for with a
//! deadline, asked to stop and then killed, and found again by what they hold open.
//!
//! Nothing here knows the coordinator's protocol; [`Launch`](crate::Launch) and
//! [`Restart`](crate::Restart) build the command lines that run here.

mod capture;
mod child;
mod computation_tmp;
mod descriptors;
mod environment;
mod error;
mod exit;
mod identity;
mod listener;
mod members;
mod open_file;
mod signal;
mod situation;
mod stat;
mod stream;
mod tcp_owner;
mod tcp_table;

pub(crate) use capture::{capture, capture_both};
pub use child::Child;
pub use computation_tmp::ComputationTmp;
pub use descriptors::{inherited_descriptors, passed_on_descriptors};
pub(crate) use environment::clean_environment;
pub use environment::{FAIL_CODE, KEPT_VARIABLES};
pub use error::ProcessError;
pub use exit::Exit;
pub use identity::{Identity, kill_all};
pub(crate) use listener::{Listener, listens};
pub use members::{kill_members, members};
pub(crate) use open_file::has_open;
pub use signal::Signal;
pub use situation::{
    Connection, OpenImage, ProcessState, Situation, Syscall, ThreadSituation, Tracer,
};
pub(crate) use stat::{Stat, is_gone};
pub use stream::{SharedStream, Stream};
pub(crate) use tcp_owner::TcpOwners;
pub(crate) use tcp_table::tcp_table;
