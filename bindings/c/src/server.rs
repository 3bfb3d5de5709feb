//! `dmtcp_server` and `dmtcp_computation`: the embedded coordinator.
//!
//! Small on purpose: what a computation is asked for goes through a `dmtcp_coordinator` on its
//! port. Sets are not sealed: there is no way yet to give a sealer from C.

use std::net::{Ipv4Addr, SocketAddr};

use dmtcp_client::server::{Computation as Hosted, ComputationConfig, Server as Host};

use crate::boundary::{call, contain};
use crate::coordinator::{limit, port_in_range};
use crate::error::ResultCode;
use crate::ffi::{GrowingOut, In, Out, Owned};
use crate::status::Status;

/// A coordinator in this process.
pub struct Server(Host);

/// A computation of a server.
pub struct Computation(Hosted);

/// Starts the thread of a server; it listens nowhere yet.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_server_start(server: Out<*mut Server>) -> ResultCode {
    call(|| {
        let place = server.place("server")?;
        place.put_object(Server(Host::start()?));
        Ok(())
    })
}

/// Ends all computations of a server, and with them their workers.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_server_free(server: Owned<Server>) {
    contain((), || drop(server.take()));
}

/// One more computation, listening on this port of 127.0.0.1; 0: a free one.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_server_open(
    server: In<Server>,
    port: u32,
    computation: Out<*mut Computation>,
) -> ResultCode {
    call(|| {
        let host = &server.get("server")?.0;
        let place = computation.place("computation")?;
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port_in_range(port)?));
        let hosted = host.open(ComputationConfig::default().addr(addr))?;
        place.put_object(Computation(hosted));
        Ok(())
    })
}

/// The port on which it listens.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_computation_port(
    computation: In<Computation>,
    port: Out<u32>,
) -> ResultCode {
    call(|| {
        let hosted = &computation.get("computation")?.0;
        port.place("port")?.put(u32::from(hosted.port()));
        Ok(())
    })
}

/// Peers, running or not, interval; without a connection.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_computation_status(
    computation: In<Computation>,
    status: GrowingOut<Status>,
) -> ResultCode {
    call(|| {
        let hosted = &computation.get("computation")?.0;
        let place = status.place("status")?;
        place.put(hosted.status()?.into());
        Ok(())
    })
}

/// Ends a computation and with it its workers, and waits until nothing of it is left.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_computation_close(
    computation: In<Computation>,
    limit_ms: u64,
) -> ResultCode {
    call(|| {
        let hosted = &computation.get("computation")?.0;
        Ok(hosted.close(limit(limit_ms)?)?)
    })
}

/// Frees the handle; the computation lives on.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_computation_free(computation: Owned<Computation>) {
    contain((), || drop(computation.take()));
}
