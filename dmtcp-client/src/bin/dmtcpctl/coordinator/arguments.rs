//! The command line and environment of `dmtcp_coordinator`.
//!
//! Its own reader, since the stock program has forms such as `-p7779` and a bare port, and ends
//! with 1 where it is used in a wrong way. What it does not know or cannot do is refused.

use dmtcp_client::Interval;
use dmtcp_client::server::{Access, Network, ReportFiles};
use dmtcp_client::standalone::Importance;
use std::ffi::{OsStr, OsString};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// What was asked for.
#[derive(Debug)]
pub(super) enum Asked {
    Run(Box<Arguments>),
    Help,
    Version,
}

#[derive(Debug)]
pub(super) struct Arguments {
    pub(super) addr: SocketAddr,
    pub(super) access: Access,
    pub(super) port_file: Option<PathBuf>,
    pub(super) status_file: Option<PathBuf>,
    pub(super) script_dir: PathBuf,
    pub(super) exit_on_last: bool,
    pub(super) kill_after_checkpoint: bool,
    pub(super) timeout: Option<Duration>,
    pub(super) stale_timeout: Option<Duration>,
    pub(super) settle_time: Option<Duration>,
    pub(super) daemon: bool,
    pub(super) interval: Interval,
    pub(super) log_file: Option<PathBuf>,
    pub(super) quiet: u32,
    /// Of what happens, this and more is logged; `None`: nothing.
    pub(super) least_logged: Option<Importance>,
    /// Files with the key-value store are written into the working directory.
    pub(super) write_key_values: bool,
    /// Files with a trace and with metrics.
    pub(super) reports: ReportFiles,
    /// Where metrics are served.
    pub(super) metrics_addr: Option<SocketAddr>,
    /// Where lines go that all programs of a computation write, as well.
    pub(super) shared_log: Option<PathBuf>,
    /// This is the background process of another one, which handed it the socket.
    pub(super) listener_is_stdin: bool,
}

