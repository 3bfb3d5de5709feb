//! The terminal that a live table takes over, and gives back whatever happens.

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use std::io::{self, IsTerminal as _, Write as _};

/// Another screen without a cursor, with keys as they are typed; the one before comes back with
/// what was on it when this goes.
#[derive(Debug)]
pub(super) struct Terminal {
    /// How keys were read; `None`: stdin is no terminal.
    keys: Option<Termios>,
}

impl Terminal {
    pub(super) fn enter() -> io::Result<Self> {
        let keys = tcgetattr(io::stdin()).ok();
        if let Some(before) = &keys {
            let mut single = before.clone();
            single.local_modes -= LocalModes::ICANON | LocalModes::ECHO;
            tcsetattr(io::stdin(), OptionalActions::Now, &single)?;
        }
        // From here on, dropping it undoes what was done.
        let terminal = Self { keys };
        say("\x1b[?1049h\x1b[?25l")?;
        Ok(terminal)
    }

    /// Whether somebody can type there.
    pub(super) fn has_keys(&self) -> bool {
        self.keys.is_some()
    }

    /// Over what is there, without a flicker; no more lines than there are rows.
    pub(super) fn draw(&self, lines: &[String], rows: usize) -> io::Result<()> {
        // `\x1b[2K` clears a line, `\x1b[J` what is below. Not behind a text: where that is as wide
        // as the screen, many terminals would clear its last character.
        let lines_text = lines.join("\n\x1b[2K");
        let below = match lines.len() < rows {
            true => "\n\x1b[J",
            false => "",
        };
        say(&format!("\x1b[H\x1b[2K{lines_text}{below}"))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Nothing can be done about one that is gone.
        let _ = say("\x1b[?25h\x1b[?1049l");
        if let Some(before) = &self.keys {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
    }
}

/// Whether stdout is one.
pub(super) fn is_there() -> bool {
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    io::stdout().is_terminal() && !is_dumb
}

/// Columns and rows, of a usual terminal where it does not tell.
pub(super) fn size() -> (usize, usize) {
    match tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col.into(), size.ws_row.into()),
        _ => (80, 24),
    }
}

fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
