//! What releases of DMTCP are known to fail on: kernels and C libraries that are newer than they
//! are. Found by running them, and in DMTCP's own notes on its releases.

use dmtcp_proto::Release;

use crate::{doctor::Finding, host::HostFingerprint};

/// The release that would be used, on this host.
pub(crate) fn check(
    release: &Release,
    knows_vclock: Option<bool>,
    host: &HostFingerprint,
) -> Vec<Finding> {
    let vclock = host.vdso.as_ref().is_some_and(|vdso| vdso.vvar_vclock > 0);
    let glibc = host.glibc.as_deref().and_then(numbers);
    let version = (release.major, release.minor, release.patch);
    let mut found = vec![kernel_areas(release, version, vclock, knows_vclock)];
    found.extend(glibc.map(|glibc| c_library(release, version, glibc)));
    if release.major >= 5 {
        found.push(
            Finding::note(
                "release",
                format!("{release} is a development version, whose restarts hang at times"),
            )
            .advice("restarts are tried again by themselves; for a quiet life take a release"),
        );
    }
    found
}

type Version = (u32, u32, u32);

fn kernel_areas(
    release: &Release,
    version: Version,
    vclock: bool,
    knows_vclock: Option<bool>,
) -> Finding {
    const SLUG: &str = "kernel-areas";
    if !vclock {
        return Finding::ok(SLUG, "this kernel maps nothing that DMTCP does not know");
    }
    // DMTCP's notes on 3.2.0.
    if version >= (3, 2, 0) || knows_vclock == Some(true) {
        return Finding::ok(
            SLUG,
            format!("{release} knows [vvar_vclock], which this kernel maps"),
        );
    }
    let seen = format!("this kernel maps [vvar_vclock], which {release} does not know");
    let finding = match knows_vclock {
        Some(_) => Finding::failure(SLUG, seen),
        None => Finding::warning(SLUG, seen),
    };
    finding.advice("processes die in their first checkpoint: take DMTCP 3.2 or later")
}

fn c_library(release: &Release, version: Version, glibc: (u32, u32)) -> Finding {
    const SLUG: &str = "c-library";
    let (major, minor) = glibc;
    let text = format!("glibc {major}.{minor}");
    // Threads are created without the function that 2.x wraps.
    if version < (3, 0, 0) && glibc >= (2, 34) {
        return Finding::warning(SLUG, format!("{release} is older than {text}")).advice(
            "as released, 2.x crashes at launch from glibc 2.34 on; if yours does, take DMTCP 3.2 \
             or later. With dmtcp_restart by hand, GLIBC_TUNABLES=glibc.pthread.rseq=0 is needed",
        );
    }
    // DMTCP's notes on 4.1.1.
    if version < (4, 1, 1) && glibc >= (2, 42) {
        return Finding::warning(SLUG, format!("{release} is older than {text}"))
            .advice("functions for threads changed in glibc 2.42: take DMTCP 4.1.1 or later");
    }
    Finding::ok(SLUG, format!("{text}, which {release} works with"))
}

fn numbers(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.')?;
    let minor = minor.split('.').next()?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    fn release(text: &str) -> Release {
        Release::parse(&format!("x (DMTCP) {text}")).unwrap()
    }

    #[test]
    fn an_area_that_the_release_does_not_know() {
        let verdict = |text, vclock, knows| {
            let release = release(text);
            let version = (release.major, release.minor, release.patch);
            kernel_areas(&release, version, vclock, knows).verdict
        };
        assert_eq!(verdict("3.0.0", false, Some(false)), Verdict::Ok);
        assert_eq!(verdict("3.0.0", true, Some(false)), Verdict::Failure);
        assert_eq!(verdict("3.0.0", true, None), Verdict::Warning);
        assert_eq!(verdict("3.0.0", true, Some(true)), Verdict::Ok);
        assert_eq!(verdict("3.2.0", true, Some(false)), Verdict::Ok);
        assert_eq!(verdict("5.0", true, None), Verdict::Ok);
    }

    #[test]
    fn a_c_library_that_is_newer() {
        let verdict = |text, glibc: &str| {
            let release = release(text);
            let version = (release.major, release.minor, release.patch);
            c_library(&release, version, numbers(glibc).unwrap()).verdict
        };
        assert_eq!(verdict("2.6.0", "2.33"), Verdict::Ok);
        assert_eq!(verdict("2.6.0", "2.36"), Verdict::Warning);
        assert_eq!(verdict("3.2.0", "2.36"), Verdict::Ok);
        assert_eq!(verdict("4.1.0", "2.42"), Verdict::Warning);
        assert_eq!(verdict("4.1.1", "2.42.1"), Verdict::Ok);
        assert_eq!(numbers("x"), None);
    }

    #[test]
    fn the_development_version_is_told() {
        let host = HostFingerprint::of_this_host();
        let found = check(&release("5.0"), Some(true), &host);
        assert!(found.iter().any(|finding| finding.slug == "release"));
        let found = check(&release("4.2.0"), Some(true), &host);
        assert!(found.iter().all(|finding| finding.slug != "release"));
    }
}
