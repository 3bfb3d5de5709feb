//! `dmtcpctl inspect`: what images say, without restoring them.

use crate::failure::{FAILED, Failure, Problem};
use crate::output;
use crate::text::{counted, printable_os, quoted, size, table};
use clap::Args;
use dmtcp_client::UniquePid;
use dmtcp_client::image::native::NativeHeader;
use dmtcp_client::image::{AreaTotal, Inspection, Memory, StartBlock, inspect};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Say what is in checkpoint images, of DMTCP 2.4 and later or native, gzip or not, and whether they
/// are whole; nothing is restored
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The images
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// List environments, mapped files and saved files, too
    #[arg(long)]
    long: bool,
    /// JSON instead of text: one object, always with everything
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Images {
    images: Vec<Image>,
}

#[derive(Debug, Serialize)]
struct Image {
    path: String,
    whole: bool,
    error: Option<Problem>,
    #[serde(flatten)]
    inspection: Option<Inspection>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let mut all_whole = true;
    let mut images = Vec::new();
    for path in &arguments.files {
        let image = Image::read(path);
        all_whole &= image.whole;
        if arguments.json {
            images.push(image);
        } else {
            output::print(&image.text(arguments.long))?;
            if let Some(problem) = &image.error {
                let hint = "a directory: name its *.dmtcp files";
                output::complain(problem, path.is_dir().then_some(hint));
            }
        }
    }
    if arguments.json {
        output::print_json("inspect", &Images { images })?;
    }
    Ok(ExitCode::from(if all_whole { 0 } else { FAILED }))
}

impl Image {
    fn read(path: &Path) -> Self {
        let (error, inspection) = match inspect(path) {
            Ok(inspection) => (
                inspection.fault.as_ref().map(Problem::from),
                Some(inspection),
            ),
            Err(error) => (Some(Problem::from(&error)), None),
        };
        Self {
            path: path.to_string_lossy().into_owned(),
            whole: error.is_none(),
            error,
            inspection,
        }
    }

    fn text(&self, long: bool) -> String {
        let mut rows = Vec::new();
        let whole = if self.whole { "yes" } else { "NO" };
        if let Some(inspection) = &self.inspection {
            describe(&mut rows, inspection, whole);
            if long {
                list(&mut rows, inspection);
            }
        } else {
            rows.push(row("whole", whole.to_owned()));
        }
        printable_os(&self.path) + "\n" + &table(&rows) + "\n"
    }
}

/// The parts that every image has.
fn describe(rows: &mut Vec<Vec<String>>, inspection: &Inspection, whole: &str) {
    let header = &inspection.header;
    let compressed = if header.compressed { ", gzip" } else { "" };
    let bytes = size(inspection.size);
    rows.push(row(
        "format",
        format!("{}{compressed}, {bytes}", header.format),
    ));
    rows.push(row("whole", whole.to_owned()));
    let executable = match header.executable.as_os_str() {
        path if path.is_empty() => String::new(),
        path => format!(" ({})", printable_os(path)),
    };
    rows.push(row("program", printable_os(&header.program) + &executable));
    if let Some(start) = &inspection.start {
        let arguments: Vec<_> = start.arguments.iter().map(|a| quoted(a)).collect();
        rows.push(row("command line", arguments.join(" ")));
    }
    if let Some(native) = &inspection.native {
        describe_native(rows, native);
    }
    let root = if header.is_root {
        ", root of its process tree"
    } else {
        ""
    };
    rows.push(row(
        "process",
        format!(
            "{}, virtual pid {}{root}",
            header.process, header.virtual_pid
        ),
    ));
    if inspection.native.is_none() {
        let parent = match header.parent {
            UniquePid::NULL => "not in the computation".to_owned(),
            parent => parent.to_string(),
        };
        let parent = format!("{parent}, virtual pid {}", header.virtual_ppid);
        rows.push(row("parent", parent));
    }
    let peers = match header.peers {
        1 => "1 process".to_owned(),
        peers => format!("{peers} processes"),
    };
    rows.push(row(
        "computation",
        format!(
            "{}, generation {}, {}",
            header.computation, header.computation.generation, peers
        ),
    ));
    if let Some(host) = &header.host {
        rows.push(row("host", printable_os(host)));
    }
    if let Some(details) = &inspection.details {
        for (name, directory) in [
            ("started in", &details.directory_at_start),
            ("directory", &details.directory),
            ("image in", &details.checkpoint_dir),
        ] {
            if let Some(directory) = directory {
                rows.push(row(name, printable_os(directory)));
            }
        }
        for child in &details.children {
            let child = format!("{}, virtual pid {}", child.process, child.virtual_pid);
            rows.push(row("child", child));
        }
    }
    if let Some(StartBlock { environment, .. }) = &inspection.start {
        let count = counted(environment.len() as u64, "variable");
        rows.push(row("environment", count + " at its start"));
    }
    if let Some(memory) = &inspection.memory {
        describe_memory(rows, memory);
    }
    for file in &inspection.saved_files {
        let path = match &file.path {
            Some(path) => format!(" of {}", printable_os(path)),
            None => format!(", {}", printable_os(&file.name)),
        };
        rows.push(row("saved file", size(file.size) + &path));
    }
}

fn describe_native(rows: &mut Vec<Vec<String>>, native: &NativeHeader) {
    let words = std::iter::once(native.program.as_os_str());
    let words = words.chain(native.args.iter().map(AsRef::as_ref));
    let words: Vec<_> = words.map(quoted).collect();
    rows.push(row("command line", words.join(" ")));
    rows.push(row("directory", printable_os(&native.directory)));
    rows.push(row("real pid", native.real_pid.to_string()));
    let encoding = match native.encoding.as_str() {
        "" => "its own encoding".to_owned(),
        encoding => crate::text::printable(encoding),
    };
    rows.push(row(
        "state",
        format!("{}, {encoding}", size(native.payload_len)),
    ));
}

fn describe_memory(rows: &mut Vec<Vec<String>>, memory: &Memory) {
    for (name, total) in [
        ("memory", memory.total),
        ("  heap", memory.heap),
        ("  stack", memory.stack),
        ("  files", memory.files),
        ("  anonymous", memory.anonymous),
        ("  other", memory.other),
    ] {
        if total.areas > 0 {
            rows.push(row(name, in_words(total)));
        }
    }
}

/// What is asked for with `--long`.
fn list(rows: &mut Vec<Vec<String>>, inspection: &Inspection) {
    for file in inspection.memory.iter().flat_map(|memory| &memory.mapped) {
        let code = if file.executable { "code" } else { "mapped" };
        let total = in_words(file.total);
        rows.push(row(code, format!("{}: {total}", printable_os(&file.path))));
    }
    let values = inspection.details.iter().flat_map(|d| &d.plugin_values);
    for value in values {
        let (key, value) = (printable_os(&value.key), printable_os(&value.value));
        rows.push(row("plugin value", format!("{key}={value}")));
    }
    let variables = inspection.start.iter().flat_map(|start| &start.environment);
    rows.extend(variables.map(|variable| row("variable", printable_os(variable))));
}

fn in_words(total: AreaTotal) -> String {
    format!(
        "{} in {}, {} of them in the image",
        size(total.bytes),
        counted(total.areas, "area"),
        size(total.stored_bytes)
    )
}

fn row(name: &str, value: String) -> Vec<String> {
    vec![format!("  {name}"), value]
}
