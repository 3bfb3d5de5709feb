//! Rounds of a coordinator that writes restart scripts: they name whole images of the round, or
//! are not written.

use std::{ffi::OsStr, fs, path::Path, thread};

use dmtcp_client::{
    server::{Computation, ComputationConfig, Interval, Sealed, ServerError},
    standalone::ScriptSealer,
};
use dmtcp_proto::{Body, Dialect, RestartScript, RoundError, Text, UniquePid, WorkerState};

use crate::{
    LONG, for_each_dialect, open,
    peer::{Peer, Who, Worker, go_through_all, resume_all},
    sample_images,
};

struct World {
    computation: Computation,
    workers: Vec<Worker>,
    dir: tempfile::TempDir,
}

impl World {
    /// A round in which the last worker writes this instead of its image.
    fn round(
        &mut self,
        last: impl FnOnce(UniquePid, UniquePid) -> Vec<u8>,
    ) -> Result<Sealed, ServerError> {
        let computation = self.computation.clone();
        let asked = thread::spawn(move || computation.checkpoint(LONG));
        go_through_all(&mut self.workers);
        let mut last = Some(last);
        let host = host();
        let count = self.workers.len();
        for (index, worker) in self.workers.iter_mut().enumerate() {
            let (process, computation) = worker.image_ids();
            let path = self.dir.path().join(sample_images::name(process));
            let image = match last.take_if(|_| index + 1 == count) {
                Some(last) => last(process, computation),
                None => sample_images::v4(process, computation),
            };
            fs::write(&path, image).unwrap();
            worker.report_at(path.to_str().unwrap(), &host);
        }
        resume_all(&mut self.workers);
        asked.join().unwrap()
    }

    fn script(&self) -> Option<Vec<u8>> {
        fs::read(self.dir.path().join(RestartScript::LINK_NAME)).ok()
    }
}

fn host() -> String {
    let name = nix::unistd::gethostname().unwrap();
    name.into_string().unwrap()
}

fn world(dialect: Dialect) -> (dmtcp_client::server::Server, World) {
    let dir = tempfile::tempdir().unwrap();
    let command = OsStr::new("dmtcp_restart");
    let sealer = ScriptSealer::new(dir.path(), command, 7779, Interval::Never);
    let (server, computation) = open(ComputationConfig::default().sealer(sealer));
    let who = Who {
        host: host(),
        ..Who::default()
    };
    let join = |()| Worker::join_as(Peer::connect(computation.addr(), dialect), &who);
    let workers = [(); 2].map(join).into();
    computation.wait_until_running(Some(2), LONG).unwrap();
    let world = World {
        computation,
        workers,
        dir,
    };
    (server, world)
}

fn refused(result: Result<Sealed, ServerError>, file: &Path) {
    let Err(ServerError::CheckpointFailed { reason, .. }) = result else {
        panic!("{result:?}");
    };
    let RoundError::Seal(text) = *reason else {
        panic!("{reason:?}");
    };
    assert!(text.contains(file.to_str().unwrap()), "{text}");
}

#[test]
fn only_whole_images_of_the_round_are_named() {
    for_each_dialect(|dialect| {
        let (_server, mut world) = world(dialect);
        let (process, _) = world.workers[1].image_ids();
        let last = world.dir.path().join(sample_images::name(process));
        let cut = |process, computation| {
            let mut image = sample_images::v4(process, computation);
            image.truncate(image.len() - 4096);
            image
        };
        // Not even the first of all.
        refused(world.round(cut), &last);
        assert_eq!(world.script(), None);

        world.round(sample_images::v4).unwrap();
        let script = world.script().unwrap();
        assert_eq!(RestartScript::parse(&script).unwrap().processes(), 2);

        refused(world.round(cut), &last);
        let gzip = |process, computation| {
            let mut image = sample_images::gzip(&sample_images::v4(process, computation));
            image.truncate(image.len() - 1);
            image
        };
        refused(world.round(gzip), &last);
        let earlier = |process, computation: UniquePid| {
            let earlier = computation.with_generation(computation.generation - 1);
            sample_images::v4(process, earlier)
        };
        refused(world.round(earlier), &last);
        let other = |process: UniquePid, computation| {
            let pid = process.pid + 1;
            sample_images::v4(UniquePid { pid, ..process }, computation)
        };
        refused(world.round(other), &last);
        assert_eq!(world.script().as_ref(), Some(&script));

        // What has failed costs the next round nothing.
        world.round(sample_images::v4).unwrap();
        assert_eq!(
            RestartScript::parse(&world.script().unwrap())
                .unwrap()
                .processes(),
            2
        );
    });
}

/// A stock coordinator takes a worker's word for where it creates files.
#[test]
fn w01_no_worker_says_where_the_script_goes() {
    for_each_dialect(|dialect| {
        let (_server, mut world) = world(dialect);
        let elsewhere = tempfile::tempdir().unwrap();
        let dir = elsewhere.path().to_str().unwrap().to_owned();
        let move_it = Body::SetCheckpointDir(Text::from(dir));
        world.workers[0].say(WorkerState::Running, move_it);
        world.round(sample_images::v4).unwrap();
        assert!(world.script().is_some());
        assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    });
}

/// What the script does with them is shown in `dmtcp-proto/tests/restart_script/run.rs`.
#[test]
fn w36_hostile_names_come_into_the_script_as_they_are() {
    const NAMES: [&str; 2] = [
        "a'; touch canary; '",
        "$(touch canary)`touch canary`\"\n :bg: b",
    ];
    for_each_dialect(|dialect| {
        let dir = tempfile::tempdir().unwrap();
        let sealer = ScriptSealer::new(dir.path(), "x".as_ref(), 7779, Interval::Never);
        let (_server, computation) = open(ComputationConfig::default().sealer(sealer));
        let mut workers = NAMES.map(|host| {
            let who = Who {
                host: host.to_owned(),
                ..Who::default()
            };
            Worker::join_as(Peer::connect(computation.addr(), dialect), &who)
        });
        computation.wait_until_running(Some(2), LONG).unwrap();
        let asking = computation.clone();
        let asked = thread::spawn(move || asking.checkpoint(LONG));
        go_through_all(&mut workers);
        for (worker, host) in workers.iter_mut().zip(NAMES) {
            worker.report_at(&format!("/d/{host}"), host);
        }
        resume_all(&mut workers);
        asked.join().unwrap().unwrap();
        let script = fs::read(dir.path().join(RestartScript::LINK_NAME)).unwrap();
        let script = RestartScript::parse(&script).unwrap();
        let mut named: Vec<_> = script
            .hosts
            .iter()
            .map(|host| (host.name.clone(), host.images.clone()))
            .collect();
        named.sort();
        let mut expected: Vec<_> = NAMES
            .map(|name| {
                let image = Text::from(format!("/d/{name}"));
                (Some(Text::from(name)), vec![image])
            })
            .into();
        expected.sort();
        assert_eq!(named, expected);
    });
}
