//! `viaduct KIND manifest NETWORK`: the files with which a partner's administrator sets the remote side up.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;
use viaduct_bridge::AppFile;
use viaduct_model::NetworkName;

use crate::load;
use crate::registry::Registry;
use crate::trouble::Trouble;

/// Does what `KIND manifest NETWORK [--out FOLDER]` says: prints the one file there is, or writes them into a folder.
///
/// # Errors
///
/// If the words are not understood, the network is not of that kind, or nothing has to be set up for it.
pub fn run(path: &Path, words: &[String], registry: &Registry) -> anyhow::Result<String> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (kind, network, out) = match words.as_slice() {
        [kind, "manifest", network] => (*kind, *network, None),
        [kind, "manifest", network, "--out", out] | [kind, "manifest", "--out", out, network] => {
            (*kind, *network, Some(PathBuf::from(out)))
        }
        [kind, ..] if registry.factory(kind).is_some() => {
            let fix = format!("viaduct {kind} manifest NETWORK [--out FOLDER]");
            return Err(Trouble::error("this is not understood", "", fix));
        }
        [word, ..] => {
            return Err(Trouble::error(
                format!("there is no command {word}"),
                "",
                "see `viaduct help`",
            ));
        }
        [] => return Err(Trouble::error("there is no command", "", "see `viaduct help`")),
    };
    let factory = registry.factory(kind).ok_or_else(|| {
        Trouble::error(
            format!("there is no kind of network {kind}"),
            "",
            "see `viaduct capabilities`",
        )
    })?;
    let config = load::load(path, registry)?.config;
    let name = NetworkName::new(network)?;
    let found = config.networks.get(&name).filter(|found| found.kind == kind);
    let section = found.ok_or_else(|| {
        let fix = "describe it under `networks`";
        Trouble::error(format!("there is no network {network} of kind {kind}"), "networks", fix)
    })?;
    let files = factory
        .app(&name, &Value::Object(section.section.clone()))
        .map_err(|error| Trouble::error(error.to_string(), format!("networks.{network}"), ""))?;
    match (files.as_slice(), out) {
        ([], _) => Ok(format!("nothing has to be set up that way for {network}")),
        (files, Some(folder)) => write(files, &folder),
        ([only], None) if std::str::from_utf8(&only.contents).is_ok() => {
            Ok(String::from_utf8_lossy(&only.contents).into_owned())
        }
        (files, None) => {
            let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
            let fix = format!("viaduct {kind} manifest {network} --out FOLDER");
            Err(Trouble::error(
                format!("these are files: {}", names.join(", ")),
                "",
                fix,
            ))
        }
    }
}

fn write(files: &[AppFile], folder: &Path) -> anyhow::Result<String> {
    let failed = |path: &Path, error: &std::io::Error| {
        Trouble::error(
            format!("this cannot be written: {error}"),
            path.display(),
            "name another folder with --out",
        )
    };
    std::fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
    let mut told = Vec::new();
    for file in files {
        // Only the last part of a name counts: what is written stays within the folder.
        let name = Path::new(&file.name).file_name().unwrap_or_default();
        let path = folder.join(name);
        let made = std::fs::OpenOptions::new().write(true).create_new(true).open(&path);
        made.and_then(|mut out| out.write_all(&file.contents))
            .map_err(|error| failed(&path, &error))?;
        told.push(format!("Written: {}", path.display()));
    }
    Ok(told.join("\n"))
}
