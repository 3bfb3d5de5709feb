//! `coordinator.log`: what happens in the computation, in words.

use std::{
    path::Path,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use super::{LogError, file::LineLog};
use crate::{
    server::{ComputationEvent, Events, Stamped},
    standalone::{Importance, in_words},
};

/// What happens in the computations of a job, one line each, with the time at which it was told. What
/// went wrong or was refused begins with `warning: `.
#[derive(Clone, Debug)]
pub struct CoordinatorLog {
    lines: Arc<LineLog>,
}

impl CoordinatorLog {
    /// Name of the file in the state directory.
    pub const FILE_NAME: &str = "coordinator.log";

    /// The log in this file, which is made if it is not there. What is in it stays.
    ///
    /// # Errors
    ///
    /// [`LogError::Open`], [`LogError::NotAFile`].
    pub fn open(path: &Path) -> Result<Self, LogError> {
        let lines = Arc::new(LineLog::open(path)?);
        Ok(Self { lines })
    }

    /// Adds one event, unless it is too small for a log.
    pub fn note(&self, event: &Stamped) {
        let words = match &event.event {
            // For a coordinator that is a program of its own it is a restart script.
            ComputationEvent::SetSealed { set, took, .. } => Some((
                Importance::Note,
                format!(
                    "set {} is sealed, after {}",
                    set.sequence,
                    crate::job::event::rounded(*took)
                ),
            )),
            event => in_words(event),
        };
        let Some((importance, text)) = words else {
            return;
        };
        match importance {
            Importance::Warning => self.lines.add(event.time, &format!("warning: {text}")),
            Importance::Note => self.lines.add(event.time, &text),
        }
    }

    /// Adds all events of a computation until it ends, on a thread of its own: a slow disk keeps nobody
    /// waiting but that thread, and then costs events, which the log tells.
    ///
    /// # Errors
    ///
    /// [`LogError::Read`] when there is no thread.
    pub fn follow(&self, events: Events) -> Result<Following, LogError> {
        let (sender, ended) = mpsc::channel();
        let log = self.clone();
        let follow = move || {
            // Dropped at the end.
            let _sender: mpsc::Sender<()> = sender;
            while let Ok(event) = events.recv_stamped(Duration::MAX) {
                log.note(&event);
            }
            log.lines.sync();
        };
        thread::Builder::new()
            .name("coordinator.log".to_owned())
            .spawn(follow)
            .map_err(|source| LogError::Read { source })?;
        Ok(Following { ended })
    }

    /// Why the log is not written; `None` if it is, or this was told since it last was.
    #[must_use]
    pub fn trouble(&self) -> Option<LogError> {
        self.lines.trouble()
    }
}

/// A computation whose events are added to a log. Dropping it changes nothing.
#[derive(Debug)]
pub struct Following {
    ended: mpsc::Receiver<()>,
}

impl Following {
    /// Waits until the computation has ended and all of it is written and on the disk; false if that
    /// takes longer than `limit`.
    #[must_use]
    pub fn wait(&self, limit: Duration) -> bool {
        self.ended.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Disconnected)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::{Read as _, Write as _},
        net::TcpStream,
    };

    use super::*;
    use crate::server::{ComputationConfig, Server};

    #[test]
    fn all_events_of_a_computation_are_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("coordinator.log");
        let log = CoordinatorLog::open(&path).unwrap();
        let server = Server::start().unwrap();
        for _ in 0..2 {
            let computation = server.open(ComputationConfig::default()).unwrap();
            let following = log.follow(computation.events()).unwrap();
            assert!(!following.wait(Duration::ZERO));
            let limit = Duration::from_secs(60);
            let mut stranger = TcpStream::connect(computation.addr()).unwrap();
            stranger.set_read_timeout(Some(limit)).unwrap();
            stranger.write_all(&[b'x'; 4096]).unwrap();
            // Until it is cut off.
            drop(stranger.read(&mut [0]));
            computation.close(limit).unwrap();
            assert!(following.wait(limit));
        }
        let text = fs::read_to_string(&path).unwrap();
        let told: Vec<_> = text
            .lines()
            .filter_map(|line| line.split_once(' '))
            .collect();
        let warned = told
            .iter()
            .filter(|(_, text)| text.starts_with("warning: connection "));
        assert_eq!(warned.count(), 2, "{text}");
        assert!(
            told.iter()
                .all(|(time, _)| time.ends_with('Z') && time.len() == 24)
        );
    }
}
