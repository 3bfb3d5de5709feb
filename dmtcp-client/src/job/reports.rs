//! The files with a trace and with metrics of the attempt that runs.

use std::{
    io,
    sync::mpsc::{self, Receiver},
};

use crate::{
    server::{Computation, ComputationEvent, ReportFiles, Reports},
    with_causes,
};

/// Ends with its attempt.
pub(super) struct AttemptReports {
    reports: Reports,
    failures: Receiver<String>,
}

impl AttemptReports {
    pub(super) fn start(computation: &Computation, files: &ReportFiles) -> io::Result<Self> {
        let (sender, failures) = mpsc::channel();
        let reports = Reports::start(computation, files.clone(), move |error| {
            // The attempt may be over.
            let _ = sender.send(with_causes(error));
        })?;
        Ok(Self { reports, failures })
    }

    pub(super) fn note(&self, event: &ComputationEvent) {
        self.reports.note(event);
    }

    /// What could not be written since this was asked last.
    pub(super) fn failures(&self) -> impl Iterator<Item = String> + '_ {
        self.failures.try_iter()
    }

    /// Waits until all is written that was noted; says what could not be.
    pub(super) fn finish(self) -> impl Iterator<Item = String> {
        drop(self.reports);
        self.failures.into_iter()
    }
}
