//! How many descriptors this process may have: one for each peer of each computation.

use std::io;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Raises this process's limit of open files as far as it may go: from the soft limit, often 1024, to
/// the hard one. Returns the limit in effect then.
///
/// For a program that is a coordinator. [`Server::start`](super::Server::start) does not do it: the
/// limit is that of the whole process, and programs that it starts afterwards inherit it; with
/// descriptors from 1024 on, those that call `select` break.
///
/// At the limit the server goes on with the peers that it has. Newcomers wait, and
/// [`ComputationEvent::AcceptPaused`](super::ComputationEvent::AcceptPaused) tells.
///
/// # Errors
/// What the system says; the limit is unchanged then.
pub fn raise_open_file_limit() -> io::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(hard)
}
