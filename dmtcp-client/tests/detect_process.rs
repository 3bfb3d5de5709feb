//! Detection of a process that has a coordinator's name: this test itself, under that name.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use dmtcp_client::coordinator::{DetectError, DetectOptions, How, detect};
use dmtcp_proto::{Body, CommandStatus, Dialect, Message, UniquePid, UserResult, encode};

/// Where the process under the other name says its port; unset in the test proper.
const PORT_FILE: &str = "DETECT_TEST_PORT_FILE";

#[test]
fn an_executable_is_run_only_if_it_may_be_and_believed_only_if_it_answers() {
    if let Some(file) = std::env::var_os(PORT_FILE) {
        return serve(Path::new(&file));
    }
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("dmtcp_coordinator");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();

    // The test program knows no `--version`: as a coordinator it is a broken one.
    let process = Process::start(&program, &dir.path().join("port"));
    match detect(process.addr, &DetectOptions::default()).unwrap_err() {
        DetectError::NoVersion { program: found, .. } => assert_eq!(found, program),
        other => panic!("{other:?}"),
    }
    // The caller may know better than to look.
    let options = DetectOptions::default().without_executable();
    let detected = detect(process.addr, &options).unwrap();
    assert_eq!((detected.dialect, detected.how), (Dialect::V3, How::Asked));
    assert_eq!(detected.process, None);

    // What everybody may have written is not run; the coordinator is asked instead.
    fs::set_permissions(&program, fs::Permissions::from_mode(0o777)).unwrap();
    let detected = detect(process.addr, &DetectOptions::default()).unwrap();
    assert_eq!((detected.dialect, detected.how), (Dialect::V3, How::Asked));
    let found = detected.process.unwrap();
    assert_eq!(u32::try_from(found.pid()).unwrap(), process.child.id());

    // Under another name it is nobody special, though its file is gone.
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    fs::remove_file(&program).unwrap();
    match detect(process.addr, &DetectOptions::default()).unwrap_err() {
        DetectError::NoVersion { program: found, .. } => {
            assert!(found.to_string_lossy().ends_with(" (deleted)"), "{found:?}");
        }
        other => panic!("{other:?}"),
    }
}

struct Process {
    child: Child,
    addr: SocketAddr,
}

impl Process {
    fn start(program: &Path, port_file: &Path) -> Self {
        let child = Command::new(program)
            .args(["--nocapture", "--test-threads=1"])
            .env(PORT_FILE, port_file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let start = Instant::now();
        let port = loop {
            let text = fs::read_to_string(port_file).unwrap_or_default();
            if let Ok(port) = text.parse::<u16>() {
                break port;
            }
            assert!(start.elapsed() < Duration::from_secs(60), "no port file");
            std::thread::sleep(Duration::from_millis(10));
        };
        Self {
            child,
            addr: (Ipv4Addr::LOCALHOST, port).into(),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A coordinator of `V3` that knows the status only; until it is killed.
fn serve(port_file: &Path) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let aside = port_file.with_extension("new");
    fs::write(&aside, port.to_string()).unwrap();
    fs::rename(&aside, port_file).unwrap();
    let status = Body::UserResult(UserResult::new(CommandStatus::Success));
    let reply = Message::new(UniquePid::NULL, status)
        .to_frame(Dialect::V3)
        .unwrap();
    let mut bytes = BytesMut::new();
    encode(Dialect::V3, &reply, &mut bytes).unwrap();
    while let Ok((mut stream, _)) = listener.accept() {
        let mut question = [0; 208];
        stream.read_exact(&mut question).unwrap();
        stream.write_all(&bytes).unwrap();
    }
}
