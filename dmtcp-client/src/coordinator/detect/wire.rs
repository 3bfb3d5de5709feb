//! The question over TCP.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use dmtcp_proto::{Probe, ProbeStep, Probed, Probing};

use super::DetectError;
use crate::coordinator::call::{is_end, is_pause};
use crate::deadline::Deadline;

/// Asks, at most until `deadline`.
pub(super) fn ask(
    addr: SocketAddr,
    first: Probe,
    deadline: Deadline,
) -> Result<Probed, DetectError> {
    let question = Question { addr, deadline };
    let mut probing = Probing::new(first);
    let mut stream = None;
    loop {
        match probing.step() {
            ProbeStep::Connect => stream = question.connect(&mut probing)?,
            ProbeStep::Send(bytes) => question.send(stream.as_mut(), &bytes, &mut probing)?,
            ProbeStep::Receive => question.receive(stream.as_mut(), &mut probing)?,
            ProbeStep::Done(outcome) => {
                return outcome.map_err(|source| DetectError::Answer { addr, source });
            }
        }
    }
}

/// How long a question that is not sent yet may still take behind the deadline.
const SEND_GRACE: Duration = Duration::from_secs(1);

struct Question {
    addr: SocketAddr,
    deadline: Deadline,
}

impl Question {
    /// `None`: nobody listens.
    fn connect(&self, probing: &mut Probing) -> Result<Option<TcpStream>, DetectError> {
        let awaited = "the connection";
        let left = self.deadline.remaining();
        let left = left.ok_or_else(|| self.timed_out(awaited))?;
        match TcpStream::connect_timeout(&self.addr, left) {
            Ok(stream) => {
                // A failure would be one of delay only; what is open must not be closed unasked.
                let _ = stream.set_nodelay(true);
                Ok(Some(stream))
            }
            // The other: caught in the backlog of a listener that is closing.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset
                ) =>
            {
                probing.refused();
                Ok(None)
            }
            Err(_) if self.deadline.has_passed() => Err(self.timed_out(awaited)),
            Err(source) => Err(DetectError::Connect {
                addr: self.addr,
                source,
            }),
        }
    }

    /// One write: 208 bytes always fit the empty buffer of a new connection.
    fn send(
        &self,
        stream: Option<&mut TcpStream>,
        mut bytes: &[u8],
        probing: &mut Probing,
    ) -> Result<(), DetectError> {
        let stream = self.open(stream)?;
        let grace = Deadline::after(SEND_GRACE);
        while !bytes.is_empty() {
            // Whoever closes without a word ends a coordinator before 4.0.0.
            let left = self.deadline.remaining().or_else(|| grace.remaining());
            let Some(left) = left else {
                return Err(self.timed_out("room to send"));
            };
            let sent = stream
                .set_write_timeout(Some(left))
                .and_then(|()| stream.write(bytes));
            match sent {
                Ok(len) => bytes = bytes.get(len..).unwrap_or_default(),
                Err(error) if is_pause(&error) => {}
                Err(error) if is_end(&error) => {
                    probing.closed();
                    return Ok(());
                }
                Err(error) => return Err(self.io(error)),
            }
        }
        Ok(())
    }

    /// Whatever has arrived is read before the end of the connection is minded: 2.x answers the
    /// beginning of the probe and resets for the rest.
    fn receive(
        &self,
        stream: Option<&mut TcpStream>,
        probing: &mut Probing,
    ) -> Result<(), DetectError> {
        let stream = self.open(stream)?;
        let mut buffer = [0; 1024];
        loop {
            let Some(left) = self.deadline.remaining() else {
                return Err(self.timed_out("the answer"));
            };
            let received = stream
                .set_read_timeout(Some(left))
                .and_then(|()| stream.read(&mut buffer));
            match received {
                Ok(0) => probing.closed(),
                Ok(len) => probing.received(buffer.get(..len).unwrap_or_default()),
                Err(error) if is_pause(&error) => continue,
                Err(error) if is_end(&error) => probing.closed(),
                Err(error) => return Err(self.io(error)),
            }
            return Ok(());
        }
    }

    fn open<'a>(
        &self,
        stream: Option<&'a mut TcpStream>,
    ) -> Result<&'a mut TcpStream, DetectError> {
        // Nothing is sent or awaited behind a connection that was refused.
        stream.ok_or_else(|| self.io(ErrorKind::NotConnected.into()))
    }

    fn timed_out(&self, awaited: &'static str) -> DetectError {
        DetectError::TimedOut {
            addr: self.addr,
            awaited,
            limit: self.deadline.limit(),
        }
    }

    fn io(&self, source: io::Error) -> DetectError {
        DetectError::Io {
            addr: self.addr,
            source,
        }
    }
}
