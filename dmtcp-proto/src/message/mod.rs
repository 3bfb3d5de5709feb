//! What a frame means.
//!
//! A [`Message`] holds only what its kind defines: residue of stock senders is dropped here, and
//! nowhere before. [`Message::parse`] and [`Message::to_frame`] are the only places that know
//! which header fields a message uses; the numbers come from the dialect tables.

mod checkpoint;
mod hello;
mod lockstep;
mod name_service;
mod store;
mod user;

pub use checkpoint::{CheckpointFile, DoCheckpoint, Released};
pub use hello::{Accept, Hello, Reject};
pub use lockstep::PhaseOrder;
pub use name_service::{NameServiceId, NameServiceOp, NameServiceRequest};
pub use store::{KeyValueOp, KeyValueRequest, KeyValueResponse};
pub use user::{CommandStatus, UserCommand, UserResult};

use bytes::Bytes;

use crate::dialect::Dialect;
use crate::error::{DecodeError, EncodeError};
use crate::ids::UniquePid;
use crate::kind::Kind;
use crate::name::Name;
use crate::state::WorkerState;
use crate::text::Text;
use crate::wire::{Frame, Header};

/// A message with its meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the envelope every dialect has")]
pub struct Message {
    /// Who sent it.
    pub from: UniquePid,
    /// The computation it speaks of; null where the kind does not say.
    pub group: UniquePid,
    /// The sender's state.
    pub state: WorkerState,
    /// What it says.
    pub body: Body,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Body {
    /// A process joins.
    NewWorker(Hello),
    /// A second connection of a worker.
    NameServiceWorker,
    /// A process that is being restored joins.
    RestartWorker(Hello),
    /// Coordinator: you are in.
    Accept(Accept),
    /// Coordinator: you are not.
    Reject(Reject),
    /// I am the child of a fork.
    ProcessAfterFork {
        /// Pid on its host.
        real_pid: i32,
    },
    /// My program has started.
    ProcessAfterExec {
        /// Pid on its host.
        real_pid: i32,
        /// Base name of the program.
        program: Text,
    },
    /// Where do images go?
    GetCheckpointDir,
    /// Images go there.
    CheckpointDir(Text),
    /// Images go there from now on.
    SetCheckpointDir(Text),
    /// 2.x: all workers' images go there from now on.
    SetGlobalCheckpointDir(Text),
    /// They will, or will not.
    GlobalCheckpointDirSet(bool),
    /// The image I wrote.
    CheckpointFile(CheckpointFile),
    /// A tool's command.
    UserCommand(UserCommand),
    /// The answer to one.
    UserResult(UserResult),
    /// Checkpoint now.
    DoCheckpoint(DoCheckpoint),
    /// 2.x: do this now.
    Do(PhaseOrder),
    /// 2.x: done; the message's state says what.
    Ok,
    /// 2.x: log this from now on.
    UpdateLogging {
        /// One bit for each component.
        mask: u32,
    },
    /// I am at this barrier.
    Barrier(Name),
    /// Everybody is at this barrier.
    BarrierReleased(Released),
    /// My program runs again.
    WorkerResuming,
    /// Exit at once.
    KillPeer,
    /// Read or write the key-value store.
    KeyValueRequest(KeyValueRequest),
    /// The answer to one.
    KeyValueResponse(KeyValueResponse),
    /// 2.x: a request to the name service.
    NameServiceRequest(NameServiceRequest),
    /// 2.x: the value is kept.
    NameServiceRegistered,
    /// 2.x: the value of the key; empty: there is none.
    NameServiceAnswer(Bytes),
    /// 2.x: a number of its own for the key, little-endian.
    NameServiceUniqueId(Bytes),
    /// Nothing this library has a word for.
    Unknown(Frame),
}

impl Message {
    /// A message from a coordinator or tool, whose own state never matters.
    #[must_use]
    pub fn new(from: UniquePid, body: Body) -> Self {
        Self {
            from,
            group: UniquePid::NULL,
            state: WorkerState::Unknown,
            body,
        }
    }

    /// The same message about a computation.
    #[must_use]
    pub fn in_group(self, group: UniquePid) -> Self {
        Self { group, ..self }
    }

    /// The same message from a worker in this state.
    #[must_use]
    pub fn in_state(self, state: WorkerState) -> Self {
        Self { state, ..self }
    }

