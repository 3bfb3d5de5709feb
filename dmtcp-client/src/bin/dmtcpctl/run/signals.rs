//! Signals that stop a job. The handler only notes that one came, and a thread does what it asks for.
//!
//! They are not blocked: what this process starts would inherit that, and hear none of them either.

use super::stopping::{Asked, Stopping};
use dmtcp_client::job::JobControl;
use nix::sys::signal::Signal;
use signal_hook::iterator::Signals as Caught;
use std::fs;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

/// Signals that are waited for.
#[derive(Debug)]
pub(super) struct Signals {
    caught: Caught,
    stopping: Stopping,
}

impl Signals {
    /// Catches these, and those that ask to end at once. What whoever started this has let be ignored,
    /// as `nohup` does, stays ignored.
    pub(super) fn catch(stop: &[Signal]) -> io::Result<Self> {
        let ignored = ignored()?;
        let is_heard = |signal: &Signal| ignored & (1 << (*signal as i32 - 1)) == 0;
        let heard = stop.iter().chain(&TO_END).filter(|signal| is_heard(signal));
        let caught = Caught::new(heard.map(|&signal| signal as i32))?;
        let stopping = Stopping::at(stop);
        Ok(Self { caught, stopping })
    }

    /// Does what they ask for, as long as this process lives; `heard` of one that asks for a last
    /// checkpoint. It must not wait.
    pub(super) fn stop_job(
        self,
        control: JobControl,
        heard: impl Fn(Signal) + Send + 'static,
    ) -> io::Result<()> {
        let Self {
            mut caught,
            mut stopping,
        } = self;
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || {
                let numbers = caught.forever();
                for signal in numbers.filter_map(|number| Signal::try_from(number).ok()) {
                    match stopping.signal(signal, Instant::now()) {
                        Some(Asked::Checkpoint) => {
                            let is_running = control.computation().is_some();
                            control.stop_on_signal(None);
                            // Else there is nothing to make one of.
                            if is_running {
                                heard(signal);
                            }
                        }
                        Some(Asked::End) => control.kill(),
                        None => {}
                    }
                }
            })?;
        Ok(())
    }
}

/// What would end this process without a word, while its programs go on for a moment.
const TO_END: [Signal; 3] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP];

/// Hears SIGCHLD, to no effect, where whoever started this program had it ignored: the system would not
/// tell how its children end.
pub(crate) fn hear_of_children() -> io::Result<()> {
    if ignored()? & (1 << (Signal::SIGCHLD as i32 - 1)) != 0 {
        signal_hook::flag::register(Signal::SIGCHLD as i32, Arc::default())?;
    }
    Ok(())
}

/// One bit for each signal, the lowest for number 1.
fn ignored() -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.ok_or_else(|| io::Error::other("the system does not tell which signals are ignored"))
}
