//! The tables of `docs/PROTOCOL.md`.

#![allow(unreachable_pub, reason = "shared by several test crates")]
#![allow(dead_code, reason = "each test file uses its own part of this")]

use dmtcp_proto::Dialect;

/// The whole document.
pub const DOCS: &str = include_str!("../../../docs/PROTOCOL.md");

/// The table whose first column is headed `first` and that is the first one behind `marker`.
pub struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

/// A row that knows its columns' heads.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    head: &'a [String],
    cells: &'a [String],
}

fn cells(line: &str) -> Vec<String> {
    let inner = line
        .strip_prefix('|')
        .and_then(|line| line.strip_suffix('|'));
    let inner = inner.unwrap_or_else(|| panic!("half a row: {line:?}"));
    let cells = inner.split('|');
    cells.map(|cell| cell.trim().replace('`', "")).collect()
}

impl Table {
    /// Reads it.
    pub fn behind(marker: &str, first: &str) -> Self {
        let (before, section) = DOCS
            .split_once(marker)
            .unwrap_or_else(|| panic!("nowhere: {marker:?}"));
        assert!(
            !section.contains(marker) && !before.is_empty(),
            "{marker:?}"
        );
        let mut lines = section
            .lines()
            .skip_while(|line| !line.starts_with(&format!("| {first} |")))
            .take_while(|line| line.starts_with('|'))
            .map(cells);
        let head = lines.next();
        let head = head.unwrap_or_else(|| panic!("no table {first:?} behind {marker:?}"));
        let rule = lines.next().unwrap();
        assert!(rule.iter().all(|cell| cell.starts_with("---")));
        let rows: Vec<_> = lines.collect();
        assert!(!rows.is_empty());
        for row in &rows {
            assert_eq!(row.len(), head.len(), "{row:?}");
        }
        Self { head, rows }
    }

    /// Its rows, in order.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|cells| Row {
            head: &self.head,
            cells,
        })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }
}

impl<'a> Row<'a> {
    /// The cell under this head.
    pub fn cell(self, head: &str) -> &'a str {
        let column = self.head.iter().position(|other| other == head);
        &self.cells[column.unwrap_or_else(|| panic!("no column {head:?}"))]
    }

    /// The cell under a dialect's name.
    pub fn of(self, dialect: Dialect) -> &'a str {
        self.cell(&format!("{dialect:?}"))
    }

    /// The number in the cell under this head; `None`: a dash.
    pub fn number<T: std::str::FromStr>(self, head: &str) -> Option<T> {
        number(self.cell(head))
    }
}

/// The number; `None`: a dash.
pub fn number<T: std::str::FromStr>(cell: &str) -> Option<T> {
    match (cell, cell.parse()) {
        ("-", _) => None,
        (_, Ok(number)) => Some(number),
        _ => panic!("not a number: {cell:?}"),
    }
}

/// The dialect of this name.
pub fn dialect(name: &str) -> Dialect {
    let mut all = Dialect::ALL.iter().copied();
    all.find(|dialect| format!("{dialect:?}") == name)
        .unwrap_or_else(|| panic!("no dialect {name:?}"))
}