/// Reads them; `words` begins with the first argument.
pub(super) fn read(
    words: &[OsString],
    environment: impl Fn(&str) -> Option<OsString>,
) -> Result<Asked, String> {
    let set = |name: &str| environment(name).filter(|value| !value.is_empty());
    let port = set("DMTCP_COORD_PORT").or_else(|| set("DMTCP_PORT"));
    let mut arguments = Arguments {
        addr: SocketAddr::from((
            Ipv4Addr::LOCALHOST,
            port.as_deref().map_or(Ok(DEFAULT_PORT), number)?,
        )),
        access: Access::default(),
        port_file: None,
        status_file: None,
        script_dir: set("DMTCP_CHECKPOINT_DIR").map_or_else(|| ".".into(), PathBuf::from),
        exit_on_last: false,
        kill_after_checkpoint: false,
        timeout: None,
        stale_timeout: Some(DEFAULT_STALE),
        settle_time: None,
        daemon: false,
        interval: match set("DMTCP_CHECKPOINT_INTERVAL") {
            Some(seconds) => interval(&seconds)?,
            None => Interval::Never,
        },
        log_file: set("DMTCP_COORD_LOG_FILENAME").map(PathBuf::from),
        quiet: 0,
        least_logged: None,
        write_key_values: set("DMTCP_COORD_WRITE_KV_DATA")
            .is_some_and(|value| value.as_encoded_bytes().starts_with(b"1")),
        reports: ReportFiles::default(),
        metrics_addr: None,
        shared_log: set("DMTCP_LOG_FILE").map(PathBuf::from),
        listener_is_stdin: false,
    };
    if set("DMTCPCTL_OPEN").is_some_and(|value| value == "1") {
        arguments.open();
    }
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || {
            let value = words.next();
            value.ok_or_else(|| format!("{} needs a value", word.to_string_lossy()))
        };
        let text = word.to_string_lossy();
        match text.as_ref() {
            "-h" | "--help" => return Ok(Asked::Help),
            "--version" => return Ok(Asked::Version),
            "-p" | "--port" | "--coord-port" => arguments.addr.set_port(number(value()?)?),
            "--listen" => arguments.addr.set_ip(address(value()?)?),
            "--allow" => {
                let access = std::mem::take(&mut arguments.access);
                arguments.access = access.network(network(value()?)?);
            }
            "--open" => arguments.open(),
            "--port-file" => arguments.port_file = Some(value()?.into()),
            "--status-file" => arguments.status_file = Some(value()?.into()),
            "-c" | "--ckptdir" => arguments.script_dir = value()?.into(),
            // Nothing is kept there.
            "-t" | "--tmpdir" => drop(value()?),
            "--exit-on-last" => arguments.exit_on_last = true,
            "--kill-after-ckpt" | "--exit-after-ckpt" => arguments.kill_after_checkpoint = true,
            "--timeout" => arguments.timeout = Some(seconds(value()?)?),
            "--stale-timeout" => arguments.stale_timeout = stale(value()?)?,
            "--settle-time" => arguments.settle_time = Some(milliseconds(value()?)?),
            "--daemon" => arguments.daemon = true,
            "-i" | "--interval" => arguments.interval = interval(value()?)?,
            "--coord-logfile" => arguments.log_file = Some(value()?.into()),
            "-q" | "--quiet" => arguments.quiet += 1,
            "--trace" => arguments.reports.trace = Some(value()?.into()),
            "--metrics" => arguments.reports.metrics = Some(value()?.into()),
            "--serve-metrics" => arguments.metrics_addr = Some(socket_address(value()?)?),
            "--write-kv-data" => arguments.write_key_values = true,
            LISTENER_IS_STDIN => arguments.listener_is_stdin = true,
            other => {
                let short = |letter| other.strip_prefix(letter).filter(|rest| !rest.is_empty());
                if let Some(port) = short("-p").or_else(|| Some(other).filter(is_number)) {
                    arguments.addr.set_port(number(OsStr::new(port))?);
                } else if let Some(seconds) = short("-i") {
                    arguments.interval = interval(OsStr::new(seconds))?;
                } else {
                    return Err(format!("{other} is not known"));
                }
            }
        }
    }
    let quiet = set("DMTCP_QUIET").map_or(0, |value| {
        let first = value.as_encoded_bytes().first();
        first.map_or(0, |digit| u32::from(digit.saturating_sub(b'0')))
    });
    arguments.least_logged = match quiet.max(arguments.quiet) {
        0 => Some(Importance::Note),
        1 => Some(Importance::Warning),
        _ => None,
    };
    if let Some(least) = set("DMTCP_LOG_LEVEL").as_deref().and_then(log_level) {
        arguments.least_logged = least;
    }
    Ok(Asked::Run(Box::new(arguments)))
}

impl Arguments {
    /// As the stock program is: for whoever can reach it.
    fn open(&mut self) {
        self.addr.set_ip(Ipv4Addr::UNSPECIFIED.into());
        self.access = Access::everybody();
    }
}

fn network(word: &OsStr) -> Result<Network, String> {
    let text = word.to_string_lossy();
    text.parse()
        .map_err(|_| format!("{text} is not a network such as 10.1.0.0/16"))
}

fn socket_address(word: &OsStr) -> Result<SocketAddr, String> {
    let text = word.to_string_lossy();
    text.parse()
        .map_err(|_| format!("{text} is not an address with a port, such as 127.0.0.1:9779"))
}

fn is_number(word: &&str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit())
}

fn number(word: &OsStr) -> Result<u16, String> {
    let text = word.to_string_lossy();
    text.parse().map_err(|_| format!("{text} is not a port"))
}

fn address(word: &OsStr) -> Result<IpAddr, String> {
    let text = word.to_string_lossy();
    match text.parse() {
        Ok(address) => Ok(IpAddr::V4(address)),
        Err(_) => Err(format!("{text} is not an IPv4 address")),
    }
}

fn whole(word: &OsStr) -> Result<i64, String> {
    let text = word.to_string_lossy();
    text.parse()
        .map_err(|_| format!("{text} is not a number of seconds"))
}

fn interval(word: &OsStr) -> Result<Interval, String> {
    let seconds = whole(word)?;
    match u32::try_from(seconds) {
        Ok(0) => Ok(Interval::Never),
        Ok(seconds) => Ok(Interval::Every(Duration::from_secs(seconds.into()))),
        Err(_) => Err(format!("{seconds} is not an interval")),
    }
}

fn seconds(word: &OsStr) -> Result<Duration, String> {
    let seconds = whole(word)?;
    let seconds = u64::try_from(seconds).ok().filter(|&seconds| seconds > 0);
    let seconds = seconds.ok_or_else(|| format!("{} is not a time", word.to_string_lossy()))?;
    Ok(Duration::from_secs(seconds))
}

