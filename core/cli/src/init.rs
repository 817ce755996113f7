//! `viaduct init`: a first configuration, its secrets, the registration file, and what to do next.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use viaduct_audit::note::{Signer, Verifier};
use viaduct_governance::HubKey;
use viaduct_model::Entropy;

use crate::args::Init;
use crate::console;
use crate::load;
use crate::registry::Registry;
use crate::system::token;
use crate::trouble::Trouble;

/// What a first configuration is made of.
struct Answers {
    homeserver: String,
    domain: String,
    admin: String,
    listen: String,
    url: Option<String>,
    plaintext: Option<String>,
}

/// Where everything goes: beside the configuration.
struct Paths {
    config: PathBuf,
    secrets: PathBuf,
    registration: PathBuf,
}

const SECRETS: [&str; 3] = ["as_token", "hs_token", "admin_token"];
/// What signs the ledger, and what the partners' keys are wrapped with.
const KEYS: [&str; 2] = ["ledger_key", "seal_key"];

/// Writes the files and says what to do next. Nothing is written if any of them is there already.
///
/// # Errors
///
/// If something is missing or wrong, a file is there already, or a file cannot be written.
pub fn run(config: &Path, given: Init, registry: &Registry, entropy: &dyn Entropy) -> anyhow::Result<String> {
    let folder = match config.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    let paths = Paths {
        config: config.to_owned(),
        secrets: folder.join("secrets"),
        registration: folder.join("viaduct-registration.yaml"),
    };
    refuse_to_overwrite(&paths)?;
    let answers = answers(given)?;
    write(&paths, &answers, registry, entropy)?;
    Ok(next_steps(&paths, &answers))
}

fn refuse_to_overwrite(paths: &Paths) -> anyhow::Result<()> {
    let secrets = SECRETS.iter().chain(&KEYS).map(|name| paths.secrets.join(name));
    let mut all = [paths.config.clone(), paths.registration.clone()]
        .into_iter()
        .chain(secrets);
    match all.find(|path| path.symlink_metadata().is_ok()) {
        Some(path) => {
            let fix = "nothing was written; move it away, or name another configuration with -c";
            Err(Trouble::error("this file is there already", path.display(), fix))
        }
        None => Ok(()),
    }
}

fn answers(given: Init) -> anyhow::Result<Answers> {
    let get = |value: Option<String>, question: &str, flag: &str, wrong: &dyn Fn(&str) -> Option<String>| match value {
        None => console::ask(question, flag, wrong),
        Some(value) => match wrong(&value) {
            None => Ok(value),
            Some(what) => Err(Trouble::error(format!("{flag} {value}: {what}"), "", "")),
        },
    };
    let homeserver = get(
        given.homeserver,
        "Where is the homeserver's client API (such as http://127.0.0.1:8008)",
        "--homeserver",
        &|text| {
            (!text.starts_with("http://") && !text.starts_with("https://"))
                .then(|| "it starts with http:// or https://".into())
        },
    )?;
    let domain = get(
        given.domain,
        "What is its server name, after the colon in user ids (such as example.org)",
        "--domain",
        &|text| {
            (text.is_empty() || text.contains(['/', '@', ' '])).then(|| "only the name, such as example.org".into())
        },
    )?;
    let admin = get(
        given.admin,
        "What is your own Matrix id (such as @you:example.org)",
        "--admin",
        &|text| (!text.starts_with('@') || !text.contains(':')).then(|| "it looks like @you:example.org".into()),
    )?;
    Ok(Answers {
        homeserver,
        domain,
        admin,
        listen: given.listen,
        url: given.url,
        plaintext: given.plaintext,
    })
}

fn write(paths: &Paths, answers: &Answers, registry: &Registry, entropy: &dyn Entropy) -> anyhow::Result<()> {
    let text = config_text(answers);
    if let Some(folder) = paths.config.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(|error| cannot_write(folder, &error))?;
    }
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&paths.secrets);
    made.map_err(|error| cannot_write(&paths.secrets, &error))?;
    for name in SECRETS {
        create(&paths.secrets.join(name), &format!("{}\n", token(entropy)), 0o600)?;
    }
    let origin = format!("{}/viaduct", answers.domain);
    keys(&paths.secrets, &origin, entropy)?;
    create(&paths.config, &text, 0o644)?;
    let registered = load::load(&paths.config, registry).and_then(|loaded| crate::registration::text(&loaded.config));
    match registered {
        Ok(registration) => create(&paths.registration, &registration, 0o600),
        // With an answer that cannot be meant it must be possible to begin again.
        Err(error) => {
            let secrets = SECRETS.into_iter().chain(KEYS).map(|name| paths.secrets.join(name));
            for written in secrets.chain([paths.config.clone()]) {
                std::fs::remove_file(&written).map_err(|error| cannot_write(&written, &error))?;
            }
            Err(error)
        }
    }
}

