//! The registered memory of a native worker as the bytes of an image, and back.
//!
//! `DMTCPC01`, then for each region, in the order of their names: length of the name (4 bytes), the
//! name, length of the memory (8 bytes), the memory. Numbers are little-endian; what they mean inside
//! the memory is the program's business.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::ffi::Region;

/// Registered memory by name.
#[derive(Debug, Default)]
pub(crate) struct Regions(BTreeMap<String, Region>);

impl Regions {
    /// Of two of one name the later counts.
    pub(crate) fn insert(&mut self, name: &str, region: Region) {
        self.0.insert(name.to_owned(), region);
    }

    pub(crate) fn remove(&mut self, name: &str) -> bool {
        self.0.remove(name).is_some()
    }

    /// What is in all of them now, in parts of which every other is the memory itself.
    pub(crate) fn parts(&self) -> Vec<Cow<'_, [u8]>> {
        let mut parts = Vec::with_capacity(1 + 2 * self.0.len());
        parts.push(Cow::Borrowed(MAGIC));
        for (name, region) in &self.0 {
            // Names are checked when they are registered.
            let name_len = u32::try_from(name.len()).unwrap_or(u32::MAX);
            let mut head = name_len.to_le_bytes().to_vec();
            head.extend_from_slice(name.as_bytes());
            head.extend_from_slice(&(region.len() as u64).to_le_bytes());
            parts.push(Cow::Owned(head));
            parts.push(Cow::Borrowed(region.bytes()));
        }
        parts
    }

    /// Fills all of them, or none: names and lengths must be those of the image.
    pub(crate) fn load(&mut self, saved: &[u8]) -> Result<(), String> {
        let found = parse(saved)?;
        let unknown = found.keys().find(|name| !self.0.contains_key(**name));
        if let Some(name) = unknown {
            return Err(format!("it has {name:?}, which is not registered"));
        }
        for (name, region) in &self.0 {
            let bytes = found
                .get(name.as_str())
                .ok_or_else(|| format!("{name:?} is registered and not in the image"))?;
            if bytes.len() != region.len() {
                let (now, then) = (region.len(), bytes.len());
                return Err(format!(
                    "{name:?} is registered with {now} bytes, and has {then} in the image"
                ));
            }
        }
        for (name, region) in &mut self.0 {
            if let Some(bytes) = found.get(name.as_str()) {
                region.fill(bytes);
            }
        }
        Ok(())
    }
}

fn parse(saved: &[u8]) -> Result<BTreeMap<&str, &[u8]>, String> {
    let damaged = || "it was not written by registered memory, or is cut".to_owned();
    let mut rest = saved.strip_prefix(MAGIC).ok_or_else(damaged)?;
    let mut found = BTreeMap::new();
    while !rest.is_empty() {
        let (len, behind) = rest.split_first_chunk().ok_or_else(damaged)?;
        let len = usize::try_from(u32::from_le_bytes(*len)).map_err(|_| damaged())?;
        let (name, behind) = behind.split_at_checked(len).ok_or_else(damaged)?;
        let name = std::str::from_utf8(name).map_err(|_| damaged())?;
        let (len, behind) = behind.split_first_chunk().ok_or_else(damaged)?;
        let len = usize::try_from(u64::from_le_bytes(*len)).map_err(|_| damaged())?;
        let (bytes, behind) = behind.split_at_checked(len).ok_or_else(damaged)?;
        if found.insert(name, bytes).is_some() {
            return Err(damaged());
        }
        rest = behind;
    }
    Ok(found)
}

const MAGIC: &[u8] = b"DMTCPC01";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ffi::Memory;

    fn regions(memory: &mut [(&str, Vec<u8>)]) -> Regions {
        let mut regions = Regions::default();
        for (name, bytes) in memory {
            let len = bytes.len();
            regions.insert(name, Memory::of(bytes).region(len, "data").unwrap());
        }
        regions
    }

    fn save(memory: &mut [(&str, Vec<u8>)]) -> Vec<u8> {
        regions(memory).parts().concat()
    }

    fn memory(first: &[u8], second: &[u8]) -> [(&'static str, Vec<u8>); 3] {
        [
            ("grid", first.to_vec()),
            ("next", second.to_vec()),
            ("nothing", Vec::new()),
        ]
    }

    #[test]
    fn all_that_is_registered_comes_back() {
        let mut before = memory(b"abc", b"\0\x01");
        let saved = save(&mut before);
        let mut after = memory(b"xyz", b"..");
        regions(&mut after).load(&saved).unwrap();
        assert_eq!(after, before);
    }

    #[test]
    fn another_registration_changes_nothing_and_is_told() {
        let saved = save(&mut memory(b"abc", b"12"));
        for (mut other, why) in [
            (
                memory(b"wxyz", b"..").to_vec(),
                "\"grid\" is registered with 4 bytes, and has 3",
            ),
            (
                memory(b"xyz", b"..")[..2].to_vec(),
                "\"nothing\", which is not registered",
            ),
            (
                [memory(b"xyz", b"..").as_slice(), &[("more", vec![1])]].concat(),
                "\"more\" is registered and not in the image",
            ),
        ] {
            let unchanged = other.clone();
            let failure = regions(&mut other).load(&saved).unwrap_err();
            assert!(failure.contains(why), "{failure}");
            assert_eq!(other, unchanged);
        }
    }

    #[test]
    fn what_is_cut_or_foreign_is_refused() {
        let saved = save(&mut memory(b"abc", b"12"));
        for end in 0..saved.len() {
            let mut other = memory(b"xyz", b"..");
            let result = regions(&mut other).load(&saved[..end]);
            assert!(result.is_err(), "{end}");
            assert_eq!(other, memory(b"xyz", b".."));
        }
        let mut twice = saved.clone();
        twice.extend_from_slice(&saved[MAGIC.len()..]);
        assert!(parse(&twice).is_err());
        assert!(parse(b"{}").is_err());
    }
}
