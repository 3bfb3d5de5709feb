//! Another runtime than tokio: all that smol has to lend is in its first part. Then a coordinator
//! in this process, and many questions to it at once, on one thread.
//!
//! ```sh
//! cargo run -p dmtcp-examples --features async --example smol
//! ```
//!
//! With an address it asks the coordinator there, after it has found out what that speaks.

use dmtcp_client::aio::{BoxFuture, Coordinator, Direction, Runtime, Server, Socket};
use dmtcp_client::coordinator::{self, DetectOptions};
use dmtcp_client::server::{self, ComputationConfig};
use dmtcp_client::{Dialect, Interval};
use std::net::{SocketAddr, TcpStream};
use std::task::{Context, Poll, ready};
use std::{env, error::Error, io, sync::Arc, time::Duration};

#[derive(Clone, Copy, Debug)]
struct Smol;

impl Runtime for Smol {
    fn watch(&self, socket: Arc<TcpStream>) -> io::Result<Box<dyn Socket>> {
        Ok(Box::new(Watched(smol::Async::new_nonblocking(socket)?)))
    }

    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            smol::Timer::after(time).await;
        })
    }
}

#[derive(Debug)]
struct Watched(smol::Async<Arc<TcpStream>>);

impl Socket for Watched {
    fn poll_io(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        io: &mut dyn FnMut() -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            match io() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
            ready!(match direction {
                Direction::Read => self.0.poll_readable(cx),
                Direction::Write => self.0.poll_writable(cx),
            })?;
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let asked: Option<SocketAddr> = env::args().nth(1).map(|addr| addr.parse()).transpose()?;
    smol::block_on(async {
        if let Some(addr) = asked {
            let coordinator = Coordinator::detect_on(Smol, addr, &DetectOptions::default()).await?;
            println!("{:?}", coordinator.status().await?);
            return Ok(());
        }
        let server = Server::on(Smol, server::Server::start()?);
        let computation = server.open(ComputationConfig::default()).await?;
        let events = computation.events();
        let handle = coordinator::Coordinator::new(computation.addr(), Dialect::V5);
        let coordinator = Coordinator::on(Smol, handle);
        let minute = Interval::Every(Duration::from_secs(60));
        coordinator.set_interval(minute).await?;

        let executor = smol::LocalExecutor::new();
        let asked: Vec<_> = (0..100)
            .map(|_| executor.spawn(async { coordinator.status().await }))
            .collect();
        let answers = async {
            let mut answers = 0;
            for asked in asked {
                answers += usize::from(asked.await.is_ok_and(|status| status.interval == minute));
            }
            answers
        };
        println!("{} answers over the wire", executor.run(answers).await);

        computation.close(Duration::from_secs(10)).await?;
        while let Some(event) = events.recv().await {
            println!("{event:?}");
        }
        server.shutdown(Duration::from_secs(10)).await?;
        println!("over");
        Ok(())
    })
}
