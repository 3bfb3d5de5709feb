//! A bounded queue in front of something that may be slow to write to, with a thread that writes.
//!
//! Not here: what passes through it.

use std::{
    io::{self, Write},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use nix::sys::signal::{SigSet, Signal};

use crate::deadline::Deadline;

/// What is done about a failure to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Policy {
    /// It is tried again: a disk may have room later.
    Keep,
    /// Nothing is written any more: nobody reads.
    Show,
}

/// Where bytes are put that a thread writes. Dropping it lets the thread end once it has written what
/// was put.
#[derive(Debug)]
pub(super) struct Outlet {
    shared: Arc<Shared>,
    /// How long whoever puts waits for room.
    patience: Duration,
    /// What to call it in a notice of what is missing.
    name: &'static str,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// There is something to write, or the end.
    filled: Condvar,
    /// There is room, or everything was written.
    emptied: Condvar,
    /// Bytes.
    room: usize,
}

#[derive(Debug, Default)]
struct State {
    queue: Vec<u8>,
    /// Bytes that the thread has taken and not written yet.
    in_hand: usize,
    /// Left out since the last notice.
    missing: u64,
    /// No more room is waited for until there was some.
    overrun: bool,
    /// Nothing more comes; what is there is written until then.
    closing: Option<Deadline>,
    ended: bool,
    report: Report,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) written: u64,
    pub(super) lost: u64,
    pub(super) trouble: Option<io::Error>,
    /// A trouble that was told is not told again before something was written.
    told: bool,
}

