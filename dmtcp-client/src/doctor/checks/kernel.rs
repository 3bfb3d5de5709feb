//! Settings of the kernel.
//!
//! What DMTCP asks of each: it traces nobody, so that `ptrace` matters only to those who look at a
//! process that is stuck; it puts memory back where it was, so that random addresses do not harm;
//! it needs no namespace of its own.

use crate::doctor::{Finding, World, mounts::Mounts, world::field, world::kilobytes, world::size};
use std::path::Path;

pub(crate) fn check(world: &World) -> Vec<Finding> {
    vec![
        proc_mounted(world),
        release(world.read("/proc/sys/kernel/osrelease").ok().as_deref()),
        ptrace(world.read_number("/proc/sys/kernel/yama/ptrace_scope")),
        aslr(world.read_number("/proc/sys/kernel/randomize_va_space")),
        personality(world.read("/proc/self/personality").ok().as_deref()),
        user_namespace(
            world.read("/proc/self/uid_map").ok().as_deref(),
            world.read_number("/proc/sys/user/max_user_namespaces"),
        ),
        overcommit(
            world.read_number("/proc/sys/vm/overcommit_memory"),
            &world.read("/proc/meminfo").unwrap_or_default(),
        ),
    ]
}

fn proc_mounted(world: &World) -> Finding {
    const SLUG: &str = "proc";
    if let Err(error) = world.read("/proc/self/stat") {
        return Finding::failure(SLUG, format!("/proc cannot be read: {error}"))
            .advice("mount it: DMTCP and this program read there which memory a process has");
    }
    let mounts = Mounts::of(world);
    let Some(mount) = mounts.at(Path::new("/proc")).filter(|m| m.kind == "proc") else {
        return Finding::ok(SLUG, "/proc can be read");
    };
    if mount.value("subset") == Some("pid") {
        return Finding::warning(SLUG, "/proc is mounted with subset=pid")
            .advice("mount all of it: whose a connection is cannot be told without /proc/net");
    }
    match mount.value("hidepid") {
        None | Some("0" | "off") => Finding::ok(SLUG, "/proc is mounted"),
        Some(value) => Finding::note(
            SLUG,
            format!("/proc is mounted with hidepid={value}: processes of others are not seen"),
        ),
    }
}

fn release(text: Option<&str>) -> Finding {
    const SLUG: &str = "kernel";
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else {
        return Finding::warning(SLUG, "the release of the kernel cannot be read");
    };
    let major: Option<u32> = text.split('.').next().and_then(|text| text.parse().ok());
    // WSL 1 is no Linux kernel: it calls itself 4.4 and has `Microsoft` in its name, WSL 2 has
    // `microsoft`.
    if text.contains("Microsoft") {
        return Finding::failure(SLUG, format!("{text} is WSL 1, which has no Linux kernel"))
            .advice("use WSL 2");
    }
    match major {
        Some(0..3) => Finding::warning(SLUG, format!("Linux {text} is older than what is tested")),
        _ => Finding::ok(SLUG, format!("Linux {text}")),
    }
}

fn ptrace(scope: Option<i64>) -> Finding {
    const SLUG: &str = "ptrace";
    let who = match scope {
        None | Some(0) => return Finding::ok(SLUG, "a user's processes may trace each other"),
        Some(1) => {
            return Finding::ok(
                SLUG,
                "kernel.yama.ptrace_scope is 1: a process may trace those that it started",
            );
        }
        Some(2) => "only administrators may trace processes",
        Some(_) => "nobody may trace processes",
    };
    let scope = scope.unwrap_or_default();
    Finding::note(
        SLUG,
        format!(
            "kernel.yama.ptrace_scope is {scope}: {who}. DMTCP works without; of a process that \
             is stuck it is not told in which system call it waits"
        ),
    )
}

fn aslr(value: Option<i64>) -> Finding {
    const SLUG: &str = "aslr";
    match value {
        None => Finding::ok(
            SLUG,
            "the kernel does not tell whether addresses are random",
        ),
        Some(0) => Finding::ok(
            SLUG,
            "kernel.randomize_va_space is 0: addresses are not random",
        ),
        Some(value) => Finding::ok(
            SLUG,
            format!(
                "kernel.randomize_va_space is {value}: random addresses; DMTCP puts memory back \
                 where it was"
            ),
        ),
    }
}

/// `/proc/self/personality` is a hexadecimal number.
fn personality(text: Option<&str>) -> Finding {
    const SLUG: &str = "personality";
    const NO_RANDOMIZE: u64 = 0x004_0000;
    const COMPAT_LAYOUT: u64 = 0x020_0000;
    let number = text.and_then(|text| u64::from_str_radix(text.trim(), 16).ok());
    let Some(number) = number else {
        return Finding::ok(SLUG, "the kernel does not tell");
    };
    let mut parts = Vec::new();
    if number & NO_RANDOMIZE != 0 {
        parts.push("addresses are not random (setarch -R)");
    }
    if number & COMPAT_LAYOUT != 0 {
        parts.push("memory is laid out as in old kernels (setarch -L)");
    }
    if number & 0xff != 0 {
        parts.push("it is not that of Linux with this word size");
    }
    if parts.is_empty() {
        return Finding::ok(SLUG, "as usual");
    }
    Finding::note(SLUG, format!("{number:08x}: {}", parts.join(", ")))
        .advice("start and restart programs under the same personality")
}

