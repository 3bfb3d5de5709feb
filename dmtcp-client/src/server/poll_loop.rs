//! The server's thread: waits for sockets, tasks and timeouts, and gives each computation its
//! turn. It never blocks anywhere else.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    io,
    os::fd::AsRawFd as _,
    sync::mpsc,
    time::Duration,
};

use dmtcp_proto::{ConnId, Instant};
use mio::{Events, Poll, Registry, Token, unix::SourceFd};

use super::{
    ServerError,
    clock::Clock,
    hosted::{Hosted, Ready},
    task::{Key, Lifeline, Task},
};
use crate::process::TcpOwners;

/// The token of the waker; sockets get higher ones.
pub(super) const WAKER: Token = Token(0);
const DOOR: Token = Token(1);

/// The connection behind a token: they share their numbers.
pub(super) fn conn_of(token: Token) -> ConnId {
    ConnId(token.0 as u64)
}

/// The inverse of [`conn_of`].
pub(super) fn token_of(conn: ConnId) -> Token {
    Token(usize::try_from(conn.0).unwrap_or(usize::MAX))
}

/// What all computations share on the server's thread.
#[derive(Debug)]
pub(super) struct Io {
    staying: Registry,
    door: Registry,
    clock: Clock,
    owners: HashMap<Token, Key>,
    last_token: usize,
    /// Sockets whose readiness was not used up; nothing more is heard of them by themselves.
    again: BTreeSet<Token>,
    socket_owners: TcpOwners,
}

impl Io {
    pub(super) fn owners(&self) -> &TcpOwners {
        &self.socket_owners
    }

    /// Where those are watched that stay: workers.
    pub(super) fn staying(&self) -> &Registry {
        &self.staying
    }

    /// Where listeners are watched and everybody who has not become a worker. What happens there is
    /// served first, so that no tool waits for a crowd of workers.
    pub(super) fn door(&self) -> &Registry {
        &self.door
    }

    pub(super) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// A token for a new socket of this computation.
    pub(super) fn claim(&mut self, key: Key) -> Token {
        self.last_token += 1;
        let token = Token(self.last_token);
        self.owners.insert(token, key);
        token
    }

    pub(super) fn release(&mut self, token: Token) {
        self.owners.remove(&token);
        self.again.remove(&token);
    }

    /// This socket is looked at again after the others had their turn.
    pub(super) fn again(&mut self, token: Token) {
        self.again.insert(token);
    }

    pub(super) fn read_again(&mut self, conn: ConnId) {
        self.again(token_of(conn));
    }
}

#[derive(Debug)]
pub(super) struct PollLoop {
    poll: Poll,
    door: Poll,
    door_events: Events,
    /// There is more to be served first, or may be.
    more_first: bool,
    /// Those who are served first have had their time until then, if others wait.
    next_look: Instant,
    /// Computations that have not sent all, or not entered all in a timeline.
    sending: VecDeque<Key>,
    io: Io,
    tasks: mpsc::Receiver<Task>,
    computations: HashMap<Key, Hosted>,
    timers: BTreeSet<(Instant, Key)>,
    buffer: Box<[u8]>,
    /// The server ends when its last computation has.
    ending: Option<Lifeline>,
    ended: bool,
}

impl PollLoop {
    pub(super) fn new(poll: Poll, tasks: mpsc::Receiver<Task>) -> io::Result<Self> {
        let door = Poll::new()?;
        let registry = poll.registry();
        registry.register(
            &mut SourceFd(&door.as_raw_fd()),
            DOOR,
            mio::Interest::READABLE,
        )?;
        Ok(Self {
            io: Io {
                staying: registry.try_clone()?,
                door: door.registry().try_clone()?,
                clock: Clock::start(),
                owners: HashMap::new(),
                last_token: DOOR.0,
                again: BTreeSet::new(),
                socket_owners: TcpOwners::open(),
            },
            poll,
            door,
            door_events: Events::with_capacity(64),
            more_first: false,
            next_look: Instant::ZERO,
            sending: VecDeque::new(),
            tasks,
            computations: HashMap::new(),
            timers: BTreeSet::new(),
            buffer: vec![0; 64 << 10].into_boxed_slice(),
            ending: None,
            ended: false,
        })
    }

