//! `dmtcpctl command`, also under the name `dmtcp_command`: its words, its output, its exit codes.

mod answer;
mod words;

use dmtcp_client::coordinator::{Coordinator, DetectOptions, Error, find_address};
use dmtcp_client::{Interval, Status};
use dmtcp_proto::{CommandError, worker_list};
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use crate::output;
use answer::{Answer, Outcome};
use dmtcp_client::with_causes;
use words::{Asked, Verb};

/// Runs it with the arguments behind its name.
pub(crate) fn run(words: &[OsString]) -> ExitCode {
    let asked = words::read(words, |name| std::env::var_os(name));
    let is_json = asked.is_json;
    let (text, complaint, code) = match asked.verb {
        Verb::Help if is_json => done(&asked, Outcome::Said),
        Verb::Version if is_json => done(&asked, Outcome::Version(env!("CARGO_PKG_VERSION"))),
        Verb::Wrong if is_json => done(&asked, Outcome::Wrong),
        Verb::Help | Verb::Missing => (words::HELP.to_owned(), String::new(), 1),
        Verb::Version => {
            let text = concat!("dmtcpctl ", env!("CARGO_PKG_VERSION"), "\n");
            (text.to_owned(), String::new(), 1)
        }
        Verb::Wrong => {
            let text = format!("dmtcp_command: {}\n{}", asked.complaint, words::HELP);
            (String::new(), text, 1)
        }
        _ => {
            let outcome = ask(&asked);
            done(&asked, outcome)
        }
    };
    if let Err(failure) = output::print(&text) {
        return failure.report();
    }
    output::print_error(&complaint);
    ExitCode::from(code)
}

fn done(asked: &Asked, outcome: Outcome) -> (String, String, u8) {
    let answer = Answer::new(asked, outcome);
    let code = answer.exit_code();
    if asked.is_json {
        (answer.json(), String::new(), code)
    } else {
        (answer.text(), answer.complaint(), code)
    }
}

/// Asks the coordinator; none of its outcomes ends this program.
fn ask(asked: &Asked) -> Outcome {
    let coordinator = match coordinator(asked) {
        Ok(coordinator) => coordinator,
        Err(text) => return Outcome::NotFound(text),
    };
    let asked_for = match asked.verb {
        Verb::Status => coordinator.status().map(Outcome::Status),
        Verb::List => coordinator
            .workers()
            .map(|workers| Outcome::List(worker_list::write_for(coordinator.dialect(), workers))),
        Verb::Checkpoint => coordinator.request_checkpoint().map(Outcome::Peers),
        Verb::Blocking => running(&coordinator)
            .and_then(|_| coordinator.checkpoint(LONG))
            .map(|report| Outcome::Peers(report.peers)),
        Verb::KillAfter => running(&coordinator)
            .and_then(|_| coordinator.checkpoint_and_kill(LONG))
            .map(|report| Outcome::Peers(report.peers)),
        Verb::Interval(seconds) => {
            let interval = match seconds {
                0 => Interval::Never,
                _ => Interval::Every(Duration::from_secs(seconds.into())),
            };
            let set = coordinator.set_interval(interval);
            set.map(|()| Outcome::Interval(seconds))
        }
        Verb::Kill => coordinator.kill_workers().map(|()| Outcome::Said),
        Verb::Quit => coordinator.quit().map(|()| Outcome::Said),
        Verb::Help | Verb::Version | Verb::Wrong | Verb::Missing => Ok(Outcome::Said),
    };
    asked_for.unwrap_or_else(|error| match error {
        Error::Command {
            source: CommandError::NotRunning | CommandError::Busy { .. },
            ..
        } => Outcome::NotRunning(with_causes(&error)),
        Error::Connect { .. } => Outcome::NotFound(with_causes(&error)),
        error => Outcome::Failed(with_causes(&error)),
    })
}

/// The stock program refuses at once where the library would wait.
fn running(coordinator: &Coordinator) -> Result<Status, Error> {
    let status = coordinator.status()?;
    if status.running {
        return Ok(status);
    }
    Err(Error::Command {
        addr: coordinator.addr(),
        source: CommandError::NotRunning,
    })
}

fn coordinator(asked: &Asked) -> Result<Coordinator, String> {
    let host = Some(OsString::from(&asked.host));
    let port = Some(OsString::from(asked.port.to_string()));
    let addr = find_address(host, port).map_err(|error| with_causes(&error))?;
    let options = DetectOptions::default().timeout(PATIENCE);
    let coordinator = Coordinator::detect(addr, &options).map_err(|error| with_causes(&error))?;
    Ok(coordinator.timeout(PATIENCE))
}

/// Whether this program is called by the name of the one that it replaces.
pub(crate) fn is_called(name: &OsStr) -> bool {
    Path::new(name).file_name() == Some(OsStr::new("dmtcp_command"))
}

const PATIENCE: Duration = Duration::from_secs(60);
const LONG: Duration = Duration::from_secs(24 * 3600);
