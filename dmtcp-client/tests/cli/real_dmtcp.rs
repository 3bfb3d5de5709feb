//! The same on real DMTCP, as far as it is found in `DMTCP_BIN` or `PATH`.

use crate::real::{Stage, on_each, soon};
use crate::run::run;
use dmtcp_client::Dialect;

#[test]
fn a_real_coordinator_is_asked_and_its_image_is_read() {
    on_each(|installation| {
        let mut stage = Stage::stock(installation, &[]);
        let program = stage.launch(&["--no-gzip"], &["sleep", "1000"]);
        stage.wait_running(1);
        let addr = stage.handle().addr();
        let port = addr.port().to_string();
        let at = ["--port", &port, "--timeout", "60s"];
        let ask = |command: &str, more: &[&str]| run([&[command], &at[..], more].concat());

        let status = ask("status", &["--json"]).json("status");
        assert_eq!(
            (&status["peers"], &status["running"]),
            (&1.into(), &true.into())
        );
        // The text of the version 5.0 is not believed.
        let known_by = match installation.dialect {
            Dialect::V5 => "asked",
            _ => "executable",
        };
        assert_eq!(status["known_by"], known_by);
        assert!(status["pid"].is_u64());
        let workers = ask("workers", &["--json"]);
        if installation.dialect == Dialect::V2_4 {
            assert_eq!((workers.code, workers.slug()), (1, "no-list"));
        } else {
            let workers = workers.json("workers");
            assert_eq!(workers["workers"][0]["real_pid"], stage.pid(program));
        }
        let done = ask("checkpoint", &["--limit", "60s", "--json"]);
        assert_eq!((done.code, done.err.as_str()), (0, ""));
        assert_eq!(done.json("checkpoint")["peers"], 1);

        let image = soon("the image", || stage.images().pop());
        let image = image.to_str().unwrap();
        let ran = soon("the whole image", || {
            let ran = run(["inspect", "--json", image]);
            (ran.code == 0).then_some(ran)
        });
        let json = ran.json("inspect");
        let said = &json["images"][0];
        assert_eq!(
            (&said["program"], &said["whole"]),
            (&"sleep".into(), &true.into())
        );
        let arguments = said["start"]["arguments"].as_array().unwrap();
        assert_eq!(
            (arguments.len(), &arguments[1]),
            (2, &"1000".into()),
            "{arguments:?}"
        );
        let environment = said["start"]["environment"].as_array().unwrap();
        let has = |start| {
            environment
                .iter()
                .any(|v| v.as_str().is_some_and(|v| v.starts_with(start)))
        };
        assert!(has("PATH="), "{environment:?}");
        assert_eq!(said["details"]["bits"], 64);
        let memory = &said["memory"];
        for part in ["total", "heap", "stack", "files", "anonymous"] {
            assert!(
                memory[part]["stored_bytes"].as_u64() > Some(0),
                "{part}: {memory}"
            );
        }
        assert_eq!(memory["stack"]["areas"], 1);
        assert_eq!(memory["heap"]["areas"], 1);
        let mapped = memory["mapped"].as_array().unwrap();
        let libc = mapped
            .iter()
            .find(|file| file["path"].to_string().contains("libc.so"));
        assert_eq!(libc.expect("the C library")["executable"], true);
        if installation.dialect != Dialect::V5 && !installation.version.starts_with('4') {
            assert!(said["details"]["directory"].is_string());
            assert!(said["host"].is_string());
        }
    });
}
