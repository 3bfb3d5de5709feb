//! A counting program that is a native worker, run as a process of its own by tests that include
//! this module and have a test named `counter_program` that calls [`main_if_launched`].

use dmtcp_client::native::{Error, Options, SafePoint, Worker, variable};
use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use std::{env, thread};

/// A lost or repeated step makes the sum wrong.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Count {
    next: u64,
    sum: u64,
}

/// The program itself: prints `restored N` or `fresh`, `at N` at times, `checkpoint G`, and the
/// reason of its end. Does nothing in a process that is not one of a test's workers.
pub(crate) fn main_if_launched() {
    if env::var_os(variable::COORDINATOR).is_none() {
        return;
    }
    // The harness swallows nothing that goes to the file itself.
    let mut out = std::io::stdout();
    let mut say = |line: String| {
        writeln!(out, "\n{line}")
            .and_then(|()| out.flush())
            .unwrap()
    };
    match count(&mut say) {
        Ok(never) => match never {},
        Err(error) => {
            say(format!("end {error:?}"));
            std::process::exit(i32::from(error.exit_code()));
        }
    }
}

enum Never {}

fn count(say: &mut impl FnMut(String)) -> Result<Never, Error> {
    let mut worker = Worker::join(Options::from_env()?)?;
    let restored: Option<Count> = worker.restore()?;
    say(match &restored {
        Some(count) => format!("restored {}", count.next),
        None => "fresh".to_owned(),
    });
    let mut count = restored.unwrap_or_default();
    loop {
        assert_eq!(count.sum, (0..count.next).sum::<u64>(), "a step is lost");
        if count.next % 10 == 0 {
            say(format!("at {}", count.next));
        }
        count.sum += count.next;
        count.next += 1;
        if let SafePoint::Checkpointed { generation, .. } = worker.safe_point(&count)? {
            say(format!("checkpoint {generation} at {}", count.next));
        }
        // The work of a step.
        thread::sleep(Duration::from_millis(1));
    }
}

/// The counting program as a child.
pub(crate) struct Counter {
    pub(crate) child: Child,
    lines: Receiver<String>,
}

impl Counter {
    /// This test binary again, as the counting program of `options`.
    pub(crate) fn launch(options: &Options) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--ignored", "--exact", "counter_program", "--nocapture"]);
        options.to_env(&mut command);
        Self::spawn(command)
    }

    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = child.stdout.take().unwrap();
        let (lines, received) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if lines.send(line).is_err() {
                    break;
                }
            }
        });
        Self {
            child,
            lines: received,
        }
    }

    /// What follows `start` in the next line that begins so; `None` when it does not come.
    pub(crate) fn line(&self, start: &str, limit: Duration) -> Option<String> {
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).ok()?;
            if let Some(rest) = line.strip_prefix(start) {
                return Some(rest.trim().to_owned());
            }
        }
    }

    /// The number in the next `at N`.
    pub(crate) fn at(&self, limit: Duration) -> Option<u64> {
        self.line("at ", limit)?.parse().ok()
    }

    /// SIGKILL, and gone.
    pub(crate) fn kill(&mut self) {
        // Fails only for a child that has ended and been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.kill();
    }
}