fn milliseconds(word: &OsStr) -> Result<Duration, String> {
    let text = word.to_string_lossy();
    let number: Result<u32, _> = text.parse();
    let number = number.map_err(|_| format!("{text} is not a number of milliseconds"))?;
    Ok(Duration::from_millis(number.into()))
}

/// `None`: no level, and nothing follows from it.
fn log_level(word: &OsStr) -> Option<Option<Importance>> {
    match word.to_string_lossy().to_ascii_lowercase().as_str() {
        "trace" | "note" => Some(Some(Importance::Note)),
        "warn" | "warning" => Some(Some(Importance::Warning)),
        "error" => Some(None),
        _ => None,
    }
}

/// 0 is the default, -1 is never.
fn stale(word: &OsStr) -> Result<Option<Duration>, String> {
    Ok(match whole(word)? {
        0 => Some(DEFAULT_STALE),
        seconds => u64::try_from(seconds).ok().map(Duration::from_secs),
    })
}

const DEFAULT_PORT: u16 = 7779;
const DEFAULT_STALE: Duration = Duration::from_secs(8 * 3600);

/// What a background process is started with, in front of the rest; also by
/// [`dmtcp_client::helper`].
pub(super) const LISTENER_IS_STDIN: &str = "--listener-is-stdin";

pub(super) const HELP: &str = "\
Usage: dmtcp_coordinator [OPTIONS] [PORT]
       dmtcpctl coordinator [OPTIONS] [PORT]
A coordinator for DMTCP's programs of any release from 2.4 on.

  -p, --coord-port PORT    where to listen; 0: any free port (default: DMTCP_COORD_PORT, then 7779)
      --listen ADDRESS     only at this address of this host (default: 127.0.0.1; 0.0.0.0: at all)
      --allow NETWORK      peers of these hosts, too, such as 10.1.0.0/16 (default: processes of this
                           user and of root on this host only); can be given several times
      --open               at all addresses, for everybody, as DMTCP's own coordinator is; so does
                           DMTCPCTL_OPEN=1, for those that dmtcp_launch starts
      --port-file FILE     write the port there; removed in the end
      --status-file FILE   write host, port, pid and interval there
  -c, --ckptdir DIR        where the restart script goes (default: DMTCP_CHECKPOINT_DIR, then .)
  -t, --tmpdir DIR         taken and not needed
      --exit-on-last       end with the last process
      --kill-after-ckpt    processes exit behind every checkpoint
      --timeout SECONDS    end after this time, with exit code 1, whoever runs
      --stale-timeout S    end after S seconds without processes, with exit code 1
                           (default: 8 hours; -1: never)
      --settle-time MS     let processes run undisturbed for so long behind a checkpoint or restart;
                           an order that comes sooner waits (default: 200; with less, DMTCP's own
                           processes abort or hang now and then)
      --daemon             go on in the background
  -i, --interval SECONDS   checkpoint by itself (default: DMTCP_CHECKPOINT_INTERVAL, then 0: never)
      --coord-logfile FILE log of a coordinator in the background (DMTCP_COORD_LOG_FILENAME)
      --write-kv-data      write the key-value store to a file in the working directory, behind each
                           checkpoint and restart and in the end; so does DMTCP_COORD_WRITE_KV_DATA=1
      --trace FILE         write the last 32 rounds there, behind each: who was where when, for
                           https://ui.perfetto.dev or `dmtcpctl trace`
      --metrics FILE       write counters there, behind each round and every 15 s, for the textfile
                           collector of Prometheus' node_exporter (NAME.prom)
      --serve-metrics ADDR serve the same as http://ADDR/metrics for Prometheus to fetch, to whoever
                           reaches that address; such as 127.0.0.1:9779
  -q, --quiet              no notes; twice: no warnings either
      --help, --version

A socket that is open as descriptor 821 is taken over, as dmtcp_launch and dmtcp_restart hand it on.
Exit codes: 0 told to end or --exit-on-last; 1 a time is over, or it could not start.
";

#[cfg(test)]
mod tests {
    use super::*;

