//! `dmtcp_coordinator`: a handle to any coordinator, stock or ours, over TCP.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use dmtcp_client::coordinator::Coordinator as Handle;
use dmtcp_proto::{Dialect, Interval};

use crate::boundary::{call, contain};
use crate::checkpoint::CheckpointReport;
use crate::error::{Failure, ResultCode};
use crate::ffi::{GrowingOut, In, Out, Owned, Text};
use crate::status::Status;
use crate::workers::Workers;

/// A handle; calls work on a copy, so that none waits for another.
pub struct Coordinator(Mutex<Handle>);

/// Dialects with their names in C.
pub const DIALECTS: &[(&str, i32, Dialect)] = &[
    ("DMTCP_DIALECT_V2_4", 24, Dialect::V2_4),
    ("DMTCP_DIALECT_V2_5", 25, Dialect::V2_5),
    ("DMTCP_DIALECT_V2_6", 26, Dialect::V2_6),
    ("DMTCP_DIALECT_V3", 3, Dialect::V3),
    ("DMTCP_DIALECT_V5", 5, Dialect::V5),
];

/// A handle to the coordinator at this host and port. Nothing is sent.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_coordinator_new(
    host: Text,
    port: u32,
    dialect: i32,
    coordinator: Out<*mut Coordinator>,
) -> ResultCode {
    call(|| {
        let place = coordinator.place("coordinator")?;
        let host = host.get("host")?;
        let dialect = dialect_of(dialect)?;
        let addr = address(host, port_of(port)?)?;
        place.put_object(Coordinator(Mutex::new(Handle::new(addr, dialect))));
        Ok(())
    })
}

/// A handle to the coordinator that `DMTCP_COORD_HOST` and `DMTCP_COORD_PORT` name.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_coordinator_from_env(
    dialect: i32,
    coordinator: Out<*mut Coordinator>,
) -> ResultCode {
    call(|| {
        let place = coordinator.place("coordinator")?;
        let handle = Handle::from_env(dialect_of(dialect)?)?;
        place.put_object(Coordinator(Mutex::new(handle)));
        Ok(())
    })
}

/// Frees a handle. The coordinator does not notice.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_coordinator_free(coordinator: Owned<Coordinator>) {
    contain((), || drop(coordinator.take()));
}

/// Limits each question of the calls that begin from now on.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_coordinator_set_timeout(
    coordinator: In<Coordinator>,
    limit_ms: u64,
) -> ResultCode {
    call(|| {
        let coordinator = coordinator.get("coordinator")?;
        let handle = coordinator.handle().timeout(limit(limit_ms)?);
        *coordinator.lock() = handle;
        Ok(())
    })
}

/// Peers, running or not, interval.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_coordinator_status(
    coordinator: In<Coordinator>,
    status: GrowingOut<Status>,
) -> ResultCode {
    call(|| {
        let handle = coordinator.get("coordinator")?.handle();
        let place = status.place("status")?;
        place.put(handle.status()?.into());
        Ok(())
    })
}

/// Every worker.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_coordinator_workers(
    coordinator: In<Coordinator>,
    workers: Out<*mut Workers>,
) -> ResultCode {
    call(|| {
        let handle = coordinator.get("coordinator")?.handle();
        let place = workers.place("workers")?;
        place.put_object(handle.workers()?.into());
        Ok(())
    })
}

/// Only asks for a checkpoint: the number of workers that began one.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_coordinator_request_checkpoint(
    coordinator: In<Coordinator>,
    peers: Out<u32>,
) -> ResultCode {
    call(|| {
        let handle = coordinator.get("coordinator")?.handle();
        let place = peers.place("peers")?;
        place.put(handle.request_checkpoint()?);
        Ok(())
    })
}

/// Checkpoints the whole computation and waits for its end.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_coordinator_checkpoint(
    coordinator: In<Coordinator>,
    limit_ms: u64,
    report: GrowingOut<CheckpointReport>,
) -> ResultCode {
    call(|| {
        let handle = coordinator.get("coordinator")?.handle();
        let place = report.place("report")?;
        place.put(handle.checkpoint(limit(limit_ms)?)?.into());
        Ok(())
    })
}

/// Checkpoints the whole computation, lets the workers exit behind it and waits for that.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_coordinator_checkpoint_and_kill(
    coordinator: In<Coordinator>,
    limit_ms: u64,
    report: GrowingOut<CheckpointReport>,
) -> ResultCode {
    call(|| {
        let handle = coordinator.get("coordinator")?.handle();
        let place = report.place("report")?;
        place.put(handle.checkpoint_and_kill(limit(limit_ms)?)?.into());
        Ok(())
    })
}

/// Changes the interval of periodic checkpoints and reads it back; 0: only when asked.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_coordinator_set_interval(
    coordinator: In<Coordinator>,
    interval_s: u32,
) -> ResultCode {
    call(|| {
        let handle = coordinator.get("coordinator")?.handle();
        let seconds = i32::try_from(interval_s).map_err(|_| {
            Failure::argument(format!("interval_s is {interval_s}, over {}", i32::MAX))
        })?;
        Ok(handle.set_interval(Interval::from_wire(seconds))?)
    })
}

/// Kills all workers and waits until they are gone.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_coordinator_kill_workers(coordinator: In<Coordinator>) -> ResultCode {
    call(|| Ok(coordinator.get("coordinator")?.handle().kill_workers()?))
}

/// Kills all workers, ends the coordinator, and waits until nobody listens there any more.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_coordinator_quit(coordinator: In<Coordinator>) -> ResultCode {
    call(|| Ok(coordinator.get("coordinator")?.handle().quit()?))
}

impl Coordinator {
    fn handle(&self) -> Handle {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Handle> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A wait that ends, and does not end before it begins.
pub(crate) fn limit(limit_ms: u64) -> Result<Duration, Failure> {
    if limit_ms == 0 {
        return Err(Failure::argument(
            "limit_ms is 0: say how long to wait; there is no waiting for ever",
        ));
    }
    Ok(Duration::from_millis(limit_ms))
}

/// The number of a port. Not `uint16_t` in C, where a larger number would become another port.
pub(crate) fn port_in_range(port: u32) -> Result<u16, Failure> {
    u16::try_from(port).map_err(|_| Failure::argument(format!("port is {port}, over 65535")))
}

fn port_of(port: u32) -> Result<u16, Failure> {
    match port_in_range(port)? {
        0 => Err(Failure::argument("port is 0")),
        port => Ok(port),
    }
}

fn dialect_of(number: i32) -> Result<Dialect, Failure> {
    DIALECTS
        .iter()
        .find(|(_, known, _)| *known == number)
        .map(|(_, _, dialect)| *dialect)
        .ok_or_else(|| Failure::argument(format!("there is no dialect {number}")))
}

fn address(host: &str, port: u16) -> Result<SocketAddr, Failure> {
    let failed = |why: &str| Failure {
        code: ResultCode::ADDRESS,
        message: format!("host {host:?} has no IPv4 address: {why}"),
    };
    let mut addrs = (host, port)
        .to_socket_addrs()
        .map_err(|error| failed(&error.to_string()))?;
    // DMTCP's coordinators listen on IPv4 only.
    addrs
        .find(SocketAddr::is_ipv4)
        .ok_or_else(|| failed("only others"))
}
