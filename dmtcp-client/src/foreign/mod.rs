//! Checkpoint sets out of a coordinator that somebody else runs, stock or any.
//!
//! [`Coordinator::checkpoint`](crate::coordinator::Coordinator::checkpoint) knows when a round is
//! over. This knows besides who was in it and where each image is, and seals them: complete,
//! checked, durable, or an error that says why not.
//!
//! Not here: how a round is watched (`coordinator`), how a set is made ([`set`](crate::set)), and the
//! embedded coordinator, which is told of every image and needs none of this
//! ([`attempt`](crate::attempt)).
//!
//! # What a set rests on
//!
//! A stock coordinator does not say where images are. They are looked for where they can be: where
//! the processes have them open while they write; in the directories that the environments and
//! working directories of the processes and of the coordinator name; where its restart script says;
//! and where the caller says ([`ForeignSets::image_dir`]). No name is believed. An image counts only if
//!
//! - its own header names the process and the computation, all images the same round of it;
//! - it was not there before the checkpoint was asked for: it is another file than the one that was.
//!
//! The set is complete only if every worker that was seen stopped in the round has such an image, and
//! there are as many as the images themselves say that the round had processes: the coordinator told
//! them in the round. So children that come and go between two lists are neither missed nor
//! waited for.
//!
//! | What is not so everywhere | |
//! |---|---|
//! | 2.4 lists no workers | the set must be the images that its restart script names, so its directory must be readable here; a set behind which the workers were killed may have none: [`ForeignError::Unlisted`] |
//! | 2.4.0 to 2.4.8 do not write the number of the round into images | that no other round replaced one of them meanwhile rests on the files alone; the generation is 0 |
//! | a process ran on another host | found through a shared file system or not at all: [`ForeignError::Elsewhere`]; a directory that becomes known only after the round is judged by the times in it, so clocks must agree |
//! | nothing else can stop a round | a limit that passes leaves it running: [`ForeignSets::finish`] |

mod error;
mod files;
mod following;
mod job;
mod places;
mod round;
mod search;
mod sets;

pub use error::{ForeignError, Refusal, Refused, Stage};
pub(crate) use sets::Behind;
pub use sets::ForeignSets;
