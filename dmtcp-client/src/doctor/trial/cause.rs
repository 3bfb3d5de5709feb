//! Why a step of a trial did not go well: names for what was seen. Nothing is looked at here.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use super::super::Finding;
use super::program::{FileKind, ProgramFile};
use super::report::Told;
use crate::{
    attempt::{FailedRestart, RestartFailure},
    process::{Exit, FAIL_CODE, ProcessState},
    watch::{Seen, Stall},
    with_causes,
};

/// A process that was started under DMTCP and does not get to the coordinator.
#[derive(Clone, Debug)]
pub(super) struct Silent {
    /// What it runs; `None`: it may not be looked into.
    pub(super) executable: Option<PathBuf>,
    /// What that is, once it was looked at.
    pub(super) file: Option<ProgramFile>,
    /// DMTCP's library is mapped; `None`: that may not be looked at.
    pub(super) preloaded: Option<bool>,
    /// It still is `dmtcp_launch`.
    pub(super) is_launching: bool,
    /// What its host tells of it, in words.
    pub(super) situation: Option<String>,
    pub(super) state: Option<ProcessState>,
}

impl Silent {
    /// It runs without DMTCP.
    pub(super) fn is_alone(&self) -> bool {
        !self.is_launching && self.preloaded == Some(false)
    }

    /// For how long it may be as it is before waiting is given up; `None`: as long as there is time.
    pub(super) fn patience(&self, stall_after: Duration) -> Option<Duration> {
        if self.is_alone() {
            return Some(ALONE);
        }
        self.state.and_then(stopped).map(|_| stall_after)
    }

    /// Reads its program, which takes a moment.
    pub(super) fn look_at_file(&mut self) {
        self.file = self.executable.as_deref().map(ProgramFile::at);
    }

    pub(super) fn told(&self) -> Told {
        const SLUG: &str = "join";
        let file = self.file.as_ref();
        let name = self.executable.as_ref().map_or_else(
            || "the program".to_owned(),
            |path| path.display().to_string(),
        );
        if self.is_alone() {
            return match file {
                Some(file) if file.kind == FileKind::Static => Told::new(
                    Finding::failure(
                        SLUG,
                        format!(
                            "{name} is linked statically: DMTCP cannot enter it, and it runs alone"
                        ),
                    )
                    .advice(match file.go {
                        true => {
                            "it is a Go program: build it with cgo, or checkpoint it in its own way"
                        }
                        false => "link it dynamically",
                    }),
                    "static-program",
                ),
                Some(file) if file.privileged => Told::new(
                    Finding::failure(
                        SLUG,
                        format!("{name} is setuid or setgid: the system keeps DMTCP out of it"),
                    )
                    .advice("use a copy without those bits"),
                    "setuid-program",
                ),
                _ => Told::new(
                    Finding::failure(SLUG, format!("{name} runs without DMTCP's library in it"))
                        .advice("something between removed LD_PRELOAD: launch the program itself"),
                    "not-preloaded",
                ),
            };
        }
        let seen = match &self.situation {
            Some(situation) => format!("{name} never got to its coordinator: {situation}"),
            None => format!("{name} never got to its coordinator"),
        };
        let stopped = self.state.and_then(stopped);
        if let Some((cause, advice)) = stopped {
            return Told::new(Finding::failure(SLUG, seen).advice(advice), cause);
        }
        Told::new(
            Finding::failure(SLUG, seen).advice(
                "try DMTCP_DL_PLUGIN=0, DMTCP_ALLOC_PLUGIN=0 and OPENBLAS_NUM_THREADS=1, one by one, \
                 and another release of DMTCP",
            ),
            "never-joined",
        )
    }
}

/// Programs that ended before the trial was over; `slug` is the step.
pub(super) fn ended(slug: &str, exits: &[Exit]) -> Told {
    if exits.contains(&Exit::Code(FAIL_CODE)) {
        return Told::new(
            Finding::failure(slug, "DMTCP gave up, and ended the program")
                .advice("its message is in the output"),
            "dmtcp-failed",
        );
    }
    let texts: Vec<String> = exits.iter().map(Exit::to_string).collect();
    let texts = texts.join(", ");
    if exits.iter().any(|exit| matches!(exit, Exit::Signal(_))) {
        return Told::new(
            Finding::failure(slug, format!("the program ended with {texts}")).advice(
                "if it does not without DMTCP, try another release, DMTCP_ALLOC_PLUGIN=0, or \
                 DMTCP_DL_PLUGIN=0",
            ),
            "crashed",
        );
    }
    Told::new(
        Finding::note(
            slug,
            format!("the program ended with {texts} before the trial was over"),
        )
        .advice("give it more work to do, or try it for a shorter time"),
        "ended",
    )
}

/// Processes that did not go on in a checkpoint; `outside`: those that DMTCP is not in.
pub(super) fn stalled(stall: &Stall, outside: &BTreeSet<i32>) -> Told {
    const SLUG: &str = "checkpoint";
    let seen = stall.to_string();
    let states = stall
        .laggards
        .iter()
        .filter_map(|laggard| match &laggard.seen {
            Seen::Here(situation) => Some(situation.state),
            _ => None,
        });
    if let Some((cause, advice)) = states.filter_map(stopped).next() {
        return Told::new(Finding::failure(SLUG, seen).advice(advice), cause);
    }
    let mut pids = stall.laggards.iter().map(|laggard| laggard.worker.real_pid);
    if pids.any(|pid| outside.contains(&pid)) {
        return Told::new(
            Finding::failure(SLUG, seen).advice(
                "it has started a program that DMTCP cannot enter, for which every checkpoint waits",
            ),
            "process-outside",
        );
    }
    Told::new(
        Finding::failure(SLUG, seen).advice(
            "a thread of it does not answer DMTCP: see what it waits for, and what it is known to \
             conflict with",
        ),
        "checkpoint-stalled",
    )
}

