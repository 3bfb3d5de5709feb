//! Shows what DMTCP's programs and a coordinator say to each other.
//!
//! `cargo run --example trace -- 127.0.0.1:7779` listens on a port of its own and stands in for
//! the coordinator: point `dmtcp_launch`, `dmtcp_restart` or `dmtcp_command` at that port. Every
//! byte is forwarded unchanged and at once; what is said is printed, one line a frame, whatever
//! dialect it is in:
//!
//! ```text
//!      0.012345 #1 > V5 UserCommand UNKNOWN from=98ff-812-3c1 verb=Status interval=-1
//!      0.012511 #1 < V5 UserResult UNKNOWN from=98ff-800-3c0 peers=2 running=1 verb=Status status=Success interval=0
//! ```
//!
//! `--format json` gives the same for programs, `--format hex` every byte with its field;
//! `--record` keeps all bytes for `--read`.

use dmtcp_client::with_causes;
use std::{
    error::Error,
    ffi::OsString,
    io::{self, BufWriter, Write as _},
    net::{SocketAddr, ToSocketAddrs as _},
    path::Path,
    process::ExitCode,
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use dmtcp_examples::{
    signals::Signals,
    trace::{
        Event, Printer, Proxy, Recorded, Recording, Source,
        arguments::{self, Options, Request, USAGE},
        queue,
    },
};

const USAGE_ERROR: u8 = 2;
/// How long the end waits for what is still to be written.
const LAST_WORDS: Duration = Duration::from_secs(5);

type Output = Printer<BufWriter<io::Stdout>>;

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let done = match arguments::parse(args) {
        Ok(Request::Help) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Ok(Request::Proxy(options, coordinator)) => forward(&options, &coordinator),
        Ok(Request::Read(options, file)) => read(&options, &file),
        Err(wrong) => {
            eprintln!("trace: {wrong}\n\n{USAGE}");
            return ExitCode::from(USAGE_ERROR);
        }
    };
    done.unwrap_or_else(|error| {
        eprintln!("trace: {}", with_causes(error.as_ref()));
        ExitCode::FAILURE
    })
}

fn forward(options: &Options, coordinator: &str) -> Result<ExitCode, Box<dyn Error>> {
    let addr = resolve(coordinator)?;
    let signals = Signals::start()?;
    let recording = options
        .record
        .as_deref()
        .map(Recording::create)
        .transpose()?;
    let (sink, source) = queue(options.connections);
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH)?;
    sink.event(Event::Started {
        coordinator: coordinator.to_owned(),
        unix_micros: u64::try_from(since_1970.as_micros())?,
    });
    let proxy = Proxy::start(options.listen, addr, sink.clone())?;
    eprintln!("trace: listening on {}, forwarding to {addr}", proxy.addr());
    if let Some(file) = &options.port_file {
        write_port(file, proxy.addr().port())?;
    }
    let printer = printer(options);
    let show = thread::spawn(move || show(source, printer, recording));

    while signals.next_within(Duration::from_secs(3600)).is_none() {}
    sink.stop();
    Ok(finish(show))
}

/// An IPv4 address if there is one: stock coordinators have no other.
fn resolve(coordinator: &str) -> Result<SocketAddr, Box<dyn Error>> {
    let unknown = |error| format!("{coordinator} is not the HOST:PORT of a coordinator: {error}");
    let mut all: Vec<SocketAddr> = coordinator.to_socket_addrs().map_err(unknown)?.collect();
    all.sort_by_key(SocketAddr::is_ipv6);
    let first = all.first().copied();
    first.ok_or_else(|| format!("{coordinator} has no address").into())
}

/// Written aside and renamed: who waits for the file finds all of it.
fn write_port(file: &Path, port: u16) -> io::Result<()> {
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let mut aside = tempfile::NamedTempFile::new_in(folder.unwrap_or_else(|| Path::new(".")))?;
    write!(aside, "{port}")?;
    aside.as_file().sync_all()?;
    aside.persist(file)?;
    Ok(())
}

fn printer(options: &Options) -> Output {
    let out = BufWriter::new(io::stdout());
    Printer::new(out, options.format, options.dialect, options.limits)
}

/// Shows and records until the end. Who reads the output may go away; forwarding and recording
/// go on then, as they do without each other. Says whether everything was written.
fn show(mut source: Source, printer: Output, recording: Option<Recording>) -> bool {
    let mut shown = Shown {
        printer: Some(printer),
        recording,
        whole: true,
    };
    let mut last = Duration::ZERO;
    while let Some(event) = source.next_event(|| shown.flush()) {
        last = event.time();
        shown.record(|recording| recording.write(&event));
        shown.print(|printer| printer.event(&event));
    }
    shown.print(|printer| printer.finish(last));
    shown.record(Recording::finish);
    shown.whole
}

struct Shown {
    printer: Option<Output>,
    recording: Option<Recording>,
    /// Whether everything has been written.
    whole: bool,
}

impl Shown {
    fn print(&mut self, act: impl FnOnce(&mut Output) -> io::Result<()>) {
        let Some(Err(error)) = self.printer.as_mut().map(act) else {
            return;
        };
        self.printer = None;
        if error.kind() != io::ErrorKind::BrokenPipe {
            eprintln!("trace: cannot print any more: {error}");
            self.whole = false;
        }
    }

    fn record<E: Error>(&mut self, act: impl FnOnce(&mut Recording) -> Result<(), E>) {
        if let Some(Err(error)) = self.recording.as_mut().map(act) {
            eprintln!("trace: the recording ends here: {}", with_causes(&error));
            self.recording = None;
            self.whole = false;
        }
    }

    fn flush(&mut self) {
        self.record(Recording::flush);
        self.print(Printer::flush);
    }
}

fn finish(show: JoinHandle<bool>) -> ExitCode {
    let deadline = Instant::now() + LAST_WORDS;
    while !show.is_finished() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(10));
    }
    if !show.is_finished() {
        eprintln!("trace: nobody takes the output: it is not whole");
        return ExitCode::FAILURE;
    }
    match show.join() {
        Ok(true) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn read(options: &Options, file: &Path) -> Result<ExitCode, Box<dyn Error>> {
    let mut recorded = Recorded::open(file)?;
    let mut printer = printer(options);
    let mut end = Duration::ZERO;
    let mut print = || -> Result<(), Box<dyn Error>> {
        while let Some(event) = recorded.next_event()? {
            end = event.time();
            printer.event(&event)?;
        }
        printer.finish(end)?;
        Ok(())
    };
    match print() {
        Err(error) if is_broken_pipe(error.as_ref()) => Ok(ExitCode::SUCCESS),
        other => other.map(|()| ExitCode::SUCCESS),
    }
}

/// Whoever read the output has seen enough.
fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    let io = error.downcast_ref::<io::Error>();
    io.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
