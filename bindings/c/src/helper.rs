//! `dmtcp_helper_coordinator`: a coordinator that outlives this process.

use dmtcp_client::helper::{HelperCoordinator as Helper, HelperSettings as Settings};
use dmtcp_proto::Interval;

use crate::arguments::{limit, port_in_range};
use crate::boundary::{call, contain};
use crate::codes::ResultCode;
use crate::coordinator::Coordinator;
use crate::failure::Failure;
use crate::ffi::{GrowingIn, In, Out, Owned, Text, TextList, filled_in};

/// A coordinator in a process of its own, which goes on when this one ends. It ends by
/// dmtcp_coordinator_quit(), or after eight hours without processes.
pub struct HelperCoordinator(Helper);

/// What is decided of one before it starts. Zeros are the defaults.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
#[non_exhaustive]
pub struct HelperSettings {
    /// sizeof(dmtcp_helper_settings).
    pub size: usize,
    /// The file of dmtcpctl. NULL: what the variable DMTCPCTL names, else dmtcpctl in PATH.
    pub program: Text,
    /// Where the restart script goes. NULL: this process's directory.
    pub checkpoint_dir: Text,
    /// File for the number of the port, removed when it ends. NULL: none.
    pub port_file: Text,
    /// File to which it adds what happens. NULL: none.
    pub log_file: Text,
    /// More options of `dmtcpctl coordinator`; a NULL ends them. NULL: no more.
    pub options: TextList,
    /// Where to listen on 127.0.0.1. 0: a free port.
    pub port: u32,
    /// Seconds between periodic checkpoints. 0: only when asked.
    pub interval_s: u32,
}

filled_in!(HelperSettings: program checkpoint_dir port_file log_file options port interval_s,
    oldest = interval_s);

/// Starts one, and waits until it serves. settings may be NULL: all defaults. On an error nothing
/// runs; without dmtcpctl it is DMTCP_ERR_TOOLS, and the message says how to get it.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_helper_coordinator_start(
    settings: GrowingIn<HelperSettings>,
    limit_ms: u64,
    helper: Out<*mut HelperCoordinator>,
) -> ResultCode {
    call(|| {
        let settings = settings.or_default("settings")?.settings()?;
        let limit = limit(limit_ms)?;
        let place = helper.place("helper")?;
        place.put_object(HelperCoordinator(settings.start(limit)?));
        Ok(())
    })
}

/// Its port on 127.0.0.1.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_helper_coordinator_port(
    helper: In<HelperCoordinator>,
    port: Out<u32>,
) -> ResultCode {
    call(|| {
        let addr = helper.get("helper")?.0.addr();
        port.place("port")?.put(u32::from(addr.port()));
        Ok(())
    })
}

/// The number of its process.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_helper_coordinator_pid(
    helper: In<HelperCoordinator>,
    pid: Out<i32>,
) -> ResultCode {
    call(|| {
        let number = helper.get("helper")?.0.pid();
        pid.place("pid")?.put(number);
        Ok(())
    })
}

/// Writes 1 if its process runs, else 0.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_helper_coordinator_is_running(
    helper: In<HelperCoordinator>,
    is_running: Out<i32>,
) -> ResultCode {
    call(|| {
        let helper = helper.get("helper")?;
        let place = is_running.place("is_running")?;
        place.put(i32::from(helper.0.is_running()?));
        Ok(())
    })
}

/// A handle to it, which is freed by itself.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_helper_coordinator_coordinator(
    helper: In<HelperCoordinator>,
    coordinator: Out<*mut Coordinator>,
) -> ResultCode {
    call(|| {
        let handle = helper.get("helper")?.0.coordinator();
        let place = coordinator.place("coordinator")?;
        place.put_object(handle.into());
        Ok(())
    })
}

/// Frees the object. THE COORDINATOR GOES ON.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_helper_coordinator_free(helper: Owned<HelperCoordinator>) {
    contain((), || drop(helper.take()));
}

impl HelperSettings {
    fn settings(&self) -> Result<Settings, Failure> {
        let port = port_in_range(self.port)?;
        let seconds = i32::try_from(self.interval_s)
            .map_err(|_| Failure::argument(format!("interval_s is {}", self.interval_s)))?;
        let mut settings = Settings::new()
            .listen(([127, 0, 0, 1], port).into())
            .interval(Interval::from_wire(seconds));
        if let Some(program) = self.program.optional_path("settings->program")? {
            settings = settings.program(program);
        }
        let dir = self
            .checkpoint_dir
            .optional_path("settings->checkpoint_dir")?;
        if let Some(dir) = dir {
            settings = settings.checkpoint_dir(dir);
        }
        if let Some(file) = self.port_file.optional_path("settings->port_file")? {
            settings = settings.port_file(file);
        }
        if let Some(file) = self.log_file.optional_path("settings->log_file")? {
            settings = settings.log_file(file);
        }
        let options = self.options.get().unwrap_or_default().into_iter();
        Ok(options.fold(settings, Settings::raw_option))
    }
}
