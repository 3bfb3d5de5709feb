//! A directory that tells what was seen of a restart that failed, for whoever looks later.
//!
//! Not here: the judgement. What a file of it cannot be filled with is said in it.

use std::{
    fmt::Write as _,
    fs::{self, DirBuilder, File},
    io::Read as _,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    Attempt,
    confirmation::state_text,
    directory::{name, number},
};
use crate::{
    Tools,
    deadline::Deadline,
    durable::{self, Failed},
    host::HostFingerprint,
    process::{Situation, members, tcp_table},
    set::{CheckpointSet, Manifest},
    with_causes,
};

/// What is known besides the attempt itself, which must still live.
pub(super) struct Bundle<'a, T> {
    pub(super) attempt: &'a Attempt,
    pub(super) set: Option<&'a CheckpointSet>,
    pub(super) reason: &'a str,
    pub(super) timeline: T,
    pub(super) tools: Option<&'a Tools>,
}

impl<'a, T: Iterator<Item = &'a (Duration, String)>> Bundle<'a, T> {
    /// Writes it into a new numbered directory in `dir`, and removes all but the last ones.
    pub(super) fn write(self, dir: &Path) -> Result<PathBuf, Failed> {
        durable::create_dirs(dir, 0o700)?;
        let mut numbers = numbers(dir)?;
        let next = numbers.last().map_or(1, |last| last.saturating_add(1));
        let path = dir.join(name(next));
        let aside = durable::temp_name(&path);
        if aside.exists() {
            fs::remove_dir_all(&aside).map_err(durable::failed("remove", &aside))?;
        }
        DirBuilder::new()
            .mode(0o700)
            .create(&aside)
            .map_err(durable::failed("create", &aside))?;
        let filled = self.fill(&aside).and_then(|()| {
            durable::sync_dir(&aside)?;
            fs::rename(&aside, &path).map_err(durable::failed("promote", &aside))
        });
        if let Err(error) = filled {
            // The first failure is the one to report.
            drop(fs::remove_dir_all(&aside));
            return Err(error);
        }
        durable::sync_dir(dir)?;
        numbers.truncate(numbers.len().saturating_sub(KEPT - 1));
        for old in numbers {
            let old = dir.join(name(old));
            fs::remove_dir_all(&old).map_err(durable::failed("remove", &old))?;
        }
        Ok(path)
    }

    fn fill(self, dir: &Path) -> Result<(), Failed> {
        let put = |file: &str, text: String| {
            let text = text.as_bytes();
            let text = text.get(..MAX_FILE).unwrap_or(text);
            durable::write_new(&dir.join(file), |to| to.write_all(text))
        };
        put("reason.txt", format!("{}\n", self.reason))?;
        put("workers.txt", workers(self.attempt))?;
        put("exits.txt", exits(self.attempt))?;
        put("processes.txt", processes(self.attempt))?;
        put("sockets.txt", sockets(self.attempt.computation().port()))?;
        put("hosts.json", hosts(self.attempt))?;
        let mut timeline = String::new();
        for (at, event) in self.timeline {
            line(&mut timeline, format_args!("{at:>10.3?} {event}"));
        }
        put("timeline.txt", timeline)?;
        put("tools.txt", self.tools.map_or_else(String::new, release))?;
        if let Some(set) = self.set {
            let manifest = set.dir().join(Manifest::FILE_NAME);
            put("manifest.json", read(&manifest))?;
        }
        Ok(())
    }
}

fn workers(attempt: &Attempt) -> String {
    let mut text = match attempt.computation().status() {
        Ok(status) => format!("{status:?}\n"),
        Err(error) => format!("{error}\n"),
    };
    for worker in attempt.computation().workers().unwrap_or_default() {
        line(&mut text, format_args!("{}", state_text(&worker)));
    }
    text
}

fn exits(attempt: &Attempt) -> String {
    let mut text = String::new();
    for started in attempt.started() {
        let host = started.place.as_ref().map(|host| host.to_string_lossy());
        let host = host.as_deref().unwrap_or("this host");
        let how = match started.child.try_wait() {
            Ok(None) => "runs".to_owned(),
            Ok(Some(exit)) => exit.to_string(),
            Err(error) => error.to_string(),
        };
        line(
            &mut text,
            format_args!("{} for {host}: {how}", started.child.id()),
        );
    }
    text
}

