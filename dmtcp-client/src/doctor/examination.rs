//! All checks, one after the other.

use std::{path::PathBuf, time::SystemTime};

use serde::{Deserialize, Serialize};

use super::{
    Finding, RunningCoordinator, Verdict, World, checks, finding::worst, mounts::Mounts,
    processes::Processes,
};
use crate::host::HostFingerprint;

/// Looks at a machine, and says what would keep computations from being checkpointed and restarted
/// there.
///
/// It changes nothing: what is tried out is tried in a directory of its own that is removed again.
/// No coordinator is connected to. It takes a few seconds at most, of which each program of DMTCP
/// that there is may take five to tell its version.
///
/// ```
/// use dmtcp_client::doctor::{Doctor, Verdict};
///
/// let examination = Doctor::new().examine();
/// for finding in &examination.checks {
///     println!("{:8} {}: {}", finding.verdict, finding.slug, finding.seen);
/// }
/// # let slugs: Vec<&str> = examination.checks.iter().map(|f| f.slug.as_str()).collect();
/// # assert!(slugs.contains(&"kernel"));
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is looked at before `examine`"]
pub struct Doctor {
    world: World,
    state_dir: Option<PathBuf>,
}

impl Default for Doctor {
    fn default() -> Self {
        Self::new()
    }
}

impl Doctor {
    /// For this host, environment and user, and the current directory as the place for sets.
    pub fn new() -> Self {
        Self {
            world: World::of_this_process(),
            state_dir: None,
        }
    }

    /// For another machine than this one.
    pub fn world(self, world: World) -> Self {
        Self { world, ..self }
    }

    /// The directory that sets shall go to; it need not exist. Default: the current directory.
    pub fn state_dir(self, dir: impl Into<PathBuf>) -> Self {
        Self {
            state_dir: Some(dir.into()),
            ..self
        }
    }

    /// Looks.
    #[must_use]
    pub fn examine(&self) -> Examination {
        let world = &self.world;
        let mounts = Mounts::of(world);
        let processes = Processes::of(world);
        let state_dir = self.state_dir.clone().unwrap_or_else(|| ".".into());
        let installations = checks::dmtcp::installations(world);
        let coordinators = checks::strays::coordinators(world, &processes);
        let stored = checks::state_dir::check(world, &mounts, &state_dir);
        let now = SystemTime::now();

        let mut findings = checks::dmtcp::judge(&installations);
        let used = checks::dmtcp::used(&installations);
        if let Some((used, release)) = used.and_then(|used| Some((used, used.release()?))) {
            let host = HostFingerprint::of_this_host();
            findings.extend(checks::known::check(release, used.knows_vclock(), &host));
        }
        findings.extend(checks::kernel::check(world));
        findings.extend(checks::limits::check(world, &processes));
        findings.extend(checks::container::check(world));
        findings.push(checks::host_name::check(world));
        findings.extend(checks::temp_dir::check(world, &mounts));
        findings.extend(stored.findings);
        findings.push(checks::clock::check(world, now, stored.clocks));
        findings.extend(checks::strays::judge(&coordinators));
        findings.extend(checks::environment::check(world));
        findings.push(checks::scheduler::check(world, now));
        Examination {
            checks: findings,
            coordinators,
        }
    }
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Examination {
    /// Every check, in the order of what depends on what.
    pub checks: Vec<Finding>,
    /// Coordinators of this user that run.
    pub coordinators: Vec<RunningCoordinator>,
}

impl Examination {
    /// The worst of all findings.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        worst(&self.checks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeSet, fs};

    #[test]
    fn an_empty_machine_is_told_to_be_one() {
        let root = tempfile::tempdir().unwrap();
        let variables = [("TMPDIR".into(), root.path().into())];
        let world = World::new(root.path(), variables);
        let state = root.path().join("state");
        let examination = Doctor::new().world(world).state_dir(&state).examine();
        let failed: BTreeSet<&str> = examination
            .checks
            .iter()
            .filter(|finding| finding.verdict == Verdict::Failure)
            .map(|finding| finding.slug.as_str())
            .collect();
        assert_eq!(failed, BTreeSet::from(["dmtcp", "host-name", "proc"]));
        assert_eq!(examination.verdict(), Verdict::Failure);
        assert_eq!(
            fs::read_dir(root.path()).unwrap().count(),
            0,
            "nothing is left"
        );
    }

    #[test]
    fn every_failure_and_warning_says_what_it_saw() {
        let examination = Doctor::new().examine();
        for finding in &examination.checks {
            assert!(!finding.seen.is_empty(), "{finding:?}");
        }
        let json = serde_json::to_string(&examination).unwrap();
        let read: Examination = serde_json::from_str(&json).unwrap();
        assert_eq!(read, examination);
    }
}
