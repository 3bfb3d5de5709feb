//! Tools that do not wait for their answer, or ask for what there is not.

use dmtcp_proto::{CommandStatus, Dialect, Kind, Verb};

use crate::frames::{frame, raw, with};
use crate::hostile::{Expect, From, Then, check, goes, waits};

fn command(dialect: Dialect, verb: Verb, payload: &[u8]) -> Vec<Vec<u8>> {
    let base = frame(dialect, Kind::UserCommand, payload).unwrap();
    let number = dialect.verb_number(verb).unwrap();
    vec![raw(dialect, &with(base, |header| header.verb = number))]
}

#[test]
fn w21_a_tool_that_goes_before_its_answer_ends_nothing() {
    fn status(dialect: Dialect) -> Vec<Vec<u8>> {
        vec![command(dialect, Verb::Status, b"").remove(0); 20]
    }
    fn list(dialect: Dialect) -> Vec<Vec<u8>> {
        vec![command(dialect, Verb::List, b"").remove(0); 20]
    }
    check(&[
        goes("status", From::Stranger, status, Then::Resets),
        goes("status", From::Stranger, status, Then::ClosesAndResets),
        goes("list", From::Stranger, list, Then::Resets),
        goes("list", From::Stranger, list, Then::ClosesAndResets),
        waits(
            "no command",
            From::Stranger,
            |dialect| {
                let unknown = [0, 77, u32::MAX, 1 << 31];
                let all = unknown.map(|number| command(dialect, Verb::Unknown(number), b""));
                all.concat()
            },
            Expect::Told(CommandStatus::Invalid),
        ),
        waits(
            "more than a command",
            From::Stranger,
            |dialect| command(dialect, Verb::Status, &[b'x'; 64]),
            Expect::CutOff,
        ),
    ]);
}
