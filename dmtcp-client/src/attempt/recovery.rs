//! Restarts that are bounded, confirmed and repeated.
//!
//! That `dmtcp_restart` was started says nothing: it can hang, and did in one of six tries with
//! the development head. A restart counts when the coordinator has seen every process of the set
//! connected and running, and none has been killed at a second look. One that does not get there in time is
//! killed and tried again; then the set before is taken.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fmt, io,
    path::PathBuf,
    process::Stdio,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use super::{
    Attempt, AttemptError, Attempts, FailedRestart, RestartFailure,
    attempts::{distinct, spawn_native},
    confirmation::{Confirmation, start},
    diagnostics::Bundle,
    hosts::Place,
};
use crate::{
    Restart,
    host::HostFingerprint,
    native,
    set::{CheckpointSet, ImageKind, SetError},
};

/// A computation that runs again.
#[derive(Debug)]
#[non_exhaustive]
pub struct Recovered {
    /// It runs; all its processes do.
    pub attempt: Attempt,
    /// The set from which it was restarted.
    pub set: CheckpointSet,
    /// How long the successful try took until all processes were running.
    pub took: Duration,
    /// Tries that failed before.
    pub failed: Vec<FailedRestart>,
    /// Newer sets that were passed over since they are not as they were sealed, or cannot be
    /// restored on this host or with this DMTCP.
    pub refused: Vec<SetError>,
    /// Where DMTCP's processes run now whose host could not be compared with the one before.
    pub unchecked: Vec<Unchecked>,
}

/// A move from one host to another of which it is not known whether they are alike.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unchecked {
    /// Where the processes ran.
    pub from: OsString,
    /// Where they run now.
    pub to: OsString,
    /// What is not known of the two, in words that follow "it is not known".
    pub what: &'static str,
}

impl fmt::Display for Unchecked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (self.from.to_string_lossy(), self.to.to_string_lossy());
        write!(f, "from {from} to {to}: it is not known {}", self.what)
    }
}

/// What came of one try.
enum Tried {
    Runs(Box<Attempt>),
    Failed(RestartFailure, Option<PathBuf>),
    /// No further try would mend it.
    Refused(SetError),
}

