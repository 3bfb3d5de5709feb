//! `dmtcpctl watch`: a coordinator's processes as they are, again and again.

mod changes;
mod groups;
mod screen;
mod snapshot;
mod terminal;

use crate::ask::Where;
use crate::duration;
use crate::failure::Failure;
use crate::output;
use crate::text::moment;
use clap::Args;
use dmtcp_client::job::Contact;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;
use screen::Canvas;
use snapshot::{Ended, Looker, Snapshot};
use std::io::{self, Read as _};
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, UNIX_EPOCH};
use terminal::Terminal;

/// Show the processes of a coordinator, of any release, as they are: their states and barriers, who
/// is waited for, the age of the last set; until it ends, or `q`
#[derive(Debug, Args)]
#[command(visible_alias = "top")]
pub(crate) struct Arguments {
    #[command(flatten)]
    at: Where,
    /// How often to look
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration::parse)]
    every: Duration,
    /// JSON instead of a screen: one line with everything, then one for each change
    #[arg(long)]
    json: bool,
}

/// What the loop waits for.
#[derive(Debug)]
enum Event {
    Look(Box<Snapshot>),
    Resized,
    Suspend,
    Quit,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let signals = block_signals().map_err(|error| failed("signals", &error))?;
    let at = &arguments.at;
    let patience = at.timeout.max(arguments.every).saturating_mul(6);
    let mut looker = match at.job() {
        Some(dir) => Looker::of_job(dir.to_owned(), at.timeout, patience),
        None => Looker::of(at.coordinator()?, patience),
    };
    if let Some(dir) = at.job() {
        // What is no job now is more likely a slip of the pen than one that will be.
        Contact::open(dir)?;
    }
    let first = looker.look();
    let (events, incoming) = mpsc::channel();
    let failed = |error: io::Error| failed("threads", &error);
    listen(signals, events.clone()).map_err(failed)?;
    let view = match (arguments.json, terminal::is_there()) {
        (true, _) => View::Json(Box::default()),
        (false, true) => View::Screen(None),
        (false, false) => View::Lines(String::new()),
    };
    let ending = match first.ended {
        Some(_) => None,
        None => Some((looker, arguments.every)),
    };
    if let Some((mut looker, every)) = ending {
        let events = events.clone();
        thread::Builder::new()
            .name("watch-look".to_owned())
            .spawn(move || {
                loop {
                    thread::sleep(every);
                    let look = looker.look();
                    let is_last = look.ended.is_some();
                    if events.send(Event::Look(Box::new(look))).is_err() || is_last {
                        return;
                    }
                }
            })
            .map_err(failed)?;
    }
    show(first, view, &incoming, &events)
}

/// How it is shown.
#[derive(Debug)]
enum View {
    Json(Box<changes::Changes>),
    Screen(Option<Terminal>),
    /// Neither: a line for each change, after the line before.
    Lines(String),
}

fn show(
    first: Snapshot,
    mut view: View,
    incoming: &Receiver<Event>,
    events: &Sender<Event>,
) -> Result<ExitCode, Failure> {
    if let View::Screen(screen) = &mut view {
        if first.ended.is_none() {
            let terminal = Terminal::enter().map_err(|error| failed("terminal", &error))?;
            if terminal.has_keys() {
                keys(events.clone()).map_err(|error| failed("threads", &error))?;
            }
            *screen = Some(terminal);
        }
    }
    let mut look = first;
    loop {
        let is_read = match &mut view {
            View::Screen(terminal) => draw(terminal.as_ref(), &look),
            View::Json(changes) => match changes.line(&look) {
                Some(line) => output::print_json_line("watch", &line)?,
                None => output::is_read(),
            },
            View::Lines(before) => {
                let text = screen::one_line(&look);
                let is_new = *before != text;
                before.clone_from(&text);
                match is_new {
                    true => print_line(&look, &text)?,
                    false => output::is_read(),
                }
            }
        };
        if !is_read {
            return Ok(ExitCode::SUCCESS);
        }
        if let Some(ended) = look.ended {
            return finish(view, &look, Some(ended));
        }
        match next(incoming) {
            Some(Event::Look(new)) => look = *new,
            // What is on the screen goes on ageing.
            Some(Event::Resized) | None => {}
            Some(Event::Quit) => return finish(view, &look, None),
            Some(Event::Suspend) => {
                let is_screen = matches!(view, View::Screen(_));
                if is_screen {
                    view = View::Screen(None);
                }
                // Nothing can be done if it is not allowed to stop itself.
                let _ = kill(Pid::this(), Signal::SIGSTOP);
                if is_screen {
                    let terminal = Terminal::enter();
                    let terminal = terminal.map_err(|error| failed("terminal", &error))?;
                    view = View::Screen(Some(terminal));
                }
            }
        }
    }
}

