//! A runtime for one future on the thread that waits for it: poll(2) on its sockets, and time.
//!
//! Each poll of the future says anew what it waits for, and is repeated whenever some of that may have
//! come: nothing is registered with the system, and what was given up is forgotten by itself.

use std::{
    cell::RefCell,
    future::Future,
    io, mem,
    net::TcpStream,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use dmtcp_client::aio::{BoxFuture, Direction, Socket};

use crate::bell::Bell;

/// What one thread waits for, and who wakes it.
#[derive(Debug, Default)]
pub(crate) struct OneThread {
    waits: Mutex<Waits>,
    bell: Arc<Bell>,
}

/// Of the latest poll.
#[derive(Debug, Default)]
struct Waits {
    sockets: Vec<(Arc<TcpStream>, Direction)>,
    alarm: Option<Instant>,
}

impl OneThread {
    /// The one that polls on this thread now.
    pub(crate) fn current() -> Option<Arc<Self>> {
        CURRENT.with_borrow(Clone::clone)
    }

    /// What comes of it within this time; a signal may end it before. It can be called again then.
    pub(crate) fn run<F: Future>(
        self: &Arc<Self>,
        mut future: Pin<&mut F>,
        limit: Duration,
    ) -> Option<F::Output> {
        let _inside = Inside::enter(self);
        let waker = Waker::from(Arc::clone(&self.bell));
        let mut cx = Context::from_waker(&waker);
        let end = Instant::now() + limit;
        loop {
            *self.lock() = Waits::default();
            if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
                return Some(output);
            }
            if !self.wait(end) {
                return None;
            }
        }
    }

    pub(crate) fn watch(self: Arc<Self>, socket: Arc<TcpStream>) -> Box<dyn Socket> {
        let thread = self;
        Box::new(Watched { thread, socket })
    }

    pub(crate) fn sleep(self: Arc<Self>, time: Duration) -> BoxFuture<'static, ()> {
        // `None`: for ever.
        let until = Instant::now().checked_add(time);
        let thread = self;
        Box::pin(Sleep { thread, until })
    }

    /// Whether to poll again: something came, and there is time left.
    fn wait(&self, end: Instant) -> bool {
        let Waits { sockets, alarm } = mem::take(&mut *self.lock());
        let until = alarm.map_or(end, |alarm| alarm.min(end));
        let left = until.saturating_duration_since(Instant::now());
        if sockets.is_empty() {
            self.bell.wait(left);
        } else if self.bell.poll(&sockets, left).is_err() {
            return false;
        }
        Instant::now() < end
    }

    fn lock(&self) -> MutexGuard<'_, Waits> {
        // Nothing panics while it holds the lock.
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<OneThread>>> = const { RefCell::new(None) };
}

/// While this is there, it is the current one of this thread.
struct Inside {
    before: Option<Arc<OneThread>>,
}

impl Inside {
    fn enter(thread: &Arc<OneThread>) -> Self {
        let before = CURRENT.replace(Some(Arc::clone(thread)));
        Self { before }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        CURRENT.set(self.before.take());
    }
}

#[derive(Debug)]
struct Watched {
    thread: Arc<OneThread>,
    socket: Arc<TcpStream>,
}

impl Socket for Watched {
    fn poll_io(
        &self,
        _: &mut Context<'_>,
        direction: Direction,
        io: &mut dyn FnMut() -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        match io() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let waited = (Arc::clone(&self.socket), direction);
                self.thread.lock().sockets.push(waited);
                Poll::Pending
            }
            done => Poll::Ready(done),
        }
    }
}

struct Sleep {
    thread: Arc<OneThread>,
    until: Option<Instant>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        let Some(until) = self.until else {
            return Poll::Pending;
        };
        if Instant::now() >= until {
            return Poll::Ready(());
        }
        let mut waits = self.thread.lock();
        waits.alarm = Some(waits.alarm.map_or(until, |alarm| alarm.min(until)));
        Poll::Pending
    }
}
