//! Detection of real coordinators, for every installation of DMTCP that `DMTCP_BIN` (or PATH)
//! names. Without one each test says so and passes.
//!
//! Whatever is asked, the coordinator and the program under it must go on.

#[expect(dead_code, reason = "shared by several test crates")]
mod real;

use std::time::Duration;

use dmtcp_client::Tools;
use dmtcp_client::coordinator::{
    Coordinator, DetectError, DetectOptions, Detected, DialectCache, How, detect,
};
use dmtcp_client::process::Identity;
use dmtcp_proto::{Dialect, ProbeError};
use real::{Installation, Stage, on_each, soon};

const SLEEP: &[&str] = &["sleep", "1000"];

/// A coordinator with one program that runs.
fn running(installation: &Installation) -> Stage {
    let mut stock = Stage::stock(installation, &[]);
    stock.launch(&[], SLEEP);
    stock.wait_running(1);
    stock
}

/// Neither coordinator nor program has taken harm, and both still do their work.
fn assert_unharmed(stock: &mut Stage) {
    assert!(!stock.has_ended());
    stock.wait_running(1);
    assert!(Identity::of(stock.pid(0)).unwrap().is_some());
    assert_eq!(stock.handle().request_checkpoint().unwrap(), 1);
    soon("image", || (stock.images().len() == 1).then_some(()));
    assert!(!stock.has_ended());
}

fn detected(stock: &Stage, options: &DetectOptions) -> Detected {
    detect(stock.handle().addr(), options).unwrap()
}

#[test]
fn by_its_executable() {
    on_each(|installation| {
        let mut stock = running(installation);
        let detected = detected(&stock, &DetectOptions::default());
        assert_eq!(detected.dialect, installation.dialect);
        assert_eq!(detected.candidates.only(), Some(installation.dialect));
        assert_eq!(detected.release.unwrap().text, installation.version);
        assert!(detected.process.is_some());
        match (installation.dialect, detected.how) {
            // "5.0" is a hint that the wire has to confirm.
            (Dialect::V5, how) => assert_eq!(how, How::Asked),
            (_, How::Executable(program)) => assert!(program.ends_with("dmtcp_coordinator")),
            (_, how) => panic!("{how:?}"),
        }
        assert_unharmed(&mut stock);
    });
}

#[test]
fn by_the_question_alone() {
    on_each(|installation| {
        if installation.dialect == Dialect::V2_4 {
            return;
        }
        let mut stock = running(installation);
        let options = DetectOptions::default().without_executable();
        for _ in 0..3 {
            let detected = detected(&stock, &options);
            assert!(detected.candidates.contains(installation.dialect));
            let as_many = match installation.dialect {
                Dialect::V2_5 | Dialect::V2_6 => 2,
                _ => 1,
            };
            assert_eq!(detected.candidates.iter().count(), as_many);
            assert_eq!(detected.how, How::Asked);
            assert!(detected.coordinator.is_some());
            let status = detected.status.clone().unwrap();
            assert_eq!((status.peers, status.running), (1, true));
            // Either of two will do, to ask in.
            for dialect in detected.candidates.iter() {
                let handle = Coordinator::new(detected.addr, dialect);
                assert_eq!(handle.status().unwrap(), status);
            }
        }
        assert_unharmed(&mut stock);
    });
}

/// Without workers: a coordinator that is asked then forgets nothing that counts.
#[test]
fn by_the_question_alone_while_idle() {
    on_each(|installation| {
        if installation.dialect == Dialect::V2_4 {
            return;
        }
        let mut stock = Stage::stock(installation, &["-i", "3600"]);
        let options = DetectOptions::default().without_executable();
        let detected = detected(&stock, &options);
        assert!(detected.candidates.contains(installation.dialect));
        assert_eq!(detected.status.unwrap().peers, 0);
        let interval = stock.handle().status().unwrap().interval;
        assert_eq!(interval.to_wire(), 3600);
        stock.launch(&[], SLEEP);
        stock.wait_running(1);
        assert_unharmed(&mut stock);
    });
}

