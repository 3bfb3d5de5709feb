//! `dmtcp_foreign_sets`: checkpoint sets out of a coordinator that somebody else runs.

use dmtcp_client::foreign::ForeignSets as Sets;
use dmtcp_client::set::SetStore as Store;

use crate::arguments::limit;
use crate::boundary::{call, contain};
use crate::codes::ResultCode;
use crate::coordinator::Coordinator;
use crate::ffi::{In, Out, Owned, Text, TextList};
use crate::set::Set;

/// Complete, checked and durable sets of the computation under any coordinator, stock ones included.
/// It owns the directory of the sets while it lives.
pub struct ForeignSets(Sets);

/// Sets of the computation under this coordinator, in this state directory, which is made if it is
/// not there. Nothing is sent. Images are looked for where the processes and the coordinator name
/// directories, and in `image_dirs`, which a NULL ends; NULL: nowhere else. The coordinator's handle
/// may be freed meanwhile.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_foreign_sets_new(
    coordinator: In<Coordinator>,
    state_dir: Text,
    image_dirs: TextList,
    sets: Out<*mut ForeignSets>,
) -> ResultCode {
    call(|| {
        let handle = coordinator.get("coordinator")?.handle();
        let place = sets.place("sets")?;
        let store = Store::open(state_dir.path("state_dir")?)?;
        let dirs = image_dirs.get().unwrap_or_default().into_iter();
        let sets = dirs.fold(Sets::new(handle, store), |sets, dir| sets.image_dir(dir));
        place.put_object(ForeignSets(sets));
        Ok(())
    })
}

/// Checkpoints the whole computation and gives a set of its images. limit_ms covers everything:
/// until all workers run, the round, and sealing. DMTCP_ERR_CHECKPOINT_TIMED_OUT: the round goes on,
/// if it had begun; dmtcp_foreign_sets_finish() waits on for its set.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_foreign_sets_checkpoint(
    sets: In<ForeignSets>,
    limit_ms: u64,
    set: Out<*mut Set>,
) -> ResultCode {
    call(|| {
        let sets = &sets.get("sets")?.0;
        let place = set.place("set")?;
        place.put_object(sets.checkpoint(limit(limit_ms)?)?.into());
        Ok(())
    })
}

/// The same, and the processes exit behind their images.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_foreign_sets_checkpoint_and_kill(
    sets: In<ForeignSets>,
    limit_ms: u64,
    set: Out<*mut Set>,
) -> ResultCode {
    call(|| {
        let sets = &sets.get("sets")?.0;
        let place = set.place("set")?;
        place.put_object(sets.checkpoint_and_kill(limit(limit_ms)?)?.into());
        Ok(())
    })
}

/// Waits on for the checkpoint that an earlier call gave up on, and gives its set, once.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_foreign_sets_finish(
    sets: In<ForeignSets>,
    limit_ms: u64,
    set: Out<*mut Set>,
) -> ResultCode {
    call(|| {
        let sets = &sets.get("sets")?.0;
        let place = set.place("set")?;
        place.put_object(sets.finish(limit(limit_ms)?)?.into());
        Ok(())
    })
}

/// Frees it. A checkpoint that is under way goes on, and gives no set.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_foreign_sets_free(sets: Owned<ForeignSets>) {
    contain((), || drop(sets.take()));
}