    /// What `frame` means to a peer of this dialect.
    ///
    /// A kind that the dialect does not define becomes [`Body::Unknown`].
    ///
    /// # Errors
    ///
    /// [`DecodeError::Malformed`] when the payload or a field does not have the form that the
    /// kind needs; bytes left over behind it are an error too.
    pub fn parse(dialect: Dialect, frame: &Frame) -> Result<Self, DecodeError> {
        let Frame { header, payload } = frame;
        let kind = dialect.kind(header.kind);
        let mut fields = Fields {
            kind,
            payload: payload.clone(),
        };
        let body = match kind {
            Kind::NewWorker => Body::NewWorker(Hello::parse(header, &mut fields)?),
            Kind::RestartWorker => Body::RestartWorker(Hello::parse(header, &mut fields)?),
            Kind::NameServiceWorker => Body::NameServiceWorker,
            Kind::Accept => Body::Accept(Accept::parse(header)),
            Kind::RejectNotRestarting => Body::Reject(Reject::NotRestarting),
            Kind::RejectWrongComputation => Body::Reject(Reject::WrongComputation),
            Kind::RejectNotRunning => Body::Reject(Reject::NotRunning),
            Kind::RejectPeerMismatch => Body::Reject(Reject::PeerMismatch),
            Kind::ProcessAfterFork => Body::ProcessAfterFork {
                real_pid: header.real_pid,
            },
            Kind::ProcessAfterExec => Body::ProcessAfterExec {
                real_pid: header.real_pid,
                program: fields.text("program name")?,
            },
            Kind::GetCheckpointDir => Body::GetCheckpointDir,
            Kind::CheckpointDir => Body::CheckpointDir(fields.text("directory")?),
            Kind::SetCheckpointDir => Body::SetCheckpointDir(fields.text("directory")?),
            Kind::SetGlobalCheckpointDir => Body::SetGlobalCheckpointDir(fields.text("directory")?),
            Kind::GlobalCheckpointDirSet => Body::GlobalCheckpointDirSet(true),
            Kind::GlobalCheckpointDirFailed => Body::GlobalCheckpointDirSet(false),
            Kind::CheckpointFile => {
                Body::CheckpointFile(CheckpointFile::parse(dialect, false, &mut fields)?)
            }
            Kind::UniqueCheckpointFile => {
                Body::CheckpointFile(CheckpointFile::parse(dialect, true, &mut fields)?)
            }
            Kind::UserCommand => Body::UserCommand(UserCommand::parse(dialect, header)),
            Kind::UserResult => Body::UserResult(UserResult::parse(dialect, header, &mut fields)),
            Kind::DoCheckpoint => Body::DoCheckpoint(DoCheckpoint::parse(header)),
            Kind::Do(phase) => Body::Do(PhaseOrder::parse(phase, header, &mut fields)?),
            Kind::Ok => Body::Ok,
            Kind::UpdateLogging => Body::UpdateLogging {
                mask: header.log_mask,
            },
            Kind::Barrier => Body::Barrier(Name::from_field(&header.name)),
            Kind::BarrierReleased => Body::BarrierReleased(Released::parse(header, &mut fields)?),
            Kind::WorkerResuming => Body::WorkerResuming,
            Kind::KillPeer => Body::KillPeer,
            Kind::KeyValueRequest => {
                Body::KeyValueRequest(KeyValueRequest::parse(header, &mut fields)?)
            }
            Kind::KeyValueResponse => {
                Body::KeyValueResponse(KeyValueResponse::parse(header, &mut fields)?)
            }
            Kind::NameServiceRegister
            | Kind::NameServiceRegisterSync
            | Kind::NameServiceQuery
            | Kind::NameServiceUniqueIdQuery => {
                Body::NameServiceRequest(NameServiceRequest::parse(kind, header, &mut fields)?)
            }
            Kind::NameServiceRegistered => Body::NameServiceRegistered,
            Kind::NameServiceAnswer => {
                Body::NameServiceAnswer(name_service::parse_value(header, &mut fields)?)
            }
            Kind::NameServiceUniqueId => {
                Body::NameServiceUniqueId(name_service::parse_value(header, &mut fields)?)
            }
            Kind::Null | Kind::Unknown(_) => {
                let _taken = core::mem::take(&mut fields.payload);
                Body::Unknown(frame.clone())
            }
        };
        fields.finish()?;
        Ok(Self {
            from: header.from,
            // Stock senders leave residue in the generation of a computation that is none.
            group: match header.group.is_null() {
                true => UniquePid::NULL,
                false => header.group,
            },
            state: dialect.state(header.state),
            body,
        })
    }