/// A line of `uid_map`: first number inside, first number outside, how many.
fn user_namespace(map: Option<&str>, most: Option<i64>) -> Finding {
    const SLUG: &str = "user-namespaces";
    let all = ["0", "0", "4294967295"];
    let is_all = |line: &str| line.split_whitespace().eq(all);
    let available = match most {
        Some(0) => "new ones are forbidden, and DMTCP needs none",
        _ => "DMTCP needs no other",
    };
    match map {
        Some(map) if !map.trim().is_empty() && !map.lines().any(is_all) => Finding::note(
            SLUG,
            "this is a user namespace of its own: other users' files belong to nobody here",
        )
        .advice("restart within one that maps the same users"),
        _ => Finding::ok(SLUG, format!("the initial one; {available}")),
    }
}

/// With strict accounting, what a restart maps counts at once, and beside it the memory of
/// `dmtcp_restart` itself.
fn overcommit(mode: Option<i64>, meminfo: &str) -> Finding {
    const SLUG: &str = "overcommit";
    if mode != Some(2) {
        let mode = mode.map_or_else(|| "not told".to_owned(), |mode| mode.to_string());
        return Finding::ok(SLUG, format!("vm.overcommit_memory is {mode}: not strict"));
    }
    let limit = kilobytes(meminfo, "CommitLimit");
    let used = kilobytes(meminfo, "Committed_AS");
    let (Some(limit), Some(used)) = (limit, used) else {
        return Finding::warning(SLUG, "vm.overcommit_memory is 2: strict");
    };
    let left = limit.saturating_sub(used);
    let seen = format!(
        "vm.overcommit_memory is 2: strict; {} of {} are left",
        size(left),
        size(limit)
    );
    let finding = match left < limit / 4 {
        true => Finding::warning(SLUG, seen),
        false => Finding::note(SLUG, seen),
    };
    finding.advice(
        "a restart needs as much address space as the program has mapped; raise \
         vm.overcommit_ratio, or set vm.overcommit_memory to 0",
    )
}

/// Whether a filter of system calls is on, as `/proc/PID/status` tells.
pub(crate) fn seccomp(status: &str) -> Option<u32> {
    field(status, "Seccomp")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn kernels() {
        for (text, expected) in [
            (Some("6.18.5\n"), Verdict::Ok),
            (Some("2.6.32-754.el6"), Verdict::Warning),
            (Some("4.4.0-19041-Microsoft"), Verdict::Failure),
            (Some("5.15.90-microsoft-standard-WSL2"), Verdict::Ok),
            (None, Verdict::Warning),
            (Some(""), Verdict::Warning),
        ] {
            assert_eq!(release(text).verdict, expected, "{text:?}");
        }
    }

    #[test]
    fn tracing_is_only_a_matter_of_diagnosis() {
        let verdicts = [None, Some(0), Some(1), Some(2), Some(3)].map(|v| ptrace(v).verdict);
        let [ok, note] = [Verdict::Ok, Verdict::Note];
        assert_eq!(verdicts, [ok, ok, ok, note, note]);
    }

    #[test]
    fn personalities() {
        assert_eq!(personality(Some("00000000\n")).verdict, Verdict::Ok);
        assert_eq!(personality(None).verdict, Verdict::Ok);
        let seen = personality(Some("00240000\n"));
        assert_eq!(seen.verdict, Verdict::Note);
        assert!(seen.seen.contains("not random") && seen.seen.contains("setarch -L"));
    }

    #[test]
    fn a_namespace_that_maps_some_users_is_told() {
        let whole = user_namespace(Some("         0          0 4294967295\n"), Some(0));
        assert_eq!(whole.verdict, Verdict::Ok);
        let own = user_namespace(Some("0 1000 1\n"), None);
        assert_eq!(own.verdict, Verdict::Note);
        assert_eq!(user_namespace(None, None).verdict, Verdict::Ok);
    }

    #[test]
    fn strict_accounting_is_a_warning_when_little_is_left() {
        let meminfo = |used| format!("CommitLimit:  1000 kB\nCommitted_AS:   {used} kB\n");
        assert_eq!(overcommit(Some(0), "").verdict, Verdict::Ok);
        assert_eq!(overcommit(Some(2), &meminfo(100)).verdict, Verdict::Note);
        assert_eq!(overcommit(Some(2), &meminfo(900)).verdict, Verdict::Warning);
        assert_eq!(
            overcommit(Some(2), &meminfo(9000)).verdict,
            Verdict::Warning
        );
        assert_eq!(overcommit(Some(2), "").verdict, Verdict::Warning);
    }
}
