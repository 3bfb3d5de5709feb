//! Walking the memory areas of a DMTCP image to their end marker.
//!
//! A pure state machine: it is fed bytes, or told that bytes were skipped. Not here: where the
//! bytes come from (`whole`) and what the memory is (an [`AreaWatcher`] is told of it).

use super::fields::Fields;

/// How the records before the memory are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AreaForm {
    /// 2.4: a bit of the protection says that the memory is all zeros and not in the image.
    V2_4,
    /// 2.5 and 2.6: a field of properties says so.
    V2_5,
    /// 3.0 and later: a file's size stands in front of the properties.
    V3,
}

/// Who is told of the areas that a walk passes.
pub(super) trait AreaWatcher {
    /// The record of an area, which `stored` bytes of data follow.
    fn area(&mut self, area: &Area<'_>, stored: u64);

    /// The next bytes of data of the area that was told last.
    fn data(&mut self, bytes: &[u8]);

    /// Whether the data of the area that was told last may be skipped.
    fn is_indifferent(&self) -> bool;
}

/// Nobody.
impl AreaWatcher for () {
    fn area(&mut self, _: &Area<'_>, _: u64) {}

    fn data(&mut self, _: &[u8]) {}

    fn is_indifferent(&self) -> bool {
        true
    }
}

/// Where a walk through the areas stands.
#[derive(Debug)]
pub(super) struct AreaWalk {
    form: AreaForm,
    /// Offset in the content.
    at: u64,
    areas: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    Record { seen: Vec<u8> },
    Data { left: u64 },
    Done,
}

/// Why a walk ended before the end marker, or did not end there.
#[derive(Debug)]
pub(super) enum Fault {
    Cut { at: u64, what: String },
    Damaged { at: u64, what: String },
}

impl AreaWalk {
    /// Begins at the first area record, `at` bytes into the content.
    pub(super) fn new(form: AreaForm, at: u64) -> Self {
        Self {
            form,
            at,
            areas: 0,
            state: State::Record {
                seen: Vec::with_capacity(RECORD_LEN),
            },
        }
    }

    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// Bytes of memory that come next and that nothing depends on.
    pub(super) fn skippable(&self) -> u64 {
        match self.state {
            State::Data { left } => left,
            _ => 0,
        }
    }

    /// Passes over at most [`skippable`](Self::skippable) bytes.
    pub(super) fn skip(&mut self, len: u64) {
        if let State::Data { left } = &mut self.state {
            let len = len.min(*left);
            self.at += len;
            *left -= len;
            if *left == 0 {
                self.next_record();
            }
        }
    }

    /// Takes the next bytes of the content, all of them.
    pub(super) fn feed(
        &mut self,
        mut bytes: &[u8],
        watcher: &mut impl AreaWatcher,
    ) -> Result<(), Fault> {
        while !bytes.is_empty() {
            match &mut self.state {
                State::Data { left } => {
                    let len = usize::try_from(*left).map_or(bytes.len(), |l| l.min(bytes.len()));
                    let (data, later) = bytes.split_at(len);
                    watcher.data(data);
                    self.skip(len as u64);
                    bytes = later;
                }
                State::Record { seen } => {
                    let len = (RECORD_LEN - seen.len()).min(bytes.len());
                    let (now, later) = bytes.split_at(len);
                    seen.extend_from_slice(now);
                    bytes = later;
                    self.at += len as u64;
                    if seen.len() == RECORD_LEN {
                        self.end_record(watcher)?;
                    }
                }
                State::Done => {
                    return Err(Fault::Damaged {
                        at: self.at,
                        what: "there are bytes after the end marker".to_owned(),
                    });
                }
            }
        }
        Ok(())
    }

    /// The content ended here: was that its end?
    pub(super) fn finish(&self) -> Result<(), Fault> {
        let what = match &self.state {
            State::Done => return Ok(()),
            State::Data { left } => {
                format!(
                    "the data of memory area {}, {left} bytes missing",
                    self.areas
                )
            }
            State::Record { seen } if seen.is_empty() => {
                format!("memory area {}: no end marker", self.areas)
            }
            State::Record { .. } => format!("the record of memory area {}", self.areas + 1),
        };
        Err(Fault::Cut { at: self.at, what })
    }

