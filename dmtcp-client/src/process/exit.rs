//! How a process ended.

use std::fmt;

use super::FAIL_CODE;

/// How a process ended: by itself with a code, or by a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the system knows exactly these two ways for a process to end"
)]
pub enum Exit {
    /// It returned this code, 0 to 255.
    Code(i32),
    /// This signal number ended it.
    Signal(i32),
}

impl Exit {
    /// True for code 0 only.
    ///
    /// Under DMTCP this does not say that the program finished: a process that the
    /// coordinator kills, also after a checkpoint, ends with code 0 as well.
    #[must_use]
    pub fn success(self) -> bool {
        self == Self::Code(0)
    }

    /// One number for both, as shells give it: the code itself, or 128 plus the signal.
    ///
    /// A program that returns, say, 137 by itself cannot be told from one killed by SIGKILL.
    #[must_use]
    pub fn shell_code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }

    /// From the number that `wait(2)` and field 52 of `/proc/PID/stat` carry.
    pub(super) fn from_wait_status(status: i32) -> Self {
        match status & 0x7f {
            0 => Self::Code((status >> 8) & 0xff),
            signal => Self::Signal(signal),
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            &Self::Code(code @ FAIL_CODE) => write!(
                f,
                "exit code {code} (DMTCP itself failed: its message is on standard error)"
            ),
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shells_number_both_kinds() {
        assert_eq!(Exit::Code(7).shell_code(), 7);
        assert_eq!(Exit::Signal(9).shell_code(), 137);
        assert!(Exit::Code(0).success());
        assert!(!Exit::Signal(0).success());
    }

    #[test]
    fn what_dmtcp_means_by_its_code_is_said() {
        let text = Exit::Code(FAIL_CODE).to_string();
        assert!(
            text.starts_with("exit code 198 (DMTCP itself failed"),
            "{text}"
        );
        assert_eq!(Exit::Code(99).to_string(), "exit code 99");
    }

    #[test]
    fn wait_status_is_taken_apart() {
        assert_eq!(Exit::from_wait_status(7 << 8), Exit::Code(7));
        assert_eq!(Exit::from_wait_status(34), Exit::Signal(34));
        // 0x80: a core file was written.
        assert_eq!(Exit::from_wait_status(0x80 | 11), Exit::Signal(11));
    }
}