    fn run(words: &[&str], environment: &[(&str, &str)]) -> Result<Arguments, String> {
        let words: Vec<_> = words.iter().map(OsString::from).collect();
        let find = |name: &str| {
            let found = environment.iter().find(|(key, _)| *key == name)?;
            Some(OsString::from(found.1))
        };
        match read(&words, find)? {
            Asked::Run(arguments) => Ok(*arguments),
            other => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn every_form_of_a_port() {
        for words in [
            &["-p", "5"][..],
            &["-p5"],
            &["--port", "5"],
            &["--coord-port", "5"],
            &["5"],
            &["-q", "5", "--daemon"],
        ] {
            assert_eq!(run(words, &[]).unwrap().addr.port(), 5, "{words:?}");
        }
        let environment = [("DMTCP_COORD_PORT", "6"), ("DMTCP_PORT", "8")];
        assert_eq!(run(&[], &environment).unwrap().addr.port(), 6);
        assert_eq!(run(&[], &environment[1..]).unwrap().addr.port(), 8);
        assert_eq!(run(&[], &[]).unwrap().addr.to_string(), "127.0.0.1:7779");
        let addr = run(&["--listen", "10.0.0.1", "-p0"], &[]).unwrap().addr;
        assert_eq!(addr.to_string(), "10.0.0.1:0");
    }

    #[test]
    fn who_may_come() {
        assert_eq!(run(&[], &[]).unwrap().access, Access::default());
        let allowed = run(&["--allow", "10.0.0.0/8"], &[]).unwrap().access;
        let network = "10.0.0.0/8".parse().unwrap();
        assert_eq!(allowed, Access::default().network(network));
        let variable = [("DMTCPCTL_OPEN", "1")];
        for (words, environment) in [(&["--open"][..], &[][..]), (&[], &variable)] {
            let open = run(words, environment).unwrap();
            assert_eq!(open.access, Access::everybody());
            assert_eq!(open.addr.to_string(), "0.0.0.0:7779");
        }
    }

    #[test]
    fn times() {
        let ran = run(&["--timeout", "3", "--stale-timeout", "-1", "-i7"], &[]).unwrap();
        assert_eq!(
            (ran.timeout, ran.stale_timeout, ran.settle_time),
            (Some(Duration::from_secs(3)), None, None)
        );
        assert_eq!(ran.interval, Interval::Every(Duration::from_secs(7)));
        let ran = run(
            &["--stale-timeout", "0", "--settle-time", "0"],
            &[("DMTCP_CHECKPOINT_INTERVAL", "9")],
        )
        .unwrap();
        assert_eq!(ran.stale_timeout, Some(DEFAULT_STALE));
        assert_eq!(ran.settle_time, Some(Duration::ZERO));
        assert_eq!(ran.interval, Interval::Every(Duration::from_secs(9)));
    }

    #[test]
    fn what_is_refused() {
        for words in [
            &["--unheard-of"][..],
            &["-p"],
            &["-p", "x"],
            &["-p", "70000"],
            &["--timeout", "0"],
            &["-i", "-1"],
            &["--listen", "::"],
            &["--allow", "somewhere"],
            &["word"],
        ] {
            assert!(run(words, &[]).is_err(), "{words:?}");
        }
    }

    #[test]
    fn what_is_logged() {
        let least = |words: &[&str], environment: &[(&str, &str)]| {
            run(words, environment).unwrap().least_logged
        };
        let (note, warning) = (Some(Importance::Note), Some(Importance::Warning));
        assert_eq!(least(&[], &[]), note);
        assert_eq!(least(&["-q"], &[]), warning);
        assert_eq!(least(&["-q", "-q"], &[]), None);
        assert_eq!(least(&[], &[("DMTCP_QUIET", "2")]), None);
        for (level, expected) in [
            ("trace", note),
            ("WARNING", warning),
            ("error", None),
            ("loud", warning),
        ] {
            let environment = [("DMTCP_LOG_LEVEL", level)];
            assert_eq!(least(&["-q"], &environment), expected, "{level}");
        }
    }

    #[test]
    fn key_values_are_written_when_asked_for() {
        let is_set = |words: &[&str], value| {
            let environment = [("DMTCP_COORD_WRITE_KV_DATA", value)];
            run(words, &environment).unwrap().write_key_values
        };
        assert!(!is_set(&[], "") && !is_set(&[], "0") && is_set(&[], "1"));
        assert!(is_set(&["--write-kv-data"], "0"));
    }
}
