//! Whether this is a container, and what its filter of system calls takes away.

use crate::{
    doctor::{Finding, World, checks::kernel::seccomp},
    process::{inherited_descriptors, passed_on_descriptors},
};

pub(crate) fn check(world: &World) -> Vec<Finding> {
    let inherited = inherited_descriptors().unwrap_or_default();
    // Tried only where it matters.
    let passed_on = match inherited.is_empty() {
        true => Vec::new(),
        false => passed_on_descriptors().unwrap_or_default(),
    };
    let status = world.read("/proc/self/status").unwrap_or_default();
    vec![
        container(kind(world)),
        filter(seccomp(&status)),
        descriptors(&inherited, &passed_on),
    ]
}

fn kind(world: &World) -> Option<String> {
    for variable in ["APPTAINER_NAME", "SINGULARITY_NAME"] {
        if let Some(name) = world.variable(variable) {
            return Some(format!("Apptainer ({})", name.to_string_lossy()));
        }
    }
    if world.path("/.dockerenv").exists() {
        return Some("Docker".to_owned());
    }
    if world.path("/run/.containerenv").exists() {
        return Some("Podman".to_owned());
    }
    let name = world.variable("container")?;
    Some(name.to_string_lossy().into_owned())
}

fn container(kind: Option<String>) -> Finding {
    const SLUG: &str = "container";
    match kind {
        None => Finding::ok(SLUG, "no container is seen"),
        Some(kind) => Finding::note(SLUG, format!("this is a container: {kind}")).advice(
            "restart in one of the same image; the state directory on a volume that outlives it",
        ),
    }
}

fn filter(mode: Option<u32>) -> Finding {
    const SLUG: &str = "seccomp";
    match mode {
        None => Finding::ok(SLUG, "the kernel does not tell"),
        Some(0) => Finding::ok(SLUG, "no filter of system calls"),
        Some(1) => Finding::failure(SLUG, "only read, write and exit are allowed here"),
        Some(_) => Finding::note(SLUG, "system calls are filtered, as in containers").advice(
            "if programs fail under DMTCP only here, try `--security-opt seccomp=unconfined`",
        ),
    }
}

/// A descriptor that two computations inherit spoils the images of both.
fn descriptors(inherited: &[i32], passed_on: &[i32]) -> Finding {
    const SLUG: &str = "descriptors";
    let list = |numbers: &[i32]| {
        let numbers: Vec<String> = numbers.iter().map(i32::to_string).collect();
        numbers.join(", ")
    };
    match (inherited, passed_on) {
        ([], _) => Finding::ok(SLUG, "this process inherited none but the standard streams"),
        (_, []) => Finding::note(
            SLUG,
            format!(
                "this process inherited {}: DMTCP's own tools pass them to programs, this one does \
                 not",
                list(inherited)
            ),
        ),
        _ => Finding::warning(
            SLUG,
            format!(
                "programs inherit {}, which unshare(2) would prevent",
                list(passed_on)
            ),
        )
        .advice("close them in the shell before: `exec N>&-`; two computations must not share one"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn containers_are_known_by_their_marks() {
        let root = tempfile::tempdir().unwrap();
        let world = |variables: &[(&str, &str)]| {
            let variables = variables
                .iter()
                .map(|(name, value)| (name.into(), value.into()));
            World::new(root.path(), variables)
        };
        assert_eq!(kind(&world(&[])), None);
        assert_eq!(kind(&world(&[("container", "lxc")])).unwrap(), "lxc");
        fs::write(root.path().join(".dockerenv"), "").unwrap();
        assert_eq!(kind(&world(&[("container", "lxc")])).unwrap(), "Docker");
        let apptainer = kind(&world(&[("APPTAINER_NAME", "a.sif")]));
        assert_eq!(container(apptainer).verdict, Verdict::Note);
    }

    #[test]
    fn filters_and_descriptors() {
        let modes = [None, Some(0), Some(1), Some(2)].map(|mode| filter(mode).verdict);
        assert_eq!(
            modes,
            [Verdict::Ok, Verdict::Ok, Verdict::Failure, Verdict::Note]
        );
        assert_eq!(descriptors(&[], &[]).verdict, Verdict::Ok);
        assert_eq!(descriptors(&[251], &[]).verdict, Verdict::Note);
        let passed = descriptors(&[251, 252], &[251, 252]);
        assert_eq!(passed.verdict, Verdict::Warning);
        assert!(passed.seen.contains("251, 252"));
    }
}
