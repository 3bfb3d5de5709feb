//! The other side of the wire: a tool or a worker of any dialect.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
};

use bytes::BytesMut;
use dmtcp_proto::{
    Body, CheckpointFile, Decoder, Dialect, Hello, Limits, Message, Name, Phase, Text, UniquePid,
    UserCommand, UserResult, Verb, WorkerState, encode,
};

use crate::LONG;

pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    decoder: Decoder,
    dialect: Dialect,
}

impl Peer {
    pub(crate) fn connect(addr: SocketAddr, dialect: Dialect) -> Self {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream.set_write_timeout(Some(LONG)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            decoder: Decoder::new(dialect, Limits::default()),
            dialect,
        }
    }

    pub(crate) fn bytes(&self, message: &Message) -> BytesMut {
        let mut bytes = BytesMut::new();
        let frame = message.to_frame(self.dialect).unwrap();
        encode(self.dialect, &frame, &mut bytes).unwrap();
        bytes
    }

    pub(crate) fn send(&mut self, message: &Message) {
        let bytes = self.bytes(message);
        self.stream.write_all(&bytes).unwrap();
    }

    pub(crate) fn command(&mut self, verb: Verb) {
        let command = UserCommand::new(verb);
        self.send(&Message::new(UniquePid::NULL, Body::UserCommand(command)));
    }

    /// `None`: the coordinator has closed the connection.
    pub(crate) fn receive(&mut self) -> Option<Message> {
        let mut buffer = [0; 4096];
        loop {
            if let Some(frame) = self.decoder.next_frame().unwrap() {
                return Some(Message::parse(self.dialect, &frame).unwrap());
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(len) => self.decoder.feed(&buffer[..len]),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("nothing came from the coordinator: {error}"),
            }
        }
    }
}

/// Asks one command as a tool does, and waits for the end of the connection.
pub(crate) fn ask(addr: SocketAddr, dialect: Dialect, verb: Verb) -> UserResult {
    let mut tool = Peer::connect(addr, dialect);
    tool.command(verb);
    let Some(Body::UserResult(result)) = tool.receive().map(|message| message.body) else {
        panic!("no answer to {verb:?}");
    };
    assert!(tool.receive().is_none());
    result
}

pub(crate) struct Worker {
    pub(crate) peer: Peer,
    id: UniquePid,
    group: UniquePid,
}

/// What a worker says about itself.
#[derive(Clone)]
pub(crate) struct Who {
    pub(crate) host: String,
    pub(crate) real_pid: i32,
}

impl Default for Who {
    fn default() -> Self {
        Self {
            host: "elsewhere".to_owned(),
            real_pid: 4711,
        }
    }
}

impl Worker {
    /// A process that has been launched and runs.
    pub(crate) fn join(addr: SocketAddr, dialect: Dialect) -> Self {
        Self::join_as(Peer::connect(addr, dialect), &Who::default())
    }

    pub(crate) fn join_as(mut peer: Peer, who: &Who) -> Self {
        let port = peer.stream.local_addr().unwrap().port();
        let mut id = UniquePid {
            host_id: 1,
            time: u64::from(port),
            pid: who.real_pid,
            generation: 0,
        };
        let hello = Hello {
            host: Text::from(who.host.clone()),
            program: Text::from("counter"),
            real_pid: who.real_pid,
            virtual_pid: -1,
            ..Hello::default()
        };
        peer.send(&Message::new(id, Body::NewWorker(hello)));
        let accepted = peer.receive().unwrap();
        let Body::Accept(accept) = accepted.body else {
            panic!("not accepted but {:?}", accepted.body);
        };
        id.pid = accept.virtual_pid;
        let mut worker = Self {
            peer,
            id,
            group: accepted.group,
        };
        let started = Body::ProcessAfterExec {
            real_pid: who.real_pid,
            program: Text::from("counter"),
        };
        worker.say(WorkerState::Running, started);
        if worker.is_lockstep() {
            worker.say(WorkerState::Running, Body::Ok);
        }
        worker
    }

