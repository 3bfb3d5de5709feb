//! `dmtcp_server`: the embedded coordinator.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use dmtcp_client::server::{ComputationConfig, Server as Host};
use dmtcp_client::set::SetStore;
use dmtcp_proto::Interval;

use crate::arguments::{port_in_range, unless_zero};
use crate::boundary::{call, contain};
use crate::codes::ResultCode;
use crate::computation::Computation;
use crate::failure::Failure;
use crate::ffi::{GrowingIn, In, Out, Owned, Text, filled_in};
use crate::sealing::StoreSealer;

/// A coordinator in this process: one thread, any number of computations. It does not survive fork:
/// a child must not use what its parent started.
pub struct Server(Arc<Host>);

/// What is decided of a computation when it is opened. Zeros are the defaults.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
#[non_exhaustive]
pub struct ComputationOptions {
    /// sizeof(dmtcp_computation_options).
    pub size: usize,
    /// The state directory in which its checkpoints become sets. The directory of the sets is owned
    /// until the computation is closed. NULL: none, and a checkpoint is complete once every worker
    /// has reported its image.
    pub sets: Text,
    /// How long sealing a set may take. 0: ten minutes.
    pub seal_limit_ms: u64,
    /// Where to listen on 127.0.0.1. 0: a free port.
    pub port: u32,
    /// Seconds between periodic checkpoints. 0: only when asked.
    pub interval_s: u32,
}

filled_in!(ComputationOptions: sets seal_limit_ms port interval_s, oldest = interval_s);

/// Starts the thread of a server; it listens nowhere yet.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_server_start(server: Out<*mut Server>) -> ResultCode {
    call(|| {
        let place = server.place("server")?;
        place.put_object(Server(Arc::new(Host::start()?)));
        Ok(())
    })
}

/// Ends all computations of a server, AND WITH THEM THEIR WORKERS, which exit without a checkpoint
/// when they lose their coordinator. Jobs that run on it keep it until they have ended.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_server_free(server: Owned<Server>) {
    contain((), || drop(server.take()));
}

/// One more computation without workers, listening on this port of 127.0.0.1 when this returns; port
/// 0: a free one. Start workers with dmtcp_launch_spawn(), or dmtcp_launch --join-coordinator
/// --coord-port PORT. Images stay where the workers write them. Whoever reaches the port as this user
/// or root can kill, checkpoint and join.
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
        place.put_object(Computation::from(hosted));
        Ok(())
    })
}

/// The same with these options; NULL: all defaults. With `sets`, checkpoints become complete,
/// verified and durable sets, whoever asks for them.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_server_open_with(
    server: In<Server>,
    options: GrowingIn<ComputationOptions>,
    computation: Out<*mut Computation>,
) -> ResultCode {
    call(|| {
        let host = &server.get("server")?.0;
        let options = options.or_default("options")?;
        let place = computation.place("computation")?;
        let port = port_in_range(options.port)?;
        let seconds = i32::try_from(options.interval_s)
            .map_err(|_| Failure::argument(format!("interval_s is {}", options.interval_s)))?;
        let mut config = ComputationConfig::default()
            .addr(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
            .interval(Interval::from_wire(seconds));
        if let Some(dir) = options.sets.optional_path("options->sets")? {
            let limit = unless_zero(options.seal_limit_ms).unwrap_or(SEAL_LIMIT);
            config = config.sealer(StoreSealer::new(SetStore::open(dir)?, limit));
        }
        place.put_object(Computation::from(host.open(config)?));
        Ok(())
    })
}

impl Server {
    pub(crate) fn host(&self) -> &Arc<Host> {
        &self.0
    }
}

const SEAL_LIMIT: Duration = Duration::from_secs(600);
