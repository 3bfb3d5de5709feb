//! A program tried out: run under DMTCP, checkpointed, killed, restarted, seen to go on.

mod after_restart;
mod cause;
mod conflicts;
mod look;
mod output;
mod program;
mod report;
mod run;
mod until_checkpoint;

use std::{
    env,
    ffi::OsString,
    fmt,
    path::PathBuf,
    process::Command,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

pub use report::{Conflict, Step, TrialReport};

use crate::Tools;

/// Tries a program out: starts it on a coordinator of its own, lets it run for some seconds,
/// checkpoints it, kills it, restarts it, sees it go on, and kills it again. All of that in a
/// directory that is removed at the end.
///
/// **The program does what it always does**, in the current directory: it writes its files. Its
/// output goes to a file, its input is empty.
///
/// ```no_run
/// use dmtcp_client::{Tools, doctor::Trial};
///
/// let tools = Tools::find(None)?;
/// let report = Trial::new(&tools, "./simulate").arg("--small").run();
/// for step in &report.steps {
///     println!("{:8} {}: {}", step.finding.verdict, step.finding.slug, step.finding.seen);
/// }
/// # Ok::<(), dmtcp_client::ToolsError>(())
/// ```
#[derive(Debug)]
#[must_use = "nothing runs before `run`"]
pub struct Trial {
    what: What,
    dir: PathBuf,
    run_for: Duration,
    limit: Duration,
    stall_after: Duration,
    settle: Duration,
    tries: u32,
    gzip: bool,
    interrupt: Arc<AtomicBool>,
    on_step: OnStep,
}

/// Who is told of each step.
#[derive(Default)]
struct OnStep(Option<Listener>);

type Listener = Box<dyn FnMut(&Step) + Send>;

impl fmt::Debug for OnStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OnStep").field(&self.0.is_some()).finish()
    }
}

#[derive(Debug)]
enum What {
    Dmtcp {
        tools: Tools,
        program: OsString,
        args: Vec<OsString>,
    },
    Native(Command),
}

impl Trial {
    /// Of `program` under the DMTCP of `tools`.
    pub fn new(tools: &Tools, program: impl Into<OsString>) -> Self {
        Self::of(What::Dmtcp {
            tools: tools.clone(),
            program: program.into(),
            args: Vec::new(),
        })
    }

    /// Of a program that is a worker by itself ([`native`](crate::native)).
    pub fn native(command: Command) -> Self {
        Self::of(What::Native(command))
    }

    fn of(what: What) -> Self {
        Self {
            what,
            dir: env::temp_dir(),
            run_for: Duration::from_secs(3),
            limit: Duration::from_secs(60),
            stall_after: Duration::from_secs(10),
            settle: Duration::from_secs(1),
            tries: 3,
            gzip: true,
            interrupt: Arc::default(),
            on_step: OnStep::default(),
        }
    }

    /// One more argument of the program under DMTCP. A native one has those of its command.
    pub fn arg(self, arg: impl Into<OsString>) -> Self {
        self.args([arg])
    }

    /// More of them.
    pub fn args<A: Into<OsString>>(mut self, more: impl IntoIterator<Item = A>) -> Self {
        if let What::Dmtcp { args, .. } = &mut self.what {
            args.extend(more.into_iter().map(Into::into));
        }
        self
    }

    /// The directory in which a directory for the trial is made: for its images, too. Default: that
    /// for temporary files.
    pub fn dir(self, dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            ..self
        }
    }

    /// How long it runs before its checkpoint. Default: three seconds.
    pub fn run_for(self, time: Duration) -> Self {
        Self {
            run_for: time,
            ..self
        }
    }

    /// How long getting to the coordinator, the checkpoint, and each try at the restart may take.
    /// Default: a minute.
    pub fn limit(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// How long processes may hold the checkpoint up before it is given up. The time in which an
    /// image grows does not count. Default: ten seconds.
    pub fn stall_after(self, time: Duration) -> Self {
        Self {
            stall_after: time,
            ..self
        }
    }

    /// How long it is watched behind its restart. Default: a second.
    pub fn settle(self, time: Duration) -> Self {
        Self {
            settle: time,
            ..self
        }
    }

    /// How often a restart is tried. Default: 3, and at least 1.
    pub fn tries(self, tries: u32) -> Self {
        Self { tries, ..self }
    }

    /// Whether images are compressed. Default: true, as DMTCP's.
    pub fn gzip(self, on: bool) -> Self {
        Self { gzip: on, ..self }
    }

    /// Once `flag` is set, from any thread, the trial ends at the next look at it, and what it has
    /// started is killed. Default: never.
    pub fn interrupted_by(self, flag: Arc<AtomicBool>) -> Self {
        Self {
            interrupt: flag,
            ..self
        }
    }

    /// Is told of each step as soon as it is over. Default: nobody is.
    pub fn on_step(self, tell: impl FnMut(&Step) + Send + 'static) -> Self {
        Self {
            on_step: OnStep(Some(Box::new(tell))),
            ..self
        }
    }

    /// Does it, and takes as long as that takes. Nothing of it is left behind but what the program
    /// itself has written.
    #[must_use]
    pub fn run(self) -> TrialReport {
        run::run(self)
    }
}
