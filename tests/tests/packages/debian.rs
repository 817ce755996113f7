//! The Debian package: built from the program that is there, installed into a root folder of its own.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use viaduct_tests::launch::{Place, available, is_root, project_root, tool};

use super::{initial, run, stripped_hub, told};

/// Nothing in the unit may weaken it beyond this, in tenths of `systemd-analyze security`'s 10.
const EXPOSURE: &str = "15";

/// Builds the package in a place.
fn build(place: &Place) -> anyhow::Result<PathBuf> {
    let cargo_deb = tool("cargo-deb", "cargo install cargo-deb")?;
    let release = place.folder("target/release")?;
    stripped_hub(&release.join("viaduct"))?;
    let package = place.file("viaduct.deb");
    let built = Command::new(cargo_deb)
        .args(["-p", "viaduct-cli", "--no-build", "--no-strip", "--fast", "-o"])
        .arg(&package)
        .current_dir(project_root())
        .env("CARGO_TARGET_DIR", place.file("target"))
        .output()?;
    let complaints = String::from_utf8_lossy(&built.stderr);
    ensure!(
        built.status.success() && !complaints.contains("warning"),
        "{complaints}"
    );
    Ok(package)
}

/// What is in it: mode, owner and group, by path.
fn contents(package: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let listing = told(Command::new("dpkg-deb").arg("-c").arg(package))?;
    let lines = listing.lines().map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (Some(mode), Some(owner), Some(path)) = (fields.first(), fields.get(1), fields.last()) else {
            anyhow::bail!("dpkg-deb: {line}");
        };
        Ok(((*path).to_owned(), format!("{mode} {owner}")))
    });
    lines.collect()
}

#[test]
fn s18_the_debian_package_holds_what_it_should() -> anyhow::Result<()> {
    let place = Place::new("deb")?;
    let Some(package) = available(build(&place))? else {
        return Ok(());
    };
    let contents = contents(&package)?;
    for (path, mode) in [
        ("./usr/bin/viaduct", "-rwxr-xr-x 0/0"),
        ("./usr/lib/systemd/system/viaduct.service", "-rw-r--r-- 0/0"),
        ("./usr/lib/sysusers.d/viaduct.conf", "-rw-r--r-- 0/0"),
        ("./usr/lib/tmpfiles.d/viaduct.conf", "-rw-r--r-- 0/0"),
        ("./etc/default/viaduct", "-rw-r--r-- 0/0"),
        ("./usr/share/doc/viaduct/copyright", "-rw-r--r-- 0/0"),
        ("./usr/share/doc/viaduct/README.md", "-rw-r--r-- 0/0"),
        ("./usr/share/doc/viaduct/examples/example.yaml", "-rw-r--r-- 0/0"),
        (
            "./usr/share/doc/viaduct/examples/policies/secrets.yaml",
            "-rw-r--r-- 0/0",
        ),
    ] {
        assert_eq!(
            contents.get(path).map(String::as_str),
            Some(mode),
            "{path} of {contents:#?}"
        );
    }
    let writable = |mode: &str| mode.chars().nth(5) == Some('w') || mode.chars().nth(8) == Some('w');
    assert!(
        contents.values().all(|mode| !writable(mode) && mode.ends_with("0/0")),
        "{contents:#?}"
    );
    let control = told(Command::new("dpkg-deb").arg("-f").arg(&package))?;
    assert!(
        control.contains("Package: viaduct\n") && control.contains("libc6"),
        "{control}"
    );
    let conffiles = told(Command::new("dpkg-deb").arg("-I").arg(&package).arg("conffiles"))?;
    assert_eq!(
        conffiles.trim(),
        "/etc/default/viaduct",
        "what an administrator edits is kept"
    );
    Ok(())
}

/// Calls dpkg with a root folder of its own; its scripts run outside of it, and keep to it.
fn dpkg(root: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    told(
        Command::new("dpkg")
            .arg(format!("--root={}", root.display()))
            .args([
                "--force-script-chrootless",
                "--force-depends",
                "--force-not-root",
                "--log=/dev/null",
            ])
            .args(arguments),
    )
}