/// Of this host; `/proc` of others cannot be read from here.
fn processes(attempt: &Attempt) -> String {
    let members = match members(attempt.tmp_dir()) {
        Ok(members) => members,
        Err(error) => return format!("{error}\n"),
    };
    let deadline = Deadline::after(MAX_LOOK);
    let mut text = String::new();
    for member in members.iter().take(MAX_PROCESSES) {
        if deadline.has_passed() {
            line(&mut text, format_args!("and others: no time was left"));
            break;
        }
        line(&mut text, format_args!("== process {}", member.pid()));
        match Situation::of_process(*member, Some(attempt.computation().addr())) {
            Ok(Some(situation)) => line(&mut text, format_args!("{situation:#}")),
            // It has ended.
            Ok(None) => continue,
            Err(error) => line(&mut text, format_args!("{}", with_causes(&error))),
        }
        let process = PathBuf::from(format!("/proc/{}", member.pid()));
        let status = read(&process.join("status"));
        line(&mut text, format_args!("-- status\n{}", status.trim_end()));
        line(&mut text, format_args!("-- fd"));
        let descriptors = fs::read_dir(process.join("fd")).into_iter().flatten();
        for descriptor in descriptors.flatten().take(MAX_DESCRIPTORS) {
            // Closed meanwhile is as good as not listed.
            if let Ok(target) = fs::read_link(descriptor.path()) {
                let number = descriptor.file_name();
                let number = number.to_string_lossy();
                line(&mut text, format_args!("{number} {}", target.display()));
            }
        }
    }
    if members.len() > MAX_PROCESSES {
        let more = members.len() - MAX_PROCESSES;
        line(&mut text, format_args!("and {more} more"));
    }
    text
}

/// The lines of the kernel's tables for this port.
fn sockets(port: u16) -> String {
    let wanted = format!(":{port:04X}");
    let mut text = String::new();
    for v6 in [false, true] {
        let table = tcp_table(v6).unwrap_or_else(|error| error.to_string());
        for entry in table.lines() {
            let mut ends = entry.split_ascii_whitespace().skip(1).take(2);
            if ends.any(|end| end.ends_with(&wanted)) {
                line(&mut text, format_args!("{}", entry.trim()));
            }
        }
    }
    text
}

fn hosts(attempt: &Attempt) -> String {
    let mut hosts = vec![HostFingerprint::of_this_host()];
    hosts.extend(attempt.far().map(|(_, probed)| probed.fingerprint.clone()));
    serde_json::to_string_pretty(&hosts).unwrap_or_else(|error| error.to_string())
}

fn release(tools: &Tools) -> String {
    let version = match tools.version() {
        Ok(release) => release.text,
        Err(error) => error.to_string(),
    };
    format!("DMTCP {version} in {}\n", tools.dir().display())
}

/// At most what a file may hold, or why there is nothing.
fn read(path: &Path) -> String {
    let mut bytes = Vec::new();
    let limit = u64::try_from(MAX_FILE).unwrap_or(u64::MAX);
    match File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)) {
        Ok(_) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => format!("({}: {error})\n", path.display()),
    }
}

fn line(text: &mut String, args: std::fmt::Arguments<'_>) {
    if text.len() < MAX_FILE {
        // A `String` takes everything.
        let _ = writeln!(text, "{args}");
    }
}

/// Of those that are there, in order.
fn numbers(dir: &Path) -> Result<Vec<u64>, Failed> {
    let entries = fs::read_dir(dir).map_err(durable::failed("list", dir))?;
    let mut numbers: Vec<u64> = entries
        .filter_map(|entry| number(&entry.ok()?.path()))
        .collect();
    numbers.sort_unstable();
    Ok(numbers)
}

const KEPT: usize = 8;
const MAX_FILE: usize = 1 << 20;
const MAX_PROCESSES: usize = 64;
const MAX_DESCRIPTORS: usize = 256;
/// At all processes; one that hangs takes [`Situation::LIMIT`] of it.
const MAX_LOOK: Duration = Duration::from_secs(10);
