//! Looks at the processes of a trial.

use std::{collections::BTreeSet, path::Path, time::Duration};

use super::super::{processes::Process, processes::Processes, world::World};
use super::{
    cause::Silent,
    conflicts::{Evidence, conflicts, has_dmtcp},
    program::ProgramFile,
    report::Conflict,
};
use crate::{attempt::Attempt, process::Situation};

/// The processes of an attempt: those that were started, those that are connected, and all that
/// these started.
pub(super) struct Family {
    all: Processes,
    roots: Vec<i32>,
}

impl Family {
    pub(super) fn of(attempt: &Attempt) -> Self {
        let mut roots = attempt.pids();
        let workers = attempt.computation().workers().unwrap_or_default();
        roots.extend(
            workers
                .iter()
                .map(|worker| worker.real_pid)
                .filter(|pid| *pid > 1),
        );
        Self {
            all: Processes::of(&World::of_this_process()),
            roots,
        }
    }

    fn members(&self) -> Vec<&Process> {
        self.all.families(self.roots.iter().copied())
    }

    /// In clock ticks; those that have ended do not count.
    pub(super) fn processor_time(&self) -> u64 {
        let members = self.members().into_iter();
        members.map(|process| process.processor_time).sum()
    }

    pub(super) fn count(&self) -> usize {
        self.members().len()
    }

    fn outside(&self) -> BTreeSet<i32> {
        let members = self.members().into_iter();
        let outside = members.filter(|process| has_dmtcp(process) == Some(false));
        outside.map(|process| process.pid).collect()
    }
}

/// The first process of an attempt whose processes have not come to the coordinator.
pub(super) fn silent(attempt: &Attempt) -> Silent {
    let family = Family::of(attempt);
    let first = attempt
        .pids()
        .into_iter()
        .find_map(|pid| family.all.get(pid));
    let executable = first.and_then(Process::executable);
    let situation = first.and_then(|first| Situation::of(first.pid).ok().flatten());
    let is_launching = executable.as_deref().is_some_and(is_launcher);
    Silent {
        file: None,
        executable: executable.clone(),
        preloaded: first.and_then(has_dmtcp),
        is_launching,
        situation: situation.as_ref().map(ToString::to_string),
        state: situation.map(|situation| situation.state),
    }
}

fn is_launcher(executable: &Path) -> bool {
    let name = executable.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.trim_end_matches(" (deleted)") == "dmtcp_launch")
}

/// What the processes of an attempt are like.
pub(super) struct Looked {
    pub(super) conflicts: Vec<Conflict>,
    /// Those that DMTCP is not in.
    pub(super) outside: BTreeSet<i32>,
}

/// What the processes use that DMTCP is known to have trouble with. `under_dmtcp`: DMTCP should be in
/// all of them.
pub(super) fn look_for_conflicts(attempt: &Attempt, under_dmtcp: bool) -> Looked {
    // A process is without DMTCP for a moment while it starts a program.
    let before = match under_dmtcp {
        true => Family::of(attempt).outside(),
        false => BTreeSet::new(),
    };
    if !before.is_empty() {
        std::thread::sleep(START);
    }
    let family = Family::of(attempt);
    let still = family.outside();
    let outside: BTreeSet<i32> = before.intersection(&still).copied().collect();
    let mut evidence = Evidence::default();
    let mut executables = BTreeSet::new();
    for process in family.members() {
        evidence.add(process);
        if outside.contains(&process.pid) {
            evidence.add_outside(process);
        }
        executables.extend(process.executable());
    }
    let mut files = executables.iter().take(MOST_PROGRAMS);
    evidence.go = files.any(|path| ProgramFile::at(path).go);
    Looked {
        conflicts: conflicts(&evidence),
        outside,
    }
}

/// More than the start of a program takes until its libraries are there.
const START: Duration = Duration::from_millis(500);
/// That are read.
const MOST_PROGRAMS: usize = 16;
