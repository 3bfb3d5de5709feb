//! Commands that are typed at a coordinator in the foreground.

use dmtcp_client::Interval;
use dmtcp_client::server::{Computation, ServerError};
use dmtcp_client::standalone::Input;
use dmtcp_proto::worker_list;
use std::fs;
use std::io::{self, BufRead as _};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;

use crate::output;

/// Reads standard input on a thread of its own, unless nobody types there.
pub(super) fn start(computation: &Arc<Computation>, input: Sender<Input>) -> io::Result<()> {
    let source = fs::read_link("/proc/self/fd/0").unwrap_or_default();
    if source.starts_with("/dev")
        && ["null", "zero", "random"]
            .iter()
            .any(|n| source.ends_with(n))
    {
        return Ok(());
    }
    let computation = Arc::clone(computation);
    thread::Builder::new()
        .name("dmtcp-console".to_owned())
        .spawn(move || {
            // Whatever is typed: a slip of the keyboard must not silence it.
            let lines = io::stdin().lock().split(b'\n').map_while(Result::ok);
            for line in lines {
                match answer(&computation, &String::from_utf8_lossy(&line)) {
                    Some(text) => {
                        // Nobody may read; the coordinator goes on.
                        let _ = output::print(&text);
                    }
                    None => {
                        let _ = input.send(Input::Quit);
                        return;
                    }
                }
            }
        })?;
    Ok(())
}

/// What is said to a line; `None`: quit.
fn answer(computation: &Computation, line: &str) -> Option<String> {
    let line = line.to_lowercase();
    let mut words = line.split_whitespace();
    let Some(word) = words.next() else {
        return Some(String::new());
    };
    let said = match (word, words.next()) {
        ("s" | "status", None) => status(computation),
        ("l" | "t" | "list", None) => {
            let workers = computation.workers();
            workers.map(worker_list::write)
        }
        ("c" | "checkpoint", None) => {
            let begun = computation.request_checkpoint();
            begun.map(|peers| format!("checkpoint of {peers} processes began\n"))
        }
        ("bc" | "bcheckpoint", None) => {
            let done = computation.checkpoint(LONG);
            done.map(|sealed| format!("checkpoint {} is complete\n", sealed.generation))
        }
        ("kc" | "ck" | "kcheckpoint", None) => {
            let done = computation.checkpoint_and_kill(LONG);
            done.map(|sealed| format!("checkpoint {} is complete\n", sealed.generation))
        }
        ("i" | "interval" | "u", None) => status(computation),
        ("i" | "interval", Some(seconds)) => match seconds.parse::<u32>() {
            Ok(seconds) => {
                let interval = match seconds {
                    0 => Interval::Never,
                    _ => Interval::Every(Duration::from_secs(seconds.into())),
                };
                let set = computation.set_interval(interval);
                set.map(|()| format!("Interval changed to {seconds}\n"))
            }
            Err(_) => Ok(format!("{seconds} is not a number of seconds\n")),
        },
        ("k" | "kill", None) => {
            let killed = computation.kill_workers(LONG);
            killed.map(|()| "all processes have been told to exit\n".to_owned())
        }
        ("q" | "quit", None) => return None,
        _ => Ok(COMMANDS.to_owned()),
    };
    Some(said.unwrap_or_else(|error| format!("{error}\n")))
}

fn status(computation: &Computation) -> Result<String, ServerError> {
    let status = computation.status()?;
    let interval = match status.interval.to_wire() {
        seconds if seconds > 0 => seconds.to_string(),
        _ => "disabled (checkpoint manually instead)".to_owned(),
    };
    Ok(format!(
        "Status...\nHost: {}\nPort: {}\nCheckpoint Interval: {interval}\n\
         NUM_PEERS={}\nRUNNING={}\n",
        computation.addr().ip(),
        computation.port(),
        status.peers,
        if status.running { "yes" } else { "no" }
    ))
}

/// A checkpoint or a kill that is waited for; whoever types can interrupt the coordinator.
const LONG: Duration = Duration::from_secs(24 * 3600);

const COMMANDS: &str = "\
s          status
l          list the processes
c          checkpoint; does not wait for the end
bc         checkpoint and wait until it is complete
kc         checkpoint, then let all processes exit
i SECONDS  checkpoint by itself, 0: never
k          let all processes exit
q          the same, and end this coordinator
?          this text
";
