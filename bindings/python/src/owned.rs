//! What belongs to the process that made it: a child that was forked off must neither use it nor end it.
//!
//! A fork copies memory, descriptors included, and no threads but one. What has threads, sockets or
//! child processes does not work there, and dropping it would wait for threads that do not exist or
//! close what the parent still uses.

use std::{mem, process};

use crate::failure::Failure;

/// Something of the process that made it.
#[derive(Debug)]
pub(crate) struct Owned<T> {
    pid: u32,
    /// `None`: only while it is dropped.
    value: Option<T>,
}

impl<T> Owned<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            pid: process::id(),
            value: Some(value),
        }
    }

    /// It, in its own process.
    pub(crate) fn get(&self) -> Result<&T, Failure> {
        match &self.value {
            Some(value) if self.is_here() => Ok(value),
            _ => Err(Failure::new(
                "ForkError",
                "forked",
                crate::failure::Fault::Caller,
                format!(
                    "this object was made by process {} and cannot be used behind a fork, in \
                     process {}: make a new one here",
                    self.pid,
                    process::id()
                ),
            )),
        }
    }

    pub(crate) fn is_here(&self) -> bool {
        self.pid == process::id()
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        let value = self.value.take();
        if !self.is_here() {
            mem::forget(value);
        }
    }
}
