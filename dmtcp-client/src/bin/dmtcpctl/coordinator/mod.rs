//! `dmtcpctl coordinator`, also under the name `dmtcp_coordinator`: arguments, signals, terminal
//! and background around [`dmtcp_client::standalone`].

mod arguments;
mod console;
mod daemon;
mod known_words;
mod listener;
mod log;
mod signals;

use arguments::{Arguments, Asked};
use dmtcp_client::Tools;
use dmtcp_client::server::raise_open_file_limit;
use dmtcp_client::standalone::{Importance, News, Standalone, StandaloneConfig};
use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use self::log::Log;
use crate::output;
use dmtcp_client::with_causes;

/// Runs it with the arguments behind its name, which is the first.
pub(crate) fn run(words: &[OsString]) -> ExitCode {
    let environment = |name: &str| std::env::var_os(name);
    let arguments = match arguments::read(words, environment) {
        Ok(Asked::Run(arguments)) => *arguments,
        Ok(Asked::Help) => return said(arguments::HELP),
        Ok(Asked::Version) => {
            return said(concat!("dmtcpctl ", env!("CARGO_PKG_VERSION"), "\n"));
        }
        Err(text) => {
            let text = format!("{text}\n  hint: --help says what it takes");
            complain(&text);
            return ExitCode::FAILURE;
        }
    };
    match serve(arguments, words) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn serve(arguments: Arguments, words: &[OsString]) -> io::Result<u8> {
    let listener = listener::inherited(arguments.listener_is_stdin)?;
    if arguments.daemon {
        return daemon::start(&arguments, words, listener);
    }
    // Before any thread, so that every thread has them blocked.
    let signals = signals::Signals::block()?;
    // It starts no programs, which would inherit it.
    let open_files = raise_open_file_limit();
    let config = config(&arguments, listener);
    let standalone = Standalone::start(config).map_err(other)?;
    signals.quit_on(standalone.input(), arguments.listener_is_stdin)?;
    let computation = standalone.computation();
    let addr = computation.addr();
    if arguments.quiet == 0 {
        let text = format!(
            "dmtcp_coordinator: {addr}, interval {}, restart script in {}\nType '?' for help.\n",
            match arguments.interval.to_wire() {
                seconds if seconds > 0 => format!("{seconds} s"),
                _ => "none".to_owned(),
            },
            arguments.script_dir.display()
        );
        output::print(&text).map_err(|_| io::Error::other("cannot write to stdout"))?;
    }
    if !arguments.listener_is_stdin {
        console::start(computation, standalone.input())?;
    }
    let mut log = Log::open(arguments.least_logged, arguments.shared_log.as_deref());
    if let Err(error) = open_files {
        let text = format!("the limit of open files stays as it is: {error}");
        log.write(Importance::Warning, &text);
    }
    let mut is_written = true;
    let ending = standalone.run(|news| {
        is_written &= !matches!(news, News::KeyValuesNotWritten(_));
        log.news(news);
    });
    log.write(Importance::Note, ending.reason());
    Ok(match is_written {
        true => ending.exit_code(),
        false => 1,
    })
}

fn config(arguments: &Arguments, listener: Option<TcpListener>) -> StandaloneConfig {
    let mut config = StandaloneConfig::default();
    config.addr = arguments.addr;
    config.listener = listener;
    config.access = arguments.access.clone();
    config.interval = arguments.interval;
    config.kill_after_checkpoint = arguments.kill_after_checkpoint;
    config.exit_on_last = arguments.exit_on_last;
    config.timeout = arguments.timeout;
    config.stale_timeout = arguments.stale_timeout;
    if let Some(time) = arguments.settle_time {
        config.settle_time = time;
    }
    config.script_dir.clone_from(&arguments.script_dir);
    if let Some(folder) = installation() {
        // Whoever starts a coordinator from among them uses them, too.
        let tools = Tools::find(Some(&folder)).ok();
        config.assumed = tools.and_then(|tools| tools.dialect().ok());
        config.restart_command = folder.join(RESTART).into();
    }
    config.port_file.clone_from(&arguments.port_file);
    config.status_file.clone_from(&arguments.status_file);
    config.reports = arguments.reports.clone();
    config.metrics_addr = arguments.metrics_addr;
    config.key_values_dir = arguments.write_key_values.then(|| ".".into());
    config
}

/// The folder of DMTCP's other programs, if this one stands among them: as it was called, or as it
/// is.
fn installation() -> Option<PathBuf> {
    let called = std::env::args_os().next().map(PathBuf::from);
    let called = called.filter(|path| path.components().count() > 1);
    let called = called.and_then(|path| std::path::absolute(path).ok());
    let places = [called, std::env::current_exe().ok()];
    places.into_iter().flatten().find_map(|program| {
        let folder = program.parent()?;
        folder.join(RESTART).is_file().then(|| folder.to_owned())
    })
}

fn said(text: &str) -> ExitCode {
    match output::print(text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn complain(text: &str) {
    // There may be nobody to be told.
    let _ = writeln!(io::stderr().lock(), "dmtcp_coordinator: {text}");
}

fn other(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::other(with_causes(&error))
}

/// Whether this program is called by the name of the one that it replaces.
pub(crate) fn is_called(name: &OsStr) -> bool {
    Path::new(name).file_name() == Some(OsStr::new("dmtcp_coordinator"))
}

const RESTART: &str = "dmtcp_restart";
