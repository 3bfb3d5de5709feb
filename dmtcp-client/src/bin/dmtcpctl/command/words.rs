//! The command line and environment of `dmtcp_command`.

use std::ffi::OsString;

/// What was asked, and of whom.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) is_json: bool,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) verb: Verb,
    /// Why it is wrong, if it is.
    pub(super) complaint: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Status,
    List,
    Checkpoint,
    Blocking,
    KillAfter,
    Interval(u32),
    Kill,
    Quit,
    Help,
    Version,
    Wrong,
    /// Nothing was asked.
    Missing,
}

impl Verb {
    /// As the stock program names it in JSON.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Status => "DMT_STATUS",
            Self::List => "DMT_LIST",
            Self::Checkpoint => "DMT_CHECKPOINT",
            Self::Blocking => "DMT_BLOCKING_CKPT",
            Self::KillAfter => "DMT_KILL_AFTER_CKPT",
            Self::Interval(_) => "DMT_UPDATE_CKPT_INTERVAL",
            Self::Kill => "DMT_KILL",
            Self::Quit => "DMT_QUIT",
            Self::Help => "DMT_HELP",
            Self::Version => "DMT_VERSION",
            Self::Wrong | Self::Missing => "DMT_INVALID_COORDINATOR_COMMAND",
        }
    }
}

/// Reads it; `words` begins with the first argument.
pub(super) fn read(words: &[OsString], environment: impl Fn(&str) -> Option<OsString>) -> Asked {
    let set = |name: &str| environment(name).filter(|value| !value.is_empty());
    let set = |name: &str| set(name).map(|value| value.to_string_lossy().into_owned());
    let host = set("DMTCP_COORD_HOST").or_else(|| set("DMTCP_HOST"));
    let mut asked = Asked {
        is_json: words.iter().any(|word| word == "--json"),
        host: host.unwrap_or_else(|| "localhost".to_owned()),
        port: DEFAULT_PORT,
        verb: Verb::Missing,
        complaint: String::new(),
    };
    let port = set("DMTCP_COORD_PORT").or_else(|| set("DMTCP_PORT"));
    let words = words.iter().map(|word| word.to_string_lossy().into_owned());
    let words: Vec<String> = words.filter(|word| word != "--json").collect();
    let read = port
        .map_or(Ok(()), |port| asked.set_port(&port))
        .and_then(|()| asked.read_words(&words));
    if let Err(complaint) = read {
        asked.verb = Verb::Wrong;
        asked.complaint = complaint;
    }
    asked
}

impl Asked {
    fn read_words(&mut self, words: &[String]) -> Result<(), String> {
        let mut words = words.iter().peekable();
        while let Some(word) = words.next() {
            let is_last = words.peek().is_none();
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match word.as_str() {
                "--help" => return self.set_verb(Verb::Help),
                "--version" => return self.set_verb(Verb::Version),
                // A host, unless there is none.
                "-h" if is_last => return self.set_verb(Verb::Help),
                "-h" | "--host" | "--coord-host" => self.host.clone_from(value()?),
                "-p" | "--port" | "--coord-port" => {
                    let port = value()?;
                    self.set_port(port)?;
                }
                other => match other.strip_prefix("-p").filter(|port| is_number(port)) {
                    Some(port) => self.set_port(port)?,
                    None => {
                        let verb = verb(other, || value().map(String::as_str))?;
                        self.set_verb(verb)?;
                    }
                },
            }
        }
        Ok(())
    }

    fn set_port(&mut self, text: &str) -> Result<(), String> {
        self.port = text.parse().map_err(|_| format!("{text} is not a port"))?;
        Ok(())
    }

    fn set_verb(&mut self, verb: Verb) -> Result<(), String> {
        if self.verb != Verb::Missing {
            return Err("one command at a time".to_owned());
        }
        self.verb = verb;
        Ok(())
    }
}

