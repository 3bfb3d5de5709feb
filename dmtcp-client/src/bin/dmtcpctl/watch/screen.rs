//! A look as lines for a terminal of a given size.

use super::groups::{self, Group, barrier};
use super::snapshot::{Ended, Seen, Snapshot, Worker};
use crate::text::{counted, moment, printable, printable_os, size};
use dmtcp_client::job::JobRecord;
use dmtcp_client::{Interval, WorkerState};
use std::cmp::Reverse;
use std::time::{Duration, UNIX_EPOCH};

/// Columns and rows, and what may be used on them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Canvas {
    pub(super) columns: usize,
    pub(super) rows: usize,
    pub(super) colours: bool,
    /// Blocks of Unicode, not only ASCII.
    pub(super) blocks: bool,
}

/// Exactly as many lines as fit, or fewer; each as wide as fits.
pub(super) fn frame(look: &Snapshot, canvas: Canvas) -> Vec<String> {
    let mut lines = heading(look, canvas);
    let Some(seen) = &look.coordinator else {
        return cut(lines, canvas);
    };
    let Some(workers) = &seen.workers else {
        lines.push(String::new());
        let text = "This release tells how many processes there are, not which.";
        lines.push(fitted(text, canvas.columns));
        return cut(lines, canvas);
    };
    let groups = groups::of(workers);
    let is_crowd = lines.len() + 2 + workers.len() > canvas.rows;
    if groups.len() > 1 || is_crowd && !workers.is_empty() {
        lines.push(String::new());
        lines.extend(summary(&groups, workers.len(), canvas));
    }
    let left = canvas.rows.saturating_sub(lines.len() + 2);
    if left > 0 && !workers.is_empty() {
        lines.push(String::new());
        lines.extend(table(workers, &groups, left, canvas));
    }
    cut(lines, canvas)
}

/// What is left to say when nothing more comes.
pub(super) fn farewell(look: &Snapshot, ended: Option<Ended>) -> String {
    let mut text = match (ended, &look.coordinator) {
        (Some(Ended::Coordinator), Some(seen)) => {
            format!(
                "the coordinator at {} has ended; it had {}",
                seen.address,
                peers(seen)
            )
        }
        (Some(Ended::Coordinator), None) => "the coordinator has ended".to_owned(),
        (Some(Ended::Job), _) => "the job is not running".to_owned(),
        (Some(Ended::Silent), _) => "the coordinator says nothing any more".to_owned(),
        (None, Some(seen)) => format!("{}: {}", seen.address, peers(seen)),
        (None, None) => "there is no coordinator".to_owned(),
    };
    if let Some(set) = set(look) {
        text += "\n";
        text += &set;
    }
    text + "\n"
}

/// The same in one line, for what is no terminal.
pub(super) fn one_line(look: &Snapshot) -> String {
    let mut text = match &look.coordinator {
        Some(seen) => peers(seen),
        None => "no coordinator".to_owned(),
    };
    if let Some(set) = &look.set {
        text += &format!("; set {} of {}", set.sequence, size(set.bytes));
    }
    if let Some((_, problem)) = &look.silent {
        text += &format!("; {}", printable(&problem.text));
    }
    text
}

