//! What was learnt about coordinators, for as long as it holds.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use super::{DetectError, DetectOptions, Detected, detect};
use crate::coordinator::{Coordinator, Error};

/// Remembers what coordinators speak, one for each address, so that they are asked once.
///
/// What is remembered belongs to one life of a coordinator: its process, where it was found on this
/// host, or its own id. It is forgotten when that process no longer listens there, and when a
/// question fails as it does with a coordinator that ended or speaks something else
/// ([`forget_after`](Self::forget_after)). A coordinator of another host that is
/// replaced by another release between two questions is noticed only by the failure of the second,
/// which may end it: forget what may have been replaced.
///
/// ```no_run
/// use dmtcp_client::coordinator::{DetectOptions, DialectCache};
///
/// let cache = DialectCache::default();
/// let addr = "127.0.0.1:7779".parse()?;
/// let coordinator = cache.handle(addr, &DetectOptions::default())?;
/// let status = coordinator.status().inspect_err(|error| cache.forget_after(error))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct DialectCache {
    known: Mutex<BTreeMap<SocketAddr, Detected>>,
}

impl DialectCache {
    /// A handle in the dialect that is remembered, or that [`detect`] finds now.
    ///
    /// # Errors
    ///
    /// As [`detect`]; what failed is not remembered.
    pub fn handle(
        &self,
        addr: SocketAddr,
        options: &DetectOptions,
    ) -> Result<Coordinator, DetectError> {
        self.detected(addr, options).map(|known| known.handle())
    }

    /// What is remembered, or what [`detect`] finds now. Two threads that ask for the same address
    /// at once may both ask the coordinator.
    ///
    /// # Errors
    ///
    /// As [`detect`]; what failed is not remembered.
    pub fn detected(
        &self,
        addr: SocketAddr,
        options: &DetectOptions,
    ) -> Result<Detected, DetectError> {
        // The caller's word counts for this call; it needs no memory.
        if options.told.is_some() {
            return detect(addr, options);
        }
        let known = self.known(addr);
        if let Some(known) = known.filter(|known| known.is_still_there() != Some(false)) {
            return Ok(known);
        }
        self.forget(addr);
        let detected = detect(addr, options)?;
        self.lock().insert(addr, detected.clone());
        Ok(detected)
    }

    /// What is remembered of a coordinator; it is not looked at.
    #[must_use]
    pub fn known(&self, addr: SocketAddr) -> Option<Detected> {
        self.lock().get(&addr).cloned()
    }

    /// Forgets a coordinator.
    pub fn forget(&self, addr: SocketAddr) {
        self.lock().remove(&addr);
    }

    /// Forgets the coordinator at which this error points, if the error can mean that it is not the
    /// one that was remembered: nobody listens, no answer, or none that can be read. A refusal is an
    /// answer and changes nothing.
    pub fn forget_after(&self, error: &Error) {
        if let Error::Connect { addr, .. }
        | Error::TimedOut { addr, .. }
        | Error::Exchange { addr, .. }
        | Error::StillListening { addr } = error
        {
            self.forget(*addr);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<SocketAddr, Detected>> {
        // No update is ever half done.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
