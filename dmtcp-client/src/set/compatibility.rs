//! Whether the processes of a set can be restored on a host.
//!
//! A restored process goes on with the code, the processor features and the kernel addresses that
//! it had chosen at its start. What would kill it, or what DMTCP refuses, is fatal here; what
//! mostly goes well is only told. Native images hold data, not processes: they go anywhere.

use super::checkpoint_set::CheckpointSet;
use super::manifest::ImageKind;
use crate::host::{HostFingerprint, Vdso};
use std::ffi::{OsStr, OsString};
use std::fmt;

/// Something in which a host is not like the one that a set's processes ran on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Difference {
    /// Fatal: the processor architecture.
    Architecture {
        /// Where the processes ran.
        set: String,
        /// Where they would be restored.
        host: String,
    },
    /// Fatal: instructions that programs may have chosen at their start. (Flags that only the
    /// kernel uses are not compared.)
    CpuFlags {
        /// Those that the host does not have.
        missing: Vec<String>,
    },
    /// Fatal, and refused by DMTCP since 4.0: the size of an area that the kernel maps into
    /// processes.
    VdsoSize {
        /// Its name in `/proc/PID/maps`.
        area: &'static str,
        /// Its bytes where the processes ran.
        set: u64,
        /// Its bytes where they would be restored.
        host: u64,
    },
    /// Fatal, and refused by DMTCP 5: functions of the kernel's code are elsewhere, and the C
    /// library of a restored process would call into the middle of others.
    VdsoFunctions {
        /// Their names.
        moved: Vec<String>,
    },
    /// Told only: the kernel's release.
    Kernel {
        /// Where the processes ran.
        set: String,
        /// Where they would be restored.
        host: String,
    },
    /// Told only: the C library. Processes bring their own; the DMTCP programs do not.
    Glibc {
        /// Where the processes ran.
        set: String,
        /// Where they would be restored.
        host: String,
    },
}

impl Difference {
    /// Whether a restart is refused because of it.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        !matches!(self, Self::Kernel { .. } | Self::Glibc { .. })
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Architecture { set, host } => write!(f, "its processor is {host}, not {set}"),
            Self::CpuFlags { missing } => {
                write!(f, "its processor lacks {}", missing.join(", "))
            }
            Self::VdsoSize { area, set, host } => {
                write!(f, "its kernel's {area} has {host} bytes, not {set}")
            }
            Self::VdsoFunctions { moved } => {
                write!(f, "its kernel has {} at other places", moved.join(", "))
            }
            Self::Kernel { set, host } => write!(f, "its kernel is {host}, not {set}"),
            Self::Glibc { set, host } => write!(f, "its C library is {host}, not {set}"),
        }
    }
}

/// A host cannot restore a set: use one that is like the one where it was made, or an older set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "set {sequence} of host {} cannot be restored on {}: {}",
    made_on.to_string_lossy(), host.to_string_lossy(), texts(differences)
)]
#[non_exhaustive]
pub struct Incompatibility {
    /// The set.
    pub sequence: u64,
    /// Where its processes ran.
    pub made_on: OsString,
    /// Where they cannot be restored.
    pub host: OsString,
    /// The fatal differences, at least one.
    pub differences: Vec<Difference>,
}

impl CheckpointSet {
    /// Whether `host` can restore the set, as far as is known: a set without DMTCP's images, or
    /// of hosts that are not in its manifest, fits everywhere.
    ///
    /// # Errors
    ///
    /// All fatal differences to the first host of the set that has any.
    pub fn compatible_with(&self, host: &HostFingerprint) -> Result<(), Incompatibility> {
        self.part_compatible_with(host, |_| true)
    }