    fn end_record(&mut self, watcher: &mut impl AreaWatcher) -> Result<(), Fault> {
        let State::Record { seen } = &self.state else {
            return Ok(());
        };
        let at = self.at - RECORD_LEN as u64;
        let form = self.form;
        let area = Area::read(form, seen);
        let data = area.as_ref().and_then(|area| area.data_len(form));
        if let (Some(area), Some(DataLen::Bytes(len))) = (&area, &data) {
            watcher.area(area, *len);
        }
        match data {
            Some(DataLen::EndMarker) => self.state = State::Done,
            Some(DataLen::Bytes(len)) => {
                self.areas += 1;
                if len == 0 {
                    self.next_record();
                } else {
                    self.state = State::Data { left: len };
                }
            }
            None => {
                return Err(Fault::Damaged {
                    at,
                    what: format!(
                        "the record of memory area {} contradicts itself",
                        self.areas + 1
                    ),
                });
            }
        }
        Ok(())
    }

    fn next_record(&mut self) {
        self.state = State::Record {
            seen: Vec::with_capacity(RECORD_LEN),
        };
    }
}

/// A record: what is said of an area, or of a piece of one, in front of its data.
#[derive(Debug)]
pub(super) struct Area<'a> {
    pub(super) address: u64,
    /// Of the area; a piece of one may end before.
    pub(super) end: u64,
    pub(super) size: u64,
    pub(super) protection: u64,
    pub(super) flags: u64,
    file_size: i64,
    properties: u64,
    /// From the name to the end of the page.
    named: &'a [u8],
}

enum DataLen {
    EndMarker,
    Bytes(u64),
}

impl<'a> Area<'a> {
    fn read(form: AreaForm, record: &'a [u8]) -> Option<Self> {
        let mut fields = Fields::new(record, 0);
        let address = fields.u64()?;
        let end = fields.u64()?;
        let size = fields.u64()?;
        let _offset = fields.u64()?;
        let protection = fields.u64()?;
        let flags = fields.u64()?;
        let mut tail = Fields::new(record, TAIL_AT);
        let file_size = match form {
            AreaForm::V3 => i64::from_le_bytes(tail.u64()?.to_le_bytes()),
            AreaForm::V2_4 | AreaForm::V2_5 => 0,
        };
        let properties = match form {
            AreaForm::V2_4 => u64::from(protection & PROTECTION_ZERO_PAGES != 0) * ZERO_PAGES,
            AreaForm::V2_5 | AreaForm::V3 => tail.u64()?,
        };
        Some(Self {
            address,
            end,
            size,
            protection,
            flags,
            file_size,
            properties,
            named: record.get(tail.at()..).filter(|name| !name.is_empty())?,
        })
    }

    /// A path, `[heap]` or the like; nothing for anonymous memory.
    pub(super) fn name(&self) -> &'a [u8] {
        let end = self.named.iter().position(|&byte| byte == 0);
        let end = end.unwrap_or(self.named.len());
        self.named.get(..end).unwrap_or_default()
    }

    /// Whether it stands for no memory of its own, but for a run of the area before.
    pub(super) fn is_child(&self) -> bool {
        self.properties & CHILD_RECORD != 0
    }

    /// `None` for a record that no release writes.
    fn data_len(&self, form: AreaForm) -> Option<DataLen> {
        if self.address == 0 && self.size == u64::MAX {
            return Some(DataLen::EndMarker);
        }
        let end = self.address.checked_add(self.size)?;
        // 2.x writes pieces of an area with the end of the whole.
        if end > self.end || end < self.end && form == AreaForm::V3 {
            return None;
        }
        if self.properties & (ZERO_PAGES | PARENT_RECORD) != 0 {
            return Some(DataLen::Bytes(0));
        }
        // The rule by which mtcp_restart reads.
        let named_by_path = self.named.first() == Some(&b'/');
        match u64::try_from(self.file_size) {
            Ok(len) if len > 0 && named_by_path => {
                (len <= self.size).then_some(DataLen::Bytes(len))
            }
            _ => Some(DataLen::Bytes(self.size)),
        }
    }
}

/// A record is one page; most of it is the name and padding.
pub(super) const RECORD_LEN: usize = 4096;
/// What differs between the forms begins here.
const TAIL_AT: usize = 72;
const ZERO_PAGES: u64 = 1;
/// Up to 2.6.0: program text that is not in the image.
const PARENT_RECORD: u64 = 2;
/// From 3.0 on: a run of pages of the area whose record came before.
const CHILD_RECORD: u64 = 4;
const PROTECTION_ZERO_PAGES: u64 = 16;
