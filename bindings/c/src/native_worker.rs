//! `dmtcp_native_worker`: this program as a worker that is checkpointed at points of its own choosing.

use std::ffi::c_char;
use std::sync::{Mutex, MutexGuard, PoisonError};

use dmtcp_client::native::{Error, Options, SafePoint, Worker};

use crate::boundary::{call, contain};
use crate::bytes::Bytes;
use crate::codes::{ResultCode, ResultNumber};
use crate::failure::Failure;
use crate::ffi::{In, Memory, Out, Owned, Text};
use crate::native_state::Regions;

/// This program as a worker: it joins a computation, is checkpointed at points of its own choosing,
/// and gets its state back when it is restarted. It needs no DMTCP. An image holds the state that is
/// handed in and how the program was started, and nothing else: files, sockets, threads and the
/// environment are the program's business. Only one thread uses it at a time.
pub struct NativeWorker(Mutex<State>);

struct State {
    /// `None`: it has left.
    worker: Option<Worker>,
    regions: Regions,
}

/// Joins the computation that the environment names: a job with `native` sets it, and so does
/// dmtcpctl run --native. DMTCP_ERR_NOT_LAUNCHED: nobody launched this program as a worker.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_native_worker_join(worker: Out<*mut NativeWorker>) -> ResultCode {
    call(|| {
        let place = worker.place("worker")?;
        let joined = Worker::join(Options::from_env()?)?;
        place.put_object(NativeWorker(Mutex::new(State {
            worker: Some(joined),
            regions: Regions::default(),
        })));
        Ok(())
    })
}

/// Makes memory part of the state: a safe point saves its bytes under this name, and
/// dmtcp_native_worker_restore() fills it. It must stay where it is until it is given up, registered
/// again elsewhere, or the worker is freed. Names are UTF-8.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_native_worker_register(
    worker: In<NativeWorker>,
    name: Text,
    data: Memory,
    length: usize,
) -> ResultCode {
    call(|| {
        let worker = worker.get("worker")?;
        let name = name.get("name")?;
        if name.is_empty() || name.len() > LONGEST_NAME {
            let why = format!("name has {} bytes, not 1 to {LONGEST_NAME}", name.len());
            return Err(Failure::argument(why));
        }
        let region = data.region(length, "data")?;
        worker.lock().regions.insert(name, region);
        Ok(())
    })
}

/// Gives registered memory up, before it goes away.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_native_worker_unregister(
    worker: In<NativeWorker>,
    name: Text,
) -> ResultCode {
    call(|| {
        let worker = worker.get("worker")?;
        let name = name.get("name")?;
        match worker.lock().regions.remove(name) {
            true => Ok(()),
            false => Err(Failure::argument(format!("{name:?} is not registered"))),
        }
    })
}

/// Fills all registered memory from the image and waits until the other processes are there;
/// `restored` is 1. After a fresh start nothing is done, and it is 0. DMTCP_ERR_STATE: other memory is
/// registered than was; none is filled, and this worker has left.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_native_worker_restore(
    worker: In<NativeWorker>,
    restored: Out<i32>,
) -> ResultCode {
    call(|| {
        let worker = worker.get("worker")?;
        let place = restored.place("restored")?;
        let mut state = worker.lock();
        let State { worker, regions } = &mut *state;
        let worker = worker.as_mut().ok_or(Error::AlreadyLeft)?;
        let filled = worker.restore_bytes_with(|bytes| regions.load(&bytes))?;
        place.put(i32::from(filled.is_some()));
        Ok(())
    })
}

/// Takes part in a checkpoint if one is asked for, and costs next to nothing otherwise; `checkpointed`
/// is 1 when there was one: all workers have written their images, and this one's is on disk. The
/// state is what is in the registered memory now.
///
/// Between safe points the worker answers nothing and holds every checkpoint up. After any failure it
/// has left its computation; DMTCP_ERR_WORKER_KILLED and DMTCP_ERR_WORKER_CHECKPOINTED are how it is
/// told to end. See dmtcp_native_worker_exit_code().
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_native_worker_safe_point(
    worker: In<NativeWorker>,
    checkpointed: Out<i32>,
) -> ResultCode {
    call(|| {
        let worker = worker.get("worker")?;
        let place = checkpointed.place("checkpointed")?;
        let mut state = worker.lock();
        let State { worker, regions } = &mut *state;
        let worker = worker.as_mut().ok_or(Error::AlreadyLeft)?;
        if !worker.is_asked() {
            place.put(0);
            return Ok(());
        }
        let parts = regions.parts();
        let parts: Vec<&[u8]> = parts.iter().map(AsRef::as_ref).collect();
        place.put(was_checkpointed(&worker.safe_point_parts(&parts)?));
        Ok(())
    })
}

