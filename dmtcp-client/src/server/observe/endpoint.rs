//! Metrics over HTTP, for Prometheus to fetch: one page, on a thread of its own.
//!
//! Only what a scraper needs: `GET` and `HEAD` of `/metrics`, one answer per connection. Peers are
//! served as they come, so that a slow one keeps nobody waiting; how much and how long each may
//! take is bounded.

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, ErrorKind, Read as _, Write as _},
    net::{Shutdown, SocketAddr},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use mio::{
    Events, Interest, Poll, Token, Waker,
    net::{TcpListener, TcpStream},
};

use super::{Exposition, Metrics};
use crate::server::listener;

/// Serves metrics as `http://ADDR/metrics`. **Dropping it ends it.**
///
/// Whoever reaches the address may read them: numbers, the address of the coordinator, and the
/// states of its workers.
///
/// ```
/// use dmtcp_client::server::{ComputationConfig, MetricsEndpoint, Server};
/// use std::io::{Read as _, Write as _};
///
/// let server = Server::start()?;
/// let computation = server.open(ComputationConfig::default())?;
/// let asked = computation.clone();
/// let endpoint = MetricsEndpoint::start("127.0.0.1:0".parse()?, move || {
///     asked.metrics().into_iter().collect()
/// })?;
/// let mut scraper = std::net::TcpStream::connect(endpoint.addr())?;
/// scraper.write_all(b"GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n")?;
/// let mut answer = String::new();
/// scraper.read_to_string(&mut answer)?;
/// assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("dmtcp_rounds_started_total"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct MetricsEndpoint {
    addr: SocketAddr,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

impl MetricsEndpoint {
    /// Listens at `addr`; port 0 is any free one. `metrics` is asked for each answer, on the
    /// endpoint's thread.
    ///
    /// # Errors
    /// The address cannot be had, or there is no thread or descriptor.
    pub fn start(
        addr: SocketAddr,
        metrics: impl FnMut() -> Vec<Metrics> + Send + 'static,
    ) -> io::Result<Self> {
        let mut listener = TcpListener::from_std(listener::bind(addr)?);
        let addr = listener.local_addr()?;
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        poll.registry()
            .register(&mut listener, LISTENER, Interest::READABLE)?;
        let endpoint = Endpoint {
            poll,
            listener,
            peers: BTreeMap::new(),
            last: LISTENER,
            paused: None,
            metrics,
        };
        let thread = thread::Builder::new()
            .name("dmtcp-metrics".to_owned())
            .spawn(move || endpoint.run())?;
        Ok(Self {
            addr,
            waker,
            thread: Some(thread),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl fmt::Debug for MetricsEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("MetricsEndpoint");
        debug.field("addr", &self.addr).finish_non_exhaustive()
    }
}

impl Drop for MetricsEndpoint {
    fn drop(&mut self) {
        // Without it the thread would not end, and is not waited for.
        if self.waker.wake().is_ok() {
            if let Some(thread) = self.thread.take() {
                // Only a panic of the caller's own function would be an error.
                let _ = thread.join();
            }
        }
    }
}

struct Endpoint<F> {
    poll: Poll,
    listener: TcpListener,
    /// In the order in which they came, which is that of their limits.
    peers: BTreeMap<Token, Peer>,
    last: Token,
    /// Nobody is accepted before then: the system refuses, mostly for want of descriptors.
    paused: Option<Instant>,
    metrics: F,
}

struct Peer {
    stream: TcpStream,
    until: Instant,
    asked: Vec<u8>,
    /// What is left to be sent; `None`: the question is not complete.
    answer: Option<Vec<u8>>,
}

impl<F: FnMut() -> Vec<Metrics>> Endpoint<F> {
    fn run(mut self) {
        let mut events = Events::with_capacity(64);
        loop {
            let first = self.peers.values().map(|peer| peer.until).next();
            let next = first.into_iter().chain(self.paused).min();
            let patience = next.map(|at| at.saturating_duration_since(Instant::now()));
            match self.poll.poll(&mut events, patience) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                // The event queue is broken; nothing can be served any more.
                Err(_) => return,
                Ok(()) => {}
            }
            for event in &events {
                match event.token() {
                    WAKER => return,
                    LISTENER => self.accept(),
                    token => self.serve(token),
                }
            }
            let now = Instant::now();
            if self.paused.is_some_and(|until| until <= now) {
                self.accept();
            }
            self.peers.retain(|_, peer| peer.until > now);
        }
    }

    fn accept(&mut self) {
        self.paused = None;
        loop {
            match self.listener.accept() {
                Ok((mut stream, _)) => {
                    let token = Token(self.last.0 + 1);
                    let interests = Interest::READABLE | Interest::WRITABLE;
                    let watched = self.poll.registry();
                    // One more than can be served is closed.
                    if self.peers.len() >= MAX_PEERS
                        || watched.register(&mut stream, token, interests).is_err()
                    {
                        continue;
                    }
                    self.last = token;
                    let peer = Peer {
                        stream,
                        until: Instant::now() + LIMIT,
                        asked: Vec::new(),
                        answer: None,
                    };
                    self.peers.insert(token, peer);
                }
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted | ErrorKind::ConnectionAborted => {}
                    ErrorKind::WouldBlock => return,
                    _ => {
                        self.paused = Some(Instant::now() + PAUSE);
                        return;
                    }
                },
            }
        }
    }

