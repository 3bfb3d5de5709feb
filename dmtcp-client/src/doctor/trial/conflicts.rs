//! What a program uses that DMTCP is known to have trouble with, recognised by the files that it
//! has mapped or open, and by the arguments of its processes.
//!
//! Where each is known from stands in its row; `dmtcp#N` is an issue or pull request of
//! github.com/dmtcp/dmtcp.

use std::{collections::BTreeSet, path::PathBuf};

use super::super::{Finding, Verdict, processes::Process};
use super::report::Conflict;

/// What is known of the processes of a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Evidence {
    /// Files that are mapped or open, and the kernel's names of other things.
    pub(super) files: BTreeSet<String>,
    /// Command lines.
    pub(super) commands: BTreeSet<String>,
    /// Programs without DMTCP's library in them.
    pub(super) outside: BTreeSet<String>,
    /// One was built by the Go compiler.
    pub(super) go: bool,
}

impl Evidence {
    /// Adds one process.
    pub(super) fn add(&mut self, process: &Process) {
        let mapped = process.mapped();
        let open = process.open_files();
        let names = mapped.iter().chain(&open);
        let names = names.map(|name| name.to_string_lossy().into_owned());
        self.files.extend(names);
        let arguments = process.arguments();
        let arguments: Vec<_> = arguments
            .iter()
            .map(|part| part.to_string_lossy())
            .collect();
        self.commands.insert(arguments.join(" "));
    }

    /// Adds one that DMTCP is not in.
    pub(super) fn add_outside(&mut self, process: &Process) {
        let program = process.executable().unwrap_or_default();
        self.outside.insert(program.to_string_lossy().into_owned());
    }
}

/// Whether DMTCP's library is mapped; `None`: nothing is by one whose memory may not be looked at, or
/// that has just ended.
pub(super) fn has_dmtcp(process: &Process) -> Option<bool> {
    let mapped = process.mapped();
    let is_dmtcp = |name: &PathBuf| {
        let name = name.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with("libdmtcp"))
    };
    (!mapped.is_empty()).then(|| mapped.iter().any(is_dmtcp))
}

/// What is found, in the order of the table.
pub(super) fn conflicts(evidence: &Evidence) -> Vec<Conflict> {
    RULES
        .iter()
        .filter_map(|rule| rule.judge(evidence))
        .collect()
}

struct Rule {
    slug: &'static str,
    verdict: Verdict,
    what: &'static str,
    marks: &'static [Mark],
    advice: &'static str,
    source: &'static str,
}

