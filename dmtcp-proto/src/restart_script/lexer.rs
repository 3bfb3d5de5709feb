//! A shell script as words, without a shell.
//!
//! Knows comments, both quotations, backslashes and where a command ends: enough to tell which
//! lines are commands and which stand inside a quotation. What a shell would expand is not
//! expanded but marked. Here-documents, and quotations nested in `"$(...)"` that do not balance,
//! are not understood; no coordinator writes them.

use alloc::vec::Vec;

use super::RestartScriptError as Error;

/// What comes next on a line.
#[derive(Debug)]
pub(super) enum Token {
    Word(Word),
    /// `;`, `&`, `|`, `<`, `>` or a parenthesis.
    Separator,
    /// The line has ended; the lexer is at the start of the next one.
    End,
}

enum Start {
    Word,
    Separator,
    End,
}

/// One word with its quotation marks removed.
#[derive(Debug, Default)]
pub(super) struct Word {
    pub(super) text: Vec<u8>,
    /// Whether a shell would put something else in its place.
    pub(super) expands: bool,
}

#[derive(Debug)]
pub(super) struct Lexer<'a> {
    rest: &'a [u8],
    line: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self {
            rest: text,
            line: 1,
        }
    }

    /// The line the lexer is in, counted from 1.
    pub(super) fn line(&self) -> usize {
        self.line
    }

    pub(super) fn is_over(&self) -> bool {
        self.rest.is_empty()
    }

    /// What follows on the line, blanks left out.
    pub(super) fn ahead(&mut self) -> &'a [u8] {
        while matches!(self.rest.first(), Some(b' ' | b'\t')) {
            self.skip(1);
        }
        self.rest
    }

    /// Passes over bytes that were seen with [`ahead`](Self::ahead), none of them a newline.
    pub(super) fn skip(&mut self, count: usize) {
        self.rest = self.rest.get(count..).unwrap_or_default();
    }

    pub(super) fn token(&mut self) -> Result<Token, Error> {
        Ok(match self.token_start() {
            Start::End => Token::End,
            Start::Separator => Token::Separator,
            Start::Word => Token::Word(self.word()?),
        })
    }

    /// The word that begins right here; empty if none does.
    pub(super) fn word(&mut self) -> Result<Word, Error> {
        let mut word = Word::default();
        self.read(&mut word)?;
        Ok(word)
    }

    /// Passes over the rest of the command.
    pub(super) fn skip_line(&mut self) -> Result<(), Error> {
        let mut word = Word::default();
        loop {
            match self.token_start() {
                Start::End => return Ok(()),
                Start::Separator => {}
                Start::Word => {
                    word.text.clear();
                    self.read(&mut word)?;
                }
            }
        }
    }

    /// Passes over what stands before a word, or is none.
    fn token_start(&mut self) -> Start {
        loop {
            match self.ahead() {
                [] => return Start::End,
                [b'\n', ..] => {
                    self.newline(1);
                    return Start::End;
                }
                [b'\\', b'\n', ..] => self.newline(2),
                [b'#', comment @ ..] => {
                    let end = comment.iter().position(|&byte| byte == b'\n');
                    self.skip(1 + end.unwrap_or(comment.len()));
                }
                [byte, ..] if is_separator(*byte) => {
                    self.skip(1);
                    return Start::Separator;
                }
                _ => return Start::Word,
            }
        }
    }

    fn read(&mut self, word: &mut Word) -> Result<(), Error> {
        word.expands |= self.rest.first() == Some(&b'~');
        loop {
            match self.rest {
                [] | [b' ' | b'\t' | b'\n', ..] => return Ok(()),
                [byte, ..] if is_separator(*byte) => return Ok(()),
                [b'\'', ..] => self.single(word)?,
                [b'"', ..] => self.double(word)?,
                [b'\\', b'\n', ..] => self.newline(2),
                [b'\\', byte, ..] => {
                    word.text.push(*byte);
                    self.skip(2);
                }
                [b'$', b'\'', ..] => {
                    word.expands = true;
                    self.ansi()?;
                }
                [byte, ..] => {
                    word.expands |= matches!(byte, b'$' | b'`');
                    self.take(word, |byte| {
                        is_separator(byte) || b" \t\n'\"\\$`".contains(&byte)
                    });
                }
            }
        }
    }

    /// Takes one byte, and those behind it up to one that ends the run.
    fn take(&mut self, word: &mut Word, ends: impl Fn(u8) -> bool) {
        let behind = self.rest.get(1..).unwrap_or_default();
        let more = behind.iter().position(|&byte| ends(byte));
        let (text, rest) = self.rest.split_at(1 + more.unwrap_or(behind.len()));
        word.text.extend_from_slice(text);
        self.rest = rest;
    }

    fn single(&mut self, word: &mut Word) -> Result<(), Error> {
        let line = self.line;
        self.skip(1);
        let end = self.rest.iter().position(|&byte| byte == b'\'');
        let end = end.ok_or(Error::Unterminated { line })?;
        let (text, _) = self.rest.split_at(end);
        word.text.extend_from_slice(text);
        self.line += text.iter().filter(|&&byte| byte == b'\n').count();
        self.skip(end + 1);
        Ok(())
    }

    fn double(&mut self, word: &mut Word) -> Result<(), Error> {
        let line = self.line;
        self.skip(1);
        loop {
            match self.rest {
                [] => return Err(Error::Unterminated { line }),
                [b'"', ..] => {
                    self.skip(1);
                    return Ok(());
                }
                [b'\\', b'\n', ..] => self.newline(2),
                [b'\\', byte @ (b'$' | b'`' | b'"' | b'\\'), ..] => {
                    word.text.push(*byte);
                    self.skip(2);
                }
                [byte, ..] => {
                    word.expands |= matches!(byte, b'$' | b'`');
                    self.line += usize::from(*byte == b'\n');
                    self.take(word, |byte| b"\n\"\\$`".contains(&byte));
                }
            }
        }
    }

    /// `$'...'`: the only quotation in which a backslash guards the mark that ends it.
    fn ansi(&mut self) -> Result<(), Error> {
        let line = self.line;
        self.skip(2);
        loop {
            match self.rest {
                [] | [b'\\'] => return Err(Error::Unterminated { line }),
                [b'\'', ..] => {
                    self.skip(1);
                    return Ok(());
                }
                [b'\\', byte, ..] => {
                    self.line += usize::from(*byte == b'\n');
                    self.skip(2);
                }
                [byte, ..] => {
                    self.line += usize::from(*byte == b'\n');
                    self.skip(1);
                }
            }
        }
    }

    /// Passes over bytes of which the last is a newline.
    fn newline(&mut self, count: usize) {
        self.skip(count);
        self.line += 1;
    }
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b';' | b'&' | b'|' | b'<' | b'>' | b'(' | b')')
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use alloc::vec;

    /// The words of the first command, those that a shell would expand with a `$` before them.
    fn words(text: &str) -> Vec<String> {
        let mut lexer = Lexer::new(text.as_bytes());
        let mut words = vec![];
        while let Token::Word(word) = lexer.token().unwrap() {
            let mark = if word.expands { "$" } else { "" };
            words.push(String::from(mark) + core::str::from_utf8(&word.text).unwrap());
        }
        words
    }

    #[test]
    fn quotations() {
        assert_eq!(words("a 'b c' \"d e\" f\\ g"), ["a", "b c", "d e", "f g"]);
        assert_eq!(
            words(r#"'it'\''s' "a\"b\$\\\c" ''"#),
            ["it's", r#"a"b$\\c"#, ""]
        );
        assert_eq!(words("a\\\nb \\\n c"), ["ab", "c"]);
        assert_eq!(
            words("$x `y` \"$z\" '$w' ~/v u~"),
            ["$$x", "$`y`", "$$z", "$w", "$~/v", "u~"]
        );
        assert_eq!(words(r"$'a\'b' c"), ["$", "c"]);
    }

    #[test]
    fn where_a_command_ends() {
        assert_eq!(words("a b # 'c"), ["a", "b"]);
        assert_eq!(words("a#b $# ${#x}"), ["a#b", "$$#", "$${#x}"]);
        assert_eq!(words("a;b"), ["a"]);
        assert_eq!(words("a\nb"), ["a"]);
    }

    #[test]
    fn lines_are_counted_inside_quotations() {
        let mut lexer = Lexer::new(b"'\n\n' \"\n\" \\\n $'\\\n\n'\nx");
        while let Token::Word(_) = lexer.token().unwrap() {}
        assert_eq!(lexer.line(), 8);
        assert_eq!(lexer.ahead(), b"x");
    }

    #[test]
    fn an_open_quotation_names_its_line() {
        for text in ["'", "\"", "$'", "$'\\'", "$'\\"] {
            let text = String::from("\n") + text + "a\nb";
            let mut lexer = Lexer::new(text.as_bytes());
            assert!(matches!(lexer.token(), Ok(Token::End)));
            let error = lexer.token().unwrap_err();
            assert_eq!(error, Error::Unterminated { line: 2 }, "{text:?}");
        }
    }
}
