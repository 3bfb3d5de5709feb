//! The same on images of real DMTCP, as far as it is found in `DMTCP_BIN` or `PATH`.

use dmtcp_client::Tools;
use dmtcp_client::image::{self, Format, ImageError};
use dmtcp_client::set::{ImageReport, SealRequest, SetStore};
use dmtcp_proto::ImageFormat;
use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(60);

/// One process under a stock coordinator.
struct Computation {
    bin: PathBuf,
    dir: PathBuf,
    port: String,
    children: Vec<Child>,
}

impl Computation {
    fn start(bin: &Path, dir: &Path, options: &[&str]) -> Self {
        fs::create_dir(dir).unwrap();
        let mut computation = Self {
            bin: bin.to_owned(),
            dir: dir.to_owned(),
            port: String::new(),
            children: Vec::new(),
        };
        let port_file = dir.join("port");
        computation.spawn(&[
            "dmtcp_coordinator",
            "-p",
            "0",
            "--port-file",
            port_file.to_str().unwrap(),
        ]);
        computation.port = wait_for("the coordinator's port", || {
            fs::read_to_string(&port_file)
                .ok()
                .filter(|port| !port.is_empty())
        });
        let port = computation.port.clone();
        let host = Ipv4Addr::LOCALHOST.to_string();
        let mut launch = vec!["dmtcp_launch", "-h", &host, "-p", &port, "-j", "--ckptdir"];
        launch.push(dir.to_str().unwrap());
        launch.extend(options);
        launch.extend(["sleep", "1000"]);
        computation.spawn(&launch);
        wait_for("the process to run", || {
            let status = computation.ask("-s");
            status.contains("RUNNING=yes").then_some(())
        });
        computation
    }

    fn spawn(&mut self, line: &[&str]) {
        let child = self.tool(line[0]).args(&line[1..]).spawn().unwrap();
        self.children.push(child);
    }

    fn tool(&self, name: &str) -> Command {
        let mut command = Command::new(self.bin.join(name));
        command
            .env("DMTCP_TMPDIR", &self.dir)
            .env_remove("DMTCP_COORD_HOST")
            .env_remove("DMTCP_COORD_PORT")
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    fn ask(&self, command: &str) -> String {
        let output = self
            .tool("dmtcp_command")
            .args(["-h", "127.0.0.1", "-p", &self.port, command])
            .stdout(Stdio::piped())
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Asks for a checkpoint and returns its image as soon as it has its final name, which with
    /// gzip is before it is complete.
    fn checkpoint(&self) -> PathBuf {
        let before = self.image().map(|(_, inode)| inode);
        self.ask("-c");
        wait_for("an image", || {
            let (path, inode) = self.image()?;
            (Some(inode) != before).then_some(path)
        })
    }

    fn image(&self) -> Option<(PathBuf, u64)> {
        let entries = fs::read_dir(&self.dir).unwrap();
        let path = entries
            .map(|entry| entry.unwrap().path())
            .find(|path| path.extension().is_some_and(|e| e == "dmtcp"))?;
        let inode = fs::metadata(&path).ok()?.ino();
        Some((path, inode))
    }
}

impl Drop for Computation {
    fn drop(&mut self) {
        for child in self.children.iter_mut().rev() {
            // Ended by itself is as good.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + LIMIT;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < end, "no sign of {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Folders with DMTCP's programs; none prints why the test shows nothing.
fn installations() -> Vec<PathBuf> {
    let folders = std::env::var_os("DMTCP_BIN").or_else(|| std::env::var_os("PATH"));
    let found: Vec<_> = std::env::split_paths(&folders.unwrap_or_default())
        .filter(|folder| folder.join("dmtcp_launch").is_file())
        .collect();
    if found.is_empty() {
        println!("SKIPPED: no DMTCP");
    }
    found
}

#[test]
fn real_images_are_sealed_while_the_next_round_replaces_them() {
    for bin in installations() {
        let release = Tools::find(Some(&bin)).unwrap().version().unwrap();
        let format = match release.quirks().unwrap().image_format {
            ImageFormat::V2 => Format::V2,
            _ => Format::V4,
        };
        for option in ["--no-gzip", "--gzip"] {
            let dir = tempfile::tempdir().unwrap();
            let store = SetStore::open(dir.path()).unwrap();
            let computation = Computation::start(&bin, &dir.path().join("raw"), &[option]);
            let mut sets = Vec::new();
            for generation in 1..=2 {
                let path = computation.checkpoint();
                // The header is there long before the rest.
                let header = wait_for("the header", || image::read_header(&path).ok());
                assert_eq!(header.computation.generation, generation, "{bin:?}");
                let report = ImageReport::new(path, header.process);
                let request = SealRequest::new(
                    header.computation,
                    generation.into(),
                    vec![report],
                    Instant::now() + LIMIT,
                );
                sets.push(store.seal(&request).unwrap());
                wait_for("the process to go on", || {
                    let status = computation.ask("-s");
                    status.contains("RUNNING=yes").then_some(())
                });
            }
            for set in sets {
                set.verify().unwrap();
                let image = &set.manifest().images[0];
                assert_eq!(image.compressed, option == "--gzip");
                assert_eq!(image.program, "sleep");
                let header = image::check_whole(&set.images()[0]).unwrap();
                assert_eq!(header.format, format);
                assert_eq!((header.is_root, header.peers), (true, 1));
                assert_eq!(header.executable.file_name().unwrap(), "sleep");
                refuse_when_cut(&set.images()[0], &dir.path().join("cut"));
            }
        }
    }
}

fn refuse_when_cut(image: &Path, copy: &Path) {
    let len = fs::copy(image, copy).unwrap();
    let file = fs::OpenOptions::new().write(true).open(copy).unwrap();
    for left in [len - 1, len - 4096, len / 2, len / 3, 9000, 5000, 100] {
        file.set_len(left).unwrap();
        let error = image::check_whole(copy).unwrap_err();
        assert!(matches!(error, ImageError::Cut { .. }), "{left}: {error}");
    }
}