    /// The frame that says this in `dialect`; every field it does not use is at its default.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] when the dialect has no such message, state, command or name.
    pub fn to_frame(&self, dialect: Dialect) -> Result<Frame, EncodeError> {
        if let Body::Unknown(frame) = &self.body {
            return Ok(frame.clone());
        }
        let kind = self.body.kind();
        let mut frame = Frame {
            header: Header {
                kind: dialect
                    .kind_number(kind)
                    .ok_or(EncodeError::NoSuchKind { dialect, kind })?,
                state: dialect
                    .state_number(self.state)
                    .ok_or(EncodeError::NoSuchValue {
                        dialect,
                        field: "state",
                    })?,
                from: self.from,
                group: self.group,
                ..Header::default()
            },
            payload: Bytes::new(),
        };
        match &self.body {
            Body::NewWorker(hello) | Body::RestartWorker(hello) => hello.write(&mut frame),
            Body::Accept(accept) => accept.write(&mut frame.header),
            Body::ProcessAfterFork { real_pid } => frame.header.real_pid = *real_pid,
            Body::ProcessAfterExec { real_pid, program } => {
                frame.header.real_pid = *real_pid;
                frame.payload = c_strings([program]);
            }
            Body::CheckpointDir(dir)
            | Body::SetCheckpointDir(dir)
            | Body::SetGlobalCheckpointDir(dir) => {
                frame.payload = c_strings([dir]);
            }
            Body::CheckpointFile(file) => file.write(dialect, &mut frame)?,
            Body::UserCommand(command) => command.write(dialect, &mut frame.header)?,
            Body::UserResult(result) => result.write(dialect, &mut frame)?,
            Body::DoCheckpoint(order) => order.write(&mut frame.header),
            Body::Do(order) => order.write(&mut frame),
            Body::UpdateLogging { mask } => frame.header.log_mask = *mask,
            Body::Barrier(name) => frame.header.name = *name.as_field(),
            Body::BarrierReleased(released) => released.write(&mut frame),
            Body::KeyValueRequest(request) => request.write(&mut frame)?,
            Body::KeyValueResponse(response) => response.write(&mut frame),
            Body::NameServiceRequest(request) => request.write(&mut frame)?,
            Body::NameServiceAnswer(value) | Body::NameServiceUniqueId(value) => {
                name_service::write_value(value, &mut frame);
            }
            Body::NameServiceWorker
            | Body::NameServiceRegistered
            | Body::GlobalCheckpointDirSet(_)
            | Body::Ok
            | Body::Reject(_)
            | Body::GetCheckpointDir
            | Body::WorkerResuming
            | Body::KillPeer
            | Body::Unknown(_) => {}
        }
        Ok(frame)
    }
}

impl Body {
    /// The kind of message that says this.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::NewWorker(_) => Kind::NewWorker,
            Self::NameServiceWorker => Kind::NameServiceWorker,
            Self::RestartWorker(_) => Kind::RestartWorker,
            Self::Accept(_) => Kind::Accept,
            Self::Reject(reject) => reject.kind(),
            Self::ProcessAfterFork { .. } => Kind::ProcessAfterFork,
            Self::ProcessAfterExec { .. } => Kind::ProcessAfterExec,
            Self::GetCheckpointDir => Kind::GetCheckpointDir,
            Self::CheckpointDir(_) => Kind::CheckpointDir,
            Self::SetCheckpointDir(_) => Kind::SetCheckpointDir,
            Self::SetGlobalCheckpointDir(_) => Kind::SetGlobalCheckpointDir,
            Self::GlobalCheckpointDirSet(true) => Kind::GlobalCheckpointDirSet,
            Self::GlobalCheckpointDirSet(false) => Kind::GlobalCheckpointDirFailed,
            Self::CheckpointFile(file) if file.unique => Kind::UniqueCheckpointFile,
            Self::CheckpointFile(_) => Kind::CheckpointFile,
            Self::UserCommand(_) => Kind::UserCommand,
            Self::UserResult(_) => Kind::UserResult,
            Self::DoCheckpoint(_) => Kind::DoCheckpoint,
            Self::Do(order) => Kind::Do(order.phase),
            Self::Ok => Kind::Ok,
            Self::UpdateLogging { .. } => Kind::UpdateLogging,
            Self::Barrier(_) => Kind::Barrier,
            Self::BarrierReleased(_) => Kind::BarrierReleased,
            Self::WorkerResuming => Kind::WorkerResuming,
            Self::KillPeer => Kind::KillPeer,
            Self::KeyValueRequest(_) => Kind::KeyValueRequest,
            Self::KeyValueResponse(_) => Kind::KeyValueResponse,
            Self::NameServiceRequest(request) => request.kind(),
            Self::NameServiceRegistered => Kind::NameServiceRegistered,
            Self::NameServiceAnswer(_) => Kind::NameServiceAnswer,
            Self::NameServiceUniqueId(_) => Kind::NameServiceUniqueId,
            Self::Unknown(frame) => Kind::Unknown(frame.header.kind),
        }
    }
}

/// The payload while it is taken apart; what nobody takes is an error.
struct Fields {
    kind: Kind,
    payload: Bytes,
}

impl Fields {
    fn text(&mut self, field: &'static str) -> Result<Text, DecodeError> {
        Text::take(&mut self.payload).ok_or_else(|| self.malformed(field))
    }

    fn rest(&mut self) -> Bytes {
        core::mem::take(&mut self.payload)
    }

    fn malformed(&self, field: &'static str) -> DecodeError {
        DecodeError::Malformed {
            kind: self.kind,
            field,
        }
    }

    fn finish(self) -> Result<(), DecodeError> {
        if self.payload.is_empty() {
            Ok(())
        } else {
            Err(self.malformed("payload length"))
        }
    }
}

/// Texts, each with its NUL, one behind the other.
fn c_strings<'a>(texts: impl IntoIterator<Item = &'a Text>) -> Bytes {
    let mut payload = bytes::BytesMut::new();
    for text in texts {
        payload.extend_from_slice(text.as_bytes());
        payload.extend_from_slice(&[0]);
    }
    payload.freeze()
}
