//! `make install`, and a program that finds the library by pkg-config.

use std::path::Path;
use std::process::Command;

use crate::compiler::{Compiler, in_crate, library, succeed};

fn has(command: &str) -> bool {
    let found = Command::new(command).arg("--version").output().is_ok();
    if !found {
        println!("SKIPPED: no {command}");
    }
    found
}

/// What pkg-config says of the installed library, the system's root being elsewhere.
fn pkg_config(root: &Path, arguments: &[&str]) -> Vec<String> {
    let mut command = Command::new("pkg-config");
    command
        .env("PKG_CONFIG_LIBDIR", root.join("opt/dmtcp/lib/pkgconfig"))
        .env("PKG_CONFIG_SYSROOT_DIR", root)
        .args(arguments)
        .arg("dmtcp_rs");
    let words = succeed(&mut command);
    words.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn what_is_installed_is_found_by_pkg_config() {
    let Some(cc) = Compiler::find() else { return };
    if !has("make") || !has("pkg-config") {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let make = |target: &str| {
        let built = library("libdmtcp_rs.so");
        let mut command = Command::new("make");
        command
            .arg("-C")
            .arg(in_crate(""))
            .arg(target)
            .arg("PREFIX=/opt/dmtcp")
            .arg(format!("DESTDIR={}", root.path().display()))
            .arg(format!("BUILT={}", built.parent().unwrap().display()));
        succeed(&mut command);
    };
    make("install");
    assert_eq!(
        pkg_config(root.path(), &["--modversion"]),
        [env!("CARGO_PKG_VERSION")]
    );
    let lib = root.path().join("opt/dmtcp/lib");
    for (name, arguments) in [
        ("shared", &["--cflags", "--libs"][..]),
        ("static", &["--cflags", "--libs", "--static"]),
    ] {
        let program = root.path().join(name);
        let mut command = Command::new(cc.name());
        command.arg("-o").arg(&program);
        command.arg(in_crate("examples/native_worker.c"));
        if name == "static" {
            // The linker would take the shared one otherwise.
            command.arg(lib.join("libdmtcp_rs.a"));
        }
        let words = pkg_config(root.path(), arguments);
        command.args(
            words
                .iter()
                .filter(|word| name == "shared" || *word != "-ldmtcp_rs"),
        );
        succeed(&mut command);
        let mut run = Command::new(&program);
        if name == "shared" {
            run.env("LD_LIBRARY_PATH", &lib);
        }
        assert_eq!(succeed(run.arg("10")), "begins\nsum 45\n");
    }
    make("uninstall");
    let left = succeed(
        Command::new("find")
            .arg(root.path().join("opt"))
            .args(["-type", "f"]),
    );
    assert_eq!(left, "");
}

#[test]
fn it_may_be_installed_anywhere() {
    if !has("make") || !has("pkg-config") {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let built = root.path().join("as built");
    std::fs::create_dir(&built).unwrap();
    for name in ["libdmtcp_rs.so", "libdmtcp_rs.a"] {
        std::fs::write(built.join(name), "").unwrap();
    }
    let dest = root.path().join("a staged|root");
    for prefix in ["/opt/our own", "/opt/it's & that"] {
        let make = |target: &str| {
            let mut command = Command::new("make");
            command
                .arg("-C")
                .arg(in_crate(""))
                .arg(target)
                .arg(format!("PREFIX={prefix}"))
                .arg(format!("DESTDIR={}", dest.display()))
                .arg(format!("BUILT={}", built.display()));
            succeed(&mut command);
        };
        make("install");
        let lib = dest.join(&prefix[1..]).join("lib");
        assert!(lib.join("libdmtcp_rs.so").exists());
        let mut flags = Command::new("sh");
        flags
            .args([
                "-c",
                r#"eval "set -- $(pkg-config --cflags --libs dmtcp_rs)"; printf '%s\n' "$@""#,
            ])
            .env("PKG_CONFIG_LIBDIR", lib.join("pkgconfig"));
        let expected = format!("-I{prefix}/include\n-L{prefix}/lib\n-ldmtcp_rs\n");
        assert_eq!(succeed(&mut flags), expected);
        make("uninstall");
        let mut find = Command::new("find");
        let left = succeed(find.arg(&dest).args(["!", "-type", "d"]));
        assert_eq!(left, "");
    }
}