    /// Whether `host` can restore those processes of the set that ran on hosts of these names, as
    /// far as is known.
    ///
    /// # Errors
    ///
    /// As [`compatible_with`](Self::compatible_with).
    pub fn part_compatible_with(
        &self,
        host: &HostFingerprint,
        ran_on: impl Fn(&OsStr) -> bool,
    ) -> Result<(), Incompatibility> {
        for (made_on, mut differences) in self.differences(host) {
            if !ran_on(&made_on.name) {
                continue;
            }
            differences.retain(Difference::is_fatal);
            if !differences.is_empty() {
                return Err(Incompatibility {
                    sequence: self.sequence(),
                    made_on: made_on.name.clone(),
                    host: host.name.clone(),
                    differences,
                });
            }
        }
        Ok(())
    }

    /// All differences between each known host of the set's DMTCP processes and `host`, fatal
    /// or not.
    #[must_use]
    pub fn differences(&self, host: &HostFingerprint) -> Vec<(&HostFingerprint, Vec<Difference>)> {
        let images = &self.manifest().images;
        if images.iter().all(|image| image.kind == ImageKind::Native) {
            return Vec::new();
        }
        let hosts = self.manifest().hosts.iter();
        hosts
            .map(|made_on| (made_on, compare(made_on, host)))
            .collect()
    }
}

fn compare(set: &HostFingerprint, host: &HostFingerprint) -> Vec<Difference> {
    let mut found = Vec::new();
    if set.architecture != host.architecture {
        // The rest is another's as well.
        return vec![Difference::Architecture {
            set: set.architecture.clone(),
            host: host.architecture.clone(),
        }];
    }
    let missing = set.cpu_flags.difference(&host.cpu_flags);
    let missing: Vec<_> = missing
        .filter(|flag| is_used_by_programs(flag, &set.architecture))
        .cloned()
        .collect();
    if !missing.is_empty() && !host.cpu_flags.is_empty() {
        found.push(Difference::CpuFlags { missing });
    }
    if let (Some(set), Some(host)) = (&set.vdso, &host.vdso) {
        compare_vdso(set, host, &mut found);
    }
    if set.kernel != host.kernel {
        found.push(Difference::Kernel {
            set: set.kernel.clone(),
            host: host.kernel.clone(),
        });
    }
    match (&set.glibc, &host.glibc) {
        (Some(set), Some(host)) if set != host => found.push(Difference::Glibc {
            set: set.clone(),
            host: host.clone(),
        }),
        _ => {}
    }
    found
}

fn compare_vdso(set: &Vdso, host: &Vdso, found: &mut Vec<Difference>) {
    let areas = [
        ("[vdso]", set.vdso, host.vdso),
        ("[vvar]", set.vvar, host.vvar),
        ("[vvar_vclock]", set.vvar_vclock, host.vvar_vclock),
    ];
    let other = areas.into_iter().filter(|(_, set, host)| set != host);
    found.extend(other.map(|(area, set, host)| Difference::VdsoSize { area, set, host }));
    let moved = set
        .functions
        .iter()
        .filter(|(name, at)| !host.functions.is_empty() && host.functions.get(*name) != Some(*at));
    let moved: Vec<_> = moved.map(|(name, _)| name.clone()).collect();
    if !moved.is_empty() {
        found.push(Difference::VdsoFunctions { moved });
    }
}

/// Whether a flag stands for instructions that a program may use; on other architectures than
/// x86 the kernel lists no others.
fn is_used_by_programs(flag: &str, architecture: &str) -> bool {
    if !matches!(architecture, "x86" | "x86_64") {
        return true;
    }
    let families = ["amx_", "avx", "bmi", "sse", "sha", "xsave"];
    families.iter().any(|family| flag.starts_with(family)) || INSTRUCTIONS.contains(&flag)
}

fn texts(differences: &[Difference]) -> String {
    let texts: Vec<String> = differences.iter().map(Difference::to_string).collect();
    texts.join("; ")
}

