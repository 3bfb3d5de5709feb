//! The name service of a 2.x computation (`docs/PROTOCOL.md`, "Name service").

use alloc::collections::BTreeMap;
use bytes::Bytes;

use crate::message::{Body, NameServiceId, NameServiceOp, NameServiceRequest};

/// Databases of keys and values, any bytes, emptied with each new computation.
#[derive(Clone, Debug, Default)]
pub(super) struct NameService {
    entries: BTreeMap<(NameServiceId, Bytes), Bytes>,
    /// The next number of a database, and the distance to the one behind it.
    unique: BTreeMap<NameServiceId, (u32, u32)>,
    size: usize,
}

impl NameService {
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Carries out one request; `max` bytes are the most that may be held. What does not fit is
    /// not kept, and a query for it finds nothing.
    pub(super) fn request(&mut self, request: &NameServiceRequest, max: usize) -> Option<Body> {
        // Own copies: slices would keep the whole received buffer alive.
        let key = (request.database, Bytes::copy_from_slice(&request.key));
        match &request.op {
            NameServiceOp::Register { value, sync } => {
                self.put(key, Bytes::copy_from_slice(value), max);
                sync.then_some(Body::NameServiceRegistered)
            }
            NameServiceOp::Query => {
                let value = self.entries.get(&key).cloned().unwrap_or_default();
                Some(Body::NameServiceAnswer(value))
            }
            NameServiceOp::UniqueId { len, offset } => {
                if !self.entries.contains_key(&key) {
                    self.number(key.clone(), *offset, max);
                }
                let mut number = self.entries.get(&key).cloned().unwrap_or_default();
                // A longer answer than the number has bytes is never asked for by stock workers.
                number.truncate(usize::try_from(*len).unwrap_or(usize::MAX));
                Some(Body::NameServiceUniqueId(number))
            }
        }
    }

    /// Gives the key the next number of its database. What does not fit uses none up.
    fn number(&mut self, key: (NameServiceId, Bytes), step: u32, max: usize) {
        let database = key.0;
        let known = self.unique.get(&database).copied();
        let (next, step) = known.unwrap_or((1, step));
        let counter = known.map_or(COUNTER_COST, |_| 0);
        let number = Bytes::copy_from_slice(&next.to_le_bytes());
        if self.put(key, number, max.saturating_sub(counter)) {
            self.size += counter;
            let next = next.wrapping_add(step);
            self.unique.insert(database, (next, step));
        }
    }

    fn put(&mut self, key: (NameServiceId, Bytes), value: Bytes, max: usize) -> bool {
        let old = self.entries.get(&key).map_or(0, |old| cost(&key.1, old));
        let size = self.size - old + cost(&key.1, &value);
        let fits = size <= max;
        if fits {
            self.size = size;
            self.entries.insert(key, value);
        }
        fits
    }
}

/// Bytes that the next number of a database counts for.
const COUNTER_COST: usize = 64;

/// Bytes that an entry counts for: its own and the map's share.
fn cost(key: &Bytes, value: &Bytes) -> usize {
    key.len() + value.len() + 128
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(service: &mut NameService, key: &'static str, op: NameServiceOp) -> Option<Body> {
        let request = NameServiceRequest {
            database: *b"Socket\0\0",
            key: Bytes::from_static(key.as_bytes()),
            op,
        };
        service.request(&request, 1024)
    }

    fn register(value: &'static str, sync: bool) -> NameServiceOp {
        let value = Bytes::from_static(value.as_bytes());
        NameServiceOp::Register { value, sync }
    }

    #[test]
    fn what_is_registered_is_found() {
        let mut service = NameService::default();
        assert_eq!(ask(&mut service, "k", register("one", false)), None);
        let answer = ask(&mut service, "k", NameServiceOp::Query);
        assert_eq!(answer, Some(Body::NameServiceAnswer("one".into())));
        let answer = ask(&mut service, "k", register("two", true));
        assert_eq!(answer, Some(Body::NameServiceRegistered));
        let answer = ask(&mut service, "k", NameServiceOp::Query);
        assert_eq!(answer, Some(Body::NameServiceAnswer("two".into())));
        let answer = ask(&mut service, "x", NameServiceOp::Query);
        assert_eq!(answer, Some(Body::NameServiceAnswer(Bytes::new())));
    }

    #[test]
    fn unique_numbers_are_those_of_stock_coordinators() {
        let mut service = NameService::default();
        let mut number = |key| {
            let op = NameServiceOp::UniqueId { len: 4, offset: 3 };
            ask(&mut service, key, op)
        };
        let answer = |n: u32| Some(Body::NameServiceUniqueId(n.to_le_bytes().to_vec().into()));
        assert_eq!(
            ["h1", "h2", "h1"].map(&mut number),
            [answer(1), answer(4), answer(1)]
        );
    }

    /// A longer length reads past an integer of the stock coordinator (`docs/PROTOCOL.md`, weakness 24).
    #[test]
    fn w24_no_more_bytes_than_the_number_has() {
        let mut service = NameService::default();
        for (len, bytes) in [(u32::MAX, 4), (2, 2), (0, 0)] {
            let op = NameServiceOp::UniqueId { len, offset: 1 };
            match ask(&mut service, "k", op) {
                Some(Body::NameServiceUniqueId(number)) => assert_eq!(number.len(), bytes),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn it_is_bounded() {
        let mut service = NameService::default();
        for key in ["a", "b", "c", "d", "e", "f", "g", "h", "i"] {
            ask(&mut service, key, register("value", false));
        }
        assert_eq!(service.entries.len(), 1024 / (1 + 5 + 128));
        assert!(service.size <= 1024);
    }

    #[test]
    fn numbers_are_bounded_in_however_many_databases() {
        let mut service = NameService::default();
        for database in 0..100u64 {
            let request = NameServiceRequest {
                database: database.to_le_bytes(),
                key: Bytes::from_static(b"k"),
                op: NameServiceOp::UniqueId { len: 4, offset: 1 },
            };
            let answer = service.request(&request, 1024);
            let fits = database < 1024 / (COUNTER_COST as u64 + 1 + 4 + 128);
            let number: &'static [u8] = if fits { &[1, 0, 0, 0] } else { b"" };
            assert_eq!(answer, Some(Body::NameServiceUniqueId(number.into())));
        }
        assert_eq!(service.unique.len(), service.entries.len());
        assert!(service.size <= 1024);
    }
}
