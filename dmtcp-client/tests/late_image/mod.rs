//! A worker in this process that reports an image which is still to come, as a forked checkpoint
//! does: sealing waits for it for as long as a test wants.

use dmtcp_client::image::native::{self, NativeHeader};
use dmtcp_proto::{
    Dialect, Entry, Finished, Stage, Text, UniquePid, WorkerConfig, WorkerCore, WorkerInput,
    WorkerOutput,
};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The worker; it is in the computation until that ends.
pub(crate) struct LateImage {
    path: PathBuf,
    header: Receiver<NativeHeader>,
    worker: JoinHandle<()>,
}

impl LateImage {
    /// Joins; the image is to come in `dir`.
    pub(crate) fn join(addr: SocketAddr, dir: &Path) -> Self {
        let path = dir.join("late.dmtcp");
        let reported = format!("{}.temp", path.display());
        let mut stream = TcpStream::connect(addr).unwrap();
        let (asked, header) = channel();
        let worker = thread::spawn(move || {
            let me = UniquePid {
                host_id: 1,
                time: 1,
                pid: 1,
                generation: 0,
            };
            let entry = Entry::New {
                launcher: me,
                process_time: 2,
            };
            // On another host: nobody shall kill this process.
            let config = WorkerConfig::new(Text::from("elsewhere"), Text::from("late"), -1);
            let mut core = WorkerCore::new(Dialect::V5, config, entry);
            let mut outputs: Vec<_> = core.handle(WorkerInput::Opened).collect();
            let mut buffer = [0; 4096];
            loop {
                let mut stages = Vec::new();
                for output in outputs {
                    match output {
                        // Fails when the computation ends: then reading tells.
                        WorkerOutput::Transmit(bytes) => drop(stream.write_all(&bytes)),
                        WorkerOutput::Perform(stage) => stages.push(stage),
                        WorkerOutput::Exit { .. } => return,
                        _ => {}
                    }
                }
                let input = match stages.pop() {
                    Some(Stage::Suspend) => WorkerInput::Finished(Finished::Suspended),
                    Some(Stage::WriteImage {
                        computation,
                        process,
                        ..
                    }) => {
                        asked.send(NativeHeader::new(process, computation)).unwrap();
                        WorkerInput::Finished(Finished::ImageWritten)
                    }
                    Some(Stage::PublishImage) => WorkerInput::Finished(Finished::ImagePublished {
                        path: Text::from(reported.clone()),
                        unique: false,
                    }),
                    Some(Stage::Restore) => panic!("it was not restarted"),
                    None => match stream.read(&mut buffer) {
                        Ok(len) if len > 0 => WorkerInput::Received(&buffer[..len]),
                        _ => WorkerInput::Closed,
                    },
                };
                outputs = core.handle(input).collect();
            }
        });
        Self {
            path,
            header,
            worker,
        }
    }

    /// The image comes.
    pub(crate) fn write(&self) {
        let header = self.header.recv_timeout(Duration::from_secs(60)).unwrap();
        native::write(&self.path, &header, b"late").unwrap();
    }

    /// Waits until it has been told to exit, or has lost its coordinator.
    pub(crate) fn gone(self) {
        self.worker.join().unwrap();
    }
}