    fn phases(&self) -> &'static [(Phase, WorkerState)] {
        self.peer.dialect.phases()
    }

    fn is_lockstep(&self) -> bool {
        !self.phases().is_empty()
    }

    /// What it goes through between its order and its report.
    pub(crate) fn steps(&self) -> Vec<(String, WorkerState)> {
        let phases = self.phases().iter().map(|&(_, state)| state);
        let mut steps: Vec<_> = phases
            .map(|state| (state.to_string(), state))
            .take_while(|&(_, state)| state != WorkerState::Checkpointed)
            .collect();
        if steps.is_empty() {
            steps.extend(BARRIERS.map(|(name, state)| (name.to_owned(), state)));
        }
        steps
    }

    pub(crate) fn say(&mut self, state: WorkerState, body: Body) {
        let message = self.message(state, body);
        self.peer.send(&message);
    }

    fn message(&self, state: WorkerState, body: Body) -> Message {
        Message::new(self.id, body).in_state(state)
    }

    /// The order to checkpoint; says whether the worker shall exit behind it.
    pub(crate) fn order(&mut self) -> bool {
        let message = self.peer.receive().unwrap();
        let then_exit = match &message.body {
            Body::DoCheckpoint(order) => order.then_exit,
            Body::Do(order) if order.phase == self.phases()[0].0 => false,
            other => panic!("no order but {other:?}"),
        };
        assert!(message.group.same_as(&self.group));
        assert!(message.group.generation > self.group.generation);
        self.group = message.group;
        then_exit
    }

    pub(crate) fn arrive(&mut self, barrier: &str, state: WorkerState) {
        let body = match self.is_lockstep() {
            true => Body::Ok,
            false => Body::Barrier(Name::new(barrier).unwrap()),
        };
        self.say(state, body);
    }

    pub(crate) fn released(&mut self, barrier: &str) {
        let message = self.peer.receive().unwrap();
        match message.body {
            Body::BarrierReleased(released) => assert_eq!(released.name.to_string(), barrier),
            Body::Do(order) => {
                let mut phases = self.phases().iter();
                phases.find(|(_, state)| state.to_string() == barrier);
                assert_eq!(phases.next().unwrap().0, order.phase);
            }
            other => panic!("not released but {other:?}"),
        }
    }

    fn file(&self) -> Body {
        Body::CheckpointFile(CheckpointFile {
            path: Text::from(format!("/images/ckpt_counter_{}.dmtcp", self.id)),
            shell: Some(Text::default()),
            host: Text::from("elsewhere"),
            unique: false,
        })
    }

    pub(crate) fn report(&mut self) {
        let file = self.file();
        self.say(self.reporting_state(), file);
    }

    /// That its image is there, on this host.
    pub(crate) fn report_at(&mut self, path: &str, host: &str) {
        let file = CheckpointFile {
            path: Text::from(path.to_owned()),
            shell: Some(Text::default()),
            host: Text::from(host.to_owned()),
            unique: false,
        };
        self.say(self.reporting_state(), Body::CheckpointFile(file));
    }

    /// The process and the computation, with the generation of the last round, as in an image.
    pub(crate) fn image_ids(&self) -> (UniquePid, UniquePid) {
        (self.id, self.group)
    }

    fn reporting_state(&self) -> WorkerState {
        self.steps().last().unwrap().1
    }

    pub(crate) fn resume(&mut self) {
        self.say(WorkerState::Running, Body::WorkerResuming);
    }

    /// The last two messages of a round and the end of the connection, all at once.
    pub(crate) fn report_and_exit(mut self) {
        let file = self.message(self.reporting_state(), self.file());
        let mut bytes = self.peer.bytes(&file);
        let resuming = match self.is_lockstep() {
            true => self.message(WorkerState::Checkpointed, Body::Ok),
            false => self.message(WorkerState::Running, Body::WorkerResuming),
        };
        bytes.extend_from_slice(&self.peer.bytes(&resuming));
        self.peer.stream.write_all(&bytes).unwrap();
    }
}

const BARRIERS: [(&str, WorkerState); 3] = [
    ("DMT:SUSPEND", WorkerState::PreSuspend),
    ("DMT:CHECKPOINT", WorkerState::Suspended),
    ("DMT:WriteCkpt", WorkerState::Checkpointed),
];

/// Takes the order and goes through all of [`Worker::steps`].
pub(crate) fn go_through_all(workers: &mut [Worker]) {
    go_through(workers, workers[0].steps().len());
}

/// Takes the order and goes through the first so many of [`Worker::steps`].
pub(crate) fn go_through(workers: &mut [Worker], steps: usize) {
    for worker in workers.iter_mut() {
        worker.order();
    }
    for (name, state) in &workers[0].steps()[..steps] {
        for worker in workers.iter_mut() {
            worker.arrive(name, *state);
        }
        for worker in workers.iter_mut() {
            worker.released(name);
        }
    }
}

/// One whole round of these workers, which then run again.
pub(crate) fn take_part(workers: &mut [Worker]) {
    go_through_all(workers);
    for worker in workers.iter_mut() {
        worker.report();
    }
    resume_all(workers);
}

/// All workers of a computation, from their reports back to their programs.
pub(crate) fn resume_all(workers: &mut [Worker]) {
    let reporting = workers[0].reporting_state();
    let mut phases = workers[0].phases().iter();
    let _reported = phases.find(|&&(_, state)| state == reporting);
    for &(_, state) in phases {
        for worker in workers.iter_mut() {
            worker.arrive("", state);
        }
        for worker in workers.iter_mut().filter(|_| state != WorkerState::Running) {
            worker.released(&state.to_string());
        }
    }
    for worker in workers.iter_mut().filter(|worker| !worker.is_lockstep()) {
        worker.resume();
    }
}
