//! What a driver may know of a connection to serve it well. Decides nothing.

use super::{CoordinatorCore, Role};
use crate::ids::ConnId;

impl CoordinatorCore {
    /// Whether this is a worker or its side channel, which stay, and not somebody who asks
    /// something and goes: a driver that serves those first lets no tool wait for a crowd of workers.
    #[must_use]
    pub fn stays(&self, conn: ConnId) -> bool {
        let role = self.conns.get(&conn).map(|entry| &entry.role);
        matches!(
            role,
            Some(Role::Worker | Role::NameService | Role::Parked(_))
        )
    }

    /// Whether the peer may have something more for us that its system holds back until what it sent
    /// before is acknowledged. A stock worker writes header and payload apart with Nagle's
    /// algorithm on: not acknowledged at once, the second costs 40 ms. One that waits at a barrier
    /// has nothing more to send, and what lets it go on acknowledges by itself. One that has just come
    /// to run again seldom has: if so, that costs it 40 ms, once.
    #[must_use]
    pub fn may_hold_back(&self, conn: ConnId) -> bool {
        let Some(entry) = self.conns.get(&conn) else {
            return false;
        };
        let waits = || self.roster.get(conn).is_some_and(|worker| worker.waiting);
        let is_done = || matches!(entry.role, Role::Worker) && (entry.rests || waits());
        entry.decoder.pending() > 0 || !is_done()
    }
}
