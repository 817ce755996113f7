//! Statement 18: what `deploy` makes can be installed, and holds what it should: the Debian package, the chart, the image.
//!
//! All three carry the hub that is being tested; none of them is published or started as a service here.

#[path = "packages/chart.rs"]
mod chart;
#[path = "packages/debian.rs"]
mod debian;
#[path = "packages/image.rs"]
mod image;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, ensure};
use viaduct_tests::launch::{Hub, Place, tool};

/// Runs a program to its end.
fn run(command: &mut Command) -> anyhow::Result<Output> {
    let name = command.get_program().to_owned();
    command.output().with_context(|| format!("running {}", name.display()))
}

/// Runs a program that has to succeed, and gives what it printed.
fn told(command: &mut Command) -> anyhow::Result<String> {
    let output = run(command)?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaints = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {said}\n{complaints}");
    Ok(said)
}

/// The hub without what only a debugger reads, written to `path`: a tenth of the size.
fn stripped_hub(path: &Path) -> anyhow::Result<()> {
    let strip = tool("strip", "apt-get install binutils")?;
    told(Command::new(strip).arg("-o").arg(path).arg(Hub::binary()?)).map(drop)
}

/// A configuration as `viaduct init` writes it, in a folder of its own.
fn initial(place: &Place, hub: &Path) -> anyhow::Result<PathBuf> {
    let path = place.folder("configuration")?.join("viaduct.yaml");
    let given = [
        "--homeserver",
        "http://127.0.0.1:8008",
        "--domain",
        "example.org",
        "--admin",
        "@you:example.org",
    ];
    told(Command::new(hub).arg("-c").arg(&path).arg("init").args(given))?;
    Ok(path)
}
