//! From the text of a script to what it says.
//!
//! Stock scripts set each variable from the environment or an option in several places and to its
//! value in one: the assignment of plain text counts, the others are passed over.

use alloc::vec::Vec;
use bytes::Bytes;

use super::lexer::{Lexer, Token, Word};
use super::{RemoteShell, RestartHost, RestartMode, RestartScript, RestartScriptError as Error};
use crate::interval::Interval;
use crate::text::Text;

const TIMESTAMP: &str = "ckpt_timestamp";
const COORD_HOST: &str = "coord_host";
const COORD_PORT: &str = "coord_port";
const INTERVAL: &str = "checkpoint_interval";
const COMMAND: &str = "dmt_rstr_cmd";
/// Images of the only host.
const GIVEN: &str = "given_ckpt_files";
/// One line for each host.
const WORKERS: &str = "worker_ckpts";
/// Ours, for names that the two others cannot hold: one command for each host.
const HOST: &str = "host_ckpts";
const ASSIGNED: [&str; 7] = [
    TIMESTAMP, COORD_HOST, COORD_PORT, INTERVAL, COMMAND, GIVEN, WORKERS,
];

const HOST_COUNT: &str = "number of hosts";
const PROCESS_COUNT: &str = "number of processes";
const COUNTS: [(&str, &[u8]); 2] = [
    (HOST_COUNT, b"# Number of hosts in the computation = "),
    (
        PROCESS_COUNT,
        b"# Number of processes in the computation = ",
    ),
];

impl RestartScript {
    /// Reads a restart script of any release, or ours. Executes nothing.
    ///
    /// Takes scripts of up to [`MAX_LEN`](Self::MAX_LEN) bytes, in time that grows with their
    /// length and memory of a few times their length (for each image some 30 bytes more).
    ///
    /// # Errors
    ///
    /// [`RestartScriptError`](Error) when an element is missing, stands twice, does not have the
    /// form it needs, or depends on what a shell would make of it; and when the script announces
    /// another number of hosts or processes than it names.
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        Self::parse_within(text, Self::MAX_LEN)
    }

    /// [`parse`](Self::parse) of scripts of up to `max` bytes.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse).
    pub fn parse_within(text: &[u8], max: usize) -> Result<Self, Error> {
        let len = text.len();
        if len > max {
            return Err(Error::TooLong { len, max });
        }
        if let Some(nul) = text.iter().position(|&byte| byte == 0) {
            let before = text.iter().take(nul);
            let line = 1 + before.filter(|&&byte| byte == b'\n').count();
            return Err(malformed(line, "script", "a NUL byte"));
        }
        let mut found = Found::default();
        let mut lexer = Lexer::new(text);
        while !lexer.is_over() {
            found.line(&mut lexer)?;
        }
        found.finish()
    }
}

/// What has been read so far.
#[derive(Default)]
struct Found {
    timestamp: Slot<Text>,
    coordinator_host: Slot<Text>,
    coordinator_port: Slot<u16>,
    interval: Slot<Interval>,
    restart_command: Slot<Text>,
    host_count: Slot<u64>,
    process_count: Slot<u64>,
    hosts: Vec<RestartHost>,
    /// The element that names the images, and its line.
    images: Option<(&'static str, usize)>,
    images_expand: Option<(&'static str, usize)>,
}

/// An element that a script says once.
struct Slot<T> {
    value: Option<(usize, T)>,
    /// The first line that leaves the value to a shell.
    expands: Option<usize>,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self {
            value: None,
            expands: None,
        }
    }
}

impl<T> Slot<T> {
    fn set(&mut self, field: &'static str, line: usize, value: T) -> Result<(), Error> {
        if let Some((first, _)) = self.value {
            return Err(Error::Repeated { line, field, first });
        }
        self.value = Some((line, value));
        Ok(())
    }