/// In the kernel's words, sorted.
const INSTRUCTIONS: [&str; 48] = [
    "3dnow",
    "3dnowext",
    "3dnowprefetch",
    "abm",
    "adx",
    "aes",
    "cldemote",
    "clflush",
    "clflushopt",
    "clwb",
    "clzero",
    "cmov",
    "cx16",
    "cx8",
    "enqcmd",
    "erms",
    "f16c",
    "fma",
    "fma4",
    "fsgsbase",
    "fsrm",
    "fxsr",
    "gfni",
    "hle",
    "lahf_lm",
    "mmx",
    "movbe",
    "movdir64b",
    "movdiri",
    "ospke",
    "pclmulqdq",
    "pni",
    "popcnt",
    "rdpid",
    "rdrand",
    "rdseed",
    "rdtscp",
    "rtm",
    "serialize",
    "sm3",
    "sm4",
    "ssse3",
    "tbm",
    "user_shstk",
    "vaes",
    "vpclmulqdq",
    "waitpkg",
    "xop",
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn host() -> HostFingerprint {
        let mut host = HostFingerprint::of_this_host();
        host.architecture = "x86_64".to_owned();
        host.glibc = Some("2.36".to_owned());
        host.cpu_flags = ["fpu", "avx2", "hypervisor"].map(str::to_owned).into();
        host.vdso = Some(Vdso {
            vdso: 8192,
            vvar: 16384,
            vvar_vclock: 8192,
            functions: BTreeMap::from([("time".to_owned(), 2816)]),
        });
        host
    }

    fn changed(change: impl FnOnce(&mut HostFingerprint)) -> Vec<Difference> {
        let mut other = host();
        change(&mut other);
        compare(&host(), &other)
    }

    fn vdso(host: &mut HostFingerprint) -> &mut Vdso {
        host.vdso.as_mut().unwrap()
    }

    #[test]
    fn what_is_fatal_and_what_is_told() {
        assert_eq!(changed(|_| ()), []);
        assert_eq!(changed(|host| host.name = "another".into()), []);
        // More is no harm, and less of what only the kernel uses neither.
        let fewer = changed(|host| {
            host.cpu_flags.insert("avx512f".to_owned());
            host.cpu_flags.remove("hypervisor");
        });
        assert_eq!(fewer, []);
        let texts = |found: Vec<Difference>| {
            let texts = found.iter().map(|one| (one.to_string(), one.is_fatal()));
            texts.collect::<Vec<_>>()
        };
        let fatal = |text: &str| vec![(text.to_owned(), true)];
        let told = |text: &str| vec![(text.to_owned(), false)];
        assert_eq!(
            texts(changed(|host| host.architecture = "aarch64".to_owned())),
            fatal("its processor is aarch64, not x86_64")
        );
        assert_eq!(
            texts(changed(|host| {
                host.cpu_flags.remove("avx2");
            })),
            fatal("its processor lacks avx2")
        );
        assert_eq!(
            texts(changed(|host| vdso(host).vvar = 4096)),
            fatal("its kernel's [vvar] has 4096 bytes, not 16384")
        );
        assert_eq!(
            texts(changed(|host| {
                vdso(host).functions.insert("time".to_owned(), 2817);
            })),
            fatal("its kernel has time at other places")
        );
        let mut kernel = host();
        kernel.kernel = "6.1.0".to_owned();
        let found = texts(compare(
            &kernel,
            &HostFingerprint {
                kernel: "6.1.1".to_owned(),
                ..host()
            },
        ));
        assert_eq!(found, told("its kernel is 6.1.1, not 6.1.0"));
        assert_eq!(
            texts(changed(|host| host.glibc = Some("2.40".to_owned()))),
            told("its C library is 2.40, not 2.36")
        );
    }

    #[test]
    fn what_is_not_known_is_no_difference() {
        let unknown = changed(|host| {
            host.glibc = None;
            host.cpu_flags.clear();
            host.vdso = None;
        });
        assert_eq!(unknown, []);
        assert_eq!(changed(|host| vdso(host).functions.clear()), []);
    }
}
