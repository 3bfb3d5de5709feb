//! The runtime of all handles here: that of whoever polls, which is a thread that waits, or the one for
//! asyncio.

use std::{
    future::{Future, poll_fn},
    io,
    net::TcpStream,
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use dmtcp_client::aio::{BoxFuture, Runtime, Socket, Tokio};

use crate::{failure::Failure, one_thread::OneThread};

/// What its futures need is looked up when they are polled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lender;

impl Runtime for Lender {
    fn watch(&self, socket: Arc<TcpStream>) -> io::Result<Box<dyn Socket>> {
        match OneThread::current() {
            Some(thread) => Ok(thread.watch(socket)),
            None => Tokio::default().watch(socket),
        }
    }

    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        match OneThread::current() {
            Some(thread) => thread.sleep(time),
            None => Tokio::default().sleep(time),
        }
    }
}

/// What comes of it within this time; polled first, so that what is there is taken.
pub(crate) async fn within<T>(
    limit: Duration,
    what: &str,
    future: impl Future<Output = T>,
) -> Result<T, Failure> {
    let mut future = pin!(future);
    let mut end = None;
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        let end = end.get_or_insert_with(|| Lender.sleep(limit));
        end.as_mut()
            .poll(cx)
            .map(|()| Err(Failure::timed_out(format!("no {what} within {limit:?}"))))
    })
    .await
}
