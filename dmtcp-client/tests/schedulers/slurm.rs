//! A Slurm of two nodes on loopback, with a munge of its own, of this user, in a temporary folder.

use crate::processes::{Daemons, LONG, eventually, find, free_ports, output};
use nix::unistd::{User, geteuid};
use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

pub(crate) const NODES: [&str; 2] = ["node1", "node2"];

pub(crate) struct Cluster {
    // Before the folder: they write to it.
    daemons: Daemons,
    folder: TempDir,
}

/// What Slurm says of a job.
#[derive(Debug)]
pub(crate) struct JobInfo(HashMap<String, String>);

impl JobInfo {
    pub(crate) fn get(&self, field: &str) -> &str {
        self.0.get(field).map_or("", String::as_str)
    }
}

impl Cluster {
    /// `None`, and says so: its programs are not installed.
    pub(crate) fn start() -> Option<Self> {
        let folders = ["/usr/sbin", "/usr/local/sbin", "/sbin"];
        let program = |name| {
            let found = find(name, &folders);
            if found.is_none() {
                println!("SKIPPED: no Slurm ({name})");
            }
            found
        };
        let munged = program("munged")?;
        let [slurmctld, slurmd] = [program("slurmctld")?, program("slurmd")?];
        program("sbatch")?;
        program("scontrol")?;
        let user = User::from_uid(geteuid()).unwrap().unwrap().name;

        let folder = tempfile::tempdir().unwrap();
        // Munge's clients and daemons of other users come through here.
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        let dir = folder.path().to_owned();
        ["munge", "ctld", "node1", "node2"]
            .iter()
            .for_each(|name| fs::create_dir(dir.join(name)).unwrap());
        let key: Vec<u8> = (0..4).flat_map(|_| rand_bytes()).collect();
        fs::write(dir.join("munge/key"), key).unwrap();
        fs::set_permissions(dir.join("munge/key"), fs::Permissions::from_mode(0o400)).unwrap();
        fs::write(dir.join("slurm.conf"), configuration(&dir, &user)).unwrap();
        let mut cluster = Self {
            daemons: Daemons::new(&dir),
            folder,
        };

        let mut munge = Command::new(munged);
        munge.args(["--foreground", "--force", "--num-threads=2"]);
        for (option, file) in [
            ("key-file", "key"),
            ("socket", "socket"),
            ("pid-file", "pid"),
            ("log-file", "log"),
            ("seed-file", "seed"),
        ] {
            munge.arg(format!(
                "--{option}={}",
                dir.join("munge").join(file).display()
            ));
        }
        cluster.daemons.start("munged", &mut munge);
        let socket = dir.join("munge/socket");
        eventually("munge", || socket.exists().then_some(()));
        cluster.daemon("slurmctld", &slurmctld, &[]);
        for node in NODES {
            cluster.daemon(node, &slurmd, &["-N", node]);
        }
        eventually("two idle nodes", || {
            let states = cluster
                .ask("sinfo", &["--noheader", "--Node", "--format=%t"])
                .ok()?;
            (states.lines().filter(|state| *state == "idle").count() == 2).then_some(())
        });
        Some(cluster)
    }

    fn daemon(&mut self, name: &str, program: &Path, options: &[&str]) {
        let mut command = Command::new(program);
        command.arg("-D").args(options).envs(self.environment());
        self.daemons.start(name, &mut command);
    }

    /// What its commands need, and by what all of its processes are known.
    pub(crate) fn environment(&self) -> Vec<(&'static str, PathBuf)> {
        vec![
            ("SLURM_CONF", self.folder.path().join("slurm.conf")),
            (crate::processes::MARK, self.folder.path().to_owned()),
        ]
    }

    fn ask(&self, program: &str, arguments: &[&str]) -> Result<String, String> {
        output(
            Command::new(program)
                .args(arguments)
                .envs(self.environment()),
        )
    }

    /// Submits with `command`, which runs `sbatch`; the number of the job.
    pub(crate) fn submit(&self, command: &mut Command) -> String {
        let printed = output(command.envs(self.environment()));
        printed
            .unwrap()
            .trim()
            .split(';')
            .next()
            .unwrap()
            .to_owned()
    }

    pub(crate) fn job(&self, id: &str) -> JobInfo {
        let text = self
            .ask("scontrol", &["--oneliner", "show", "job", id])
            .unwrap();
        let fields = text
            .split_whitespace()
            .filter_map(|word| word.split_once('='));
        JobInfo(
            fields
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        )
    }

    /// The job is not to run there, once it is started the next time.
    pub(crate) fn exclude(&self, id: &str, node: &str) {
        let change = [format!("JobId={id}"), format!("ExcNodeList={node}")];
        self.ask("scontrol", &["update", &change[0], &change[1]])
            .unwrap();
    }

    pub(crate) fn logs(&self) -> String {
        self.daemons.logs()
    }

    /// Waits until the job is in one of these states.
    pub(crate) fn wait_for(&self, id: &str, states: &[&str]) -> JobInfo {
        let end = std::time::Instant::now() + LONG;
        loop {
            let job = self.job(id);
            if states.contains(&job.get("JobState")) {
                return job;
            }
            assert!(
                std::time::Instant::now() < end,
                "{job:?}\n{}",
                self.daemons.logs()
            );
            std::thread::sleep(std::time::Duration::from_millis(300));
        }
    }
}

fn rand_bytes() -> [u8; 16] {
    use std::io::Read as _;
    let mut bytes = [0; 16];
    fs::File::open("/dev/urandom")
        .unwrap()
        .read_exact(&mut bytes)
        .unwrap();
    bytes
}

/// Several daemons on one host, no accounting, no control groups; a job that is to run again waits
/// a quarter of a minute instead of two.
fn configuration(dir: &Path, user: &str) -> String {
    let [ctld, first, second] = free_ports();
    let dir = dir.display();
    format!(
        "\
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={dir}/munge/socket,cred_expire=15
CredType=cred/munge
SlurmctldPort={ctld}
SlurmctldPidFile={dir}/ctld.pid
SlurmdPidFile={dir}/%n.pid
SlurmctldLogFile={dir}/ctld.log
SlurmdLogFile={dir}/%n.log
StateSaveLocation={dir}/ctld
SlurmdSpoolDir={dir}/%n
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2
MpiDefault=none
ReturnToService=2
RequeueExit=75,85
KillWait=10
NodeName=node1 NodeHostname=localhost NodeAddr=127.0.0.1 Port={first} CPUs=64 State=UNKNOWN
NodeName=node2 NodeHostname=localhost NodeAddr=127.0.0.1 Port={second} CPUs=64 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"
    )
}
