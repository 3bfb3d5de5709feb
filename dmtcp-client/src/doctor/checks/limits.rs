//! Limits of this process, which programs inherit (`ulimit`).

use crate::doctor::{Finding, World, processes::Processes, world::size};

/// DMTCP's own descriptors in every process begin at 820 in most releases and are less than 50.
const DESCRIPTORS: u64 = 870;
/// Threads and processes that a small computation with its tools has at the same time.
const TASKS: u64 = 100;

pub(crate) fn check(world: &World, processes: &Processes) -> Vec<Finding> {
    let text = world.read("/proc/self/limits").unwrap_or_default();
    if text.is_empty() {
        return vec![Finding::warning(
            "limits",
            "/proc/self/limits cannot be read",
        )];
    }
    let soft = |name: &str| soft_limit(&text, name);
    vec![
        open_files(soft("Max open files")),
        tasks(
            soft("Max processes"),
            processes.threads_of(world.user()),
            world.user() == 0,
        ),
        core(soft("Max core file size")),
        stack(soft("Max stack size")),
        locked(soft("Max locked memory")),
        address_space(soft("Max address space")),
        file_size(soft("Max file size")),
    ]
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit {
    Unlimited,
    At(u64),
    Unknown,
}

impl Limit {
    fn text(self) -> String {
        match self {
            Self::Unlimited => "unlimited".to_owned(),
            Self::At(bytes) => size(bytes),
            Self::Unknown => "not told".to_owned(),
        }
    }
}

/// The first number behind the name.
fn soft_limit(text: &str, name: &str) -> Limit {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let word = line.and_then(|rest| rest.split_whitespace().next());
    match word {
        Some("unlimited") => Limit::Unlimited,
        Some(word) => word.parse().map_or(Limit::Unknown, Limit::At),
        None => Limit::Unknown,
    }
}

fn open_files(limit: Limit) -> Finding {
    const SLUG: &str = "limit-open-files";
    match limit {
        Limit::At(files) if files < DESCRIPTORS => Finding::failure(
            SLUG,
            format!("{files} open files; DMTCP uses descriptors from 820 on in every process"),
        )
        .advice("ulimit -n 1024, or more"),
        Limit::At(files) => Finding::ok(SLUG, format!("{files} open files")),
        limit => Finding::ok(SLUG, limit.text()),
    }
}

fn tasks(limit: Limit, used: u64, is_root: bool) -> Finding {
    const SLUG: &str = "limit-processes";
    let Limit::At(most) = limit else {
        return Finding::ok(SLUG, limit.text());
    };
    let seen = format!("{used} of {most} processes and threads of this user are in use");
    // The kernel lets root pass.
    if is_root || most.saturating_sub(used) >= TASKS {
        return Finding::ok(SLUG, seen);
    }
    Finding::warning(SLUG, seen)
        .advice("DMTCP adds a thread to each process, and gzip to each image: raise ulimit -u")
}

fn core(limit: Limit) -> Finding {
    let seen = match limit {
        Limit::At(0) => "none is written when a process crashes".to_owned(),
        limit => limit.text(),
    };
    Finding::ok("limit-core", seen)
}

fn stack(limit: Limit) -> Finding {
    const SLUG: &str = "limit-stack";
    match limit {
        Limit::Unlimited => Finding::note(
            SLUG,
            "unlimited: the kernel lays memory out in another way then",
        )
        .advice("start and restart with the same ulimit -s"),
        limit => Finding::ok(SLUG, limit.text()),
    }
}

fn locked(limit: Limit) -> Finding {
    Finding::ok("limit-locked-memory", limit.text())
}

fn address_space(limit: Limit) -> Finding {
    const SLUG: &str = "limit-address-space";
    match limit {
        Limit::At(bytes) => Finding::warning(SLUG, format!("{} of memory", size(bytes))).advice(
            "a restart maps the program's memory beside its own: ulimit -v unlimited, or well \
             above what the program maps",
        ),
        limit => Finding::ok(SLUG, limit.text()),
    }
}

fn file_size(limit: Limit) -> Finding {
    const SLUG: &str = "limit-file-size";
    match limit {
        Limit::At(bytes) => Finding::warning(SLUG, format!("files of {} at most", size(bytes)))
            .advice(
                "an image is as large as the memory of its process, if it is not compressed: \
                 ulimit -f unlimited",
            ),
        limit => Finding::ok(SLUG, limit.text()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    const TEXT: &str = "\
Limit                     Soft Limit           Hard Limit           Units     
Max file size             unlimited            unlimited            bytes     
Max stack size            8388608              unlimited            bytes     
Max processes             100                  200                  processes 
Max open files            512                  4096                 files     
";

    #[test]
    fn soft_limits_are_read() {
        assert_eq!(soft_limit(TEXT, "Max open files"), Limit::At(512));
        assert_eq!(soft_limit(TEXT, "Max file size"), Limit::Unlimited);
        assert_eq!(soft_limit(TEXT, "Max core file size"), Limit::Unknown);
    }

    #[test]
    fn descriptors_of_dmtcp_need_room() {
        for (limit, expected) in [
            (Limit::At(512), Verdict::Failure),
            (Limit::At(1024), Verdict::Ok),
            (Limit::Unlimited, Verdict::Ok),
        ] {
            assert_eq!(open_files(limit).verdict, expected, "{limit:?}");
        }
    }

    #[test]
    fn processes_count_what_is_left_and_root_passes() {
        let verdict = |most, used, root| tasks(Limit::At(most), used, root).verdict;
        assert_eq!(verdict(1000, 900, false), Verdict::Ok);
        assert_eq!(verdict(1000, 901, false), Verdict::Warning);
        assert_eq!(verdict(1000, 2000, false), Verdict::Warning);
        assert_eq!(verdict(1000, 2000, true), Verdict::Ok);
    }

    #[test]
    fn what_cuts_images_or_restarts_off_is_told() {
        assert_eq!(file_size(Limit::At(1 << 20)).verdict, Verdict::Warning);
        assert_eq!(address_space(Limit::At(1 << 30)).verdict, Verdict::Warning);
        assert_eq!(stack(Limit::Unlimited).verdict, Verdict::Note);
        assert_eq!(stack(Limit::At(1 << 23)).verdict, Verdict::Ok);
        assert_eq!(core(Limit::At(0)).verdict, Verdict::Ok);
        assert_eq!(locked(Limit::At(65536)).seen, "64 KiB");
    }
}