impl Attempts<'_> {
    /// Restarts the computation from its newest set that verifies and fits this host, or from one
    /// before.
    ///
    /// # Errors
    ///
    /// [`AttemptError::NoSet`]: there is nothing to restart, start afresh.
    /// [`AttemptError::NoUsableSet`]: there are sets, and something has to be done about them first.
    /// [`AttemptError::NoRestart`]: every try failed. [`AttemptError::NoTools`] and others that no older set would
    /// mend. Nothing is left running then, except with [`AttemptError::Process`] for processes
    /// that do not even end of SIGKILL.
    pub fn restart(&self) -> Result<Recovered, AttemptError> {
        let mut failed = Vec::new();
        let mut refused = Vec::new();
        let mut before = u64::MAX;
        loop {
            let go_on = || match self.is_interrupted() {
                true => Err(io::ErrorKind::Interrupted.into()),
                false => Ok(()),
            };
            let newest = self
                .store
                .newest_verified_within(self.newer_than, before, &go_on)?;
            self.check_interrupt()?;
            refused.extend(newest.refused);
            let Some(set) = newest.set else { break };
            before = set.sequence();
            if let Err(error) = self
                .check_release(&set)
                .and_then(|()| self.check_here(&set))
            {
                refused.push(error);
                continue;
            }
            // Retention may have taken it since it was verified.
            let _hold = match set.hold() {
                Ok(hold) => hold,
                Err(error) => {
                    refused.push(error);
                    continue;
                }
            };
            for _ in 0..self.tries {
                let begun = Instant::now();
                match self.try_restart(&set)? {
                    Tried::Runs(attempt) => {
                        let unchecked = self.unchecked(&set, &attempt)?;
                        return Ok(Recovered {
                            attempt: *attempt,
                            set,
                            took: begun.elapsed(),
                            failed,
                            refused,
                            unchecked,
                        });
                    }
                    Tried::Failed(reason, diagnostics) => failed.push(FailedRestart {
                        sequence: set.sequence(),
                        took: begun.elapsed(),
                        reason,
                        diagnostics,
                    }),
                    Tried::Refused(error) => {
                        refused.push(error);
                        break;
                    }
                }
            }
        }
        if failed.is_empty() {
            return Err(match refused.is_empty() {
                true => AttemptError::NoSet,
                false => AttemptError::NoUsableSet { refused },
            });
        }
        Err(AttemptError::NoRestart { failed, refused })
    }

    /// One try; the error is one that further tries would not mend.
    fn try_restart(&self, set: &CheckpointSet) -> Result<Tried, AttemptError> {
        self.check_interrupt()?;
        let images = &set.manifest().images;
        let dmtcp = images.iter().any(|image| image.kind == ImageKind::Dmtcp);
        if dmtcp {
            self.tools_for_dmtcp()?;
        }
        let places = images
            .iter()
            .map(|image| self.hosts.of_image(&image.host))
            .collect::<Result<Vec<Place>, _>>()?;
        let far = distinct(places.iter());
        let parent = Some((set.sequence(), set.hold()?));
        let mut attempt = self.prepare(parent, 0, far, dmtcp)?;
        if let Err(error) = self.check_far(set, &attempt) {
            attempt.kill()?;
            return Ok(Tried::Refused(error));
        }
        let events = attempt.computation().events();
        let mut confirmation = Confirmation::of(set, &places, self.restart_limit);
        let tried = self
            .spawn(set, &places, &mut attempt)
            .map_err(start)
            .and_then(|()| confirmation.wait(self, &attempt, &events));
        let Err(reason) = tried else {
            return Ok(Tried::Runs(Box::new(attempt)));
        };
        let diagnostics = match self.is_interrupted() {
            true => None,
            false => self.write_down(&attempt, set, &reason, &confirmation),
        };
        // Before anything else is tried: two of a kind would do everything twice.
        attempt.kill()?;
        self.check_interrupt()?;
        Ok(Tried::Failed(reason, diagnostics))
    }

    /// That it cannot be written is no reason to fail for: there is one already.
    fn write_down(
        &self,
        attempt: &Attempt,
        set: &CheckpointSet,
        reason: &RestartFailure,
        confirmation: &Confirmation,
    ) -> Option<PathBuf> {
        let bundle = Bundle {
            attempt,
            set: Some(set),
            reason: &crate::with_causes(reason),
            timeline: confirmation.timeline(),
            tools: self.tools.as_ref(),
        };
        bundle.write(self.diagnostics_dir()?).ok()
    }

    fn check_release(&self, set: &CheckpointSet) -> Result<(), SetError> {
        let manifest = set.manifest();
        let is_dmtcp = |kind| kind == ImageKind::Dmtcp;
        if self.any_release || !manifest.images.iter().any(|image| is_dmtcp(image.kind)) {
            return Ok(());
        }
        let (Some(written), Some(tools)) = (&manifest.dmtcp, &self.tools) else {
            return Ok(());
        };
        match tools.version() {
            Ok(release) if release.text != *written => Err(SetError::OtherRelease {
                sequence: set.sequence(),
                set: written.clone(),
                found: release.text,
                tools: tools.dir().to_owned(),
            }),
            // One that does not tell is left to show what it can.
            _ => Ok(()),
        }
    }

    /// Whether this host can restore what is to be restored on it.
    fn check_here(&self, set: &CheckpointSet) -> Result<(), SetError> {
        if self.any_host {
            return Ok(());
        }
        let comes_here = |host: &OsStr| matches!(self.hosts.of_image(host), Ok(None));
        Ok(set.part_compatible_with(&HostFingerprint::of_this_host(), comes_here)?)
    }

    /// The same for the other hosts, of which is known now what they are like.
    fn check_far(&self, set: &CheckpointSet, attempt: &Attempt) -> Result<(), SetError> {
        if self.any_host {
            return Ok(());
        }
        for (host, probed) in attempt.far() {
            let goes_there = |ran_on: &OsStr| {
                self.hosts
                    .of_image(ran_on)
                    .is_ok_and(|to| to.as_ref() == Some(host))
            };
            set.part_compatible_with(&probed.fingerprint, goes_there)?;
        }
        Ok(())
    }

    fn unchecked(
        &self,
        set: &CheckpointSet,
        attempt: &Attempt,
    ) -> Result<Vec<Unchecked>, AttemptError> {
        let mut found: Vec<Unchecked> = Vec::new();
        let images = &set.manifest().images;
        for image in images.iter().filter(|image| image.kind == ImageKind::Dmtcp) {
            let this = HostFingerprint::of_this_host();
            let (to, now) = match self.hosts.of_image(&image.host)? {
                None => (this.name.clone(), Some(&this)),
                Some(to) => {
                    let probed = attempt.probed(&to).map(|probed| &probed.fingerprint);
                    (to, probed)
                }
            };
            let hosts = &set.manifest().hosts;
            let before = hosts.iter().find(|host| host.name == image.host);
            let what = match (before, now) {
                (Some(before), Some(now)) if before == now || before.kernel == now.kernel => {
                    continue;
                }
                (Some(before), Some(now)) => match (&before.vdso, &now.vdso) {
                    (Some(before), Some(now))
                        if !before.functions.is_empty() && !now.functions.is_empty() =>
                    {
                        continue;
                    }
                    _ => "where their kernels have the functions of their vdso",
                },
                _ => "what the first is like",
            };
            let unchecked = Unchecked {
                from: image.host.clone(),
                to,
                what,
            };
            if !found.contains(&unchecked) {
                found.push(unchecked);
            }
        }
        Ok(found)
    }

    pub(super) fn is_interrupted(&self) -> bool {
        self.interrupt.load(Ordering::Acquire)
    }

    fn check_interrupt(&self) -> Result<(), AttemptError> {
        if self.is_interrupted() {
            return Err(AttemptError::Interrupted);
        }
        Ok(())
    }

    fn spawn(
        &self,
        set: &CheckpointSet,
        places: &[Place],
        attempt: &mut Attempt,
    ) -> Result<(), AttemptError> {
        let images =
            set.stage_into(attempt.images_dir())
                .map_err(|source| AttemptError::Stage {
                    sequence: set.sequence(),
                    source,
                })?;
        let mut dmtcp: BTreeMap<&Place, Vec<PathBuf>> = BTreeMap::new();
        for ((image, path), place) in set.manifest().images.iter().zip(images).zip(places) {
            match image.kind {
                ImageKind::Native => {
                    let options = self.native_options(attempt, place.as_deref())?;
                    let mut command = native::restart_command(&path, &options)?;
                    // As with DMTCP's: it is in the background, where reading would stop it.
                    command.stdin(Stdio::null());
                    let streams = self.streams.as_ref();
                    let child = spawn_native(command, streams, attempt, place.as_deref())?;
                    attempt.add(child, place.clone());
                }
                ImageKind::Dmtcp => dmtcp.entry(place).or_default().push(path),
            }
        }
        for (place, images) in dmtcp {
            let mut restart = Restart::new(self.tools_for_dmtcp()?, images);
            if let Some([stdin, stdout, stderr]) = self.streams.clone() {
                restart = restart.stdin(stdin).stdout(stdout).stderr(stderr);
            }
            let restart = restart
                .join(attempt.coordinator_from(place.as_deref())?)
                .checkpoint_dir(attempt.images_dir())
                .tmpdir(attempt.tmp_dir());
            let mut command = restart.to_command()?;
            if let Some(dir) = &self.restart_dir {
                command.current_dir(dir);
            }
            let command = attempt.send(place.as_deref(), command)?;
            let child = restart.spawn_command(command)?;
            attempt.add(child, place.clone());
        }
        Ok(())
    }
}