impl Outlet {
    /// `sync` is called when all is written.
    pub(super) fn start<W: Write + Send + 'static>(
        name: &'static str,
        policy: Policy,
        (room, patience): (usize, Duration),
        mut target: W,
        sync: impl FnOnce(&W) -> io::Result<()> + Send + 'static,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            filled: Condvar::new(),
            emptied: Condvar::new(),
            room,
        });
        let of_thread = Arc::clone(&shared);
        let work = move || {
            // Whoever reads may go away. Programs of Rust ignore that signal; those of C die of it.
            let mut raised = SigSet::empty();
            raised.add(Signal::SIGPIPE);
            let _ = raised.thread_block();
            let writing = Writing {
                shared: &of_thread,
                policy,
            };
            writing.run(&mut target);
            let synced = sync(&target);
            writing.end(synced);
        };
        thread::Builder::new().name(name.to_owned()).spawn(work)?;
        Ok(Self {
            shared,
            patience,
            name,
        })
    }

    /// Puts bytes into the queue. Those for which there is no room in time are left out, and a line
    /// in their place says how many.
    pub(super) fn put(&self, bytes: &[u8]) {
        let end = Deadline::after(self.patience);
        let mut rest = bytes;
        let mut state = self.shared.lock();
        while !rest.is_empty() {
            if state.ended {
                state.report.lost += rest.len() as u64;
                return;
            }
            let room = self.shared.room;
            let used = state.queue.len() + state.in_hand;
            // Behind a gap, more than the next few bytes.
            let is_room = match state.overrun {
                true => used <= room / 2,
                false => used < room,
            };
            if is_room {
                state.overrun = false;
                if state.missing > 0 {
                    let notice = self.notice(state.missing);
                    state.missing = 0;
                    state.queue.extend(notice.as_bytes());
                }
                let (now, later) = rest.split_at(rest.len().min(room - used));
                state.queue.extend(now);
                self.shared.filled.notify_one();
                rest = later;
                continue;
            }
            if state.overrun || end.has_passed() {
                state.overrun = true;
                state.missing += rest.len() as u64;
                state.report.lost += rest.len() as u64;
                return;
            }
            let waited = self.shared.emptied.wait_timeout(state, end.left());
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// What could not be written, once.
    pub(super) fn trouble(&self) -> Option<io::Error> {
        let mut state = self.shared.lock();
        let trouble = state.report.trouble.take();
        state.report.told |= trouble.is_some();
        trouble
    }

    /// Waits until everything is written, not longer than `limit`, and says what came of it.
    pub(super) fn finish(&self, limit: Duration) -> Report {
        let end = Deadline::after(limit);
        let mut state = self.shared.lock();
        if state.missing > 0 {
            let notice = self.notice(state.missing);
            state.missing = 0;
            state.queue.extend(notice.as_bytes());
        }
        state.closing = Some(end);
        self.shared.filled.notify_one();
        while !state.ended && !end.has_passed() {
            let waited = self.shared.emptied.wait_timeout(state, end.left());
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let left = if state.ended {
            0
        } else {
            state.queue.len() + state.in_hand
        };
        let mut report = std::mem::take(&mut state.report);
        report.lost += left as u64;
        report
    }

    fn notice(&self, missing: u64) -> String {
        let name = self.name;
        format!(
            "\n[dmtcp: {missing} bytes of output are missing here: {name} was not written in time]\n"
        )
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state
            .closing
            .get_or_insert_with(|| Deadline::after(LAST_TRY));
        self.shared.filled.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the thread does.
struct Writing<'a> {
    shared: &'a Shared,
    policy: Policy,
}

impl Writing<'_> {
    fn run(&self, target: &mut impl Write) {
        while let Some(bytes) = self.next() {
            if !self.write(target, &bytes) {
                return;
            }
        }
    }

    /// `None`: that was all.
    fn next(&self) -> Option<Vec<u8>> {
        let mut state = self.shared.lock();
        loop {
            if !state.queue.is_empty() {
                let bytes = std::mem::take(&mut state.queue);
                state.in_hand = bytes.len();
                return Some(bytes);
            }
            if state.closing.is_some() {
                return None;
            }
            let waited = self.shared.filled.wait(state);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Whether there is any use in more.
    fn write(&self, target: &mut impl Write, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let written = match target.write(bytes) {
                Ok(0) => Err(io::ErrorKind::WriteZero.into()),
                // What is only in the writer's own buffer is not shown yet.
                Ok(len) => target.flush().map(|()| len),
                Err(error) => Err(error),
            };
            match written {
                Ok(len) => {
                    bytes = bytes.get(len..).unwrap_or_default();
                    let mut state = self.shared.lock();
                    state.in_hand = bytes.len();
                    state.report.written += len as u64;
                    state.report.told = false;
                    self.shared.emptied.notify_all();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    if !self.again(error) {
                        return false;
                    }
                }
            }
        }
        true
    }

    /// Whether to try again, after a pause.
    fn again(&self, error: io::Error) -> bool {
        let is_full = error.kind() == io::ErrorKind::WouldBlock;
        let pause = if is_full { SHORT_PAUSE } else { PAUSE };
        let mut state = self.shared.lock();
        if !is_full && !state.report.told {
            state.report.trouble.get_or_insert(error);
        }
        if self.policy == Policy::Show && !is_full {
            return false;
        }
        let end = Deadline::after(pause);
        loop {
            let closing = state.closing.map_or(Duration::MAX, Deadline::left);
            let left = closing.min(end.left());
            if left.is_zero() {
                return !closing.is_zero();
            }
            let waited = self.shared.filled.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn end(&self, synced: io::Result<()>) {
        let mut state = self.shared.lock();
        let left = state.queue.len() + state.in_hand;
        state.queue = Vec::new();
        state.in_hand = 0;
        state.report.lost += left as u64;
        if let Err(error) = synced {
            state.report.trouble.get_or_insert(error);
        }
        state.ended = true;
        self.shared.emptied.notify_all();
    }
}

/// Between two tries at a full disk.
const PAUSE: Duration = Duration::from_millis(500);
/// Between two tries at a terminal that somebody has made non-blocking.
const SHORT_PAUSE: Duration = Duration::from_millis(20);
/// For what was put, when nobody waits for it.
const LAST_TRY: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{self, Receiver, Sender};

    use nix::errno::Errno;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    /// Writes what it is allowed to, one permission a call.
    struct Gated {
        permissions: Receiver<Result<(), Errno>>,
        calls: Sender<()>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Gated {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.calls.send(());
            // Without a gate everything passes.
            if let Ok(Err(errno)) = self.permissions.recv() {
                return Err(errno.into());
            }
            self.written.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Gate {
        outlet: Outlet,
        permit: Sender<Result<(), Errno>>,
        calls: Receiver<()>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    fn gate(policy: Policy, room: usize, patience: Duration) -> Gate {
        let (permit, permissions) = mpsc::channel();
        let (calls_made, calls) = mpsc::channel();
        let written = Arc::default();
        let target = Gated {
            permissions,
            calls: calls_made,
            written: Arc::clone(&written),
        };
        let outlet = Outlet::start("it", policy, (room, patience), target, |_| Ok(())).unwrap();
        Gate {
            outlet,
            permit,
            calls,
            written,
        }
    }

    impl Gate {
        fn written(&self) -> String {
            String::from_utf8(self.written.lock().unwrap().clone()).unwrap()
        }
    }

    #[test]
    fn what_finds_no_room_in_time_is_left_out_and_told_in_its_place() {
        let gate = gate(Policy::Show, 8, Duration::ZERO);
        gate.outlet.put(b"12345678");
        gate.calls.recv_timeout(LONG).unwrap();
        gate.outlet.put(b"lost");
        gate.outlet.put(b"also lost");
        gate.permit.send(Ok(())).unwrap();
        let end = Deadline::after(LONG);
        while gate.written().is_empty() {
            assert!(!end.has_passed());
            end.pause(Duration::from_millis(1));
        }
        let Gate { outlet, permit, .. } = &gate;
        // It has written, but may not have told so yet.
        let end = Deadline::after(LONG);
        while outlet.shared.lock().in_hand > 0 {
            assert!(!end.has_passed());
            end.pause(Duration::from_millis(1));
        }
        outlet.put(b"new");
        for _ in 0..8 {
            permit.send(Ok(())).unwrap();
        }
        let report = outlet.finish(LONG);
        assert_eq!(report.lost, 13);
        assert_eq!(
            gate.written(),
            "12345678\n[dmtcp: 13 bytes of output are missing here: it was not written in time]\nnew"
        );
    }

    #[test]
    fn there_is_room_again_for_who_waits() {
        let gate = gate(Policy::Keep, 4, LONG);
        for _ in 0..8 {
            gate.permit.send(Ok(())).unwrap();
        }
        gate.outlet.put(b"0123456789abcdef");
        drop(gate.permit);
        let report = gate.outlet.finish(LONG);
        assert_eq!((report.lost, report.written), (0, 16));
        assert_eq!(*gate.written.lock().unwrap(), b"0123456789abcdef");
    }

    #[test]
    fn a_full_disk_is_told_once_and_tried_again() {
        let gate = gate(Policy::Keep, 64, LONG);
        gate.outlet.put(b"kept");
        for errno in [Errno::EINTR, Errno::ENOSPC, Errno::ENOSPC] {
            gate.calls.recv_timeout(LONG).unwrap();
            gate.permit.send(Err(errno)).unwrap();
        }
        gate.calls.recv_timeout(LONG).unwrap();
        let trouble = gate.outlet.trouble().unwrap();
        assert_eq!(trouble.kind(), io::ErrorKind::StorageFull);
        assert!(gate.outlet.trouble().is_none());
        gate.permit.send(Ok(())).unwrap();
        let report = gate.outlet.finish(LONG);
        assert_eq!((report.written, report.lost), (4, 0));
        assert!(report.trouble.is_none());
        assert_eq!(gate.written(), "kept");
    }

    #[test]
    fn one_that_stays_full_or_never_returns_ends_with_the_limit() {
        let full = gate(Policy::Keep, 64, LONG);
        full.outlet.put(b"lost");
        for _ in 0..100 {
            full.permit.send(Err(Errno::ENOSPC)).unwrap();
        }
        let report = full.outlet.finish(Duration::from_millis(100));
        assert_eq!((report.written, report.lost), (0, 4));
        let stuck = gate(Policy::Keep, 64, LONG);
        stuck.outlet.put(b"stuck");
        stuck.calls.recv_timeout(LONG).unwrap();
        let report = stuck.outlet.finish(Duration::from_millis(10));
        assert_eq!((report.written, report.lost), (0, 5));
    }

    #[test]
    fn nobody_waits_for_one_whom_nobody_reads() {
        let gate = gate(Policy::Show, 4, LONG);
        gate.permit.send(Err(Errno::EPIPE)).unwrap();
        gate.outlet.put(b"more than there is room for");
        assert!(gate.outlet.finish(LONG).lost > 0);
    }
}