fn verb<'a>(word: &str, value: impl FnOnce() -> Result<&'a str, String>) -> Result<Verb, String> {
    let name = word.trim_start_matches('-');
    Ok(match name {
        "s" | "status" => Verb::Status,
        "l" | "t" | "list" => Verb::List,
        "c" | "checkpoint" => Verb::Checkpoint,
        "bc" | "bcheckpoint" => Verb::Blocking,
        "kc" | "ck" | "K" | "Kc" | "kcheckpoint" => Verb::KillAfter,
        "i" | "interval" => Verb::Interval(seconds(value()?)?),
        "k" | "kill" => Verb::Kill,
        "q" | "quit" => Verb::Quit,
        "h" | "?" | "help" => Verb::Help,
        _ => match name.strip_prefix('i').filter(|rest| is_number(rest)) {
            Some(number) => Verb::Interval(seconds(number)?),
            None => return Err(format!("{word} is not known")),
        },
    })
}

fn seconds(text: &str) -> Result<u32, String> {
    let seconds = text.parse::<u32>().ok();
    seconds
        .filter(|&seconds| i32::try_from(seconds).is_ok())
        .ok_or_else(|| format!("{text} is not an interval"))
}

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit())
}

const DEFAULT_PORT: u16 = 7779;

pub(super) const HELP: &str = "\
Usage: dmtcp_command [OPTIONS] COMMAND
       dmtcpctl command [OPTIONS] COMMAND
Asks a coordinator, DMTCP's from 2.4 on or this program's.

  -h, --coord-host HOST    where it is (default: DMTCP_COORD_HOST, then localhost)
  -p, --coord-port PORT    (default: DMTCP_COORD_PORT, then 7779)
      --json               one line of JSON instead of text
      --help, --version

  -s, --status             how many processes there are, and whether they run
  -l, --list               the processes
  -c, --checkpoint         begin a checkpoint
  -bc, --bcheckpoint       checkpoint, and wait until it is complete
  -kc, --kcheckpoint       checkpoint, then let all processes exit, and wait for that
  -i, --interval SECONDS   checkpoint by itself, 0: never
  -k, --kill               let all processes exit
  -q, --quit               the same, and end the coordinator

Exit codes: 0 done; 1 wrong use; 2 refused or failed, or there is no coordinator.
";

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(words: &[&str]) -> Asked {
        let words: Vec<_> = words.iter().map(OsString::from).collect();
        read(&words, |_| None)
    }

    #[test]
    fn every_word_for_a_command() {
        for (words, verb) in [
            ("-s --status s status", Verb::Status),
            ("-l --list l t", Verb::List),
            ("-c --checkpoint c", Verb::Checkpoint),
            ("-bc --bcheckpoint bc", Verb::Blocking),
            ("-kc --kcheckpoint -ck -K Kc kc", Verb::KillAfter),
            ("-k --kill k", Verb::Kill),
            ("-q --quit q", Verb::Quit),
            ("-h --help h ?", Verb::Help),
            ("-i7 i7", Verb::Interval(7)),
            ("--version", Verb::Version),
            ("-x --not-a-command -i -ix -p -p0x", Verb::Wrong),
        ] {
            for word in words.split(' ') {
                assert_eq!(asked(&[word]).verb, verb, "{word}");
            }
        }
        assert_eq!(asked(&["--interval", "0"]).verb, Verb::Interval(0));
        assert_eq!(asked(&[]).verb, Verb::Missing);
        assert_eq!(asked(&["-s", "-k"]).verb, Verb::Wrong);
    }

    #[test]
    fn where_it_is() {
        let found = asked(&["-h", "node", "-p", "5", "--json", "-s"]);
        assert_eq!(
            (found.host.as_str(), found.port, found.is_json),
            ("node", 5, true)
        );
        assert_eq!(found.verb, Verb::Status);
        let found = read(&["-s".into()], |name| match name {
            "DMTCP_COORD_HOST" => Some("other".into()),
            "DMTCP_COORD_PORT" => Some("9".into()),
            _ => None,
        });
        assert_eq!((found.host.as_str(), found.port), ("other", 9));
        let found = asked(&["-s"]);
        assert_eq!((found.host.as_str(), found.port), ("localhost", 7779));
    }
}