    fn take(self, field: &'static str) -> Result<T, Error> {
        match (self.value, self.expands) {
            (Some((_, value)), _) => Ok(value),
            (None, Some(line)) => Err(Error::NotLiteral { line, field }),
            (None, None) => Err(Error::Missing { field }),
        }
    }
}

impl Found {
    /// One command, or one line without any.
    fn line(&mut self, lexer: &mut Lexer<'_>) -> Result<(), Error> {
        let line = lexer.line();
        let ahead = lexer.ahead();
        if let Some(rest) = ahead.strip_prefix(HOST.as_bytes()) {
            if matches!(rest.first(), Some(b' ' | b'\t')) {
                lexer.skip(HOST.len());
                return self.host_command(line, lexer);
            }
        }
        for (field, prefix) in COUNTS {
            if let Some(number) = ahead.strip_prefix(prefix) {
                let number = number.split(|&byte| byte == b'\n').next();
                let number = parse_number(number.unwrap_or_default());
                self.count(field, line, number)?;
            }
        }
        for field in ASSIGNED {
            let rest = ahead.strip_prefix(field.as_bytes());
            if rest.is_some_and(|rest| rest.first() == Some(&b'=')) {
                lexer.skip(field.len() + 1);
                let value = lexer.word()?;
                if value.expands {
                    self.expands(field, line);
                } else if matches!(lexer.token()?, Token::End) {
                    return self.assignment(field, line, value.text);
                } else {
                    let why = "more than one word follows: a blank or mark is not quoted";
                    return Err(malformed(line, field, why));
                }
            }
        }
        lexer.skip_line()
    }

    fn count(
        &mut self,
        field: &'static str,
        line: usize,
        number: Option<u64>,
    ) -> Result<(), Error> {
        let number = number.ok_or_else(|| malformed(line, field, "not a number"))?;
        match field {
            HOST_COUNT => self.host_count.set(field, line, number),
            _ => self.process_count.set(field, line, number),
        }
    }

    fn expands(&mut self, field: &'static str, line: usize) {
        let first = match field {
            TIMESTAMP => &mut self.timestamp.expands,
            COORD_HOST => &mut self.coordinator_host.expands,
            COORD_PORT => &mut self.coordinator_port.expands,
            INTERVAL => &mut self.interval.expands,
            COMMAND => &mut self.restart_command.expands,
            _ => {
                self.images_expand.get_or_insert((field, line));
                return;
            }
        };
        first.get_or_insert(line);
    }

    fn assignment(
        &mut self,
        field: &'static str,
        line: usize,
        value: Vec<u8>,
    ) -> Result<(), Error> {
        match field {
            TIMESTAMP => self.timestamp.set(field, line, text(value)),
            COORD_HOST => self.coordinator_host.set(field, line, text(value)),
            COMMAND => self.restart_command.set(field, line, text(value)),
            COORD_PORT => {
                let port = parse_number(&value).ok_or_else(|| malformed(line, field, PORT))?;
                self.coordinator_port.set(field, line, port)
            }
            INTERVAL => {
                let seconds =
                    parse_number(&value).ok_or_else(|| malformed(line, field, SECONDS))?;
                let interval = Interval::from_wire(seconds);
                self.interval.set(field, line, interval)
            }
            GIVEN => {
                self.images_in(field, line)?;
                let value = Bytes::from(value);
                let images = words(&value, &value);
                self.host(field, line, RestartHost::new(None, None, images))
            }
            _ => {
                self.images_in(field, line)?;
                let value = Bytes::from(value);
                for (line, row) in (line..).zip(value.split(|&byte| byte == b'\n')) {
                    if !row.iter().all(u8::is_ascii_whitespace) {
                        self.worker_row(line, &value, row)?;
                    }
                }
                Ok(())
            }
        }
    }

    /// `:: HOST :MODE: FILE... : SHELL`, or without the shell.
    fn worker_row(&mut self, line: usize, value: &Bytes, row: &[u8]) -> Result<(), Error> {
        let wrong = |why| malformed(line, WORKERS, why);
        let mut parts = row.split(|&byte| byte == b':');
        let (before, between) = (parts.next(), parts.next());
        let (host, mode, files) = (parts.next(), parts.next(), parts.next());
        let (shell, more) = (parts.next(), parts.next());
        let (Some(host), Some(mode), Some(files), None) = (host, mode, files, more) else {
            return Err(wrong(
                "not of the form `:: HOST :MODE: FILE... : SHELL`; no name may hold a colon",
            ));
        };
        if !before.unwrap_or_default().trim_ascii().is_empty() || between != Some(b"") {
            return Err(wrong("a line does not begin with `::`"));
        }
        let mut names = words(value, host).into_iter();
        let (Some(name), None) = (names.next(), names.next()) else {
            return Err(wrong("a line does not name one host"));
        };
        let mode = mode_of(mode.trim_ascii()).map_err(wrong)?;
        let shell = match shell.map(<[u8]>::trim_ascii) {
            None => None,
            Some(word) => Some(RemoteShell::from_word(word).ok_or_else(|| wrong(SHELL))?),
        };
        let host = RestartHost::new(Some(name), shell, words(value, files)).mode(mode);
        self.host(WORKERS, line, host)
    }

