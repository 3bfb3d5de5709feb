//! A Grid Engine of one host, as Debian packages it, with a cell of its own in a temporary folder.

use crate::processes::{Daemons, MARK, eventually, free_ports, output};
use nix::unistd::geteuid;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Where Debian has the programs that need no wrapper.
const PROGRAMS: &str = "/usr/lib/gridengine";
const SHARED: &str = "/usr/share/gridengine";

pub(crate) struct Cell {
    // Before the folder: they write to it.
    daemons: Daemons,
    folder: TempDir,
    ports: [u16; 2],
}

impl Cell {
    /// `None`, and says so: its programs are not installed, or this is not root.
    pub(crate) fn start() -> Option<Self> {
        for name in [
            "sge_qmaster",
            "sge_execd",
            "qsub",
            "qconf",
            "spoolinit",
            "spooldefaults",
        ] {
            let program = Path::new(PROGRAMS).join(name);
            if !program.is_file() {
                println!("SKIPPED: no Grid Engine ({})", program.display());
                return None;
            }
        }
        if !geteuid().is_root() {
            println!("SKIPPED: no Grid Engine: only root can run jobs with it");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        let mut cell = Self {
            daemons: Daemons::new(folder.path()),
            folder,
            ports: free_ports(),
        };
        cell.lay_out();
        let mut qmaster = cell.command("sge_qmaster");
        cell.daemons.start("qmaster", qmaster.env("SGE_ND", "1"));
        eventually("the qmaster", || cell.run("qconf", &["-sconf"]).ok());
        cell.configure();
        let mut execd = cell.command("sge_execd");
        cell.daemons.start("execd", execd.env("SGE_ND", "1"));
        Some(cell)
    }

    fn root(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.root().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(Path::new(PROGRAMS).join(program));
        command.envs(self.environment());
        command
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<String, String> {
        output(self.command(program).args(arguments))
    }

    /// What its commands need, and by what all of its processes are known.
    pub(crate) fn environment(&self) -> Vec<(&'static str, PathBuf)> {
        let [qmaster, execd] = self.ports.map(|port| port.to_string().into());
        vec![
            ("SGE_ROOT", self.root().to_owned()),
            ("SGE_CELL", "default".into()),
            ("SGE_QMASTER_PORT", qmaster),
            ("SGE_EXECD_PORT", execd),
            (MARK, self.root().to_owned()),
        ]
    }

    /// What has to be there before its master starts.
    fn lay_out(&self) {
        let root = self.root().display();
        for folder in ["default/common", "spool/qmaster/job_scripts", "spool/execd"] {
            fs::create_dir_all(self.root().join(folder)).unwrap();
        }
        for name in ["bin", "lib", "utilbin", "util"] {
            symlink(
                Path::new("/var/lib/gridengine").join(name),
                self.root().join(name),
            )
            .unwrap();
        }
        let host = nix::unistd::gethostname().unwrap();
        let host = host.to_string_lossy();
        self.write("default/common/act_qmaster", "localhost\n");
        self.write(
            "default/common/host_aliases",
            &format!("localhost {host}\n"),
        );
        self.write(
            "default/common/bootstrap",
            &format!(
                "admin_user root\ndefault_domain none\nignore_fqdn true\nspooling_method classic\n\
                 spooling_lib libspoolc\nspooling_params {root}/default/common;{root}/spool/qmaster\n\
                 binary_path {PROGRAMS}\nqmaster_spool_dir {root}/spool/qmaster\nsecurity_mode none\n\
                 listener_threads 2\nworker_threads 2\nscheduler_threads 1\n"
            ),
        );
        let given = fs::read_to_string(Path::new(SHARED).join("default-configuration")).unwrap();
        let spool = format!("{root}/spool/execd");
        let ours = [
            ("execd_spool_dir", spool.as_str()),
            ("min_uid", "0"),
            ("min_gid", "0"),
            ("load_report_time", "00:00:02"),
            ("mailer", "/bin/true"),
        ];
        let configuration = self.write("configuration", &changed(&given, &ours));
        let spool = format!("{root}/default/common;{root}/spool/qmaster");
        let resources = |name: &str| format!("{SHARED}/util/resources/{name}");
        let (complexes, usersets) = (resources("centry"), resources("usersets"));
        for (program, arguments) in [
            ("spoolinit", vec!["classic", "libspoolc", &spool, "init"]),
            ("spooldefaults", vec!["configuration", &configuration]),
            ("spooldefaults", vec!["complexes", &complexes]),
            ("spooldefaults", vec!["usersets", &usersets]),
            ("spooldefaults", vec!["managers", "root"]),
        ] {
            self.run(program, &arguments).unwrap();
        }
    }

    /// One host with one queue; the scheduler looks every second.
    fn configure(&self) {
        self.run("qconf", &["-as", "localhost"]).unwrap();
        let names = [
            "complex_values",
            "load_scaling",
            "user_lists",
            "xuser_lists",
            "projects",
        ];
        let more = ["xprojects", "usage_scaling", "report_variables"];
        let none: String = names
            .iter()
            .chain(&more)
            .map(|name| format!("{name} NONE\n"))
            .collect();
        let host = self.write("host", &format!("hostname localhost\n{none}"));
        self.run("qconf", &["-Ae", &host]).unwrap();
        let given = self.run("qconf", &["-ssconf"]).unwrap();
        let ours = [
            ("schedule_interval", "0:0:1"),
            ("flush_submit_sec", "1"),
            ("flush_finish_sec", "1"),
        ];
        let scheduling = self.write("scheduling", &changed(&given, &ours));
        self.run("qconf", &["-Msconf", &scheduling]).unwrap();
        let queue = self.write("queue", &queue());
        self.run("qconf", &["-Aq", &queue]).unwrap();
    }

    /// Submits with `command`, which runs `qsub -terse`; the number of the job.
    pub(crate) fn submit(&self, command: &mut Command) -> String {
        let printed = output(command.envs(self.environment()));
        printed.unwrap().trim().to_owned()
    }

    /// The state of a job as `qstat` writes it; `None`: it is over.
    pub(crate) fn state(&self, id: &str) -> Option<String> {
        let all = self.run("qstat", &[]).unwrap();
        let line = all
            .lines()
            .find(|line| line.split_whitespace().next() == Some(id))?;
        line.split_whitespace().nth(4).map(Into::into)
    }

    pub(crate) fn logs(&self) -> String {
        self.daemons.logs()
    }
}

/// The same settings, these changed.
fn changed(settings: &str, ours: &[(&str, &str)]) -> String {
    let line = |line: &str| {
        let name = line.split_whitespace().next();
        match ours.iter().find(|(changed, _)| Some(*changed) == name) {
            Some((name, value)) => format!("{name} {value}\n"),
            None => format!("{line}\n"),
        }
    };
    settings.lines().map(line).collect()
}

/// A queue without limits of its own.
fn queue() -> String {
    let none = "ckpt_list pe_list prolog epilog starter_method suspend_method resume_method \
                terminate_method owner_list user_lists xuser_lists subordinate_list \
                complex_values projects xprojects calendar suspend_thresholds";
    let infinite = "s_rt h_rt s_cpu h_cpu s_fsize h_fsize s_data h_data s_stack h_stack s_core \
                    h_core s_rss h_rss s_vmem h_vmem";
    let mut text = String::from(
        "qname main\nhostlist localhost\nseq_no 0\nload_thresholds NONE\nnsuspend 1\n\
         suspend_interval 00:05:00\npriority 0\nmin_cpu_interval 00:05:00\nprocessors UNDEFINED\n\
         qtype BATCH\nrerun TRUE\nslots 16\ntmpdir /tmp\nshell /bin/sh\n\
         shell_start_mode unix_behavior\nnotify 00:00:60\ninitial_state default\n",
    );
    for name in none.split_whitespace() {
        text += &format!("{name} NONE\n");
    }
    for name in infinite.split_whitespace() {
        text += &format!("{name} INFINITY\n");
    }
    text
}
