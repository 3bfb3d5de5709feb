//! Gives the shared library its name, so that programs find the release they were linked with.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libdmtcp_rs.so.0");
}