fn heading(look: &Snapshot, canvas: Canvas) -> Vec<String> {
    let now = look.at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let clock = moment(u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
    let clock = clock.split(' ').nth(1).unwrap_or_default();
    let clock = fitted(clock, canvas.columns);
    let about = match &look.coordinator {
        Some(seen) => coordinator(seen, look.job.as_ref()),
        None => "no coordinator now".to_owned(),
    };
    let room = canvas.columns.saturating_sub(clock.chars().count() + 1);
    let about = fitted(&about, room);
    let gap = canvas
        .columns
        .saturating_sub(about.chars().count() + clock.len());
    let mut lines = vec![canvas.bold(&about) + &" ".repeat(gap) + &canvas.dim(&clock)];
    let mut row = |name: &str, text: String| {
        let text = fitted(&format!("{name:<9} {text}"), canvas.columns);
        lines.push(text);
    };
    if let Some(job) = &look.job {
        row("job", job_in_words(job));
    }
    if let Some(set) = set(look) {
        row("set", set.trim_start_matches("set ").to_owned());
    }
    if let Some(seen) = &look.coordinator {
        row("now", now_in_words(seen, look.job.is_some()));
        if let Some((_, Some(written))) = seen.round {
            row("images", written_in_words(written, look, canvas));
        }
        if let Some(stall) = &seen.stall {
            let text = format!("{:<9} {}", "waiting", printable(&stall.to_string()));
            let lines_of = folded(&text, canvas.columns, 4);
            lines.extend(lines_of.iter().map(|line| canvas.colour(YELLOW, line)));
        }
    }
    if let Some((since, problem)) = &look.silent {
        let text = format!("{:<9} {}", "error", printable(&problem.text));
        let text = match since.as_secs() {
            0..2 => text,
            _ => format!("{text}, for {}", spoken(*since)),
        };
        let lines_of = folded(&text, canvas.columns, 4);
        lines.extend(lines_of.iter().map(|line| canvas.colour(RED, line)));
    }
    lines
}

/// The release is that of the coordinator, or of the programs of a job under ours.
fn coordinator(seen: &Seen, job: Option<&JobRecord>) -> String {
    let of_job = job.and_then(|job| job.dmtcp.as_deref());
    let release = match (&seen.release, of_job) {
        (Some(release), _) => printable(release),
        (None, Some(release)) => format!("DMTCP {}", printable(release)),
        (None, None) => format!("speaks {}", seen.dialect),
    };
    let pid = seen.pid.map(|pid| format!(", pid {pid}"));
    format!("{}  {release}{}", seen.address, pid.unwrap_or_default())
}

fn job_in_words(job: &JobRecord) -> String {
    let argv = job.program.argv.iter().map(printable_os);
    let argv: Vec<String> = argv.collect();
    let id = job.id.as_deref().map(printable);
    let id = id.map_or_else(String::new, |id| format!("{id}: "));
    format!(
        "{id}{}, {}, {}",
        argv.join(" "),
        counted(job.runs, "run"),
        counted(job.restarts, "restart")
    )
}

fn set(look: &Snapshot) -> Option<String> {
    let set = look.set.as_ref()?;
    Some(format!(
        "set {}, {} ago, {}, {}; {} in all",
        set.sequence,
        spoken(look.set_age().unwrap_or_default()),
        size(set.bytes),
        counted(set.images as u64, "image"),
        set.sets
    ))
}

fn peers(seen: &Seen) -> String {
    let processes = match seen.peers {
        0 => return "no processes".to_owned(),
        1 => "1 process".to_owned(),
        peers => format!("{peers} processes"),
    };
    let what = match (seen.running, seen.peers) {
        (true, 1) => "running",
        (true, _) => "all running",
        (false, _) => under_way(seen),
    };
    format!("{processes}, {what}")
}

/// What keeps them from running, by what they say.
fn under_way(seen: &Seen) -> &'static str {
    let workers = seen.workers.iter().flatten();
    let mut under_way = "not all running";
    for worker in workers {
        match worker.info.state {
            WorkerState::Restarting => return "in a restart",
            WorkerState::Running | WorkerState::Unknown => {}
            _ => under_way = "in a checkpoint",
        }
    }
    under_way
}

/// A job checkpoints by itself; its coordinator then knows of no interval.
fn now_in_words(seen: &Seen, of_job: bool) -> String {
    let mut text = peers(seen);
    if let Some((since, _)) = seen.round {
        text += &format!(" for {}", spoken(since));
        return text;
    }
    text + &match seen.interval {
        Interval::Every(period) => format!("; a checkpoint every {}", spoken(period)),
        Interval::Never if !of_job => "; checkpoints only when asked for".to_owned(),
        _ => String::new(),
    }
}

