//! Tells cheaply whether the coordinator has said something.
//!
//! A thread waits for bytes without taking them and sets a flag. It speaks no protocol: what the
//! bytes mean is read where the flag is seen.

use std::io::{self, ErrorKind};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

/// The flag, and the thread that sets it.
#[derive(Debug)]
pub(super) struct Watch {
    asked: Arc<AtomicBool>,
    stream: TcpStream,
    /// Each unit makes the thread wait for bytes once. Gone when the thread shall end.
    rounds: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// A watch that has not been armed: its flag is up.
    pub(super) fn start(stream: TcpStream) -> io::Result<Self> {
        let asked = Arc::new(AtomicBool::new(true));
        let (rounds, armed) = channel();
        let (flag, socket) = (Arc::clone(&asked), stream.try_clone()?);
        let thread = thread::Builder::new()
            .name("dmtcp-watch".to_owned())
            .spawn(move || watch(&armed, &socket, &flag))?;
        Ok(Self {
            asked,
            stream,
            rounds: Some(rounds),
            thread: Some(thread),
        })
    }

    /// Whether there is something to read, or the connection is over.
    #[inline]
    pub(super) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }

    /// Takes the flag down until something arrives. Nobody may read meanwhile.
    pub(super) fn arm(&self) {
        if let Some(rounds) = &self.rounds {
            self.asked.store(false, Ordering::Release);
            if rounds.send(()).is_err() {
                self.asked.store(true, Ordering::Release);
            }
        }
    }

    /// Ends the connection and the thread; the flag stays up.
    pub(super) fn stop(&mut self) {
        self.rounds = None;
        // Fails when the peer has closed already, which wakes the thread just as well.
        let _ = self.stream.shutdown(Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            // It cannot panic: it only waits, peeks and stores.
            let _ = thread.join();
        }
        self.asked.store(true, Ordering::Release);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop();
    }
}

fn watch(armed: &Receiver<()>, socket: &TcpStream, flag: &AtomicBool) {
    while armed.recv().is_ok() {
        loop {
            match socket.peek(&mut [0]) {
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::Interrupted | ErrorKind::TimedOut | ErrorKind::WouldBlock
                    ) => {}
                _ => break,
            }
        }
        flag.store(true, Ordering::Release);
    }
}
