//! The captured frames of `vectors/`, and what an independent decoder read in them.

#![allow(unreachable_pub, reason = "shared by several test crates")]
#![allow(dead_code, reason = "each test file uses its own part of this")]

use dmtcp_proto::Dialect;
use serde_json::Value;

/// A captured frame.
pub struct Capture {
    /// Its name in the vectors.
    pub name: String,
    /// What its sender speaks.
    pub dialect: Dialect,
    /// Header and payload.
    pub bytes: Vec<u8>,
    /// What an independent decoder read.
    pub sidecar: Value,
}

impl Capture {
    /// DMTCP's word for its kind, in small letters and with dashes.
    pub fn kind(&self) -> String {
        let word = self.sidecar["type_name"].as_str().unwrap();
        word.to_lowercase().replace('_', "-")
    }
}

/// All captured frames of a dialect.
pub fn of(dialect: Dialect) -> Vec<Capture> {
    let text = match dialect {
        Dialect::V2_4 => include_str!("../../vectors/v2_4.jsonl"),
        Dialect::V2_5 => include_str!("../../vectors/v2_5.jsonl"),
        Dialect::V2_6 => include_str!("../../vectors/v2_6.jsonl"),
        Dialect::V3 => include_str!("../../vectors/v3.jsonl"),
        Dialect::V5 => include_str!("../../vectors/v5.jsonl"),
        other => panic!("no captures of {other:?}"),
    };
    read(dialect, text)
}

/// All captured frames.
pub fn all() -> Vec<Capture> {
    Dialect::ALL.iter().copied().flat_map(of).collect()
}

/// Status requests that are frames in several dialects at once; the dialect is that of their
/// 208 bytes.
pub fn probes() -> Vec<Capture> {
    let mut probes = read(Dialect::V3, include_str!("../../vectors/probes.jsonl"));
    for probe in &mut probes {
        if probe.name.contains("c-status") {
            probe.dialect = Dialect::V5;
        }
    }
    probes
}

fn read(dialect: Dialect, text: &str) -> Vec<Capture> {
    text.lines()
        .map(|line| {
            let sidecar: Value = serde_json::from_str(line).unwrap();
            let hex = sidecar["hex"].as_str().unwrap();
            let digits = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
            Capture {
                name: sidecar["name"].as_str().unwrap().to_owned(),
                dialect,
                bytes: (0..hex.len()).step_by(2).map(digits).collect(),
                sidecar,
            }
        })
        .collect()
}
