//! Variables that decide how DMTCP runs, or that another one has left.

use std::os::unix::ffi::OsStrExt as _;

use crate::{
    doctor::{Finding, World},
    process::KEPT_VARIABLES,
};

pub(crate) fn check(world: &World) -> Vec<Finding> {
    vec![variables(world), preload(world)]
}

fn variables(world: &World) -> Finding {
    const SLUG: &str = "environment";
    let mut kept = Vec::new();
    let mut others = Vec::new();
    for (name, value) in world.variables() {
        let is_of_dmtcp = PREFIXES
            .iter()
            .any(|prefix| name.as_bytes().starts_with(prefix.as_bytes()));
        if !is_of_dmtcp || OURS.iter().any(|ours| name == *ours) {
            continue;
        }
        let text = format!("{}={}", name.to_string_lossy(), value.to_string_lossy());
        match KEPT_VARIABLES.iter().any(|kept| name == *kept) {
            true => kept.push(text),
            false => others.push(text),
        }
    }
    if others.is_empty() {
        return match kept.is_empty() {
            true => Finding::ok(SLUG, "no variable of DMTCP is set"),
            false => Finding::note(SLUG, format!("programs start with {}", kept.join(" "))),
        };
    }
    let trap = "DMTCP_CKPT_DIR=";
    let trap = match others.iter().any(|text| text.starts_with(trap)) {
        true => {
            "; DMTCP_CKPT_DIR is read by restart scripts only, launches read DMTCP_CHECKPOINT_DIR"
        }
        false => "",
    };
    Finding::warning(SLUG, others.join(" ")).advice(format!(
        "dmtcp_launch, dmtcp_restart and dmtcp_command obey them, this program takes them from what \
         it starts: unset them unless they are meant{trap}"
    ))
}

fn preload(world: &World) -> Finding {
    const SLUG: &str = "preload";
    let Some(list) = world.variable("LD_PRELOAD") else {
        return Finding::ok(SLUG, "LD_PRELOAD is not set");
    };
    let list = list.to_string_lossy();
    let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let mut names = list.split([':', ' ']).map(name);
    if names.any(|name| name.starts_with("libdmtcp")) {
        return Finding::warning(
            SLUG,
            format!("LD_PRELOAD={list}: this shell runs under DMTCP"),
        )
        .advice("start computations from a shell that is not itself part of one");
    }
    Finding::note(SLUG, format!("LD_PRELOAD={list}"))
        .advice("if a program behaves differently under DMTCP, try it without these libraries")
}

/// The last two are read by DMTCP's own libraries.
const PREFIXES: [&str; 3] = ["DMTCP_", "MTCP_", "JALIB_"];
/// Where its programs are; read by this library, not by DMTCP.
const OURS: [&str; 1] = ["DMTCP_BIN"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    fn found(variables: &[(&str, &str)]) -> [Verdict; 2] {
        let variables = variables
            .iter()
            .map(|(name, value)| (name.into(), value.into()));
        let found = check(&World::new("/", variables));
        [found[0].verdict, found[1].verdict]
    }

    #[test]
    fn what_misleads_is_a_warning_and_what_is_meant_a_note() {
        use Verdict::{Note, Ok, Warning};
        assert_eq!(
            found(&[("PATH", "/bin"), ("DMTCP_BIN", "/o/bin")]),
            [Ok, Ok]
        );
        assert_eq!(found(&[("DMTCP_DL_PLUGIN", "0")]), [Note, Ok]);
        assert_eq!(found(&[("DMTCP_COORD_PORT", "7779")]), [Warning, Ok]);
        assert_eq!(
            found(&[("MTCP_X", "1"), ("NOT_DMTCP_X", "")]),
            [Warning, Ok]
        );
        assert_eq!(found(&[("LD_PRELOAD", "/a/libx.so")]), [Ok, Note]);
        let both = "/a/libx.so:/o/lib/dmtcp/libdmtcp.so";
        assert_eq!(found(&[("LD_PRELOAD", both)]), [Ok, Warning]);
    }

    #[test]
    fn the_name_that_only_scripts_read_is_explained() {
        let world = World::new("/", [("DMTCP_CKPT_DIR".into(), "/c".into())]);
        let advice = variables(&world).advice.unwrap();
        assert!(advice.contains("DMTCP_CHECKPOINT_DIR"), "{advice}");
    }
}
