//! Parts of the benchmark of layers: a program in another language that makes the calls, and what
//! all calls together say.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

/// A program that is given an address, and then reads numbers: for each line one, as many calls it makes,
/// and writes a line for each, of the nanoseconds that it took.
#[derive(Debug)]
pub struct OtherProgram {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl OtherProgram {
    /// Starts it; its errors are seen.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn start(mut command: Command, addr: SocketAddr) -> io::Result<Self> {
        command.arg(addr.to_string());
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let orders = child.stdin.take();
        let answers = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Self {
            child,
            orders,
            answers: BufReader::new(answers),
        })
    }

    /// How long each of so many calls took.
    ///
    /// # Errors
    ///
    /// When it has ended, or writes something else.
    pub fn ask(&mut self, calls: usize) -> io::Result<Vec<Duration>> {
        if let Some(orders) = &mut self.orders {
            writeln!(orders, "{calls}")?;
            orders.flush()?;
        }
        let mut one = |_| {
            let mut line = String::new();
            self.answers.read_line(&mut line)?;
            let nanos = line.trim().parse();
            nanos.map(Duration::from_nanos).map_err(|_| {
                io::Error::other(format!(
                    "the program wrote {line:?} and not how long it took"
                ))
            })
        };
        (0..calls).map(&mut one).collect()
    }
}

impl Drop for OtherProgram {
    fn drop(&mut self) {
        // The end of its orders is the end of its work.
        drop(self.orders.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What many measurements say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Spread {
    /// How many there are.
    pub count: usize,
    /// Half of them are not longer.
    pub median: Duration,
    /// Of a hundred, 99 are not longer.
    pub p99: Duration,
}

impl Spread {
    /// `None`: there are none.
    #[must_use]
    pub fn of(mut all: Vec<Duration>) -> Option<Self> {
        all.sort_unstable();
        let at = |percent: usize| {
            let rank = (all.len() * percent).div_ceil(100);
            all.get(rank.checked_sub(1)?).copied()
        };
        Some(Self {
            count: all.len(),
            median: at(50)?,
            p99: at(99)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks() {
        let spread = |n: u64| Spread::of((1..=n).rev().map(Duration::from_nanos).collect());
        let told = |n| spread(n).map(|s| (s.count, s.median.as_nanos(), s.p99.as_nanos()));
        assert_eq!(told(0), None);
        assert_eq!(told(1), Some((1, 1, 1)));
        assert_eq!(told(2), Some((2, 1, 2)));
        assert_eq!(told(1000), Some((1000, 500, 990)));
    }

    #[test]
    fn a_program_that_does_as_it_is_told() {
        let mut command = Command::new("sh");
        command.args(["-c", "while read n; do seq \"$n\"; done", "sh"]);
        let mut program = OtherProgram::start(command, ([127, 0, 0, 1], 1).into()).unwrap();
        for calls in [1, 3] {
            let took = program.ask(calls).unwrap();
            let expected: Vec<_> = (1..=calls as u64).map(Duration::from_nanos).collect();
            assert_eq!(took, expected);
        }
        let mut other = Command::new("echo");
        other.arg("hello");
        let mut other = OtherProgram::start(other, ([127, 0, 0, 1], 1).into()).unwrap();
        assert!(other.ask(1).is_err());
    }
}
