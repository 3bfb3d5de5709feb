//! The header of DMTCP 2.4 to 3.2: a packed stream whose layout the signature does not tell.
//!
//! The layouts are data ([`LAYOUTS`]), tried newest first; the one that ends exactly at its end
//! tag, one page or less before the `MTCP_HEADER` page, is the right one.

use super::areas::AreaForm;
use super::details::{ChildProcess, PluginValue, ProcessDetails};
use super::fields::Fields;
use super::header::{Format, ImageHeader};
use dmtcp_proto::UniquePid;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// First bytes of the file, without a NUL.
pub(super) const SIGNATURE: &[u8] = b"DMTCP_CHECKPOINT_IMAGE_v2.0\n";

/// First bytes of the page after the header.
pub(super) const MTCP_SIGNATURE: &[u8] = b"MTCP_HEADER_v2.2\n";

/// Everything is padded to this.
pub(super) const PAGE: usize = 4096;

/// The header has strings of at most 64 KiB each and a map; more is no header.
pub(super) const MAX_HEADER: usize = 4 << 20;

/// Pages that begin as the one after the header, before there is none: each costs a reading of
/// everything before it.
pub(super) const MAX_TRIES: u32 = 16;

/// What was read and from which layout.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) header: ImageHeader,
    pub(super) details: ProcessDetails,
    /// How its memory areas are laid out.
    pub(super) areas: AreaForm,
}

/// Reads the pages before the `MTCP_HEADER` page; `None` if no layout fits.
pub(super) fn parse(pages: &[u8]) -> Option<Parsed> {
    LAYOUTS.iter().find_map(|layout| {
        let mut fields = Fields::new(pages, SIGNATURE.len());
        let (header, details) = read(&mut fields, layout)?;
        // The padding is 1 to 4096 bytes long and not initialised.
        let padding = pages.len().checked_sub(fields.at())?;
        (1..=PAGE).contains(&padding).then_some(Parsed {
            header,
            details,
            areas: layout.areas(),
        })
    })
}

/// What differs between releases; the rest is common.
#[derive(Debug)]
struct Layout {
    generation: bool,
    self_exe: bool,
    vdso_offsets: bool,
    /// Also the sizes of arguments and environment.
    no_coordinator: bool,
    max_user_fd: bool,
    vvar_vclock: bool,
    stack_end: bool,
    /// 3.x keeps keys and values; 2.x keeps child processes.
    key_value_map: bool,
}

impl Layout {
    fn areas(&self) -> AreaForm {
        match (self.key_value_map, self.self_exe) {
            (true, _) => AreaForm::V3,
            (false, true) => AreaForm::V2_5,
            (false, false) => AreaForm::V2_4,
        }
    }
}

/// 2.4.0; the later ones add to it.
const OLDEST: Layout = Layout {
    generation: false,
    self_exe: false,
    vdso_offsets: false,
    no_coordinator: true,
    max_user_fd: false,
    vvar_vclock: false,
    stack_end: false,
    key_value_map: false,
};

/// 2.6.0.
const LAST_OF_2: Layout = Layout {
    generation: true,
    self_exe: true,
    vdso_offsets: true,
    max_user_fd: true,
    stack_end: true,
    ..OLDEST
};

/// 3.0.0 to 3.1.2.
const FIRST_OF_3: Layout = Layout {
    no_coordinator: false,
    max_user_fd: false,
    key_value_map: true,
    ..LAST_OF_2
};

/// Newest first.
const LAYOUTS: [Layout; 7] = [
    // 3.2.0
    Layout {
        vvar_vclock: true,
        ..FIRST_OF_3
    },
    FIRST_OF_3,
    LAST_OF_2,
    // 2.5.1 and 2.5.2
    Layout {
        stack_end: false,
        ..LAST_OF_2
    },
    // 2.5.0
    Layout {
        vdso_offsets: false,
        stack_end: false,
        ..LAST_OF_2
    },
    // 2.4.9
    Layout {
        generation: true,
        ..OLDEST
    },
    OLDEST,
];

