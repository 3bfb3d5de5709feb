//! `dmtcp_computation`: a computation whose coordinator runs in this process.

use std::ffi::c_char;

use dmtcp_client::server::{ChromeTrace, Computation as Hosted, Exposition};
use dmtcp_proto::Interval;

use crate::arguments::limit;
use crate::boundary::{call, contain};
use crate::checkpoint::Sealed;
use crate::codes::ResultCode;
use crate::events::{Event, Subscription};
use crate::failure::Failure;
use crate::ffi::{Callback, Context, GrowingOut, In, Out, Owned};
use crate::key_values::KeyValues;
use crate::status::Status;
use crate::workers::Workers;

/// A computation of a server. It lives until it is closed, told to quit, or its server is freed,
/// whatever becomes of this handle.
pub struct Computation(Hosted);

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

/// As dmtcp_coordinator_status(), without a connection.
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

/// Every worker, in the order in which they joined; free the list with dmtcp_workers_free().
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_computation_workers(
    computation: In<Computation>,
    workers: Out<*mut Workers>,
) -> ResultCode {
    call(|| {
        let hosted = &computation.get("computation")?.0;
        let place = workers.place("workers")?;
        place.put_object(hosted.workers()?.into());
        Ok(())
    })
}

/// Waits until all workers run, and are `peers` if that is not 0.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_computation_wait_until_running(
    computation: In<Computation>,
    peers: u32,
    limit_ms: u64,
    status: GrowingOut<Status>,
) -> ResultCode {
    call(|| {
        let hosted = &computation.get("computation")?.0;
        let place = status.place("status")?;
        let peers = (peers > 0).then_some(peers);
        let found = hosted.wait_until_running(peers, limit(limit_ms)?)?;
        place.put(found.into());
        Ok(())
    })
}

/// Makes a checkpoint and waits until it is complete, and sealed if sets are kept; the workers then
/// go on. DMTCP_ERR_TIMED_OUT: it goes on, and an event tells its outcome.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_computation_checkpoint(
    computation: In<Computation>,
    limit_ms: u64,
    sealed: GrowingOut<Sealed>,
) -> ResultCode {
    call(|| {
        let hosted = &computation.get("computation")?.0;
        let place = sealed.place("sealed")?;
        place.put(hosted.checkpoint(limit(limit_ms)?)?.into());
        Ok(())
    })
}

/// The same, and the workers exit behind it instead of going on.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_computation_checkpoint_and_kill(
    computation: In<Computation>,
    limit_ms: u64,
    sealed: GrowingOut<Sealed>,
) -> ResultCode {
    call(|| {
        let hosted = &computation.get("computation")?.0;
        let place = sealed.place("sealed")?;
        place.put(hosted.checkpoint_and_kill(limit(limit_ms)?)?.into());
        Ok(())
    })
}

/// Starts a checkpoint, and says with how many workers. An event tells its outcome.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_computation_request_checkpoint(
    computation: In<Computation>,
    peers: Out<u32>,
) -> ResultCode {
    call(|| {
        let hosted = &computation.get("computation")?.0;
        let place = peers.place("peers")?;
        place.put(hosted.request_checkpoint()?);
        Ok(())
    })
}

/// Sets the seconds between periodic checkpoints; 0: only when asked.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_computation_set_interval(
    computation: In<Computation>,
    interval_s: u32,
) -> ResultCode {
    call(|| {
        let hosted = &computation.get("computation")?.0;
        let seconds = i32::try_from(interval_s)
            .map_err(|_| Failure::argument(format!("interval_s is {interval_s}")))?;
        Ok(hosted.set_interval(Interval::from_wire(seconds))?)
    })
}

/// What its workers have put into the key-value store; free it with dmtcp_key_values_free().
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_computation_key_values(
    computation: In<Computation>,
    key_values: Out<*mut KeyValues>,
) -> ResultCode {
    call(|| {
        let hosted = &computation.get("computation")?.0;
        let place = key_values.place("key_values")?;
        place.put_object((&hosted.key_values()?).into());
        Ok(())
    })
}

/// Its counters and gauges as Prometheus reads them; free the text with dmtcp_text_free().
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_computation_metrics(
    computation: In<Computation>,
    text: Out<*mut c_char>,
) -> ResultCode {
    call(|| {
        let hosted = &computation.get("computation")?.0;
        let place = text.place("text")?;
        place.put_text(&Exposition::of(&[hosted.metrics()?]).to_string());
        Ok(())
    })
}

/// Its last rounds as a Chrome trace (JSON), to be looked at in Perfetto; free the text with
/// dmtcp_text_free().
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_computation_timelines(
    computation: In<Computation>,
    text: Out<*mut c_char>,
) -> ResultCode {
    call(|| {
        let hosted = &computation.get("computation")?.0;
        let place = text.place("text")?;
        let timelines = hosted.timelines()?;
        let mut json = Vec::new();
        // Writing to memory does not fail.
        let _ = ChromeTrace::of(&timelines).write(&mut json);
        place.put_text(&String::from_utf8_lossy(&json));
        Ok(())
    })
}

/// Calls a function for each event from now on, on a thread of its own, in their order; the last is
/// DMTCP_EVENT_END. Free the subscription to stop that.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_computation_on_event(
    computation: In<Computation>,
    callback: Callback<Event>,
    context: Context,
    subscription: Out<*mut Subscription>,
) -> ResultCode {
    call(|| {
        let hosted = &computation.get("computation")?.0;
        let listener = callback.get("callback", context)?;
        let place = subscription.place("subscription")?;
        place.put_object(Subscription::to_computation(hosted.events(), listener)?);
        Ok(())
    })
}

/// Tells all workers to exit, without a checkpoint, and waits until they are gone.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_computation_kill_workers(
    computation: In<Computation>,
    limit_ms: u64,
) -> ResultCode {
    call(|| {
        let hosted = &computation.get("computation")?.0;
        Ok(hosted.kill_workers(limit(limit_ms)?)?)
    })
}

/// Tells all workers to exit, and ends the computation when they are gone.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_computation_quit(
    computation: In<Computation>,
    limit_ms: u64,
) -> ResultCode {
    call(|| {
        let hosted = &computation.get("computation")?.0;
        Ok(hosted.quit(limit(limit_ms)?)?)
    })
}

/// Ends a computation AND WITH IT ITS WORKERS, without a checkpoint, and waits until nothing of it
/// is left. Closing what is closed is no error.
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

/// Frees the handle. The computation lives on until it is closed or its server is freed; the server
/// may be freed first.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_computation_free(computation: Owned<Computation>) {
    contain((), || drop(computation.take()));
}

impl From<Hosted> for Computation {
    fn from(hosted: Hosted) -> Self {
        Self(hosted)
    }
}
