//! The tables of `docs/PROTOCOL.md` about telling dialects apart say what the code does, row by
//! row, and what is in no row is nobody's.

mod captures;
mod tables;

use dmtcp_proto::{Candidates, Dialect, Frame};
use tables::{Row, Table, dialect};

const HEADERS: [usize; 3] = [136, 144, 208];
const STATES: [u32; 8] = [0, 1, 4, 5, 6, 7, 8, 99];

/// The forms that payloads and lengths can have.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    None,
    Key,
    KeyAndValue,
    KeyAndLength,
    Other,
}

const FORMS: [Form; 5] = [
    Form::None,
    Form::Key,
    Form::KeyAndValue,
    Form::KeyAndLength,
    Form::Other,
];

fn frame(kind: u32, state: u32, form: Form, named: bool) -> Frame {
    let mut frame = Frame::default();
    let header = &mut frame.header;
    (header.kind, header.state) = (kind, state);
    if named {
        header.name[0] = b'n';
    }
    let (key_len, value_len, payload) = match form {
        Form::None => (0, 0, &b""[..]),
        Form::Key => (3, 0, &b"key"[..]),
        Form::KeyAndValue => (3, 5, &b"keyvalue"[..]),
        Form::KeyAndLength => (3, 4, &b"key"[..]),
        Form::Other => (1, 1, &b"other\0"[..]),
    };
    (header.key_len, header.value_len) = (key_len, value_len);
    frame.payload = payload.into();
    frame
}

fn fits(cell: &str, form: Form, named: bool) -> bool {
    match cell {
        "any" => true,
        "none" => form == Form::None,
        "none, named" => form == Form::None && named,
        "some" => form != Form::None,
        "key" => form == Form::Key,
        "key, value" => form == Form::KeyAndValue,
        "key, length" => form == Form::KeyAndLength,
        other => panic!("payload {other:?}"),
    }
}

fn of_header(len: usize) -> Candidates {
    let mine = |dialect: &Dialect| dialect.header_len() == len;
    Dialect::ALL.iter().copied().filter(mine).collect()
}

/// What the rows say of a frame.
fn described(rows: &[Row<'_>], fits: impl Fn(&Row<'_>) -> bool) -> Vec<Dialect> {
    let mut possible: Vec<Dialect> = Vec::new();
    for row in rows.iter().filter(|row| fits(row)) {
        match row.cell("Dialect") {
            "open" => possible.extend(of_header(row.number("Header").unwrap()).iter()),
            name => possible.push(dialect(name)),
        }
    }
    possible.sort_unstable();
    let before = possible.len();
    possible.dedup();
    assert_eq!(before, possible.len(), "two rows for one message");
    possible
}

fn rows_of<'a>(table: &'a Table, header: usize, kind: u32) -> Vec<Row<'a>> {
    let named = |row: &Row<'_>| {
        let kinds = row.cell("kind").split(", ");
        let mut numbers = kinds.map(|number| number.parse::<u32>().unwrap());
        row.number("Header") == Some(header) && numbers.any(|number| number == kind)
    };
    table.rows().filter(named).collect()
}

#[test]
fn the_first_message() {
    let table = Table::behind("\n**The first message**", "Header");
    let mut told = 0;
    for header in HEADERS {
        for kind in 0..100 {
            let rows = rows_of(&table, header, kind);
            for (state, form) in STATES.iter().flat_map(|&s| FORMS.map(|form| (s, form))) {
                for named in [false, true] {
                    let frame = frame(kind, state, form, named);
                    let listed = |cell: &str| cell == state.to_string();
                    let expected = described(&rows, |row| {
                        let right_state = match row.cell("state") {
                            "any" => true,
                            "other" => !rows.iter().any(|other| listed(other.cell("state"))),
                            number => listed(number),
                        };
                        right_state && fits(row.cell("Payload"), form, named)
                    });
                    let found: Vec<_> = of_header(header).narrow_by_first(&frame).iter().collect();
                    let what = (header, kind, state, form);
                    assert_eq!(found, expected, "{what:?}");
                    told += usize::from(!expected.is_empty());
                }
            }
        }
    }
    assert!(told > table.len());
}

#[test]
fn later_messages() {
    let table = Table::behind("\n**Later messages**", "Header");
    let mut told = 0;
    // The header of 136 leaves nothing to be told.
    for header in [144, 208] {
        for kind in 0..100 {
            let rows = rows_of(&table, header, kind);
            for (state, form) in STATES.iter().flat_map(|&s| FORMS.map(|form| (s, form))) {
                for named in [false, true] {
                    let frame = frame(kind, state, form, named);
                    let expected = described(&rows, |row| fits(row.cell("Payload"), form, named));
                    let found: Vec<_> = of_header(header).narrow_by_later(&frame).iter().collect();
                    let what = (header, kind, state, form, named);
                    assert_eq!(found, expected, "{what:?}");
                    told += usize::from(!expected.is_empty());
                }
            }
        }
    }
    assert!(told > table.len());
}

/// The bytes that the table of the probe lists, and zeros.
#[test]
fn the_probe() {
    let table = Table::behind("\n**The probe**", "Offset");
    let mut bytes = vec![0; 208];
    for row in table.rows() {
        let (offset, size): (usize, usize) =
            (row.number("Offset").unwrap(), row.number("Size").unwrap());
        let place = &mut bytes[offset..offset + size];
        match row.cell("Value") {
            "magic" => place.copy_from_slice(b"DMTCP_CKPT_V0\n"),
            value => {
                let value: i64 = value.parse().unwrap();
                place.copy_from_slice(&value.to_le_bytes()[..size]);
            }
        }
    }
    let probes = captures::probes();
    let probe = |name: &str| {
        &probes
            .iter()
            .find(|probe| probe.name == name)
            .unwrap()
            .bytes
    };
    assert_eq!(&bytes, probe("probe1-polyglot-2.5.1plus-and-b"));
    bytes[24] = 15;
    assert_eq!(&bytes, probe("probe1-alt-polyglot-2.4-to-2.5.0-and-b"));
}
