//! Messages on their way out: encoded in the peer's dialect, to one or to all.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};

use super::{CoordinatorCore, Output};
use crate::dialect::Dialect;
use crate::ids::{ConnId, UniquePid};
use crate::message::{Body, Message};
use crate::wire::encode;

impl CoordinatorCore {
    /// Sends one message. A payload that the peer would not take is left out: it would exit.
    pub(super) fn send(&mut self, conn: ConnId, dialect: Dialect, body: Body) {
        self.send_about(conn, dialect, body, self.computation.id);
    }

    pub(super) fn send_about(
        &mut self,
        conn: ConnId,
        dialect: Dialect,
        body: Body,
        computation: UniquePid,
    ) {
        if let Some(bytes) = self.encode(dialect, body, computation) {
            self.outputs.push_back(Output::Transmit { conn, bytes });
        }
    }

    /// Sends the same message to every worker; encoded once for each dialect.
    pub(super) fn broadcast(&mut self, body: &Body) {
        // Then it is everybody's, and nobody has to be looked at.
        let common = self.computation.dialects.only();
        let mut told: BTreeMap<Dialect, Vec<ConnId>> = BTreeMap::new();
        for (conn, _) in self.roster.iter() {
            if let Some(dialect) = common.or_else(|| self.dialect_of(conn)) {
                told.entry(dialect).or_default().push(conn);
            }
        }
        for (dialect, conns) in told {
            if let Some(bytes) = self.encode(dialect, body.clone(), self.computation.id) {
                self.outputs.push_back(Output::TransmitAll { conns, bytes });
            }
        }
    }

    fn encode(&self, dialect: Dialect, body: Body, computation: UniquePid) -> Option<Bytes> {
        let message = Message::new(self.config.identity, body).in_group(computation);
        let mut bytes = BytesMut::new();
        encode(dialect, &message.to_frame(dialect).ok()?, &mut bytes).ok()?;
        Some(bytes.freeze())
    }
}