#[test]
fn by_the_question_that_the_oldest_survive() {
    on_each(|installation| {
        if matches!(installation.dialect, Dialect::V2_5 | Dialect::V2_6) {
            return;
        }
        let mut stock = running(installation);
        let options = DetectOptions::default()
            .without_executable()
            .ask_so_that_2_5_1_to_2_6_0_end();
        let detected = detected(&stock, &options);
        assert_eq!(detected.candidates.only(), Some(installation.dialect));
        assert_eq!(detected.status.unwrap().peers, 1);
        assert_unharmed(&mut stock);
    });
}

/// What the documentation calls dangerous is, and the error says what has happened.
#[test]
fn the_danger_is_real() {
    on_each(|installation| {
        let unsafe_here = DetectOptions::default().without_executable();
        let (options, releases) = match installation.dialect {
            Dialect::V2_4 => (unsafe_here, "2.4.0 to 2.5.0"),
            Dialect::V2_5 | Dialect::V2_6 => (
                unsafe_here.ask_so_that_2_5_1_to_2_6_0_end(),
                "2.5.1 to 2.6.0",
            ),
            _ => return,
        };
        let mut stock = Stage::stock(installation, &[]);
        match detect(stock.handle().addr(), &options).unwrap_err() {
            DetectError::Answer { source, .. } => assert!(
                matches!(
                    source,
                    ProbeError::Ended { releases: named } | ProbeError::NoAnswer { releases: named }
                        if named == releases
                ),
                "{source:?}"
            ),
            other => panic!("{other:?}"),
        }
        soon("end of the coordinator", || stock.has_ended().then_some(()));
    });
}

#[test]
fn by_the_tools() {
    on_each(|installation| {
        let mut stock = running(installation);
        let tools = Tools::all()
            .into_iter()
            .find(|tools| tools.version().unwrap().text == installation.version)
            .unwrap();
        let options = DetectOptions::default().without_executable().tools(&tools);
        let detected = detected(&stock, &options);
        assert_eq!(detected.dialect, installation.dialect);
        let expected = match installation.dialect {
            Dialect::V5 => How::Asked,
            _ => How::Tools,
        };
        assert_eq!(detected.how, expected);
        assert_unharmed(&mut stock);
    });
}

/// A wrong dialect ends most coordinators; here it is found out before anything is sent.
#[test]
fn a_wrong_dialect_is_refused_before_it_is_spoken() {
    on_each(|installation| {
        let mut stock = running(installation);
        let addr = stock.handle().addr();
        for &told in Dialect::ALL {
            let options = DetectOptions::default().dialect(told);
            let same = |dialect| matches!(dialect, Dialect::V2_5 | Dialect::V2_6);
            // A build that calls itself 5.0 may speak either, for all that its name says.
            let hint = installation.dialect == Dialect::V5 && told == Dialect::V3;
            match Coordinator::detect(addr, &options) {
                Ok(handle) if hint => assert_eq!(handle.dialect(), told),
                Ok(handle) => {
                    handle.status().unwrap();
                    let both = same(told) && same(installation.dialect);
                    assert!(told == installation.dialect || both, "{told:?}");
                }
                Err(DetectError::Contradiction {
                    told: named, found, ..
                }) => {
                    assert_eq!((named, found.text), (told, installation.version.clone()));
                    assert_ne!(told, installation.dialect);
                }
                Err(other) => panic!("{other:?}"),
            }
        }
        assert_unharmed(&mut stock);
    });
}

#[test]
fn what_is_remembered_ends_with_the_process() {
    on_each(|installation| {
        let mut stock = Stage::stock(installation, &[]);
        let cache = DialectCache::default();
        let options = DetectOptions::default().timeout(Duration::from_secs(20));
        let addr = stock.handle().addr();
        let handle = cache.handle(addr, &options).unwrap();
        assert_eq!(handle.dialect(), installation.dialect);
        let known = cache.detected(addr, &options).unwrap();
        assert!(known.process.is_some());
        handle.quit().unwrap();
        soon("end of the coordinator", || stock.has_ended().then_some(()));
        match cache.handle(addr, &options).unwrap_err() {
            DetectError::Answer { source, .. } => assert_eq!(source, ProbeError::NobodyListens),
            other => panic!("{other:?}"),
        }
        assert!(cache.known(addr).is_none());
    });
}
