//! A line on the terminal that tells how far a checkpoint has come.

use crate::text::{printable, size};
use dmtcp_client::job::{Progress, ProgressWatch};
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// Does the work, and shows meanwhile on stderr how far it has come, if that is a terminal.
pub(crate) fn beside<T>(watch: ProgressWatch, work: impl FnOnce() -> T) -> T {
    if !io::stderr().is_terminal() {
        return work();
    }
    let (done, is_done) = mpsc::channel::<()>();
    let watch = &watch;
    // It owns `done`, so that a panic ends the thread, too.
    thread::scope(move |scope| {
        let show = move || show(watch, &is_done);
        // Without it, it only is not shown.
        let _ = thread::Builder::new().spawn_scoped(scope, show);
        let worked = work();
        drop(done);
        worked
    })
}

fn show(watch: &ProgressWatch, is_done: &mpsc::Receiver<()>) {
    let start = Instant::now();
    let mut is_shown = false;
    while is_done.recv_timeout(PERIOD) == Err(RecvTimeoutError::Timeout) {
        let Ok(progress) = watch.look() else { continue };
        let line = line(&progress, start.elapsed());
        let mut terminal = io::stderr().lock();
        // Nobody is left to be told that there is nobody.
        let _ = write!(terminal, "\r{line}{ERASE_REST}").and_then(|()| terminal.flush());
        is_shown = true;
    }
    if is_shown {
        let mut terminal = io::stderr().lock();
        let _ = write!(terminal, "\r{ERASE_REST}").and_then(|()| terminal.flush());
    }
}

/// At most 79 columns, for which a name is cut.
fn line(progress: &Progress, elapsed: Duration) -> String {
    let mut text = String::new();
    let written = progress.written_bytes;
    match progress.expected_bytes.filter(|expected| *expected > 0) {
        Some(expected) => {
            let part = (written as f64 / expected as f64).min(1.0);
            let full = (part * WIDTH as f64) as usize;
            let (done, open) = ("#".repeat(full), "-".repeat(WIDTH - full));
            text += &format!("[{done}{open}] {} of ~{}  ", size(written), size(expected));
        }
        None if written > 0 => text += &format!("{} written  ", size(written)),
        None => {}
    }
    let elapsed = format!("  {:.1} s", elapsed.as_secs_f64());
    match &progress.barrier {
        Some((barrier, count)) => {
            text += &format!("{count}/{} at ", progress.workers);
            let room = COLUMNS.saturating_sub(text.chars().count() + elapsed.len());
            let barrier = printable(barrier);
            match barrier.chars().count() > room {
                true => text.extend(barrier.chars().take(room.saturating_sub(1)).chain(['…'])),
                false => text += &barrier,
            }
        }
        None => text += &format!("{}/{} stopped", progress.stopped, progress.workers),
    }
    text + &elapsed
}

/// A terminal has one more, in which the cursor stands.
const COLUMNS: usize = 79;
const WIDTH: usize = 16;
const PERIOD: Duration = Duration::from_millis(200);
const ERASE_REST: &str = "\x1b[K";

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(written: u64, expected: Option<u64>, barrier: Option<(String, usize)>) -> String {
        let mut progress = Progress::default();
        (progress.workers, progress.stopped) = (4, 3);
        (progress.written_bytes, progress.expected_bytes) = (written, expected);
        progress.barrier = barrier;
        line(&progress, Duration::from_millis(2340))
    }

    #[test]
    fn lines() {
        assert_eq!(shown(0, None, None), "3/4 stopped  2.3 s");
        let barrier = Some(("DMT:WriteCkpt".to_owned(), 2));
        assert_eq!(
            shown(1 << 20, Some(4 << 20), barrier.clone()),
            "[####------------] 1.0 MiB of ~4.0 MiB  2/4 at DMT:WriteCkpt  2.3 s"
        );
        assert_eq!(
            shown(1 << 20, None, None),
            "1.0 MiB written  3/4 stopped  2.3 s"
        );
        let barrier = Some(("Socket::Ckpt_Register_Peer_Info".to_owned(), 4));
        assert_eq!(
            shown(1 << 30, Some(126 << 20), barrier),
            "[################] 1.0 GiB of ~126.0 MiB  4/4 at Socket::Ckpt_Register_…  2.3 s"
        );
    }
}