/// Writes the key that signs a ledger of this name, and the key that the partners' keys are wrapped with, into a folder.
///
/// # Errors
///
/// If one of them is there already, or a file cannot be written.
pub fn keys(folder: &Path, origin: &str, entropy: &dyn Entropy) -> anyhow::Result<Verifier> {
    let signer = Signer::generate(origin, entropy)?;
    let [sign, seal] = KEYS.map(|name| folder.join(name));
    create(&sign, &format!("{}\n", *signer.secret()), 0o600)?;
    create(&seal, &format!("{}\n", *HubKey::generate(entropy).secret()), 0o600)?;
    Ok(signer.verifier())
}

fn create(path: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .map_err(|error| cannot_write(path, &error))
}

fn cannot_write(path: &Path, error: &std::io::Error) -> anyhow::Error {
    Trouble::error(
        format!("this cannot be written: {error}"),
        path.display(),
        "choose another place with -c",
    )
}

/// A value in double quotes, with everything that could end them escaped. JSON's quoting is YAML's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn config_text(answers: &Answers) -> String {
    let Answers {
        homeserver,
        domain,
        admin,
        listen,
        url,
        plaintext,
    } = answers;
    let optional = |key: &str, value: &Option<String>| {
        let value = value.as_ref().map(|value| format!("  {key}: {}\n", quoted(value)));
        value.unwrap_or_default()
    };
    let (url, plaintext) = (optional("url", url), optional("plaintext", plaintext));
    format!(
        "\
# viaduct's configuration. `viaduct check` says what is wrong in it, `viaduct doctor` whether it works.
homeserver:
  url: {homeserver}
  domain: {domain}
{plaintext}
appservice:
  listen: {listen}
{url}  as_token_file: secrets/as_token
  hs_token_file: secrets/hs_token

admin:
  listen: 127.0.0.1:29321
  # With one administrator the token is theirs. Who else has something to say gets roles and a token of their own in `people`.
  token_file: secrets/admin_token
  users: [{admin}]

# The ledger: a signed record of what was accepted, decided and delivered. `viaduct audit verify` checks it.
audit:
  folder: ledger
  keys: ledger-keys
  key_file: secrets/ledger_key
  seal_key_file: secrets/seal_key

# Remote accounts and servers. `echo` is built in and needs no partner.
networks:
  echo:
    kind: echo
    # Of the own organisation; every other network needs an agreement with its partner (`partners`).
    own: true

# One Matrix room and its channels. A message from any side reaches all others.
mirrors:
- name: first
  room:
    alias: {alias}
    name: First try
    invite: [{admin}]
  members:
  - network: echo
    channel: lobby
",
        homeserver = quoted(homeserver),
        domain = quoted(domain),
        listen = quoted(listen),
        admin = quoted(admin),
        alias = quoted(&format!("#viaduct-echo:{domain}")),
    )
}

fn next_steps(paths: &Paths, answers: &Answers) -> String {
    let registration = std::path::absolute(&paths.registration).unwrap_or_else(|_| paths.registration.clone());
    format!(
        "\
Written: {config}
         {secrets} (three secrets, two keys)
         {registration}

1. Let the homeserver read {registration}, and tell it. For Synapse, in homeserver.yaml:

     app_service_config_files:
       - {registration}

2. Restart the homeserver: it reads the file only when it starts.

3. viaduct -c {config} doctor     # says what does not work yet, and why
   viaduct -c {config} run

4. In Element, as {admin}: accept the invitation to the room \"First try\" and say something. Echo answers.",
        config = paths.config.display(),
        secrets = paths.secrets.display(),
        registration = registration.display(),
        admin = answers.admin,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_cannot_break_out_of_its_value() {
        let answers = Answers {
            homeserver: "http://x\"\nadmin: {}".into(),
            domain: "example.org".into(),
            admin: "@a:example.org".into(),
            listen: "127.0.0.1:1".into(),
            url: None,
            plaintext: None,
        };
        let text = config_text(&answers);
        assert_eq!(text.matches("\nadmin:").count(), 1, "{text}");
        assert!(text.contains(r#"url: "http://x\"\nadmin: {}""#), "{text}");
    }
}