/// An empty system.
fn root_folder(place: &Place) -> anyhow::Result<PathBuf> {
    let root = place.folder("root")?;
    for folder in [
        "var/lib/dpkg/info",
        "var/lib/dpkg/updates",
        "etc",
        "bin",
        "usr/lib/systemd/system",
    ] {
        fs::create_dir_all(root.join(folder))?;
    }
    fs::write(root.join("var/lib/dpkg/status"), "")?;
    // What the unit needs of every system.
    for entry in fs::read_dir("/usr/lib/systemd/system")? {
        let (name, path) = entry.map(|entry| (entry.file_name(), entry.path()))?;
        if path.extension().is_some_and(|ending| ending == "target") && path.is_file() {
            fs::copy(path, root.join("usr/lib/systemd/system").join(name))?;
        }
    }
    fs::copy("/bin/kill", root.join("bin/kill"))?;
    Ok(root)
}

#[test]
fn s18_the_debian_package_is_installed_and_removed_and_keeps_what_is_the_administrators() -> anyhow::Result<()> {
    let place = Place::new("deb")?;
    let Some(package) = available(build(&place))? else {
        return Ok(());
    };
    let root = root_folder(&place)?;
    let package = package.to_str().context("a path in text")?;
    if !is_root() {
        // Users and owners are root's to make: what can be seen without is what the package unpacks to.
        told(Command::new("dpkg-deb").arg("-x").arg(package).arg(&root))?;
        return starts(&place, &root);
    }
    let said = dpkg(&root, &["-i", package])?;
    assert!(said.contains("nothing is configured yet"), "{said}");
    let passwd = fs::read_to_string(root.join("etc/passwd"))?;
    let user = passwd
        .lines()
        .find(|line| line.starts_with("viaduct:"))
        .context("no user")?;
    assert!(user.ends_with(":/var/lib/viaduct:/usr/sbin/nologin"), "{user}");
    let id: u32 = user.split(':').nth(2).unwrap_or_default().parse()?;
    for (path, mode) in [("etc/viaduct", 0o750), ("var/lib/viaduct", 0o700)] {
        let metadata = fs::metadata(root.join(path))?;
        let seen = (metadata.uid(), metadata.permissions().mode() & 0o7777);
        assert_eq!(seen, (id, mode), "{path}");
    }
    starts(&place, &root)?;
    unit_is_sound(&root)?;

    // An upgrade leaves what was edited; so does a removal, and even a purge leaves configuration, memory and ledger.
    fs::write(root.join("etc/default/viaduct"), "VIADUCT_LOG=debug\n")?;
    fs::write(root.join("etc/viaduct/viaduct.yaml"), "mine\n")?;
    fs::write(root.join("var/lib/viaduct/memory"), "mine\n")?;
    let said = dpkg(&root, &["-i", package])?;
    assert!(!said.contains("nothing is configured yet"), "{said}");
    assert_eq!(
        fs::read_to_string(root.join("etc/default/viaduct"))?,
        "VIADUCT_LOG=debug\n"
    );
    let said = dpkg(&root, &["--purge", "viaduct"])?;
    assert!(said.contains("stay"), "{said}");
    let there = |path: &str| root.join(path).exists();
    assert!(
        !there("usr/bin/viaduct") && !there("usr/lib/systemd/system/viaduct.service") && !there("etc/default/viaduct")
    );
    assert!(there("etc/viaduct/viaduct.yaml") && there("var/lib/viaduct/memory"));
    Ok(())
}

/// The installed program runs, and takes what it writes itself and the example that came with it.
fn starts(place: &Place, root: &Path) -> anyhow::Result<()> {
    let hub = root.join("usr/bin/viaduct");
    assert!(told(Command::new(&hub).arg("--version"))?.starts_with("viaduct "));
    let config = initial(place, &hub)?;
    told(Command::new(&hub).arg("-c").arg(config).arg("check"))?;
    let example = root.join("usr/share/doc/viaduct/examples/example.yaml");
    told(Command::new(&hub).arg("-c").arg(example).arg("check")).map(drop)
}

/// systemd understands the unit and finds what it names, and it may do little.
fn unit_is_sound(root: &Path) -> anyhow::Result<()> {
    let Some(analyze) = available(tool("systemd-analyze", "apt-get install systemd"))? else {
        return Ok(());
    };
    let root = format!("--root={}", root.display());
    let verified = run(Command::new(&analyze).args(["verify", &root, "viaduct.service"]))?;
    let complaints = String::from_utf8_lossy(&verified.stderr);
    ensure!(
        verified.status.success() && complaints.trim().is_empty(),
        "{complaints}"
    );
    let threshold = format!("--threshold={EXPOSURE}");
    told(Command::new(&analyze).args(["security", "--offline=true", &root, &threshold, "viaduct.service"])).map(drop)
}