fn stopped(state: ProcessState) -> Option<(&'static str, &'static str)> {
    match state {
        ProcessState::Stopped => Some((
            "process-stopped",
            "`kill -CONT` lets a stopped process go on; one that is stopped is not checkpointed",
        )),
        ProcessState::Traced => Some((
            "process-traced",
            "let the debugger go: one that is traced is not checkpointed",
        )),
        ProcessState::Uninterruptible => Some((
            "process-blocked",
            "it waits for a device or a file system that does not answer",
        )),
        _ => None,
    }
}

/// A restart of which no try succeeded.
pub(super) fn not_restarted(failed: &[FailedRestart]) -> Told {
    const SLUG: &str = "restart";
    let Some(last) = failed.last() else {
        return Told::new(
            Finding::failure(SLUG, "no set could be restarted"),
            "restart-failed",
        );
    };
    let tries = failed.len();
    let tries = match tries {
        1 => "it failed".to_owned(),
        tries => format!("{tries} tries failed"),
    };
    let seen = format!("{tries}: {}", with_causes(&last.reason));
    match &last.reason {
        RestartFailure::TimedOut { .. } => Told::new(
            Finding::failure(SLUG, seen).advice(
                "restarts of it hang: see what it is known to conflict with, and try another \
                 release of DMTCP",
            ),
            "restart-hangs",
        ),
        _ => Told::new(
            Finding::failure(SLUG, seen).advice("what DMTCP says of it is in the output"),
            "restart-failed",
        ),
    }
}

/// How long a process must be seen to run without DMTCP before that counts.
const ALONE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    fn file(kind: FileKind) -> ProgramFile {
        ProgramFile {
            path: "/p".into(),
            kind,
            privileged: false,
            go: false,
        }
    }

    fn silent(file: ProgramFile, preloaded: bool) -> Silent {
        Silent {
            executable: Some(file.path.clone()),
            file: Some(file),
            preloaded: Some(preloaded),
            is_launching: false,
            situation: Some("sleeping in futex".to_owned()),
            state: Some(ProcessState::Sleeping),
        }
    }

    #[test]
    fn silence_has_a_name() {
        let setuid = ProgramFile {
            privileged: true,
            ..file(FileKind::Dynamic)
        };
        let stopped = Silent {
            state: Some(ProcessState::Stopped),
            ..silent(file(FileKind::Dynamic), true)
        };
        for (silent, expected) in [
            (silent(file(FileKind::Static), false), "static-program"),
            (silent(setuid, false), "setuid-program"),
            (silent(file(FileKind::Dynamic), false), "not-preloaded"),
            (silent(file(FileKind::Dynamic), true), "never-joined"),
            (stopped.clone(), "process-stopped"),
        ] {
            let told = silent.told();
            assert_eq!(told.cause, Some(expected), "{silent:?}");
            assert_eq!(told.finding.verdict, Verdict::Failure);
        }
        let launching = Silent {
            is_launching: true,
            ..silent(file(FileKind::Dynamic), false)
        };
        assert!(!launching.is_alone());
        assert_eq!(launching.told().cause, Some("never-joined"));
        let hidden = Silent {
            executable: None,
            file: None,
            preloaded: None,
            ..silent(file(FileKind::Static), false)
        };
        assert!(!hidden.is_alone());
        let long = Duration::from_secs(60);
        assert_eq!(hidden.patience(long), None);
        assert_eq!(stopped.patience(long), Some(long));
        assert_eq!(
            silent(file(FileKind::Static), false).patience(long),
            Some(ALONE)
        );
    }

    #[test]
    fn ends_are_told_apart() {
        let told = |exits: &[Exit]| {
            let told = ended("run", exits);
            (told.cause.unwrap(), told.finding.verdict)
        };
        assert_eq!(told(&[Exit::Code(0)]), ("ended", Verdict::Note));
        assert_eq!(told(&[Exit::Code(7)]), ("ended", Verdict::Note));
        assert_eq!(
            told(&[Exit::Code(0), Exit::Signal(11)]),
            ("crashed", Verdict::Failure)
        );
        let both = [Exit::Signal(6), Exit::Code(FAIL_CODE)];
        assert_eq!(told(&both), ("dmtcp-failed", Verdict::Failure));
    }

    #[test]
    fn tries_that_hang_are_told_from_those_that_fail() {
        let failed = |reason| FailedRestart {
            sequence: 1,
            took: Duration::from_secs(1),
            reason,
            diagnostics: None,
        };
        let hangs = failed(RestartFailure::TimedOut {
            waited: Duration::from_secs(10),
            running: 0,
            expected: 1,
            seen: Vec::new(),
        });
        let ends = failed(RestartFailure::Ended {
            exit: Exit::Code(FAIL_CODE),
            host: None,
        });
        assert_eq!(not_restarted(&[]).cause, Some("restart-failed"));
        assert_eq!(not_restarted(&[ends]).cause, Some("restart-failed"));
        let told = not_restarted(&[hangs]);
        assert_eq!(told.cause, Some("restart-hangs"));
        assert!(told.finding.seen.starts_with("it failed: "), "{told:?}");
    }
}
