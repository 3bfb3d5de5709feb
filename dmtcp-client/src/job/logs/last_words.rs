//! The last that a program wrote, to tell DMTCP's failures from the program's own: DMTCP ends a process
//! with [`FAIL_CODE`](crate::process::FAIL_CODE), which a program may return, too, but says so before.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use crate::deadline::Deadline;

/// The end of what was written to both streams, by whatever process.
#[derive(Debug, Default)]
pub(crate) struct LastWords {
    kept: Mutex<Vec<u8>>,
}

impl LastWords {
    pub(super) fn put(&self, bytes: &[u8]) {
        let mut kept = self.lock();
        kept.extend_from_slice(bytes);
        // Seldom: what stays is moved each time.
        if kept.len() > 2 * KEPT {
            let surplus = kept.len() - KEPT;
            kept.drain(..surplus);
        }
    }

    /// Nothing that came before is of the attempt that begins.
    pub(crate) fn forget(&self) {
        self.lock().clear();
    }

    /// Whether DMTCP said that it ends a process for a failure. What a process wrote may still be on its
    /// way behind its end, so it is waited for, for `limit` at most.
    pub(crate) fn tell_of_failure(&self, limit: Duration) -> bool {
        let deadline = Deadline::after(limit);
        loop {
            if self.has_sign() {
                return true;
            }
            if deadline.has_passed() {
                return false;
            }
            thread::sleep(PAUSE);
        }
    }

    fn has_sign(&self) -> bool {
        let kept = self.lock();
        let has = |sign: &&[u8]| kept.windows(sign.len()).any(|bytes| bytes == *sign);
        SIGNS.iter().any(has)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first ends each failed assertion up to 4.2, with nothing but its call stack behind it; the second
/// begins them in main. The others are of what fails before assertions work, and of locks.
const SIGNS: [&[u8]; 4] = [
    b"Terminating...",
    b"ASSERT at ",
    b"ERROR at ",
    b": Failed to ",
];
/// Other processes may have written behind it.
const KEPT: usize = 64 << 10;
const PAUSE: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_from_its_words_wherever_they_were_cut() {
        let words = LastWords::default();
        words.put(b"[40000] ERROR\nprogram (40000): Termina");
        assert!(!words.tell_of_failure(Duration::ZERO));
        words.put(b"ting...\n");
        words.put(&vec![b'x'; KEPT - 100]);
        assert!(words.tell_of_failure(Duration::ZERO));
        words.forget();
        assert!(!words.tell_of_failure(Duration::ZERO));
    }

    #[test]
    fn no_more_is_kept_than_its_end() {
        let words = LastWords::default();
        words.put(b"Terminating...\n");
        for _ in 0..4 {
            words.put(&vec![b'x'; KEPT]);
        }
        assert!(!words.tell_of_failure(Duration::ZERO));
        assert!(words.lock().len() <= 2 * KEPT);
    }
}
