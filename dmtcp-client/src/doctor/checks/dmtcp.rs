//! The DMTCP programs that there are: all of them together, of one release, with their library.

use std::{
    collections::HashSet,
    env,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use dmtcp_proto::Release;

use crate::{
    doctor::{Finding, World},
    executable::is_executable,
    process::{capture, clean_environment},
};

/// A folder with programs of DMTCP.
#[derive(Clone, Debug)]
pub(crate) struct Installation {
    dir: PathBuf,
    /// `DMTCP_BIN` or `PATH`.
    named_by: &'static str,
    programs: Vec<Program>,
    library: Option<PathBuf>,
    /// Whether the library knows an area that newer kernels have; `None`: it cannot be read.
    knows_vclock: Option<bool>,
}

#[derive(Clone, Debug)]
struct Program {
    name: &'static str,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Missing,
    Of(Release),
    /// `dmtcpctl` in its place.
    Ours,
    /// It does not tell its release; what it printed.
    Silent(String),
}

impl Installation {
    /// All programs are there.
    fn is_complete(&self) -> bool {
        self.programs
            .iter()
            .all(|program| program.kind != Kind::Missing)
    }

    /// Of `dmtcp_launch`.
    pub(crate) fn release(&self) -> Option<&Release> {
        self.programs
            .iter()
            .find_map(|program| match &program.kind {
                Kind::Of(release) => Some(release),
                _ => None,
            })
    }

    pub(crate) fn knows_vclock(&self) -> Option<bool> {
        self.knows_vclock
    }

    fn releases(&self) -> Vec<(&'static str, &str)> {
        let told = self
            .programs
            .iter()
            .filter_map(|program| match &program.kind {
                Kind::Of(release) => Some((program.name, release.text.as_str())),
                _ => None,
            });
        told.collect()
    }
}

/// Every folder of `DMTCP_BIN` and `PATH` that has any of them, each once.
pub(crate) fn installations(world: &World) -> Vec<Installation> {
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    for named_by in [DMTCP_BIN, "PATH"] {
        let list = world.variable(named_by).unwrap_or_default();
        for dir in env::split_paths(list).filter(|dir| !dir.as_os_str().is_empty()) {
            let real = fs::canonicalize(&dir).unwrap_or_else(|_| dir.clone());
            let has_any = PROGRAMS.iter().any(|name| is_executable(&dir.join(name)));
            if has_any && seen.insert(real.clone()) {
                found.push(look(dir, &real, named_by));
            }
        }
    }
    found
}

fn look(dir: PathBuf, real: &Path, named_by: &'static str) -> Installation {
    let programs = PROGRAMS.map(|name| Program {
        name,
        kind: kind(&dir.join(name)),
    });
    let library = LIBRARIES
        .iter()
        .map(|place| real.join("..").join(place))
        .find(|path| path.is_file());
    Installation {
        knows_vclock: library.as_deref().and_then(knows_vclock),
        library,
        dir,
        named_by,
        programs: programs.into(),
    }
}

fn kind(program: &Path) -> Kind {
    if !is_executable(program) {
        return Kind::Missing;
    }
    let real = fs::canonicalize(program).unwrap_or_else(|_| program.to_owned());
    if real.file_name() == Some(OsStr::new("dmtcpctl")) {
        return Kind::Ours;
    }
    // It runs under another one and prints nothing of itself.
    if program.file_name() == Some(OsStr::new(BEHIND_RESTART)) {
        return Kind::Silent(String::new());
    }
    let mut command = Command::new(program);
    clean_environment(&mut command, env::vars_os());
    command.arg("--version");
    match capture(command, LIMIT) {
        Ok((_, output)) => {
            let text = String::from_utf8_lossy(&output);
            Release::parse(&text)
                .map_or_else(|| Kind::Silent(text.chars().take(80).collect()), Kind::Of)
        }
        Err(error) => Kind::Silent(crate::with_causes(&error)),
    }
}

/// Releases before 3.2 do not have the name in their library, unless they were mended.
fn knows_vclock(library: &Path) -> Option<bool> {
    use std::io::Read as _;
    let mut content = Vec::new();
    let file = fs::File::open(library).ok()?;
    file.take(MOST).read_to_end(&mut content).ok()?;
    let name = b"vvar_vclock";
    Some(content.windows(name.len()).any(|part| part == name))
}

/// What is to be said of them, the first that is whole and used first.
pub(crate) fn judge(found: &[Installation]) -> Vec<Finding> {
    const SLUG: &str = "dmtcp";
    let mut findings = Vec::new();
    if !found.iter().any(Installation::is_complete) {
        findings.push(
            Finding::failure(
                SLUG,
                "no folder of DMTCP_BIN or PATH has all of its programs",
            )
            .advice(
                "install DMTCP (the package `dmtcp` of many distributions, or \
                     github.com/dmtcp/dmtcp), and put its bin folder into DMTCP_BIN or PATH",
            ),
        );
    }
    let used = used(found);
    let used = used.map(|used| used.dir.clone());
    for installation in found {
        let is_used = Some(&installation.dir) == used.as_ref();
        findings.push(one(installation, is_used));
    }
    findings
}

/// The one that this library takes: see [`Tools::find`](crate::Tools::find).
pub(crate) fn used(found: &[Installation]) -> Option<&Installation> {
    let by_variable = found.iter().any(|found| found.named_by == DMTCP_BIN);
    let wanted = if by_variable { DMTCP_BIN } else { "PATH" };
    let mut found = found.iter().filter(|found| found.named_by == wanted);
    found.find(|found| found.is_complete())
}

fn one(installation: &Installation, is_used: bool) -> Finding {
    const SLUG: &str = "dmtcp";
    let at = installation.dir.display();
    // What nobody uses can hardly harm.
    let bad = |seen: String| match is_used {
        true => Finding::failure(SLUG, seen),
        false => Finding::warning(SLUG, seen),
    };
    let missing = installation.programs.iter();
    let missing: Vec<&str> = missing
        .filter(|program| program.kind == Kind::Missing)
        .map(|program| program.name)
        .collect();
    if !missing.is_empty() {
        return bad(format!("{at} has no {}", missing.join(", no ")))
            .advice("it is not used; take it out of the path, or install all of DMTCP there");
    }
    let releases = installation.releases();
    let first = releases.first().map_or("", |(_, release)| release);
    if releases.iter().any(|(_, release)| *release != first) {
        let list: Vec<String> = releases
            .iter()
            .map(|(name, release)| format!("{name} {release}"))
            .collect();
        return bad(format!("{at} mixes releases: {}", list.join(", ")))
            .advice("install one release into one folder");
    }
    let silent = installation
        .programs
        .iter()
        .find_map(|program| match &program.kind {
            Kind::Silent(text) if program.name != BEHIND_RESTART => Some((program.name, text)),
            _ => None,
        });
    if let Some((name, text)) = silent {
        return bad(format!("{at}/{name} does not tell its release: {text:?}"))
            .advice("it may not be DMTCP's, or may not run here");
    }
    if installation
        .release()
        .is_some_and(|release| release.dialect.is_none())
    {
        return bad(format!("{at} is DMTCP {first}")).advice("2.4 and later are supported");
    }
    if installation.library.is_none() {
        return bad(format!(
            "{at} is DMTCP {first}, whose libdmtcp.so is not found"
        ))
        .advice("it belongs into lib/dmtcp or lib64/dmtcp beside the bin folder");
    }
    let ours = installation.programs.iter();
    let ours: Vec<&str> = ours
        .filter(|program| program.kind == Kind::Ours)
        .map(|program| program.name)
        .collect();
    let ours = match ours.as_slice() {
        [] => String::new(),
        names => format!(", with dmtcpctl in place of {}", names.join(" and ")),
    };
    let by = installation.named_by;
    let seen = format!("DMTCP {first} in {at} ({by}){ours}");
    match is_used {
        true => Finding::ok(SLUG, format!("{seen}; it is used")),
        false => Finding::note(SLUG, format!("{seen}; it is not used")),
    }
}

const DMTCP_BIN: &str = "DMTCP_BIN";
const BEHIND_RESTART: &str = "mtcp_restart";
/// `dmtcp_restart` runs the last one.
const PROGRAMS: [&str; 5] = [
    "dmtcp_launch",
    "dmtcp_restart",
    "dmtcp_command",
    "dmtcp_coordinator",
    BEHIND_RESTART,
];
/// Seen from the bin folder's parent.
const LIBRARIES: [&str; 4] = [
    "lib64/dmtcp/libdmtcp.so",
    "lib/dmtcp/libdmtcp.so",
    "lib/x86_64-linux-gnu/dmtcp/libdmtcp.so",
    "lib/aarch64-linux-gnu/dmtcp/libdmtcp.so",
];
const LIMIT: Duration = Duration::from_secs(5);
/// Of a library.
const MOST: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::doctor::Verdict;

    /// A folder with programs that say that they are of these releases.
    fn install(base: &Path, name: &str, releases: [&str; 4], library: bool) -> PathBuf {
        let bin = base.join(name).join("bin");
        fs::create_dir_all(&bin).unwrap();
        let write = |name: &str, text: String| {
            let path = bin.join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        };
        for (program, release) in PROGRAMS.iter().zip(releases) {
            if !release.is_empty() {
                write(
                    program,
                    format!("#!/bin/sh\necho '{program} (DMTCP) {release}'\n"),
                );
            }
        }
        write(BEHIND_RESTART, "#!/bin/sh\nexit 1\n".to_owned());
        if library {
            let lib = base.join(name).join("lib/dmtcp");
            fs::create_dir_all(&lib).unwrap();
            fs::write(lib.join("libdmtcp.so"), "…[vvar_vclock]…").unwrap();
        }
        bin
    }

    fn world(bins: &[&Path], path: &[&Path]) -> World {
        let variables = [(DMTCP_BIN, bins), ("PATH", path)];
        let variables = variables.map(|(name, dirs)| {
            let list = env::join_paths(dirs).unwrap();
            (name.into(), list)
        });
        World::new("/", variables)
    }

    #[test]
    fn sets_of_programs_are_judged_and_the_used_one_is_named() {
        let base = tempfile::tempdir().unwrap();
        let base = base.path();
        let whole = install(base, "whole", ["4.2.0"; 4], true);
        let other = install(base, "other", ["3.2.0"; 4], true);
        let mixed = install(base, "mixed", ["4.2.0", "4.2.0", "3.2.0", "4.2.0"], true);
        let partial = install(base, "partial", ["4.2.0", "", "4.2.0", "4.2.0"], true);
        let bare = install(base, "bare", ["4.2.0"; 4], false);
        let old = install(base, "old", ["1.2.7"; 4], true);
        let verdicts = |bins: &[&Path], path: &[&Path]| {
            let findings = judge(&installations(&world(bins, path)));
            let verdicts = findings.iter().map(|finding| finding.verdict);
            verdicts.collect::<Vec<_>>()
        };
        use Verdict::{Failure, Note, Ok, Warning};
        assert_eq!(verdicts(&[], &[&whole, &whole]), [Ok]);
        assert_eq!(verdicts(&[&other], &[&whole]), [Ok, Note]);
        assert_eq!(verdicts(&[], &[&partial, &whole]), [Warning, Ok]);
        assert_eq!(verdicts(&[], &[&mixed]), [Failure]);
        assert_eq!(verdicts(&[], &[&bare]), [Failure]);
        assert_eq!(verdicts(&[], &[&old]), [Failure]);
        assert_eq!(verdicts(&[], &[&partial]), [Failure, Warning]);
        assert_eq!(verdicts(&[], &[base]), [Failure]);
        let found = installations(&world(&[], &[&whole]));
        assert_eq!(used(&found).unwrap().release().unwrap().text, "4.2.0");
        assert_eq!(used(&found).unwrap().knows_vclock(), Some(true));
    }

    #[test]
    fn ours_in_place_of_a_program_is_known() {
        let base = tempfile::tempdir().unwrap();
        let bin = install(base.path(), "whole", ["4.2.0"; 4], true);
        let ours = base.path().join("dmtcpctl");
        fs::copy("/bin/true", &ours).unwrap();
        let place = bin.join("dmtcp_coordinator");
        fs::remove_file(&place).unwrap();
        std::os::unix::fs::symlink(&ours, &place).unwrap();
        let findings = judge(&installations(&world(&[], &[&bin])));
        assert_eq!(findings[0].verdict, Verdict::Ok, "{findings:?}");
        let text = "with dmtcpctl in place of dmtcp_coordinator";
        assert!(findings[0].seen.contains(text), "{findings:?}");
    }
}
