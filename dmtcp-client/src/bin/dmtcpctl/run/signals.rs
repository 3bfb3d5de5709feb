//! Signals that stop a job. No handler: they are blocked, and a thread waits for them.

use super::stopping::{Asked, Stopping};
use dmtcp_client::job::JobControl;
use nix::sys::signal::{SigSet, Signal};
use std::fs;
use std::io;
use std::thread;
use std::time::Instant;

/// Signals that are waited for.
#[derive(Debug)]
pub(super) struct Signals {
    set: SigSet,
    stopping: Stopping,
}

impl Signals {
    /// Blocks these, and those that ask to end at once, for this thread and those that it starts;
    /// children have none blocked. What whoever started this has let be ignored, as `nohup` does, stays
    /// ignored.
    pub(super) fn block(stop: &[Signal]) -> io::Result<Self> {
        let ignored = ignored()?;
        let is_heard = |signal: &Signal| ignored & (1 << (*signal as i32 - 1)) == 0;
        let mut set = SigSet::empty();
        for signal in stop.iter().chain(&TO_END).filter(|signal| is_heard(signal)) {
            set.add(*signal);
        }
        set.thread_block()?;
        let stopping = Stopping::at(stop);
        Ok(Self { set, stopping })
    }

    /// Does what they ask for, as long as this process lives.
    pub(super) fn stop_job(self, control: JobControl) -> io::Result<()> {
        let Self { set, mut stopping } = self;
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || {
                while let Ok(signal) = set.wait() {
                    match stopping.signal(signal, Instant::now()) {
                        Some(Asked::Checkpoint) => control.stop_on_signal(None),
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

/// One bit for each signal, the lowest for number 1.
fn ignored() -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.ok_or_else(|| io::Error::other("the system does not tell which signals are ignored"))
}