    fn serve(&mut self, token: Token) {
        let Some(peer) = self.peers.get_mut(&token) else {
            return;
        };
        match peer.advance(&mut self.metrics) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Ok(()) | Err(_) => {
                self.peers.remove(&token);
            }
        }
    }
}

impl Peer {
    /// As far as it goes now; `WouldBlock`: there is more to come.
    fn advance(&mut self, metrics: &mut impl FnMut() -> Vec<Metrics>) -> io::Result<()> {
        while self.answer.is_none() {
            let mut buffer = [0; 1024];
            match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(len) => self.asked.extend(buffer.get(..len).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            if self.asked.windows(4).any(|end| end == b"\r\n\r\n") {
                self.answer = Some(answer(&self.asked, metrics));
            } else if self.asked.len() > MAX_QUESTION {
                self.answer = Some(refusal("431 Request Header Fields Too Large"));
            }
        }
        while let Some(left) = self.answer.as_mut().filter(|left| !left.is_empty()) {
            match self.stream.write(left) {
                Ok(sent) => drop(left.drain(..sent)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.stream.shutdown(Shutdown::Write)
    }
}

fn answer(asked: &[u8], metrics: &mut impl FnMut() -> Vec<Metrics>) -> Vec<u8> {
    let line = asked.split(|&byte| byte == b'\r').next();
    let mut words = line.unwrap_or_default().split(|&byte| byte == b' ');
    let (method, target) = (words.next(), words.next().unwrap_or_default());
    let with_body = match method {
        Some(b"GET") => true,
        Some(b"HEAD") => false,
        _ => return refusal("405 Method Not Allowed\r\nAllow: GET, HEAD"),
    };
    let path = target.split(|&byte| byte == b'?').next();
    if path != Some(b"/metrics") {
        return refusal("404 Not Found");
    }
    let text = Exposition::of(&metrics()).to_string();
    let mut page = head("200 OK", "text/plain; version=0.0.4", text.len());
    if with_body {
        page.push_str(&text);
    }
    page.into_bytes()
}

fn refusal(status: &str) -> Vec<u8> {
    let body = "metrics are at /metrics\n";
    (head(status, "text/plain", body.len()) + body).into_bytes()
}

fn head(status: &str, content: &str, len: usize) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content}; charset=utf-8\r\nContent-Length: {len}\r\n\
         Connection: close\r\n\r\n"
    )
}

const WAKER: Token = Token(0);
const LISTENER: Token = Token(1);
/// Scrapers are few.
const MAX_PEERS: usize = 64;
/// Of its header, which nobody here reads beyond the first line.
const MAX_QUESTION: usize = 8 << 10;
/// For question and answer.
const LIMIT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream as Client;

    fn endpoint() -> MetricsEndpoint {
        MetricsEndpoint::start(SocketAddr::from(([127, 0, 0, 1], 0)), Vec::new).unwrap()
    }

    fn client(endpoint: &MetricsEndpoint) -> Client {
        let client = Client::connect(endpoint.addr()).unwrap();
        client
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        client
    }

    fn ask(client: &mut Client, question: &[u8]) -> String {
        client.write_all(question).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn what_is_asked_is_answered() {
        let endpoint = endpoint();
        let cases = [
            ("GET /metrics HTTP/1.1", "200 OK", true),
            ("GET /metrics?x=1 HTTP/1.0", "200 OK", true),
            ("HEAD /metrics HTTP/1.1", "200 OK", false),
            ("GET / HTTP/1.1", "404 Not Found", true),
            ("POST /metrics HTTP/1.1", "405 Method Not Allowed", true),
            ("\u{fffd}", "405 Method Not Allowed", true),
        ];
        for (line, status, with_body) in cases {
            let question = format!("{line}\r\nHost: x\r\n\r\n");
            let answer = ask(&mut client(&endpoint), question.as_bytes());
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status}\r\n")),
                "{answer}"
            );
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            let len = head.split_once("Content-Length: ").unwrap().1;
            let len: usize = len.split("\r\n").next().unwrap().parse().unwrap();
            assert_eq!(body.len(), if with_body { len } else { 0 }, "{answer}");
            assert_eq!(body.contains("# TYPE"), status == "200 OK" && with_body);
        }
    }

    #[test]
    fn a_question_without_end_is_refused_and_a_silent_peer_holds_nobody_up() {
        let endpoint = endpoint();
        let mut silent = client(&endpoint);
        silent.write_all(b"GET /met").unwrap();
        let mut endless = client(&endpoint);
        let answer = ask(&mut endless, &[b'x'; MAX_QUESTION + 1]);
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
        let answer = ask(&mut client(&endpoint), b"GET /metrics HTTP/1.1\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let answer = ask(&mut silent, b"rics HTTP/1.1\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }

    #[test]
    fn more_than_can_be_served_are_closed_and_dropping_ends_all() {
        let endpoint = endpoint();
        let mut silent: Vec<_> = (0..MAX_PEERS).map(|_| client(&endpoint)).collect();
        assert_eq!(client(&endpoint).read(&mut [0]).unwrap(), 0);
        drop(endpoint);
        for peer in &mut silent {
            assert_eq!(peer.read(&mut [0]).unwrap(), 0);
        }
    }
}
