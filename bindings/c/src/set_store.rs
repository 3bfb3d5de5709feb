//! `dmtcp_set_store`: the sets in one directory, and the right to change them.

use std::time::Duration;

use dmtcp_client::set::{RetentionPolicy, SetStore as Store};
use dmtcp_client::with_causes;

use crate::boundary::{call, contain};
use crate::codes::ResultCode;
use crate::failure::Failure;
use crate::ffi::{GrowingIn, In, Out, Owned, Text, filled_in};
use crate::set::Set;
use crate::set_list::Sets;

/// The sets in one directory, and the right to change them: one store at a time, in whatever
/// process. A job that runs has it, and an embedded coordinator that keeps sets.
pub struct SetStore(Store);

/// Which sets are kept. The keep_ rules add up: a set stays if one of them keeps it, and every set
/// stays if there is none. Whatever they say, the newest good set stays, everything newer, and sets
/// that are in use.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
#[non_exhaustive]
pub struct Retention {
    /// sizeof(dmtcp_retention).
    pub size: usize,
    /// The newest so many whole sets; 0: no such rule.
    pub keep_last: u64,
    /// Those whose number is a multiple of this; 0: no such rule.
    pub keep_every: u64,
    /// Those that were sealed less than so many seconds ago; 0: no such rule.
    pub keep_younger_s: u64,
    /// The oldest go until those that stay have no more bytes than this; 0: no limit.
    pub max_bytes: u64,
}

filled_in!(Retention: keep_last keep_every keep_younger_s max_bytes, oldest = max_bytes);

/// Opens the sets in this state directory, which is made if it is not there. DMTCP_ERR_OWNED:
/// somebody else has them.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_set_store_open(state_dir: Text, store: Out<*mut SetStore>) -> ResultCode {
    call(|| {
        let place = store.place("store")?;
        place.put_object(SetStore(Store::open(state_dir.path("state_dir")?)?));
        Ok(())
    })
}

/// All sets, newest first.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_set_store_list(store: In<SetStore>, sets: Out<*mut Sets>) -> ResultCode {
    call(|| {
        let store = &store.get("store")?.0;
        let place = sets.place("sets")?;
        place.put_object(store.list()?.into());
        Ok(())
    })
}

/// The newest set whose every byte is as it was sealed. DMTCP_ERR_NO_SET: there is none; the message
/// says what is wrong with those that are there.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_set_store_newest_verified(
    store: In<SetStore>,
    set: Out<*mut Set>,
) -> ResultCode {
    call(|| {
        let store = &store.get("store")?.0;
        let place = set.place("set")?;
        let newest = store.newest_verified()?;
        let found = newest.set.ok_or_else(|| {
            let refused = newest.refused.iter().map(|error| with_causes(error));
            let mut message = format!("no good checkpoint set in {}", store.dir().display());
            for why in refused {
                message += &format!("; {why}");
            }
            Failure {
                code: ResultCode::DMTCP_ERR_NO_SET,
                message,
            }
        })?;
        place.put_object(found.into());
        Ok(())
    })
}

/// Removes sets by these rules; says how many, and how many bytes they had. It may have to read the
/// newest set.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_set_store_prune(
    store: In<SetStore>,
    retention: GrowingIn<Retention>,
    removed: Out<u64>,
    removed_bytes: Out<u64>,
) -> ResultCode {
    call(|| {
        let store = &store.get("store")?.0;
        let policy = policy_of(&retention.get("retention")?)?;
        let count = removed.place("removed")?;
        let bytes = removed_bytes.place("removed_bytes")?;
        let retained = store.retain(&policy)?;
        count.put(retained.removed.len() as u64);
        bytes.put(retained.removed_bytes());
        Ok(())
    })
}

/// Makes the newest set of this store out of an archive that dmtcp_set_pack() wrote. Nothing in it
/// is taken on trust but what a restart runs: unpack what you would also run.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_set_store_unpack(
    store: In<SetStore>,
    archive: Text,
    set: Out<*mut Set>,
) -> ResultCode {
    call(|| {
        let store = &store.get("store")?.0;
        let place = set.place("set")?;
        place.put_object(store.unpack(archive.path("archive")?)?.into());
        Ok(())
    })
}

/// Removes what a crash in the middle of sealing or removing has left.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_set_store_sweep(store: In<SetStore>) -> ResultCode {
    call(|| {
        store.get("store")?.0.sweep()?;
        Ok(())
    })
}

/// Gives the right to change the sets up.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_set_store_free(store: Owned<SetStore>) {
    contain((), || drop(store.take()));
}

fn policy_of(retention: &Retention) -> Result<RetentionPolicy, Failure> {
    let mut policy = RetentionPolicy::new();
    if retention.keep_last > 0 {
        let count = usize::try_from(retention.keep_last)
            .map_err(|_| Failure::argument("retention->keep_last is too large"))?;
        policy = policy.keep_last(count);
    }
    if retention.keep_every > 0 {
        policy = policy.keep_every(retention.keep_every);
    }
    if retention.keep_younger_s > 0 {
        policy = policy.keep_younger_than(Duration::from_secs(retention.keep_younger_s));
    }
    if retention.max_bytes > 0 {
        policy = policy.max_bytes(retention.max_bytes);
    }
    Ok(policy)
}