/// The state from the image of a program that uses dmtcp_native_worker_safe_point_bytes(); NULL after
/// a fresh start. Free it with dmtcp_bytes_free(). Otherwise as dmtcp_native_worker_restore().
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_native_worker_restore_bytes(
    worker: In<NativeWorker>,
    bytes: Out<*mut Bytes>,
) -> ResultCode {
    call(|| {
        let worker = worker.get("worker")?;
        let place = bytes.place("bytes")?;
        let restored = worker.lock().worker()?.restore_bytes()?;
        place.put_optional(restored.map(Bytes::from));
        Ok(())
    })
}

/// As dmtcp_native_worker_safe_point(), with these bytes as the state and not what is registered.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_native_worker_safe_point_bytes(
    worker: In<NativeWorker>,
    data: Memory,
    length: usize,
    checkpointed: Out<i32>,
) -> ResultCode {
    call(|| {
        let worker = worker.get("worker")?;
        let place = checkpointed.place("checkpointed")?;
        let saved = data.bytes(length, "data")?;
        place.put(was_checkpointed(
            &worker.lock().worker()?.safe_point_bytes(saved)?,
        ));
        Ok(())
    })
}

/// 1 if the next safe point has something to do: a checkpoint, or news of the end; 0 otherwise, for
/// NULL, and once it has left. For programs to whom it costs something to get their state together.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_native_worker_is_asked(worker: In<NativeWorker>) -> i32 {
    contain(0, || {
        let asked = worker.optional().is_some_and(|worker| {
            let state = worker.lock();
            state.worker.as_ref().is_some_and(Worker::is_asked)
        });
        i32::from(asked)
    })
}

/// Where this worker's images go; free the text with dmtcp_text_free().
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_native_worker_image_path(
    worker: In<NativeWorker>,
    path: Out<*mut c_char>,
) -> ResultCode {
    call(|| {
        let worker = worker.get("worker")?;
        let place = path.place("path")?;
        let mut state = worker.lock();
        place.put_path(state.worker()?.image_path());
        Ok(())
    })
}

/// Leaves the computation because the program is done. DMTCP_ERR_NOT_RESTORED: it never asked for the
/// state that it was restarted with. The object is still to be freed.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_native_worker_finish(worker: In<NativeWorker>) -> ResultCode {
    call(|| {
        let worker = worker.get("worker")?;
        let joined = worker.lock().worker.take();
        Ok(joined.ok_or(Error::AlreadyLeft)?.finish()?)
    })
}

/// The exit code with which a worker of DMTCP would end on a failure of a safe point: 0 when it was
/// told to exit, 99 otherwise.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_native_worker_exit_code(code: ResultNumber) -> i32 {
    let told_to = [
        ResultCode::DMTCP_ERR_WORKER_KILLED,
        ResultCode::DMTCP_ERR_WORKER_CHECKPOINTED,
    ];
    contain(STOCK_FAILURE, || {
        match told_to.iter().any(|told| told.value() == code) {
            true => 0,
            false => STOCK_FAILURE,
        }
    })
}

/// Leaves the computation, if it has not, and frees the object.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_native_worker_free(worker: Owned<NativeWorker>) {
    contain((), || drop(worker.take()));
}

impl NativeWorker {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn worker(&mut self) -> Result<&mut Worker, Failure> {
        Ok(self.worker.as_mut().ok_or(Error::AlreadyLeft)?)
    }
}

fn was_checkpointed(done: &SafePoint) -> i32 {
    i32::from(matches!(done, SafePoint::Checkpointed { .. }))
}

const LONGEST_NAME: usize = 255;
const STOCK_FAILURE: i32 = 99;
