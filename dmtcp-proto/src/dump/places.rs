//! Where each field of a header stands, by the name that `docs/PROTOCOL.md` gives it.

use alloc::vec::Vec;

use crate::dialect::Layout;

/// One field of a header, or one part of an identity.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) name: &'static str,
    pub(super) at: usize,
    pub(super) len: usize,
    pub(super) form: Form,
    /// Every message has it: it frames the message or is told by itself.
    pub(super) structural: bool,
    /// Stock senders leave it unset where the kind does not use it.
    pub(super) residue: bool,
}

/// How the bytes of a field read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    Unsigned,
    /// Four bytes.
    Signed,
    /// Ends at a NUL or at the end of the field.
    Text,
    /// IPv4, in network order.
    Address,
}

impl Place {
    /// Its bytes in a header; none if the header is shorter.
    pub(super) fn bytes<'a>(&self, header: &'a [u8]) -> &'a [u8] {
        header.get(self.at..self.at + self.len).unwrap_or_default()
    }
}

/// The fields of a layout, from the first byte to the last.
pub(super) fn of(layout: &Layout) -> Vec<Place> {
    let mut places = Places(Vec::new());
    places.structural("magic", 0, 15, Form::Text);
    places.structural("magic_residue", 15, 1, Form::Unsigned);
    places.structural("header_len", layout.len_at, 4, Form::Unsigned);
    places.structural("payload_len", layout.payload_len_at, 4, Form::Unsigned);
    places.structural("kind", layout.kind, 4, Form::Unsigned);
    places.structural("state", layout.state, 4, Form::Unsigned);
    places.identity(FROM, layout.from);
    places.identity(GROUP, layout.group);

    let (name_at, name_len) = layout.name;
    places.field("name", name_at, name_len, Form::Text);
    places.field("virtual_pid", layout.virtual_pid, 4, Form::Signed);
    places.field("real_pid", layout.real_pid, 4, Form::Signed);
    places.field("key_len", layout.key_len, 4, Form::Unsigned);
    places.field("value_len", layout.value_len, 4, Form::Unsigned);
    places.field("peers", layout.peers, 4, Form::Unsigned);
    places.field("running", layout.running, 4, Form::Unsigned);
    places.field("verb", layout.verb, 4, Form::Unsigned);
    places.field("status", layout.status, 4, Form::Signed);
    places.field("time_stamp", layout.time_stamp, 8, Form::Unsigned);
    places.field("interval", layout.interval, 4, Form::Signed);
    places.field("ip", layout.ip, 4, Form::Address);
    places.field("then_exit", layout.then_exit, 4, Form::Unsigned);
    places.residue("key_value_code", layout.key_value_code, 0);
    places.residue("key_value_residue", layout.key_value_code, 4);
    places.field("log_mask", layout.log_mask, 4, Form::Unsigned);
    // Where there is a log mask, name-service requests use it; later senders leave it unset.
    match layout.log_mask {
        Some(_) => places.field(
            "unique_id_offset",
            layout.unique_id_offset,
            4,
            Form::Unsigned,
        ),
        None => places.residue("unique_id_offset", layout.unique_id_offset, 0),
    }
    let Places(mut places) = places;
    places.sort_by_key(|place| place.at);
    places
}

const FROM: [&str; 4] = ["from.host_id", "from.time", "from.pid", "from.generation"];
const GROUP: [&str; 4] = [
    "group.host_id",
    "group.time",
    "group.pid",
    "group.generation",
];

struct Places(Vec<Place>);

/// Offsets are taken as numbers or as `Option`: not every header has every field.
impl Places {
    fn add(&mut self, name: &'static str, at: usize, len: usize, form: Form) -> &mut Place {
        self.0.push(Place {
            name,
            at,
            len,
            form,
            structural: false,
            residue: false,
        });
        let last = self.0.len() - 1;
        &mut self.0[last]
    }

    fn field(&mut self, name: &'static str, at: impl Into<Option<usize>>, len: usize, form: Form) {
        if let Some(at) = at.into() {
            self.add(name, at, len, form);
        }
    }

    fn structural(&mut self, name: &'static str, at: usize, len: usize, form: Form) {
        self.add(name, at, len, form).structural = true;
    }

    fn residue(&mut self, name: &'static str, at: impl Into<Option<usize>>, behind: usize) {
        if let Some(at) = at.into() {
            self.add(name, at + behind, 4, Form::Unsigned).residue = true;
        }
    }

    fn identity(&mut self, names: [&'static str; 4], at: usize) {
        let [host_id, time, pid, generation] = names;
        self.structural(host_id, at, 8, Form::Unsigned);
        self.structural(time, at + 8, 8, Form::Unsigned);
        self.structural(pid, at + 16, 4, Form::Signed);
        self.structural(generation, at + 20, 4, Form::Unsigned);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Dialect;

    #[test]
    fn every_byte_of_every_header_has_a_name() {
        for dialect in Dialect::ALL {
            let layout = dialect.spec().layout;
            let mut end = 0;
            for place in of(layout) {
                assert_eq!(place.at, end, "{dialect:?} {}", place.name);
                end += place.len;
            }
            assert_eq!(end, layout.len, "{dialect:?}");
        }
    }
}