/// Against the size of the last set, which the next is likely to have.
fn written_in_words(written: u64, look: &Snapshot, canvas: Canvas) -> String {
    let Some(set) = look.set.as_ref().filter(|set| set.bytes > 0) else {
        return format!("{} written", size(written));
    };
    let share = (written as f64 / set.bytes as f64).min(1.0);
    format!(
        "{} {} of about {}",
        canvas.bar(share, 30),
        size(written),
        size(set.bytes)
    )
}

/// A row for each group: `   612 CHECKPOINTED at DMT:WRITE  ██████████░░░░░  61 %`.
fn summary(groups: &[Group], all: usize, canvas: Canvas) -> Vec<String> {
    let names = groups.iter().map(|group| match &group.barrier {
        Some(barrier) => format!("{} at {}", group.state, printable(barrier)),
        None => group.state.clone(),
    });
    let names: Vec<String> = names.collect();
    let widest = names.iter().map(|name| name.chars().count()).max();
    let around = "123456   100 %".len();
    let room = canvas.columns.saturating_sub(around);
    let width = widest.unwrap_or_default().min(room.saturating_sub(10));
    let bar = room.saturating_sub(width).min(40);
    let rows = groups.iter().zip(&names).map(|(group, name)| {
        let share = group.count as f64 / all.max(1) as f64;
        let percent = match share * 100.0 {
            few if few < 1.0 => "<1".to_owned(),
            // Nearly all is not all.
            many => format!("{:.0}", many.floor()),
        };
        let text = format!("{:>6} {:<width$} ", group.count, fitted(name, width));
        if bar == 0 {
            return canvas.state(group.kind, &fitted(text.trim_end(), canvas.columns));
        }
        let bar = canvas.bar(share, bar);
        canvas.state(group.kind, &(text + &bar)) + &format!(" {percent:>3} %")
    });
    rows.collect()
}

/// The workers, or those that are most worth seeing where there is no room for all: of the smallest
/// groups, and there the longest.
fn table(workers: &[Worker], groups: &[Group], rows: usize, canvas: Canvas) -> Vec<String> {
    let mut order: Vec<&Worker> = workers.iter().collect();
    // One row for the heading, and one for how many are left out.
    let room = rows.saturating_sub(1);
    let shown = match order.len() > room {
        true => {
            let group = |worker: &Worker| groups.iter().find(|group| group.has(&worker.info));
            order.sort_by_cached_key(|worker| {
                let count = group(worker).map_or(0, |group| group.count);
                (count, Reverse(worker.since), worker.info.number)
            });
            room.saturating_sub(1)
        }
        false => order.len(),
    };
    let (shown, hidden) = order.split_at(shown);
    let cells = shown.iter().map(|worker| row(worker));
    let cells: Vec<[String; 7]> = cells.collect();
    let widths = widths(&cells, canvas.columns);
    let line = |cells: &[String; 7]| {
        let mut text = String::new();
        for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
            let cell = fitted(cell, width);
            text += &match RIGHT.contains(&column) {
                true => format!("{cell:>width$}"),
                false => format!("{cell:<width$}"),
            };
            text += "  ";
        }
        fitted(text.trim_end(), canvas.columns)
    };
    let mut lines = vec![canvas.dim(&line(&HEADING.map(str::to_owned)))];
    for (worker, cells) in shown.iter().zip(&cells) {
        lines.push(canvas.state(worker.info.state, &line(cells)));
    }
    if !hidden.is_empty() {
        let text = format!("{:>6} more", hidden.len());
        lines.push(canvas.dim(&fitted(&text, canvas.columns)));
    }
    lines
}

fn row(worker: &Worker) -> [String; 7] {
    let info = &worker.info;
    [
        info.number.to_string(),
        printable(&info.program),
        printable(&info.host),
        info.real_pid.to_string(),
        info.state.to_string(),
        barrier(info).map_or_else(|| "-".to_owned(), printable),
        spoken(worker.since),
    ]
}