    /// `host_ckpts NAME MODE SHELL FILE...`, an empty name or shell for one that is not known.
    fn host_command(&mut self, line: usize, lexer: &mut Lexer<'_>) -> Result<(), Error> {
        match self.images {
            Some((HOST, _)) => {}
            _ => self.images_in(HOST, line)?,
        }
        let mut words = Vec::new();
        loop {
            match lexer.token()? {
                Token::Word(Word { expands: true, .. }) => {
                    return Err(Error::NotLiteral { line, field: HOST });
                }
                Token::Word(word) => words.push(text(word.text)),
                Token::Separator => {
                    return Err(malformed(line, HOST, "a mark is not quoted"));
                }
                Token::End => break,
            }
        }
        let mut words = words.into_iter();
        let (Some(name), Some(mode), Some(shell)) = (words.next(), words.next(), words.next())
        else {
            let why = "not of the form `host_ckpts NAME MODE SHELL FILE...`";
            return Err(malformed(line, HOST, why));
        };
        let wrong = |why| malformed(line, HOST, why);
        let mode = mode_of(mode.as_bytes()).map_err(wrong)?;
        let shell = match shell.as_bytes() {
            b"" => None,
            word => Some(RemoteShell::from_word(word).ok_or_else(|| wrong(SHELL))?),
        };
        let name = Some(name).filter(|name| !name.is_empty());
        let host = RestartHost::new(name, shell, words.collect()).mode(mode);
        self.host(HOST, line, host)
    }

    /// The images stand here, and nowhere else.
    fn images_in(&mut self, field: &'static str, line: usize) -> Result<(), Error> {
        match self.images.replace((field, line)) {
            None => Ok(()),
            Some((_, first)) => Err(Error::Repeated { line, field, first }),
        }
    }

    fn host(&mut self, field: &'static str, line: usize, host: RestartHost) -> Result<(), Error> {
        if host.images.is_empty() || host.images.iter().any(Text::is_empty) {
            return Err(malformed(line, field, "a host without an image"));
        }
        self.hosts.push(host);
        Ok(())
    }

    fn finish(self) -> Result<RestartScript, Error> {
        if self.hosts.is_empty() {
            return Err(match (self.images, self.images_expand) {
                (Some((field, line)), _) => malformed(line, field, "no host"),
                (None, Some((field, line))) => Error::NotLiteral { line, field },
                (None, None) => Error::Missing {
                    field: "given_ckpt_files or worker_ckpts",
                },
            });
        }
        let script = RestartScript {
            timestamp: self.timestamp.take(TIMESTAMP)?,
            coordinator_host: self.coordinator_host.take(COORD_HOST)?,
            coordinator_port: self.coordinator_port.take(COORD_PORT)?,
            interval: self.interval.take(INTERVAL)?,
            restart_command: self.restart_command.take(COMMAND)?,
            hosts: self.hosts,
        };
        let counts = [
            (HOST_COUNT, self.host_count, script.hosts.len()),
            (PROCESS_COUNT, self.process_count, script.processes()),
        ];
        for (field, announced, found) in counts {
            // A comment, which people strip; the names do not depend on it.
            let Some((line, announced)) = announced.value else {
                continue;
            };
            let found = u64::try_from(found).unwrap_or(u64::MAX);
            if announced != found {
                return Err(Error::Count {
                    line,
                    field,
                    announced,
                    found,
                });
            }
        }
        Ok(script)
    }
}

const PORT: &str = "not a port: a number from 0 to 65535";
const SECONDS: &str = "not a number of seconds";
const SHELL: &str = "a remote shell that is neither ssh nor rsh";

fn malformed(line: usize, field: &'static str, why: &'static str) -> Error {
    Error::Malformed { line, field, why }
}

fn mode_of(word: &[u8]) -> Result<RestartMode, &'static str> {
    RestartMode::from_word(word).ok_or("a mode that is none of bg, fg and xterm")
}

/// Texts of a script, which holds no NUL.
fn text(bytes: impl Into<Bytes>) -> Text {
    Text::new(bytes).unwrap_or_default()
}

/// The words of a part of `value`, as slices of it.
fn words(value: &Bytes, part: &[u8]) -> Vec<Text> {
    part.split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
        .map(|word| text(value.slice_ref(word)))
        .collect()
}

fn parse_number<T: core::str::FromStr>(digits: &[u8]) -> Option<T> {
    core::str::from_utf8(digits).ok()?.trim().parse().ok()
}
