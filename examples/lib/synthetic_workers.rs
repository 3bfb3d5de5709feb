//! Workers with nothing to save: the protocol's core on real sockets, any number of them on one thread.
//!
//! To a coordinator they are processes on another host that write no image, so that what is seen is the
//! price of coordination.

use bytes::Bytes;
use dmtcp_proto::{
    Dialect, Entry, Finished, Stage, UniquePid, WorkerConfig, WorkerCore, WorkerInput, WorkerOutput,
};
use mio::{Interest, Poll, Token, net::TcpStream};
use std::{
    collections::VecDeque,
    io::{self, Read as _, Write as _},
    net::SocketAddr,
};

/// All of them.
#[derive(Debug)]
pub struct SyntheticWorkers {
    poll: Poll,
    workers: Vec<Worker>,
}

#[derive(Debug)]
struct Worker {
    stream: TcpStream,
    core: WorkerCore,
    unsent: VecDeque<Bytes>,
    /// It has reported an image and does not run again yet.
    resumes: bool,
    resumed: bool,
    over: bool,
}

impl SyntheticWorkers {
    /// One for each of these coordinators, which may be the same.
    ///
    /// # Errors
    /// No connection.
    pub fn connect(
        coordinators: impl IntoIterator<Item = SocketAddr>,
        dialect: Dialect,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut workers = Vec::new();
        for addr in coordinators {
            let stream = std::net::TcpStream::connect(addr)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            let interest = Interest::READABLE | Interest::WRITABLE;
            poll.registry()
                .register(&mut stream, Token(workers.len()), interest)?;
            let mut worker = Worker::new(stream, workers.len(), dialect);
            worker.step(WorkerInput::Opened)?;
            workers.push(worker);
        }
        Ok(Self { poll, workers })
    }

    /// Does what they are told until their coordinators have ended; says of each when it runs again
    /// behind a checkpoint.
    ///
    /// # Errors
    /// Whatever sockets say.
    pub fn run(mut self, mut resumed: impl FnMut()) -> io::Result<()> {
        let mut events = mio::Events::with_capacity(1024);
        let mut buffer = vec![0; 64 << 10];
        let mut running = self.workers.len();
        while running > 0 {
            match self.poll.poll(&mut events, None) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            for event in &events {
                let Some(worker) = self.workers.get_mut(event.token().0) else {
                    continue;
                };
                if !worker.over {
                    worker.ready(&mut buffer)?;
                    running -= usize::from(worker.over);
                    if std::mem::take(&mut worker.resumed) {
                        resumed();
                    }
                }
            }
        }
        Ok(())
    }
}

impl Worker {
    fn new(stream: TcpStream, number: usize, dialect: Dialect) -> Self {
        let pid = 100_000 + number as i32;
        let launcher = UniquePid {
            host_id: 1,
            time: number as u64 + 1,
            pid,
            generation: 0,
        };
        let entry = Entry::New {
            launcher,
            process_time: launcher.time + 1,
        };
        // On another host, as far as the coordinator can know.
        let config = WorkerConfig::new("elsewhere".into(), "synthetic".into(), pid);
        Self {
            stream,
            core: WorkerCore::new(dialect, config, entry),
            unsent: VecDeque::new(),
            resumes: false,
            resumed: false,
            over: false,
        }
    }

    fn ready(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        self.send()?;
        while !self.over {
            match self.stream.read(buffer) {
                Ok(0) => self.over = true,
                Ok(len) => {
                    self.step(WorkerInput::Received(buffer.get(..len).unwrap_or_default()))?;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => self.over = true,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn step(&mut self, input: WorkerInput<'_>) -> io::Result<()> {
        let mut outputs: VecDeque<WorkerOutput> = self.core.handle(input).collect();
        while let Some(output) = outputs.pop_front() {
            let stage = match output {
                WorkerOutput::Transmit(bytes) => {
                    self.unsent.push_back(bytes);
                    continue;
                }
                WorkerOutput::Perform(stage) => stage,
                WorkerOutput::Rejected(_) | WorkerOutput::Exit { .. } => {
                    self.over = true;
                    continue;
                }
                WorkerOutput::Resume => {
                    // It comes for a worker that has just joined, too.
                    self.resumed |= std::mem::take(&mut self.resumes);
                    continue;
                }
                WorkerOutput::Accepted { .. } | WorkerOutput::CheckpointDir(_) => continue,
            };
            let finished = match stage {
                Stage::Restore => Finished::Restored,
                Stage::Suspend => Finished::Suspended,
                Stage::WriteImage { .. } => Finished::ImageWritten,
                Stage::PublishImage => {
                    self.resumes = true;
                    let path = format!("/nowhere/ckpt_{}.dmtcp", self.core.identity());
                    Finished::ImagePublished {
                        path: path.into(),
                        unique: false,
                    }
                }
            };
            outputs.extend(self.core.handle(WorkerInput::Finished(finished)));
        }
        self.send()
    }

    fn send(&mut self) -> io::Result<()> {
        while let Some(bytes) = self.unsent.front_mut() {
            match self.stream.write(bytes) {
                Ok(len) if len == bytes.len() => drop(self.unsent.pop_front()),
                Ok(len) => drop(bytes.split_to(len)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