fn read(fields: &mut Fields<'_>, layout: &Layout) -> Option<(ImageHeader, ProcessDetails)> {
    let mut details = ProcessDetails::default();
    tag(fields, b"ProcessInfo:\0")?;
    details.bits = ProcessDetails::bits_of(fields.u32()?);
    let is_root = fields.u32()? != 0;
    let virtual_pid = fields.i32()?;
    details.session = fields.i32()?;
    let virtual_ppid = fields.i32()?;
    details.process_group = fields.i32()?;
    details.foreground_group = fields.i32()?;
    let generation = if layout.generation { fields.u32()? } else { 0 };
    let program = text(fields)?;
    let executable = if layout.self_exe {
        text(fields)?
    } else {
        OsString::new()
    };
    let host = text(fields)?;
    details.directory_at_start = Some(text(fields)?.into());
    details.directory = Some(text(fields)?.into());
    let process = fields.unique_pid()?;
    let parent = fields.unique_pid()?;
    skip_u64(fields, if layout.vdso_offsets { 4 } else { 0 })?;
    let computation = fields.unique_pid()?;
    let peers = fields.u32()?;
    if layout.no_coordinator {
        fields.take(12)?;
    }
    // Restore buffer.
    fields.u64()?;
    if layout.max_user_fd {
        fields.u32()?;
    }
    // Heap start, brk, vdso, vvar.
    skip_u64(fields, 6)?;
    skip_u64(fields, if layout.vvar_vclock { 2 } else { 0 })?;
    if layout.stack_end {
        details.stack_end = Some(fields.u64()?);
    }
    details.checkpoint_dir = Some(text(fields)?.into());
    // File name of the image, directory of saved files.
    text(fields)?;
    text(fields)?;
    if layout.key_value_map {
        details.plugin_values = key_values(fields)?;
    } else {
        details.children = children(fields)?;
    }
    tag(fields, b"EOF\0")?;
    let header = ImageHeader {
        format: Format::V2,
        compressed: false,
        process,
        parent,
        computation: with_generation(computation, generation),
        virtual_pid,
        virtual_ppid,
        is_root,
        peers,
        program,
        executable: PathBuf::from(executable),
        host: Some(host),
    };
    Some((header, details))
}

/// Older releases keep the generation beside the computation's identity.
fn with_generation(computation: UniquePid, generation: u32) -> UniquePid {
    if computation.generation == 0 {
        computation.with_generation(generation)
    } else {
        computation
    }
}

// A list grows by what was read only, whatever its count says.
fn children(fields: &mut Fields<'_>) -> Option<Vec<ChildProcess>> {
    tag(fields, b"dmtcp::map:\0")?;
    let mut children = Vec::new();
    for _ in 0..fields.u32()? {
        tag(fields, b"[\0")?;
        let virtual_pid = fields.i32()?;
        tag(fields, b",\0")?;
        let process = fields.unique_pid()?;
        tag(fields, b"]\0")?;
        children.push(ChildProcess {
            virtual_pid,
            process,
        });
    }
    tag(fields, b"endmap\0")?;
    Some(children)
}

fn key_values(fields: &mut Fields<'_>) -> Option<Vec<PluginValue>> {
    tag(fields, b"map:\0")?;
    let mut values = Vec::new();
    for _ in 0..fields.u32()? {
        tag(fields, b"[\0")?;
        let key = text(fields)?;
        tag(fields, b",\0")?;
        let value = text(fields)?;
        tag(fields, b"]\0")?;
        values.push(PluginValue { key, value });
    }
    tag(fields, b"end::map\0")?;
    Some(values)
}

fn tag(fields: &mut Fields<'_>, expected: &[u8]) -> Option<()> {
    (fields.take(expected.len())? == expected).then_some(())
}

fn text(fields: &mut Fields<'_>) -> Option<OsString> {
    let len = usize::try_from(fields.u32()?).ok()?;
    if len >= MAX_TEXT {
        return None;
    }
    Some(OsString::from_vec(fields.take(len)?.to_vec()))
}

fn skip_u64(fields: &mut Fields<'_>, count: usize) -> Option<()> {
    fields.take(count * 8).map(|_| ())
}

const MAX_TEXT: usize = 64 << 10;
