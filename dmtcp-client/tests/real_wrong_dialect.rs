//! What our commands do to real coordinators when they are forced to speak a wrong dialect, and what
//! their callers read. For every installation of DMTCP that `DMTCP_BIN` (or PATH) names; without one
//! each test says so and passes.
//!
//! No client can make the older ones survive this; here stands which do. That a wrong dialect is not
//! spoken in the first place is `real_detect`'s.

#[expect(dead_code, reason = "shared by several test crates")]
mod real;

use std::error::Error as _;
use std::time::Duration;

use dmtcp_client::coordinator::{Coordinator, Error};
use dmtcp_client::process::Identity;
use dmtcp_proto::{Dialect, ExchangeError, Interval};
use real::{Installation, Stage, on_each, soon};

const LIMIT: Duration = Duration::from_millis(1500);
const SLEEP: &[&str] = &["sleep", "1000"];

type Call = fn(Coordinator) -> Result<(), Error>;

const COMMANDS: &[(&str, Call)] = &[
    ("status", |handle| handle.status().map(drop)),
    ("workers", |handle| handle.workers().map(drop)),
    ("request_checkpoint", |handle| {
        handle.request_checkpoint().map(drop)
    }),
    ("checkpoint", |handle| handle.checkpoint(LIMIT).map(drop)),
    ("checkpoint_and_kill", |handle| {
        handle.checkpoint_and_kill(LIMIT).map(drop)
    }),
    ("set_interval", |handle| {
        handle.set_interval(Interval::Every(Duration::from_secs(3600)))
    }),
    ("kill_workers", |handle| handle.kill_workers()),
    ("quit", Coordinator::quit),
];

/// The dialects that this coordinator's tools do not speak.
fn wrong(installation: &Installation) -> impl Iterator<Item = Dialect> {
    let own = installation.dialect;
    let same = |dialect| matches!(dialect, Dialect::V2_5 | Dialect::V2_6);
    Dialect::ALL
        .iter()
        .copied()
        .filter(move |&dialect| dialect != own && !(same(dialect) && same(own)))
}

/// From 4.0.0 on a coordinator survives any message of another dialect; one of 2.5.1 to 2.6.0 finds
/// a status request under every command of 208 bytes, and answers that.
fn survives(installation: &Installation, spoken: Dialect) -> bool {
    match installation.dialect {
        Dialect::V5 => true,
        Dialect::V3 => installation.version.starts_with("4."),
        Dialect::V2_4 => false,
        _ => spoken.header_len() == 208,
    }
}

/// What comes of one command in a wrong dialect. Coordinator and program must go on where they can.
fn force(installation: &Installation, dialect: Dialect, call: Call) -> (Result<(), Error>, bool) {
    let mut stock = Stage::stock(installation, &[]);
    stock.launch(&[], SLEEP);
    stock.wait_running(1);
    let handle = Coordinator::new(stock.handle().addr(), dialect).timeout(LIMIT);
    let result = call(handle);
    let alive = survives(installation, dialect);
    if alive {
        assert!(!stock.has_ended(), "{dialect:?}");
        stock.wait_running(1);
        assert!(Identity::of(stock.pid(0)).unwrap().is_some());
    } else {
        soon("end of the coordinator", || stock.has_ended().then_some(()));
    }
    (result, alive)
}

fn text(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    text
}

fn table(commands: &[(&str, Call)]) {
    println!("| coordinator | command | in | coordinator and program | what the caller reads |");
    println!("|---|---|---|---|---|");
    on_each(|installation| {
        for dialect in wrong(installation) {
            for (name, call) in commands {
                let (result, alive) = force(installation, dialect, *call);
                let fate = if alive { "go on" } else { "end" };
                let read = match &result {
                    Ok(()) => "(success)".to_owned(),
                    Err(error) => text(error),
                };
                println!(
                    "| {} | {name} | {dialect:?} | {fate} | {read} |",
                    installation.version
                );
                let says_so = match &result {
                    // It has ended, as it was told to, though not by being told.
                    Ok(()) => *name == "quit" && !alive,
                    Err(Error::Exchange { source, .. }) => matches!(
                        source,
                        ExchangeError::NoReply { .. } | ExchangeError::WrongDialect { .. }
                    ),
                    Err(error) => matches!(
                        error,
                        Error::TimedOut { .. }
                            | Error::CheckpointTimedOut { .. }
                            | Error::StillListening { .. }
                    ),
                };
                assert!(says_so, "{result:?}");
            }
        }
    });
}

#[test]
fn those_that_can_survive_do() {
    table(&COMMANDS[..1]);
}

/// For a person to read: `--ignored --nocapture`.
#[test]
#[ignore = "takes many minutes"]
fn every_command() {
    table(COMMANDS);
}
