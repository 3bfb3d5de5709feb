//! `dmtcp_coordinator`: a handle to any coordinator, stock or ours, over TCP.

use std::ffi::c_char;
use std::sync::{Mutex, PoisonError};

use dmtcp_client::coordinator::{Coordinator as Handle, DetectOptions};
use dmtcp_proto::Interval;

use crate::arguments::{address, limit, port_of};
use crate::boundary::{call, contain};
use crate::checkpoint::CheckpointReport;
use crate::codes::ResultCode;
use crate::dialect::{DIALECTS, DialectNumber, dialect_of};
use crate::failure::Failure;
use crate::ffi::{GrowingOut, In, Out, Owned, Text};
use crate::status::Status;
use crate::workers::Workers;

/// A handle to a coordinator in any process; any number of threads may use one.
pub struct Coordinator(Mutex<Handle>);

/// A handle to the coordinator at a host, by name or IPv4 address, and port. Nothing is sent.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_coordinator_new(
    host: Text,
    port: u32,
    dialect: DialectNumber,
    coordinator: Out<*mut Coordinator>,
) -> ResultCode {
    call(|| {
        let place = coordinator.place("coordinator")?;
        let host = host.get("host")?;
        let dialect = dialect_of(dialect)?;
        let addr = address(host, port_of(port)?)?;
        place.put_object(Handle::new(addr, dialect).into());
        Ok(())
    })
}

/// The same for DMTCP_COORD_HOST and DMTCP_COORD_PORT, by default 127.0.0.1 and 7779.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_coordinator_from_env(
    dialect: DialectNumber,
    coordinator: Out<*mut Coordinator>,
) -> ResultCode {
    call(|| {
        let place = coordinator.place("coordinator")?;
        let handle = Handle::from_env(dialect_of(dialect)?)?;
        place.put_object(handle.into());
        Ok(())
    })
}

/// A handle to the coordinator at a host and port, in the dialect that it speaks. That is found out
/// without harm: from its executable, if it runs on this host; else by the one question that 2.5.1
/// and everything later survives. limit_ms covers all of it.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_coordinator_detect(
    host: Text,
    port: u32,
    limit_ms: u64,
    coordinator: Out<*mut Coordinator>,
) -> ResultCode {
    call(|| {
        let place = coordinator.place("coordinator")?;
        let addr = address(host.get("host")?, port_of(port)?)?;
        let options = DetectOptions::default().timeout(limit(limit_ms)?);
        place.put_object(Handle::detect(addr, &options)?.into());
        Ok(())
    })
}

/// What is spoken with it.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_coordinator_dialect(
    coordinator: In<Coordinator>,
    dialect: Out<DialectNumber>,
) -> ResultCode {
    call(|| {
        let spoken = coordinator.get("coordinator")?.handle().dialect();
        let place = dialect.place("dialect")?;
        let known = DIALECTS.iter().find(|(_, known)| *known == spoken);
        let (name, _) = known.ok_or_else(|| Failure {
            code: ResultCode::DMTCP_ERR_UNCLASSIFIED,
            message: format!("{spoken:?} has no number yet"),
        })?;
        place.put(*name as i32);
        Ok(())
    })
}

/// The port at which it is asked.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_coordinator_port(
    coordinator: In<Coordinator>,
    port: Out<u32>,
) -> ResultCode {
    call(|| {
        let addr = coordinator.get("coordinator")?.handle().addr();
        port.place("port")?.put(u32::from(addr.port()));
        Ok(())
    })
}

/// Frees a handle; the coordinator does not notice.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_coordinator_free(coordinator: Owned<Coordinator>) {
    contain((), || drop(coordinator.take()));
}

/// Limits each question, from connecting to the answer, in the calls that begin from now on.
/// Default: 10,000 ms.
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

/// Only asks for a checkpoint: the number of workers that began one. Nothing is known about its
/// end. DMTCP_ERR_NOT_RUNNING: no workers, or not all of them running.
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

/// Checkpoints the whole computation and waits for its end; limit_ms covers everything. One that is
/// starting, restarting or in another checkpoint is waited for, one without workers for 5 s.
/// DMTCP_ERR_CHECKPOINT_TIMED_OUT: the round goes on, nothing can stop it.
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

/// The same; then the workers exit, and that is waited for too. A stock coordinator does not answer
/// at the end of it, so the evidence is DMTCP_EVIDENCE_OBSERVED. DMTCP_ERR_UNCONFIRMED: they are
/// gone, and their images may or may not be whole: look before using or discarding them.
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

/// Sets the seconds between periodic checkpoints, and reads them back; 0: only when asked.
/// DMTCP_ERR_INTERVAL_IGNORED: 3.1.1 to 4.2.0 say yes and do nothing.
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

/// Where images go unless a worker was told otherwise; free it with dmtcp_text_free(). 2.5.1 to
/// 2.6.0 only: others are DMTCP_ERR_NOT_SUPPORTED, and nothing is sent to them.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_coordinator_checkpoint_dir(
    coordinator: In<Coordinator>,
    dir: Out<*mut c_char>,
) -> ResultCode {
    call(|| {
        let handle = coordinator.get("coordinator")?.handle();
        let place = dir.place("dir")?;
        place.put_text(&handle.checkpoint_dir()?.to_string());
        Ok(())
    })
}

/// Sets which components of the workers log, one bit for each. As dmtcp_coordinator_checkpoint_dir,
/// 2.5.1 to 2.6.0 only, and workers that were built to log.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_coordinator_set_log_mask(
    coordinator: In<Coordinator>,
    mask: u32,
) -> ResultCode {
    call(|| {
        let handle = coordinator.get("coordinator")?.handle();
        Ok(handle.set_log_mask(mask)?)
    })
}

/// Kills all workers and waits until they are gone. The coordinator stays, unless it was started to
/// end with its last worker.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_coordinator_kill_workers(coordinator: In<Coordinator>) -> ResultCode {
    call(|| Ok(coordinator.get("coordinator")?.handle().kill_workers()?))
}

/// Kills all workers, ends the coordinator, and waits until nobody listens there any more. The
/// handle stays and is to be freed.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_coordinator_quit(coordinator: In<Coordinator>) -> ResultCode {
    call(|| Ok(coordinator.get("coordinator")?.handle().quit()?))
}

impl From<Handle> for Coordinator {
    fn from(handle: Handle) -> Self {
        Self(Mutex::new(handle))
    }
}

impl Coordinator {
    /// A copy, so that no call waits for another.
    pub(crate) fn handle(&self) -> Handle {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Handle> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