    /// Runs until the server ends. What is left then is dropped: sockets close, and those who
    /// wait learn that the server is gone.
    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(1024);
        while !self.ended {
            if let Err(error) = self.poll.poll(&mut events, self.patience()) {
                if error.kind() == io::ErrorKind::Interrupted {
                    continue;
                }
                // The event queue itself is broken; nothing can be served any more.
                return;
            }
            let others = events.iter().any(|event| event.token() > DOOR);
            if others || self.others_wait() {
                self.look_first();
            } else {
                self.serve_first();
            }
            let earlier = std::mem::take(&mut self.io.again);
            for (number, event) in events.iter().enumerate() {
                if number % READY_PER_LOOK == READY_PER_LOOK - 1 {
                    self.look_first();
                }
                self.ready(event.token(), Ready::of(event));
            }
            for token in earlier {
                self.ready(token, Ready::AGAIN);
                self.look_first();
            }
            // All of it, unless ever more comes to be sent meanwhile.
            for _ in 0..SLICES_PER_PASS {
                let Some(key) = self.sending.pop_front() else {
                    break;
                };
                if let Some(hosted) = self.computations.get_mut(&key) {
                    hosted.is_sending = false;
                }
                self.turn(key, |hosted, io, _| hosted.send_some(io));
                self.look_first();
            }
            self.time_out();
            self.ended |= self.ending.is_some() && self.computations.is_empty();
        }
    }

    /// Whether there is something to do for which nothing more is heard.
    fn others_wait(&self) -> bool {
        !self.io.again.is_empty() || !self.sending.is_empty()
    }

    /// Serves those who are served first, unless they had more time than the others since: so they
    /// never take more than half of it.
    fn look_first(&mut self) {
        if self.io.now() < self.next_look {
            self.more_first = true;
        } else {
            self.serve_first();
        }
    }

    /// What this program asks, and what happens at the doors: neither waits for the workers.
    fn serve_first(&mut self) {
        let began = self.io.now();
        // Before either sets it.
        self.more_first = false;
        self.serve_tasks();
        self.serve_doors();
        let ended = self.io.now();
        self.next_look = ended + (ended - began);
    }

    fn serve_tasks(&mut self) {
        for _ in 0..TASKS_PER_LOOK {
            match self.tasks.try_recv() {
                Ok(task) => self.carry_out(task),
                Err(_) => return,
            }
        }
        self.more_first = true;
    }

    fn serve_doors(&mut self) {
        match self.door.poll(&mut self.door_events, Some(NO_TIME)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                self.more_first = true;
                return;
            }
            // As in `run`.
            Err(_) => {
                self.ended = true;
                return;
            }
        }
        let events = self.door_events.iter();
        let events: Vec<_> = events
            .map(|event| (event.token(), Ready::of(event)))
            .collect();
        self.more_first |= events.len() == self.door_events.capacity();
        for (token, ready) in events {
            self.ready(token, ready);
        }
    }

    /// How long nothing needs to be looked at.
    fn patience(&self) -> Option<Duration> {
        if self.more_first || self.others_wait() {
            return Some(NO_TIME);
        }
        self.timers.first().map(|&(at, _)| at - self.io.now())
    }

    fn carry_out(&mut self, task: Task) {
        match task {
            Task::Open { setup, opened } => {
                let key = setup.key;
                let result = Hosted::new(*setup, &mut self.io).map(|hosted| {
                    self.computations.insert(key, hosted);
                });
                opened.send(result);
                self.turn(key, |_, _, _| {});
            }
            Task::Request {
                key,
                id,
                command,
                answer,
            } => match self.computations.get(&key) {
                Some(hosted) if !hosted.is_closing() => {
                    self.turn(key, |hosted, io, _| hosted.request(io, id, command, answer));
                }
                _ => {
                    answer.send(Err(ServerError::Closed));
                }
            },
            Task::Standing { key, answer } => {
                let standing = self.open(key).map(|hosted| hosted.standing(&self.io));
                answer.send(standing);
            }
            Task::Timelines { key, answer } => {
                answer.send(self.open(key).map(Hosted::timelines));
            }
            Task::Metrics { key, answer } => {
                answer.send(self.open(key).map(|hosted| hosted.metrics(&self.io)));
            }
            Task::KeyValues { key, answer } => {
                let hosted = self.computations.get(&key);
                answer.send(hosted.map(Hosted::key_values));
            }
            Task::GiveUp {
                key,
                given_up,
                answer,
            } => match self.computations.get(&key) {
                Some(hosted) if !hosted.is_closing() => self.turn(key, |hosted, io, _| {
                    let cut_off = hosted.give_up(io, &given_up);
                    answer.send(Ok(cut_off));
                }),
                _ => {
                    answer.send(Err(ServerError::Closed));
                }
            },
            Task::Forget { key, id } => self.turn(key, |hosted, io, _| hosted.forget(io, id)),
            Task::Sealed { key, outcome } => {
                self.turn(key, |hosted, io, _| hosted.sealed(io, outcome));
            }
            Task::SealerEnded { key } => self.turn(key, |hosted, _, _| hosted.sealer_ended()),
            Task::Close { key, closed } => self.turn(key, |hosted, io, _| {
                hosted.hold(closed);
                hosted.close(io);
            }),
            Task::CloseAll { closed } => {
                self.ending = Some(closed);
                let keys: Vec<Key> = self.computations.keys().copied().collect();
                for key in keys {
                    self.turn(key, |hosted, io, _| hosted.close(io));
                }
            }
            Task::End => self.ended = true,
        }
    }

    /// A computation that has not been told to end.
    fn open(&self, key: Key) -> Result<&Hosted, ServerError> {
        let hosted = self.computations.get(&key);
        let hosted = hosted.filter(|hosted| !hosted.is_closing());
        hosted.ok_or(ServerError::Closed)
    }

    fn ready(&mut self, token: Token, ready: Ready) {
        // Not there: the waker, or a socket that was closed earlier in this pass.
        if let Some(&key) = self.io.owners.get(&token) {
            self.turn(key, |hosted, io, buffer| {
                hosted.ready(io, buffer, token, ready);
            });
        }
    }

    fn time_out(&mut self) {
        let now = self.io.now();
        while let Some(&(at, key)) = self.timers.first().filter(|&&(at, _)| at <= now) {
            self.timers.remove(&(at, key));
            if let Some(hosted) = self.computations.get_mut(&key) {
                hosted.timer = None;
            }
            self.turn(key, |hosted, io, buffer| hosted.timeout(io, buffer));
        }
    }

    /// Lets a computation do some work, and sees to what follows from it.
    fn turn(&mut self, key: Key, work: impl FnOnce(&mut Hosted, &mut Io, &mut [u8])) {
        let Some(hosted) = self.computations.get_mut(&key) else {
            return;
        };
        work(hosted, &mut self.io, &mut self.buffer);
        if hosted.settle(&mut self.io) && !hosted.is_sending {
            hosted.is_sending = true;
            self.sending.push_back(key);
        }
        let next = hosted.next_timeout();
        if next != hosted.timer {
            if let Some(at) = std::mem::replace(&mut hosted.timer, next) {
                self.timers.remove(&(at, key));
            }
            self.timers.extend(next.map(|at| (at, key)));
        }
        if hosted.is_over() {
            if let Some(hosted) = self.computations.remove(&key) {
                if let Some(at) = hosted.timer {
                    self.timers.remove(&(at, key));
                }
                hosted.end();
            }
        }
    }
}

const NO_TIME: Duration = Duration::ZERO;
/// So many workers are served before it is looked at the doors again: about half a millisecond.
const READY_PER_LOOK: usize = 64;
/// A thread that asks again as soon as it is answered is not served for ever.
const TASKS_PER_LOOK: usize = 64;
/// With 64 connections in each: as much as the largest computation can have to be sent at once. Its
/// timeline may take some more.
const SLICES_PER_PASS: usize = 512;
