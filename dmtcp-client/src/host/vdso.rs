//! The kernel's code in every process (`vdso`) and its data (`vvar`).
//!
//! A restored process goes on with what it knew of them before: DMTCP puts the running kernel's
//! at the old address, and refuses when the sizes differ; the C library keeps addresses of
//! functions in it.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// The sizes of what the kernel maps, in bytes, and where its functions are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Vdso {
    /// Of `[vdso]`.
    pub vdso: u64,
    /// Of `[vvar]`; 0 if there is none.
    pub vvar: u64,
    /// Of `[vvar_vclock]`, which newer kernels have; 0 if there is none.
    pub vvar_vclock: u64,
    /// Offsets of the functions in `[vdso]` by name; empty if they are not known.
    #[serde(default)]
    pub functions: BTreeMap<String, u64>,
}

impl Vdso {
    pub(super) fn read(maps: &str) -> Option<Self> {
        let (start, vdso) = area(maps, "[vdso]")?;
        Some(Self {
            functions: functions(start, vdso).unwrap_or_default(),
            ..Self::sizes(maps)?
        })
    }

    /// Without the functions, which only a process of the host itself can read.
    pub(super) fn sizes(maps: &str) -> Option<Self> {
        let (_, vdso) = area(maps, "[vdso]")?;
        let size = |name| area(maps, name).map_or(0, |(_, size)| size);
        Some(Self {
            vdso,
            vvar: size("[vvar]"),
            vvar_vclock: size("[vvar_vclock]"),
            functions: BTreeMap::new(),
        })
    }
}

/// Start and size of the area with this name.
fn area(maps: &str, name: &str) -> Option<(u64, u64)> {
    let line = maps
        .lines()
        .find(|line| line.split_whitespace().nth(5) == Some(name))?;
    let (start, end) = line.split_whitespace().next()?.split_once('-')?;
    let start = u64::from_str_radix(start, 16).ok()?;
    let end = u64::from_str_radix(end, 16).ok()?;
    Some((start, end.checked_sub(start)?))
}

fn functions(start: u64, size: u64) -> Option<BTreeMap<String, u64>> {
    let mut code = vec![0; usize::try_from(size.min(MAX_LEN)).ok()?];
    let memory = File::open("/proc/self/mem").ok()?;
    memory.read_exact_at(&mut code, start).ok()?;
    dynamic_functions(&code)
}

/// The functions in the dynamic symbol table of a 64-bit little-endian ELF image.
fn dynamic_functions(elf: &[u8]) -> Option<BTreeMap<String, u64>> {
    if !elf.starts_with(ELF_64_LITTLE) {
        return None;
    }
    let sections = usize::try_from(number::<8>(elf, 40)?).ok()?;
    let len = usize::try_from(number::<2>(elf, 58)?).ok()?;
    let count = usize::try_from(number::<2>(elf, 60)?).ok()?;
    let section = |index: usize| elf.get(sections.checked_add(index.checked_mul(len)?)?..);
    let symbols = (0..count)
        .filter_map(section)
        .find(|section| number::<4>(section, 4) == Some(DYNAMIC_SYMBOLS))?;
    let names = section(usize::try_from(number::<4>(symbols, 40)?).ok()?)?;
    let (symbols, names) = (content(elf, symbols)?, content(elf, names)?);
    let functions = symbols.chunks_exact(SYMBOL_LEN).filter_map(|symbol| {
        let is_function = symbol.get(4)? & 0xf == FUNCTION;
        let name = names.get(usize::try_from(number::<4>(symbol, 0)?).ok()?..)?;
        let name = name.split(|byte| *byte == 0).next()?;
        let name = std::str::from_utf8(name).ok()?.to_owned();
        is_function.then_some((name, number::<8>(symbol, 8)?))
    });
    Some(functions.collect())
}

/// What a section header leads to.
fn content<'a>(elf: &'a [u8], section: &[u8]) -> Option<&'a [u8]> {
    let at = usize::try_from(number::<8>(section, 24)?).ok()?;
    let len = usize::try_from(number::<8>(section, 32)?).ok()?;
    elf.get(at..at.checked_add(len)?)
}

/// A little-endian number of `N` bytes.
fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<u64> {
    let field = bytes.get(at..at.checked_add(N)?)?;
    Some(
        field
            .iter()
            .rev()
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
    )
}

/// Larger than any kernel's; the rest would not be looked at.
const MAX_LEN: u64 = 1 << 20;
const ELF_64_LITTLE: &[u8] = b"\x7fELF\x02\x01";
const DYNAMIC_SYMBOLS: u64 = 11;
const SYMBOL_LEN: usize = 24;
const FUNCTION: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_functions_of_this_kernel() {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let Some(vdso) = Vdso::read(&maps) else {
            println!("SKIPPED: this kernel maps no vdso");
            return;
        };
        assert!(vdso.vdso >= 4096, "{vdso:?}");
        assert!(vdso.functions.values().all(|at| *at < vdso.vdso));
        if cfg!(target_arch = "x86_64") {
            let at = |name: &str| vdso.functions.get(name).copied();
            assert!(at("__vdso_clock_gettime").is_some(), "{vdso:?}");
            // The one is an alias of the other.
            assert_eq!(at("__vdso_time"), at("time"));
        }
    }

    #[test]
    fn what_is_no_image_has_no_functions() {
        assert_eq!(dynamic_functions(b""), None);
        assert_eq!(dynamic_functions(b"\x7fELF\x02\x01"), None);
        let mut wild = ELF_64_LITTLE.to_vec();
        wild.resize(256, 0xff);
        assert_eq!(dynamic_functions(&wild), None);
    }

    #[test]
    fn areas_by_name() {
        let maps = "7f00-9f00 r-xp 0 00:00 0          [vdso]\n1000-3000 r--p 0 00:00 0  [vvar]\n";
        assert_eq!(area(maps, "[vdso]"), Some((0x7f00, 0x2000)));
        assert_eq!(area(maps, "[vvar_vclock]"), None);
        assert_eq!(Vdso::read("").map(|vdso| vdso.vvar), None);
    }
}
