//! C programs that use the library, against real coordinators and workers.

mod compiler;
#[expect(
    dead_code,
    reason = "these tests need the simplest of its scripts only"
)]
#[path = "../../../dmtcp-client/tests/fake/mod.rs"]
mod fake;

use std::mem::offset_of;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{env, fs, thread};

use compiler::{Compiler, Linked, succeed};
use dmtcp_client::native::{Options, Worker, variable};
use dmtcp_client::server::{Computation, ComputationConfig, Server};
use dmtcp_proto::{Dialect, Verb, WorkerState};
use dmtcp_rs::checkpoint::CheckpointReport;
use dmtcp_rs::coordinator::DIALECTS;
use dmtcp_rs::status::Status;
use fake::{Answer, Fake, GONE, answer, list};
use socket2::{Domain, Socket, Type};
use tempfile::TempDir;

/// Longer than anything here takes unless it hangs.
const LONG: Duration = Duration::from_secs(60);
const LINKED: [Linked; 2] = [Linked::Shared, Linked::Static];

#[test]
#[ignore = "run by the other tests as a process of its own"]
fn worker_program() {
    if env::var_os(variable::COORDINATOR).is_none() {
        return;
    }
    let mut worker = Worker::join(Options::from_env().unwrap()).unwrap();
    for count in 0_u64.. {
        if let Err(error) = worker.safe_point_bytes(&count.to_le_bytes()) {
            std::process::exit(i32::from(error.exit_code()));
        }
        // The work of a step.
        thread::sleep(Duration::from_millis(1));
    }
}

/// Worker processes of one computation, gone when this is.
struct Workers {
    children: Vec<Child>,
    images: TempDir,
}

impl Workers {
    fn start(computation: &Computation, dialect: Dialect, count: u32) -> Self {
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

/// One test at a time: a program looks whether anybody listens on a port that it has just given
/// back, and the system may give that to another test.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn every_function_from_c() {
    let Some(cc) = Compiler::find() else { return };
    let (_alone, dead) = (alone(), Dead::take());
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = Server::start().unwrap();
    for linked in LINKED {
        let program = cc.program("tests/smoke.c", linked);
        for (name, number, dialect) in DIALECTS {
            println!("{linked:?} {name}");
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
                Command::new(&program)
                    .arg(number.to_string())
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
    for linked in LINKED {
        let program = cc.program("tests/sigpipe.c", linked);
        for (_, number, _) in DIALECTS {
            succeed(Command::new(&program).arg(number.to_string()));
        }
    }
}

#[test]
fn the_example_shows_what_the_coordinator_says() {
    let Some(cc) = Compiler::find() else { return };
    let (_alone, dead) = (alone(), Dead::take());
    let program = cc.program("examples/status.c", Linked::Shared);
    let server = Server::start().unwrap();
    for (_, number, dialect) in DIALECTS {
        let computation = server.open(ComputationConfig::default()).unwrap();
        let port = computation.port().to_string();
        let arguments = ["localhost", &port, &number.to_string()];
        let shown = succeed(Command::new(&program).args(arguments));
        assert_eq!(shown, "0 workers, not running\n");
        let workers = Workers::start(&computation, *dialect, 1);
        let shown = succeed(Command::new(&program).args(arguments));
        let (first, second) = shown.split_once('\n').unwrap();
        assert_eq!(first, "1 workers, running");
        let pid = workers.children[0].id();
        assert!(second.contains(&format!("[{pid}] on ")), "{second}");
        assert!(second.ends_with(": RUNNING\n"), "{second}");
    }
    let failed = Command::new(&program)
        .args(["127.0.0.1", &dead.addr().port().to_string(), "5"])
        .output()
        .unwrap();
    assert_eq!(failed.status.code(), Some(1));
    let said = String::from_utf8(failed.stderr).unwrap();
    assert!(
        said.starts_with("status: DMTCP_ERR_CONNECT: cannot reach"),
        "{said}"
    );
}

#[test]
fn structs_are_laid_out_as_in_c() {
    let Some(cc) = Compiler::find() else { return };
    let program = cc.program("tests/layout.c", Linked::Shared);
    let mut lines = Vec::new();
    macro_rules! layout {
        ($text:literal $type:ident: $($field:ident)*) => {
            lines.push(format!("{} - 0 {}", $text, size_of::<$type>()));
            $(
                let size = size_of_field(|this: &$type| &this.$field);
                let offset = offset_of!($type, $field);
                lines.push(format!("{} {} {offset} {size}", $text, stringify!($field)));
            )*
        };
    }
    use dmtcp_rs::workers::Worker;
    layout!("dmtcp_status" Status: size peers running interval_s reserved);
    layout!("dmtcp_checkpoint_report" CheckpointReport: size peers evidence lists reserved);
    layout!("dmtcp_worker" Worker: size number id host program barrier state_name state
        virtual_pid real_pid reserved);
    let found = succeed(&mut Command::new(program));
    assert_eq!(found.lines().collect::<Vec<_>>(), lines);
}

fn size_of_field<T, F>(_: fn(&T) -> &F) -> usize {
    size_of::<F>()
}

#[test]
fn the_header_is_c_and_cpp() {
    let Some(cc) = Compiler::find() else { return };
    for standard in ["-std=c99", "-std=c11", "-std=c17"] {
        cc.accept_header("c", standard);
    }
    match Compiler::find_as("CXX", "c++") {
        Some(cpp) => cpp.accept_header("c++", "-std=c++11"),
        None => println!("SKIPPED: no C++ compiler"),
    }
}
