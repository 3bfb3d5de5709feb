//! `dmtcp_job`: a job that this process runs.

use std::sync::mpsc::TryRecvError;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use dmtcp_client::job::{JobControl, Outcome as Found, RunningJob};

use crate::arguments::{limit, unless_zero};
use crate::boundary::{call, contain};
use crate::checkpoint::Sealed;
use crate::codes::ResultCode;
use crate::computation::Computation;
use crate::events::Subscription;
use crate::failure::Failure;
use crate::ffi::{Callback, Context, GrowingIn, GrowingOut, In, Out, Owned};
use crate::job_events::{JobEvent, subscribe};
use crate::job_settings::JobSettings;
use crate::outcome::Outcome;
use crate::server::Server;

/// A job that runs on a thread of its own: it starts or goes on, takes checkpoints, stops in time,
/// and has an outcome.
pub struct Job {
    control: JobControl,
    thread: Mutex<Thread>,
    _news: Option<Subscription>,
}

/// The thread of a job.
struct Thread {
    /// `None`: it was seen to end.
    running: Option<RunningJob>,
    /// Why nothing was done, if nothing was.
    failed: Option<Failure>,
}

/// Starts a job, or goes on with it: whatever is in its state directory says. The server may be freed
/// meanwhile; the job keeps what it needs of it.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_job_start(
    server: In<Server>,
    settings: GrowingIn<JobSettings>,
    job: Out<*mut Job>,
) -> ResultCode {
    call(|| {
        let host = server.get("server")?.host();
        let settings = settings.get("settings")?;
        let place = job.place("job")?;
        let job = settings.job()?;
        let control = job.control();
        let listener = settings.on_event.optional(settings.context);
        let news = listener.map(|listener| subscribe(control.subscribe(), listener));
        let news = news.transpose()?;
        let running = job.start(host)?;
        place.put_object(Job {
            control,
            thread: Mutex::new(Thread {
                running: Some(running),
                failed: None,
            }),
            _news: news,
        });
        Ok(())
    })
}

/// Makes a checkpoint and waits until its set is complete; the job then goes on. While it is being
/// started or restarted, or another checkpoint is under way, that is waited for.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_job_checkpoint(
    job: In<Job>,
    limit_ms: u64,
    sealed: GrowingOut<Sealed>,
) -> ResultCode {
    call(|| {
        let job = job.get("job")?;
        let place = sealed.place("sealed")?;
        place.put(job.control.checkpoint(limit(limit_ms)?)?.into());
        Ok(())
    })
}

/// Asks for one last checkpoint and the end, within this grace, or the job's own if it is 0; returns
/// at once. The first such request counts.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_job_checkpoint_and_stop(job: In<Job>, grace_ms: u64) -> ResultCode {
    call(|| {
        let job = job.get("job")?;
        job.control.checkpoint_and_stop(unless_zero(grace_ms));
        Ok(())
    })
}

/// Asks to kill everything at once, without a checkpoint; returns at once. Sets stay.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_job_kill(job: In<Job>) -> ResultCode {
    call(|| {
        job.get("job")?.control.kill();
        Ok(())
    })
}

/// Waits for its end. DMTCP_ERR_TIMED_OUT: it goes on. Codes that say why nothing was done:
/// DMTCP_ERR_OTHER_PROGRAM, DMTCP_ERR_SETS_THERE, DMTCP_ERR_NO_JOB, DMTCP_ERR_FILE.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_job_wait(
    job: In<Job>,
    limit_ms: u64,
    outcome: Out<*mut Outcome>,
) -> ResultCode {
    call(|| {
        let job = job.get("job")?;
        let place = outcome.place("outcome")?;
        let limit = limit(limit_ms)?;
        let began = Instant::now();
        let found = match job.control.wait_timeout(limit) {
            Some(outcome) => Some(outcome),
            // It ended without one.
            None if began.elapsed() < limit => job.join()?,
            None => job.outcome()?,
        };
        let found = found.ok_or_else(|| Failure {
            code: ResultCode::DMTCP_ERR_TIMED_OUT,
            message: format!("the job still runs after {limit:?}"),
        })?;
        place.put_object(found.into());
        Ok(())
    })
}

/// How it ended; NULL: it has not.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_job_outcome(job: In<Job>, outcome: Out<*mut Outcome>) -> ResultCode {
    call(|| {
        let job = job.get("job")?;
        let place = outcome.place("outcome")?;
        place.put_optional(job.outcome()?.map(Outcome::from));
        Ok(())
    })
}

/// The computation of the attempt that runs now, for everything that it can tell; NULL between
/// attempts. Free it with dmtcp_computation_free(); do not close it: that is the job's.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_job_computation(
    job: In<Job>,
    computation: Out<*mut Computation>,
) -> ResultCode {
    call(|| {
        let job = job.get("job")?;
        let place = computation.place("computation")?;
        place.put_optional(job.control.computation().map(Computation::from));
        Ok(())
    })
}

/// Calls a function for each event from now on, on a thread of its own, in their order; the last is
/// DMTCP_JOB_EVENT_END. What comes first is told to the one in the settings only.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_job_on_event(
    job: In<Job>,
    callback: Callback<JobEvent>,
    context: Context,
    subscription: Out<*mut Subscription>,
) -> ResultCode {
    call(|| {
        let control = &job.get("job")?.control;
        let listener = callback.get("callback", context)?;
        let place = subscription.place("subscription")?;
        place.put_object(subscribe(control.subscribe(), listener)?);
        Ok(())
    })
}

/// Frees the object. If the job still runs, ITS PROCESSES ARE KILLED, without a checkpoint, and that is
/// waited for; sets stay. Behind that the callback of the settings is not called again.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_job_free(job: Owned<Job>) {
    contain((), || drop(job.take()));
}

impl Job {
    /// `None`: it runs. An error: why nothing was done.
    fn outcome(&self) -> Result<Option<Found>, Failure> {
        if let Some(outcome) = self.control.outcome() {
            return Ok(Some(outcome));
        }
        match self.control.subscribe().try_recv() {
            Err(TryRecvError::Disconnected) => self.join(),
            _ => Ok(None),
        }
    }

    /// The same of one that has ended.
    fn join(&self) -> Result<Option<Found>, Failure> {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = thread.running.take() {
            thread.failed = running.wait().err().map(Failure::from);
        }
        match &thread.failed {
            Some(failure) => Err(failure.clone()),
            None => Ok(self.control.outcome()),
        }
    }
}
