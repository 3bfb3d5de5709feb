//! The key-value store of a computation (`docs/PROTOCOL.md`, "Key-value store").

use alloc::string::{String, ToString as _};

use super::key_values::KeyValues;
use crate::ids::UniquePid;
use crate::message::{KeyValueOp, KeyValueRequest, KeyValueResponse};
use crate::name::Name;
use crate::text::Text;

/// Databases of keys and values. They outlive their computation, until a new one begins.
#[derive(Clone, Debug, Default)]
pub(super) struct Store {
    pub(super) values: KeyValues,
    size: usize,
}

impl Store {
    /// Empty, for this computation.
    pub(super) fn begin(&mut self, computation: UniquePid) {
        *self = Self::default();
        self.values.computation = computation;
    }

    /// Carries out one request; `max` bytes are the most the store may hold.
    pub(super) fn request(&mut self, request: &KeyValueRequest, max: usize) -> KeyValueResponse {
        if request.key.is_empty() {
            return KeyValueResponse::InvalidRequest;
        }
        let database = request.database.as_field();
        let old = self
            .values
            .databases
            .get(database)
            .map(|keys| keys.get(&request.key));
        if request.op == KeyValueOp::Get {
            return match old {
                None => KeyValueResponse::NoDatabase,
                Some(None) => KeyValueResponse::NoKey,
                Some(Some(value)) => KeyValueResponse::Value(value.clone()),
            };
        }
        let old = old.flatten().cloned();
        let Some(new) = new_value(request, old.as_ref()) else {
            return KeyValueResponse::InvalidRequest;
        };
        if !self.put(request.database, request.key.clone(), new, max) {
            return KeyValueResponse::InvalidRequest;
        }
        // The old value of an absent key is "0".
        KeyValueResponse::Value(old.unwrap_or_else(|| Text::from("0")))
    }

    fn put(&mut self, database: Name, key: Text, value: Text, max: usize) -> bool {
        let database = *database.as_field();
        let new = cost(&key, &value);
        let size = match self.values.databases.get(&database) {
            Some(keys) => self.size - keys.get(&key).map_or(0, |old| cost(&key, old)) + new,
            None => self.size + DATABASE_COST + new,
        };
        if size > max {
            return false;
        }
        // Own copies: a slice would keep the whole received buffer alive.
        let own = |text: &Text| Text::new(text.as_bytes().to_vec()).unwrap_or_default();
        let keys = self.values.databases.entry(database).or_default();
        keys.insert(own(&key), own(&value));
        self.size = size;
        true
    }
}

/// Bytes that a database counts for, however little is in it: its name and its first node.
const DATABASE_COST: usize = 1024;

/// Bytes that an entry counts for: its texts and the map's own share.
fn cost(key: &Text, value: &Text) -> usize {
    key.as_bytes().len() + value.as_bytes().len() + 64
}

/// `None`: an operand or the stored value is not a number, or the operation is unknown.
fn new_value(request: &KeyValueRequest, old: Option<&Text>) -> Option<Text> {
    let Some(old) = old.filter(|_| request.op != KeyValueOp::Set) else {
        // The first write of any operation stores its operand as it stands.
        let known = !matches!(request.op, KeyValueOp::Unknown(_));
        return known.then(|| request.value.clone());
    };
    let (old, operand) = (number(old)?, number(&request.value)?);
    let new = match request.op {
        KeyValueOp::IncrementBy => old.wrapping_add(operand),
        KeyValueOp::And => old & operand,
        KeyValueOp::Or => old | operand,
        KeyValueOp::Xor => old ^ operand,
        KeyValueOp::Min => old.min(operand),
        KeyValueOp::Max => old.max(operand),
        KeyValueOp::Get | KeyValueOp::Set | KeyValueOp::Unknown(_) => return None,
    };
    Some(Text::from(new.to_string()))
}

