//! Programs that give one command each.

use dmtcp_proto::{Command, Dialect, Exchange, ExchangeError, Step, UniquePid};

use super::World;
use crate::checker::Rule;
use crate::network::{Owner, packets};

/// A program that gives one command.
#[derive(Clone)]
pub(crate) struct Tool {
    pub(super) exchange: Exchange,
    dialect: Dialect,
    pub(crate) conn: Option<u64>,
    pub(crate) is_done: bool,
}

impl std::fmt::Debug for Tool {
    /// All that its future depends on.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.is_done {
            true => f.write_str("done"),
            false => (self.conn, &self.exchange).fmt(f),
        }
    }
}

impl World {
    pub(crate) fn tool(&mut self, dialect: Dialect, command: Command) -> usize {
        let number = self.tools.len();
        self.note(|| format!("t{number} asks in {dialect:?}: {command:?}"));
        let from = UniquePid {
            host_id: 3,
            time: 1 + number as u64,
            pid: 7,
            generation: 0,
        };
        self.tools.push(Tool {
            exchange: Exchange::new(dialect, from, command),
            dialect,
            conn: None,
            is_done: false,
        });
        self.pump(number);
        number
    }

    pub(super) fn pump(&mut self, number: usize) {
        loop {
            let step = self.tools[number].exchange.step();
            let dialect = self.tools[number].dialect;
            match step {
                Step::Connect => {
                    if let Some(before) = self.tools[number].conn {
                        self.hang_up(before);
                    }
                    let conn = self.connect(Owner::Tool(number), dialect, "tool");
                    self.tools[number].conn = Some(conn);
                }
                Step::Send(bytes) => {
                    let conn = self.tools[number].conn.unwrap_or_default();
                    let sent = packets(dialect, &bytes).expect("a tool's own message");
                    if let Some(link) = self.links.get_mut(&conn) {
                        link.up.extend(sent);
                    }
                }
                Step::Receive => return,
                Step::Done(result) => {
                    if !std::mem::replace(&mut self.tools[number].is_done, true) {
                        self.note(|| format!("t{number} has its answer: {result:?}"));
                        self.hang_up(self.tools[number].conn.unwrap_or_default());
                    }
                    let is_known = match &result {
                        Ok(_) => true,
                        // It came too late to be heard, or the coordinator has stopped.
                        Err(ExchangeError::NoReply { .. } | ExchangeError::CutOff { .. }) => true,
                        Err(error) => matches!(error, ExchangeError::Command(_)),
                    };
                    if !is_known {
                        self.checker
                            .broken(Rule::Protocol, || format!("t{number}: {result:?}"));
                    }
                    return;
                }
            }
        }
    }
}
