//! How fast images are checked, sealed and verified, beside `cat` on the same file.
//!
//! `cargo bench -p dmtcp-client --bench seal -- [MiB] [DIRECTORY]`: a plain image of that size (by
//! default 1024) in that directory (by default the one for temporary files), in the page cache.
//! Everything is done in turns; the medians count, as ratios to `cat`.

#[path = "../tests/sample_images/mod.rs"]
mod sample_images;

use dmtcp_client::image::{check_whole, checksum_whole};
use dmtcp_client::set::{ImageReport, SealRequest, SetStore};
use sample_images::{computation, name, process, v4_of_size};
use std::error::Error;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const ROUNDS: usize = 9;

fn main() -> Result<(), Box<dyn Error>> {
    // `cargo bench` adds a flag of its own.
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let mib: usize = args.next().map_or(Ok(1024), |text| text.parse())?;
    let dir = args.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = tempfile::tempdir_in(dir)?;
    let image = dir.path().join(name(process(40000)));
    v4_of_size(
        &mut File::create(&image)?,
        process(40000),
        computation(1),
        mib << 20,
    )?;
    File::open(&image)?.sync_all()?;
    let store = SetStore::open(&dir.path().join("state"))?;

    let mut times = Times::default();
    // The first round reads the file into the cache.
    for round in 0..=ROUNDS {
        let cat = timed(|| cat(&image))?;
        let hop = timed(|| Ok(check_whole(&image)?))?;
        let sum = timed(|| Ok(checksum_whole(&image, None)?))?;
        let mut set = None;
        let seal = timed(|| {
            let report = ImageReport::new(&image, process(40000));
            let deadline = Instant::now() + Duration::from_secs(600);
            let request = SealRequest::new(computation(1), 1, vec![report], deadline);
            set = Some(store.seal(&request)?);
            Ok(())
        })?;
        let set = set.ok_or("no set")?;
        let verify = timed(|| Ok(set.verify()?))?;
        fs::remove_dir_all(set.dir())?;
        if round > 0 {
            times.add([cat, hop, sum, seal, verify]);
        }
    }
    times.print(mib);
    Ok(())
}

#[derive(Default)]
struct Times([Vec<Duration>; 5]);

impl Times {
    fn add(&mut self, round: [Duration; 5]) {
        for (all, one) in self.0.iter_mut().zip(round) {
            all.push(one);
        }
    }

    fn print(self, mib: usize) {
        let medians = self.0.map(|mut all| {
            all.sort();
            all[all.len() / 2]
        });
        let cat = medians[0];
        println!("{mib} MiB, {ROUNDS} rounds in turns: median, speed, speed beside cat");
        let names = ["cat", "check_whole", "checksum_whole", "seal", "verify"];
        for (name, time) in names.into_iter().zip(medians) {
            println!(
                "  {name:15} {:8.1} ms  {:7.2} GiB/s  {:5.2}",
                time.as_secs_f64() * 1e3,
                mib as f64 / 1024.0 / time.as_secs_f64(),
                cat.as_secs_f64() / time.as_secs_f64()
            );
        }
    }
}

fn timed<T>(work: impl FnOnce() -> Result<T, Box<dyn Error>>) -> Result<Duration, Box<dyn Error>> {
    let begun = Instant::now();
    work()?;
    Ok(begun.elapsed())
}

fn cat(path: &Path) -> Result<(), Box<dyn Error>> {
    let mut cat = Command::new("cat");
    cat.arg(path).stdout(Stdio::null());
    if cat.status()?.success() {
        return Ok(());
    }
    Err("cat failed".into())
}
