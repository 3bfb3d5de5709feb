//! Coordinator commands and the small side of the embedded coordinator, on every dialect.

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::{env, fs};

use dmtcp_client::native::Options;
use dmtcp_client::server::{Computation, ComputationConfig, Server};
use dmtcp_proto::{Dialect, Verb, WorkerState};
use dmtcp_rs::dialect::{DIALECTS, DialectName};
use socket2::{Domain, Socket, Type};
use tempfile::TempDir;

use crate::LONG;
use crate::compiler::{Compiler, Linked, is_slow, linked, run, succeed};
use crate::fake::{Answer, Fake, GONE, answer, list};

/// Worker processes of one computation, gone when this is.
pub(crate) struct Workers {
    children: Vec<Child>,
    images: TempDir,
}

impl Workers {
    pub(crate) fn start(computation: &Computation, dialect: Dialect, count: u32) -> Self {
        let mut workers = Self {
            children: Vec::new(),
            images: tempfile::tempdir().unwrap(),
        };
        let options = Options::new(computation.addr(), dialect)
            .checkpoint_dir(workers.images.path())
            .barrier_limit(LONG);
        for _ in 0..count {
            let mut command = Command::new(env::current_exe().unwrap());
            command.args(["--ignored", "--exact", "worker_program"]);
            options.to_env(&mut command);
            command.stdin(Stdio::null()).stdout(Stdio::null());
            workers.children.push(command.spawn().unwrap());
        }
        computation.wait_until_running(Some(count), LONG).unwrap();
        workers
    }

    fn images(&self) -> usize {
        fs::read_dir(self.images.path()).unwrap().count()
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        for child in &mut self.children {
            // Fails only for a child that has ended and been waited for.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A coordinator of 3.1.0 to 4.2.0 whose one worker checkpoints and exits before our eyes.
fn scripted() -> Fake {
    let mut states = [
        WorkerState::Running,
        WorkerState::Checkpointing,
        WorkerState::Checkpointed,
    ]
    .into_iter();
    Fake::start(Dialect::V3, move |verb| {
        Answer::Send(match verb {
            Verb::Status => answer(Dialect::V3, "status-1peers"),
            Verb::List => list(Dialect::V3, &[states.next().unwrap_or(GONE)], false),
            Verb::CheckpointAndKill => answer(Dialect::V3, "kill-after-checkpoint"),
            other => panic!("{other:?}"),
        })
    })
}

/// An address on which nobody listens while this lives.
struct Dead(Socket);

impl Dead {
    fn take() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        socket.bind(&any.into()).unwrap();
        Self(socket)
    }

    fn addr(&self) -> SocketAddr {
        self.0.local_addr().unwrap().as_socket().unwrap()
    }
}

/// All, or if that takes too long, that of most releases in use.
fn dialects() -> impl Iterator<Item = &'static (DialectName, Dialect)> {
    let most = |(_, dialect): &&(DialectName, Dialect)| *dialect == Dialect::V3;
    DIALECTS
        .iter()
        .filter(move |known| !is_slow() || most(known))
}

/// One test at a time: a program looks whether anybody listens on a port that it has just given
/// back, and the system may give that to another test.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn every_function_from_c() {
    let Some(cc) = Compiler::find() else { return };
    let (_alone, dead) = (alone(), Dead::take());
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = Server::start().unwrap();
    for &linked in linked() {
        let program = cc.program("tests/c/smoke.c", linked);
        for (name, dialect) in dialects() {
            println!("{linked:?} {name:?}");
            let computation = server.open(ComputationConfig::default()).unwrap();
            let killed = server.open(ComputationConfig::default()).unwrap();
            let workers = Workers::start(&computation, *dialect, 2);
            let _killed_workers = Workers::start(&killed, *dialect, 1);
            let scripted = scripted();
            let ports = [
                computation.addr(),
                killed.addr(),
                silent.local_addr().unwrap(),
                dead.addr(),
                scripted.handle().addr(),
            ];
            succeed(
                run(&program)
                    .arg((*name as i32).to_string())
                    .args(ports.map(|addr| addr.port().to_string())),
            );
            assert_eq!(workers.images(), 2);
            assert_eq!(killed.status().unwrap().peers, 0);
            killed.close(LONG).unwrap();
        }
    }
}

#[test]
fn w21_a_connection_that_ends_raises_no_signal() {
    let Some(cc) = Compiler::find() else { return };
    let _alone = alone();
    for &linked in linked() {
        let program = cc.program("tests/c/sigpipe.c", linked);
        for (name, _) in dialects() {
            succeed(run(&program).arg((*name as i32).to_string()));
        }
    }
}

#[test]
fn the_example_shows_what_the_coordinator_says() {
    let Some(cc) = Compiler::find() else { return };
    let (_alone, dead) = (alone(), Dead::take());
    let program = cc.program("examples/status.c", Linked::Shared);
    let server = Server::start().unwrap();
    for (_, dialect) in dialects() {
        let computation = server.open(ComputationConfig::default()).unwrap();
        let port = computation.port().to_string();
        let arguments = ["localhost", &port];
        let shown = succeed(run(&program).args(arguments));
        assert_eq!(shown, "0 workers, not running\n");
        let workers = Workers::start(&computation, *dialect, 1);
        let shown = succeed(run(&program).args(arguments));
        let (first, second) = shown.split_once('\n').unwrap();
        assert_eq!(first, "1 workers, running");
        let pid = workers.children[0].id();
        assert!(second.contains(&format!("[{pid}] on ")), "{second}");
        assert!(second.ends_with(": RUNNING\n"), "{second}");
    }
    let failed = run(&program)
        .args(["127.0.0.1", &dead.addr().port().to_string()])
        .output()
        .unwrap();
    assert_eq!(failed.status.code(), Some(1));
    let said = String::from_utf8(failed.stderr).unwrap();
    assert!(said.starts_with("127.0.0.1: DMTCP_ERR_CONNECT: "), "{said}");
}
