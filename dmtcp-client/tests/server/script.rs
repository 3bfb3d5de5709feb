//! Rounds of a coordinator that writes restart scripts: they name whole images of the round, or
//! are not written.

use std::{ffi::OsStr, fs, path::Path, thread};

use dmtcp_client::{
    server::{Computation, ComputationConfig, Interval, Sealed, ServerError},
    standalone::ScriptSealer,
};
use dmtcp_proto::{Dialect, RestartScript, RoundError, UniquePid};

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