/// As wide as their widest cell; where that is too wide together, the widest shrink.
fn widths(rows: &[[String; 7]], columns: usize) -> [usize; 7] {
    let mut widths = HEADING.map(str::len);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let room = columns.saturating_sub(2 * (widths.len() - 1));
    while widths.iter().sum::<usize>() > room {
        let flexible = widths.iter_mut().enumerate();
        let flexible = flexible.filter(|(column, _)| FLEXIBLE.contains(column));
        match flexible.map(|(_, width)| width).max_by_key(|width| **width) {
            Some(width) if *width > NARROWEST => *width -= 1,
            _ => break,
        }
    }
    widths
}

const HEADING: [&str; 7] = ["#", "PROGRAM", "HOST", "PID", "STATE", "BARRIER", "FOR"];
const RIGHT: [usize; 3] = [0, 3, 6];
/// Program, host and barrier can be cut.
const FLEXIBLE: [usize; 3] = [1, 2, 5];
const NARROWEST: usize = 8;

/// No longer than this; what is cut off is told by its last character.
fn fitted(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(room.saturating_sub(1)).collect();
    if room > 0 {
        cut.push('~');
    }
    cut
}

/// In lines of this width, at most so many, of which those behind the first are indented.
fn folded(text: &str, columns: usize, most: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_inclusive(' ') {
        let last = lines.last().map_or(0, |line| line.chars().count());
        if last + word.trim_end().chars().count() > columns && last > 10 {
            lines.push(" ".repeat(10));
        }
        if let Some(line) = lines.last_mut() {
            line.push_str(word);
        }
    }
    let is_cut = lines.len() > most;
    lines.truncate(most);
    let mut lines: Vec<String> = lines
        .iter()
        .map(|line| fitted(line.trim_end(), columns))
        .collect();
    if let Some(last) = lines.last_mut().filter(|_| is_cut) {
        *last = fitted(&format!("{last} ~"), columns);
    }
    lines
}

fn cut(mut lines: Vec<String>, canvas: Canvas) -> Vec<String> {
    lines.truncate(canvas.rows);
    lines
}

/// `12s`, `3m 21s`, `5h 2m`, `3d 4h`, `10m`.
fn spoken(time: Duration) -> String {
    let seconds = time.as_secs();
    let (large, unit, small, part) = match seconds {
        0..60 => return format!("{seconds}s"),
        60..3600 => (seconds / 60, "m", seconds % 60, "s"),
        3600..86_400 => (seconds / 3600, "h", seconds / 60 % 60, "m"),
        _ => (seconds / 86_400, "d", seconds / 3600 % 24, "h"),
    };
    match small {
        0 => format!("{large}{unit}"),
        _ => format!("{large}{unit} {small}{part}"),
    }
}

const RED: u8 = 31;
const GREEN: u8 = 32;
const YELLOW: u8 = 33;
const BLUE: u8 = 34;
const MAGENTA: u8 = 35;
const CYAN: u8 = 36;

impl Canvas {
    fn colour(self, code: u8, text: &str) -> String {
        match self.colours {
            true => format!("\x1b[{code}m{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }

    fn bold(self, text: &str) -> String {
        self.colour(1, text)
    }

    fn dim(self, text: &str) -> String {
        self.colour(2, text)
    }

    fn state(self, state: WorkerState, text: &str) -> String {
        let code = match state {
            WorkerState::Running => GREEN,
            WorkerState::PreSuspend | WorkerState::Suspended => YELLOW,
            WorkerState::Checkpointing => CYAN,
            WorkerState::Checkpointed => BLUE,
            WorkerState::Restarting => MAGENTA,
            WorkerState::Unknown => RED,
            _ => YELLOW,
        };
        self.colour(code, text)
    }

    fn bar(self, share: f64, width: usize) -> String {
        let (full, empty) = match self.blocks {
            true => ('█', '░'),
            false => ('#', '.'),
        };
        let filled = (share * width as f64).round() as usize;
        // A little is not nothing, and nearly all is not all.
        let filled = match share {
            share if share <= 0.0 => 0,
            share if share >= 1.0 => width,
            _ => filled.clamp(1, width.saturating_sub(1)),
        };
        let bar = (0..width).map(|at| if at < filled { full } else { empty });
        bar.collect()
    }
}

#[cfg(test)]
#[path = "screen_tests.rs"]
mod tests;