/// `None`: nothing came for long.
fn next(incoming: &Receiver<Event>) -> Option<Event> {
    match incoming.recv_timeout(Duration::from_secs(3600)) {
        Ok(event) => Some(event),
        Err(RecvTimeoutError::Timeout) => None,
        // Never: the caller holds a sender.
        Err(RecvTimeoutError::Disconnected) => Some(Event::Quit),
    }
}

/// Gives the screen back, and leaves a few words on it.
fn finish(view: View, look: &Snapshot, ended: Option<Ended>) -> Result<ExitCode, Failure> {
    let is_json = matches!(view, View::Json(_));
    drop(view);
    if ended == Some(Ended::Silent) {
        let text = look
            .silent
            .as_ref()
            .map(|(_, problem)| problem.text.as_str());
        let text = text.unwrap_or("the coordinator says nothing any more");
        return Err(Failure::new("timed-out", text.to_owned()).timed_out());
    }
    if !is_json {
        output::print(&screen::farewell(look, ended))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print_line(look: &Snapshot, text: &str) -> Result<bool, Failure> {
    let at = look.at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let at = moment(u64::try_from(at.as_millis()).unwrap_or(u64::MAX));
    output::print_line(&format!("{at}  {text}\n"))
}

/// Says whether there is still a terminal.
fn draw(terminal: Option<&Terminal>, look: &Snapshot) -> bool {
    let Some(terminal) = terminal else {
        return true;
    };
    let (columns, rows) = terminal::size();
    let canvas = Canvas {
        columns,
        rows,
        colours: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        blocks: speaks_unicode(),
    };
    terminal.draw(&screen::frame(look, canvas), rows).is_ok()
}

fn speaks_unicode() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .filter_map(std::env::var_os)
        .find(|value| !value.is_empty());
    locale.is_some_and(|locale| {
        let locale = locale.to_string_lossy().to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}

/// For this thread and those that it starts; before there is any.
fn block_signals() -> io::Result<SigSet> {
    let mut set = SigSet::empty();
    for signal in [
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGWINCH,
        Signal::SIGTSTP,
    ] {
        set.add(signal);
    }
    set.thread_block()?;
    Ok(set)
}

fn listen(signals: SigSet, events: Sender<Event>) -> io::Result<()> {
    let wait = move || {
        while let Ok(signal) = signals.wait() {
            let event = match signal {
                Signal::SIGWINCH => Event::Resized,
                Signal::SIGTSTP => Event::Suspend,
                _ => Event::Quit,
            };
            if events.send(event).is_err() {
                return;
            }
        }
    };
    thread::Builder::new()
        .name("watch-signals".to_owned())
        .spawn(wait)?;
    Ok(())
}

/// `q` ends it.
fn keys(events: Sender<Event>) -> io::Result<()> {
    let read = move || {
        for key in io::stdin().lock().bytes().map_while(Result::ok) {
            if matches!(key, b'q' | b'Q') && events.send(Event::Quit).is_err() {
                return;
            }
        }
    };
    thread::Builder::new()
        .name("watch-keys".to_owned())
        .spawn(read)?;
    Ok(())
}

fn failed(what: &str, error: &io::Error) -> Failure {
    Failure::new("io", format!("cannot set up {what}: {error}"))
}
