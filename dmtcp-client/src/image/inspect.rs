//! Everything that an image says, without restoring it.
//!
//! Not here: what the formats are (`v2`, `v4`, `native`), and what there is to know of the memory
//! (`memory`, `start_block`).

use super::areas::{Area, AreaWatcher};
use super::details::ProcessDetails;
use super::error::ImageError;
use super::header::ImageHeader;
use super::memory::{Memory, MemorySum};
use super::native::{self, NativeHeader};
use super::open::{Opened, Reading, Start, compressed, read_start};
use super::saved_files::{self, SavedOpenFile};
use super::start_block::{StackTail, StartBlock};
use super::whole::{end_of_gzip, hop, walk};
use serde::Serialize;
use std::path::Path;

/// What an image says of its process.
///
/// All of it stands in the file, and is a claim of whoever wrote it. `docs/IMAGE.md` has a table
/// of what which release writes.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct Inspection {
    /// Bytes of the file.
    pub size: u64,
    /// Who is in it.
    #[serde(flatten)]
    pub header: ImageHeader,
    /// What the image of a DMTCP process says of itself beyond that.
    pub details: Option<ProcessDetails>,
    /// What a DMTCP process was started with; `None` where its stack does not show it.
    pub start: Option<StartBlock>,
    /// Its memory; of a native image `None`.
    pub memory: Option<Memory>,
    /// What the header of a native image says.
    pub native: Option<NativeHeader>,
    /// Open files that DMTCP saved beside the image.
    pub saved_files: Vec<SavedOpenFile>,
    /// Why the image is not whole, if it is not: then what is said of its memory is what there
    /// is of it. As [`check_whole`](super::check_whole). Not written when this is serialized.
    #[serde(skip)]
    pub fault: Option<ImageError>,
}

/// Reads what an image says, and whether it is whole.
///
/// A compressed or native image is read in full, of a plain one the records and the end of the
/// stack. Memory use is bounded, whatever the file says: 32 MiB at most.
///
/// # Errors
///
/// See [`ImageError`]: no image, or one that ends in its header. What is wrong behind the header is
/// [`Inspection::fault`].
pub fn inspect(path: &Path) -> Result<Inspection, ImageError> {
    let mut inspection = match Opened::open(path, &Reading::default())? {
        Opened::Native(input) => {
            let size = input.get_ref().len();
            let (header, fault) = native::header_and_fault(input, path)?;
            Inspection {
                native: Some(header.clone()),
                fault,
                ..Inspection::new(size, header.to_image_header())
            }
        }
        Opened::Plain(mut content) => {
            let start = read_start(&mut content, path)?;
            let mut watcher = Watcher::new(&start);
            let whole = hop(&start, content.get_ref(), &mut watcher, path);
            watcher.tell(content.get_ref().len(), start, whole.err())
        }
        Opened::Gzip(mut content) => {
            let mut start = read_start(&mut content, path).map_err(ImageError::in_compressed)?;
            start.header = compressed(start.header);
            let mut watcher = Watcher::new(&start);
            let walked =
                walk(&start, &mut content, &mut watcher, path).map_err(ImageError::in_compressed);
            let size = content.get_ref().get_ref().len();
            let whole = walked.and_then(|()| end_of_gzip(*content, path));
            watcher.tell(size, start, whole.err())
        }
    };
    if inspection.native.is_none() {
        inspection.saved_files = saved_files::list(path).map_err(|source| ImageError::Io {
            action: "list the files saved with",
            path: path.to_owned(),
            source,
        })?;
    }
    Ok(inspection)
}

impl Inspection {
    fn new(size: u64, header: ImageHeader) -> Self {
        Self {
            size,
            header,
            details: None,
            start: None,
            memory: None,
            native: None,
            saved_files: Vec::new(),
            fault: None,
        }
    }
}

/// Looks at the areas of a DMTCP image.
struct Watcher {
    memory: MemorySum,
    stack: StackTail,
    is_in_stack: bool,
}

impl Watcher {
    fn new(start: &Start) -> Self {
        Self {
            memory: MemorySum::new(start.areas, start.details.stack_end),
            stack: StackTail::new(start.details.stack_end),
            is_in_stack: false,
        }
    }

    fn tell(self, size: u64, start: Start, fault: Option<ImageError>) -> Inspection {
        Inspection {
            details: Some(start.details),
            start: self.stack.start_block(),
            memory: Some(self.memory.finish()),
            fault,
            ..Inspection::new(size, start.header)
        }
    }
}

impl AreaWatcher for Watcher {
    fn area(&mut self, area: &Area<'_>, stored: u64) {
        self.is_in_stack = self.memory.add(area, stored);
        if self.is_in_stack {
            self.stack.begin(area.address, area.end);
        }
    }

    fn data(&mut self, bytes: &[u8]) {
        if self.is_in_stack {
            self.stack.data(bytes);
        }
    }

    fn is_indifferent(&self) -> bool {
        !self.is_in_stack
    }
}
