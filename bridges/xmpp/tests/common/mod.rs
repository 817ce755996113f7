//! Real servers, a person in its rooms, and a hub that records.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "shared by several test binaries")]

pub mod ejabberd;
pub mod hub;
pub mod person;
pub mod prosody;
pub mod proxy;
pub mod remote;

/// A real server with three components: `bridge.localhost`, `people.localhost` and `others.localhost`.
pub trait Server: Send + Sync {
    /// Where a component connects.
    fn port(&self, domain: &str) -> u16;

    /// Where clients connect. There are the accounts `bridge@localhost` and `dora@localhost`.
    fn client_port(&self) -> u16;

    /// Prints what it has logged.
    fn report(&self) {}

    /// The certificate of its authority.
    fn ca_file(&self) -> std::path::PathBuf;
}

/// Makes a key and a certificate for `localhost`, in files of that name.
pub fn certificate(directory: &std::path::Path) {
    let mut command = std::process::Command::new("openssl");
    command.current_dir(directory);
    command.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]);
    command.args(["-keyout", "localhost.key", "-out", "localhost.crt", "-days", "2"]);
    command.args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]);
    // A certificate of an authority would not be taken for a server's.
    command.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
}