/// A number as C writes it: sign, then `0x` hexadecimal, leading-zero octal, or decimal.
fn number(text: &Text) -> Option<i64> {
    let text = core::str::from_utf8(text.as_bytes()).ok()?;
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let signed = |digits: &str, radix| {
        let sign = if negative { "-" } else { "" };
        i64::from_str_radix(&(String::from(sign) + digits), radix).ok()
    };
    match digits
        .strip_prefix("0x")
        .or_else(|| digits.strip_prefix("0X"))
    {
        Some(hex) => signed(hex, 16),
        None if digits.len() > 1 && digits.starts_with('0') => signed(digits, 8),
        None => signed(digits, 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(
        store: &mut Store,
        op: KeyValueOp,
        key: &'static str,
        value: &'static str,
    ) -> KeyValueResponse {
        let database = Name::new("db").unwrap();
        let request = KeyValueRequest {
            database,
            op,
            key: Text::from(key),
            value: Text::from(value),
        };
        store.request(&request, 10_000)
    }

    fn value(text: &'static str) -> KeyValueResponse {
        KeyValueResponse::Value(Text::from(text))
    }

    #[test]
    fn answers_as_stock_coordinators_do() {
        let mut store = Store::default();
        assert_eq!(
            ask(&mut store, KeyValueOp::Get, "k", ""),
            KeyValueResponse::NoDatabase
        );
        assert_eq!(ask(&mut store, KeyValueOp::Set, "k", "100"), value("0"));
        assert_eq!(
            ask(&mut store, KeyValueOp::Get, "x", ""),
            KeyValueResponse::NoKey
        );
        assert_eq!(
            ask(&mut store, KeyValueOp::IncrementBy, "k", "0x10"),
            value("100")
        );
        assert_eq!(ask(&mut store, KeyValueOp::Min, "k", "-010"), value("116"));
        assert_eq!(ask(&mut store, KeyValueOp::Get, "k", ""), value("-8"));
        assert_eq!(
            ask(&mut store, KeyValueOp::Max, "first", "text"),
            value("0")
        );
        assert_eq!(ask(&mut store, KeyValueOp::Get, "first", ""), value("text"));
    }

    /// Each of these ends the stock coordinator (`docs/PROTOCOL.md`, weakness 20).
    #[test]
    fn w20_what_is_not_a_number_is_refused() {
        let mut store = Store::default();
        ask(&mut store, KeyValueOp::Set, "k", "text");
        assert_eq!(
            ask(&mut store, KeyValueOp::IncrementBy, "k", "1"),
            KeyValueResponse::InvalidRequest
        );
        ask(&mut store, KeyValueOp::Set, "k", "1");
        for operand in ["", "x", "--1", "+-1", "08", "0xg", "9223372036854775808"] {
            let answer = ask(&mut store, KeyValueOp::IncrementBy, "k", operand);
            assert_eq!(answer, KeyValueResponse::InvalidRequest, "{operand:?}");
        }
        assert_eq!(
            ask(&mut store, KeyValueOp::Unknown(9), "k", "1"),
            KeyValueResponse::InvalidRequest
        );
        assert_eq!(ask(&mut store, KeyValueOp::Get, "k", ""), value("1"));
    }

    /// The stock store grows without limit (`docs/PROTOCOL.md`, weakness 37).
    #[test]
    fn w37_the_store_is_bounded() {
        let mut store = Store::default();
        let request = |key: String| KeyValueRequest {
            database: Name::EMPTY,
            op: KeyValueOp::Set,
            key: Text::from(key),
            value: Text::from("v".repeat(36)),
        };
        let max = DATABASE_COST + 1024;
        let answers = (10..99).map(|n| store.request(&request(n.to_string()), max));
        let stored = answers
            .filter(|answer| matches!(answer, KeyValueResponse::Value(_)))
            .count();
        assert_eq!(stored, 1024 / (2 + 36 + 64));
        // Overwriting needs no more room.
        assert!(matches!(
            store.request(&request("10".into()), max),
            KeyValueResponse::Value(_)
        ));
        // What is refused leaves nothing behind, not even an empty database.
        assert_eq!(
            store.request(
                &KeyValueRequest {
                    database: Name::new("x").unwrap(),
                    ..request("k".into())
                },
                max
            ),
            KeyValueResponse::InvalidRequest
        );
        assert_eq!(store.values.databases.len(), 1);
    }
}