enum Mark {
    /// A file whose name begins so.
    File(&'static str),
    /// A name with this in it.
    Name(&'static str),
    /// A command line with this in it.
    Command(&'static str),
    Go,
    Outside,
}

impl Rule {
    fn judge(&self, evidence: &Evidence) -> Option<Conflict> {
        let mut seen: Vec<&str> = Vec::new();
        for mark in self.marks {
            match mark {
                Mark::File(start) => seen.extend(evidence.files.iter().filter_map(|path| {
                    let name = path.rsplit('/').next()?;
                    name.starts_with(start).then_some(name)
                })),
                Mark::Name(part) => {
                    let names = evidence.files.iter().map(String::as_str);
                    seen.extend(names.filter(|name| name.contains(part)));
                }
                Mark::Command(part) => {
                    let commands = evidence.commands.iter().map(String::as_str);
                    seen.extend(commands.filter(|command| command.contains(part)));
                }
                Mark::Go if evidence.go => seen.push("built by the Go compiler"),
                Mark::Go => {}
                Mark::Outside => seen.extend(evidence.outside.iter().map(String::as_str)),
            }
        }
        seen.sort_unstable();
        seen.dedup();
        let more = match seen.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        seen.truncate(SHOWN);
        if seen.is_empty() {
            return None;
        }
        let seen = format!("{}: {}{more}", self.what, seen.join(", "));
        Some(Conflict {
            finding: Finding::new(self.slug, self.verdict, seen).advice(self.advice),
            source: self.source.to_owned(),
        })
    }
}

const SHOWN: usize = 3;

const RULES: &[Rule] = &[
    Rule {
        slug: "outside",
        verdict: Verdict::Warning,
        what: "processes that DMTCP is not in, and that no set will hold",
        marks: &[Mark::Outside],
        advice: "they are static, have other rights than their user's, or were started without \
                 LD_PRELOAD: replace them, or do without",
        source: "DMTCP's own warning on programs that are linked statically",
    },
    Rule {
        slug: "go",
        verdict: Verdict::Warning,
        what: "Go",
        marks: &[Mark::Go],
        advice: "Go calls the kernel without the C library, where DMTCP does not see it: threads, \
                 files and sockets may be missing after a restart",
        source: "mptcpd#316 on LD_PRELOAD and Go",
    },
    Rule {
        slug: "cuda",
        verdict: Verdict::Warning,
        what: "CUDA",
        marks: &[
            Mark::File("libcuda.so"),
            Mark::File("libcudart.so"),
            Mark::Name("/dev/nvidia"),
            Mark::Name("/dmabuf:"),
        ],
        advice: "an image holds no memory of a GPU: use DMTCP's CUDA plugin (its release notes, \
                 4.2.0), or checkpoint while no GPU is in use",
        source: "dmtcp#1287, dmtcp#671, CRAC-early-development#9",
    },
    Rule {
        slug: "rocm",
        verdict: Verdict::Warning,
        what: "ROCm",
        marks: &[
            Mark::File("libamdhip64.so"),
            Mark::File("libhsa-runtime64.so"),
            Mark::Name("/dev/kfd"),
        ],
        advice: "an image holds no memory of a GPU: checkpoint while no GPU is in use",
        source: "as CUDA: dmtcp#671",
    },
    Rule {
        slug: "opencl",
        verdict: Verdict::Warning,
        what: "OpenCL or Level Zero",
        marks: &[Mark::File("libOpenCL.so"), Mark::File("libze_loader.so")],
        advice: "an image holds no memory of a device: checkpoint while no device is in use",
        source: "as CUDA: dmtcp#671",
    },
    Rule {
        slug: "infiniband",
        verdict: Verdict::Warning,
        what: "RDMA",
        marks: &[
            Mark::File("libibverbs.so"),
            Mark::File("librdmacm.so"),
            Mark::File("libpsm2.so"),
            Mark::Name("/dev/infiniband"),
        ],
        advice: "DMTCP has not restored RDMA since 3.1.0: let it go over TCP (UCX_TLS=tcp,self,sm; \
                 OMPI_MCA_btl=tcp,self), or use MANA for MPI",
        source: "dmtcp#1196, dmtcp#1142",
    },
    Rule {
        slug: "mpi",
        verdict: Verdict::Note,
        what: "MPI",
        marks: &[
            Mark::File("libmpi.so"),
            Mark::File("libmpich.so"),
            Mark::File("libmpi_cxx.so"),
        ],
        advice: "launch mpirun under DMTCP, over TCP, or use MANA",
        source: "dmtcp#613, dmtcp#1196",
    },
    Rule {
        slug: "openblas",
        verdict: Verdict::Note,
        what: "OpenBLAS",
        marks: &[
            Mark::File("libopenblas"),
            Mark::File("libscipy_openblas"),
            Mark::File("libblis"),
        ],
        advice: "if it hangs at launch on some machines: OPENBLAS_NUM_THREADS=1, or \
                 DMTCP_DL_PLUGIN=0",
        source: "dmtcp#599, dmtcp#426, dmtcp#882, dmtcp#1114",
    },
    Rule {
        slug: "intel-runtime",
        verdict: Verdict::Note,
        what: "MKL, Intel OpenMP or TBB",
        marks: &[
            Mark::File("libmkl_"),
            Mark::File("libiomp5.so"),
            Mark::File("libtbbmalloc"),
        ],
        advice: "if it crashes at launch: DMTCP_ALLOC_PLUGIN=0; if it hangs: MKL_NUM_THREADS=1",
        source: "dmtcp#447",
    },
    Rule {
        slug: "allocator",
        verdict: Verdict::Note,
        what: "an allocator of its own",
        marks: &[
            Mark::File("libtcmalloc"),
            Mark::File("libjemalloc"),
            Mark::File("libmimalloc"),
        ],
        advice: "if it crashes or hangs: DMTCP_ALLOC_PLUGIN=0, or DMTCP 4.0 and later",
        source: "DMTCP's notes on 4.0.0",
    },
    Rule {
        slug: "bundled-libraries",
        verdict: Verdict::Note,
        what: "libraries that it finds by itself",
        marks: &[Mark::Name(".libs/")],
        advice: "if it does not find a library, or hangs while it loads one: DMTCP_DL_PLUGIN=0",
        source: "dmtcp#91, dmtcp#57",
    },
    Rule {
        slug: "multiprocessing",
        verdict: Verdict::Warning,
        what: "Python's multiprocessing with a process of its own for resources",
        marks: &[
            Mark::Command("multiprocessing.resource_tracker"),
            Mark::Command("multiprocessing.semaphore_tracker"),
            Mark::Command("multiprocessing.forkserver"),
        ],
        advice: "with the start methods `spawn` and `forkserver` checkpoints stall for ever at \
                 Socket::Ckpt_Register_Peer_Info: use `fork`, or threads. Warnings on semaphores at a \
                 restart are harmless",
        source: "seen with DMTCP 4.2.0 and its own coordinator; DMTCP-checkpoint's limitations",
    },
    Rule {
        slug: "display",
        verdict: Verdict::Warning,
        what: "a display",
        marks: &[
            Mark::File("libGL.so"),
            Mark::File("libGLX"),
            Mark::File("libEGL.so"),
            Mark::File("libX11.so"),
            Mark::File("libwayland-client.so"),
            Mark::Name("/dev/dri/"),
        ],
        advice: "the display server is not in the set: run without one, or the program together \
                 with a VNC server under DMTCP",
        source: "dmtcp#671; DMTCP's README",
    },
    Rule {
        slug: "io-uring",
        verdict: Verdict::Warning,
        what: "io_uring",
        marks: &[Mark::Name("[io_uring]")],
        advice: "DMTCP does not know it, and does not restore it: switch it off (UV_USE_IO_URING=0 \
                 for Node.js)",
        source: "no wrapper for it in DMTCP 2.4 to 5.0",
    },
    Rule {
        slug: "kernel-objects",
        verdict: Verdict::Warning,
        what: "things of the kernel that DMTCP does not know",
        marks: &[
            Mark::Name("[userfaultfd]"),
            Mark::Name("[perf_event]"),
            Mark::Name("[fanotify]"),
            Mark::Name("anon_inode:bpf"),
        ],
        advice: "they are gone after a restart: do without",
        source: "no wrapper for them in DMTCP 2.4 to 5.0",
    },
    Rule {
        slug: "sanitizer",
        verdict: Verdict::Note,
        what: "a sanitizer",
        marks: &[
            Mark::File("libasan.so"),
            Mark::File("libtsan.so"),
            Mark::File("libmsan.so"),
        ],
        advice: "it reserves terabytes of address space: build without it",
        source: "what DMTCP 5.0 does for it at a restart",
    },
    Rule {
        slug: "java",
        verdict: Verdict::Note,
        what: "Java",
        marks: &[Mark::File("libjvm.so")],
        advice: "bound its memory: java -Xmx…, since it reserves much of the host's otherwise",
        source: "DMTCP's own warning at launch",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[&str]) -> Vec<String> {
        let files = files.iter().map(|file| (*file).to_owned()).collect();
        let evidence = Evidence {
            files,
            ..Evidence::default()
        };
        let found = conflicts(&evidence).into_iter();
        found.map(|conflict| conflict.finding.slug).collect()
    }

    #[test]
    fn libraries_and_devices_are_recognised() {
        for (file, slug) in [
            ("/usr/lib/libcuda.so.535.1", "cuda"),
            ("/dev/nvidia0", "cuda"),
            ("/opt/rocm/lib/libamdhip64.so.6", "rocm"),
            ("/usr/lib/libOpenCL.so.1", "opencl"),
            ("/usr/lib/libibverbs.so.1", "infiniband"),
            ("/lib/libopenblasp-r0-ae94.3.9.so", "openblas"),
            ("/lib/libscipy_openblas64_-1.so", "openblas"),
            ("/opt/libmkl_core.so.2", "intel-runtime"),
            ("/usr/lib/libjemalloc.so.2", "allocator"),
            ("/usr/lib/libX11.so.6", "display"),
            ("anon_inode:[io_uring]", "io-uring"),
            ("anon_inode:[userfaultfd]", "kernel-objects"),
            ("/usr/lib/jvm/libjvm.so", "java"),
        ] {
            assert_eq!(found(&[file]), [slug], "{file}");
        }
        let harmless = [
            "/usr/lib/libc.so.6",
            "/home/me/libcuda.txt",
            "[heap]",
            "socket:[1]",
        ];
        assert_eq!(found(&harmless), [""; 0]);
    }

    #[test]
    fn several_are_told_in_one_and_counted() {
        let files = [
            "/1/libmkl_a.so",
            "/2/libmkl_b.so",
            "/2/libmkl_c.so",
            "/2/libmkl_d.so",
        ];
        let evidence = Evidence {
            files: files.map(str::to_owned).into(),
            ..Evidence::default()
        };
        let found = conflicts(&evidence);
        assert!(found[0].finding.seen.ends_with("libmkl_c.so, and 1 more"));
    }

    #[test]
    fn what_is_not_a_file() {
        let tracker = "/usr/bin/python3 -c from multiprocessing.resource_tracker import main";
        let evidence = Evidence {
            commands: [tracker.to_owned()].into(),
            outside: ["/opt/static".to_owned()].into(),
            go: true,
            ..Evidence::default()
        };
        let found = conflicts(&evidence);
        let slugs: Vec<&str> = found.iter().map(|c| c.finding.slug.as_str()).collect();
        assert_eq!(slugs, ["outside", "go", "multiprocessing"]);
    }

    #[test]
    fn each_has_a_name_of_its_own_and_advice() {
        let page = include_str!("../../../../docs/CLI.md");
        for rule in RULES {
            let slug = rule.slug;
            assert!(page.contains(&format!("`{slug}`")), "{slug}");
        }
        let slugs: BTreeSet<&str> = RULES.iter().map(|rule| rule.slug).collect();
        assert_eq!(slugs.len(), RULES.len());
        assert!(
            RULES
                .iter()
                .all(|rule| !rule.advice.is_empty() && !rule.source.is_empty())
        );
    }
}
