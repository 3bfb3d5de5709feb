//! The fingerprint of a host, read from `/proc`. Nothing here fails: what cannot be found out
//! is unknown.

use super::glibc;
use super::vdso::Vdso;
use crate::os_text;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::env::consts::ARCH;
use std::ffi::OsString;
use std::fs;
use std::sync::OnceLock;

/// What a host is like, as far as a checkpointed process depends on it. Unknown parts are empty
/// or `None`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HostFingerprint {
    /// Its name, as `gethostname` gives it.
    #[serde(with = "os_text")]
    pub name: OsString,
    /// The processor architecture, as Rust names it, such as `x86_64`.
    pub architecture: String,
    /// The release of the running kernel, such as `6.1.0-18-amd64`.
    pub kernel: String,
    /// The version of the C library that programs are run with, such as `2.36`; `None` where
    /// there is no glibc.
    #[serde(default)]
    pub glibc: Option<String>,
    /// What the processor can do, in the kernel's words (`flags` or `Features` of
    /// `/proc/cpuinfo`).
    #[serde(default)]
    pub cpu_flags: BTreeSet<String>,
    /// The code that the kernel maps into every process.
    #[serde(default)]
    pub vdso: Option<Vdso>,
}

impl HostFingerprint {
    /// The host that this program runs on. Found out once, some milliseconds the first time.
    #[must_use]
    pub fn of_this_host() -> Self {
        static THIS: OnceLock<HostFingerprint> = OnceLock::new();
        THIS.get_or_init(Self::read).clone()
    }

    /// Of another host, from what a shell there can tell: `uname -n`, `-m` and `-r`,
    /// `getconf GNU_LIBC_VERSION`, the line of flags, and those of the kernel's areas.
    pub(crate) fn from_texts(
        name: OsString,
        machine: &str,
        kernel: String,
        glibc: &str,
        cpu: &str,
        maps: &str,
    ) -> Self {
        let glibc = glibc.strip_prefix("glibc ").map(str::trim);
        Self {
            name,
            architecture: architecture(machine).to_owned(),
            kernel,
            glibc: glibc.filter(|text| !text.is_empty()).map(str::to_owned),
            cpu_flags: cpu_flags(cpu),
            vdso: Vdso::sizes(maps),
        }
    }

    fn read() -> Self {
        let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        Self {
            name: nix::unistd::gethostname().unwrap_or_default(),
            architecture: ARCH.to_owned(),
            kernel: kernel.trim_end().to_owned(),
            glibc: glibc::version(&maps),
            cpu_flags: cpu_flags(&cpu),
            vdso: Vdso::read(&maps),
        }
    }
}

/// As Rust names what the kernel calls `machine`.
fn architecture(machine: &str) -> &str {
    match machine {
        "i386" | "i486" | "i586" | "i686" => "x86",
        "ppc64le" | "ppc64" => "powerpc64",
        arm if arm.starts_with("armv") => "arm",
        same => same,
    }
}

/// Of the first processor: they are alike, but for machines that DMTCP does not know either.
fn cpu_flags(cpuinfo: &str) -> BTreeSet<String> {
    let fields = cpuinfo.lines().filter_map(|line| line.split_once(':'));
    let mut flags = fields.filter(|(name, _)| matches!(name.trim(), "flags" | "Features"));
    let (_, flags) = flags.next().unwrap_or_default();
    flags.split_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host_is_known() {
        let host = HostFingerprint::of_this_host();
        assert_eq!(host.architecture, ARCH);
        let uname = std::process::Command::new("uname")
            .arg("-r")
            .output()
            .unwrap();
        assert_eq!(
            host.kernel,
            String::from_utf8(uname.stdout).unwrap().trim_end()
        );
        assert!(!host.name.is_empty());
        if cfg!(target_arch = "x86_64") {
            assert!(host.cpu_flags.contains("sse2"), "{host:?}");
        }
        let json = serde_json::to_string(&host).unwrap();
        assert_eq!(
            serde_json::from_str::<HostFingerprint>(&json).unwrap(),
            host
        );
    }

    #[test]
    fn flags_of_both_spellings() {
        let intel = "processor\t: 0\nflags\t\t: fpu avx2\n\nprocessor\t: 1\nflags\t\t: other\n";
        let arm = "processor\t: 0\nFeatures\t: fp asimd\n";
        assert_eq!(
            cpu_flags(intel).into_iter().collect::<Vec<_>>(),
            ["avx2", "fpu"]
        );
        assert_eq!(
            cpu_flags(arm).into_iter().collect::<Vec<_>>(),
            ["asimd", "fp"]
        );
        assert!(cpu_flags("").is_empty());
    }
}
