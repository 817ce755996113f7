//! The operator's desk: the configuration and the command line, nothing else.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::DeserializeOwned;
use serde_json::Value;
use viaduct_tests::launch::Hub;

/// An operator with a hub.
pub struct Office {
    pub hub: Hub,
    /// The folder with everybody's own token, in a file named after them.
    tokens: PathBuf,
}

impl Office {
    /// At a hub that is configured.
    pub fn new(hub: Hub, tokens: PathBuf) -> Self {
        Self { hub, tokens }
    }

    /// An order that somebody gives, showing their own token.
    fn signed(&self, person: &str, arguments: &[&str]) -> Vec<String> {
        let token = self.tokens.join(person).to_string_lossy().into_owned();
        let who = ["--by", person, "--token-file", &token];
        let all = arguments.iter().chain(&who);
        all.map(|word| (*word).to_owned()).collect()
    }

    /// [`Office::try_order`] by this person.
    pub fn try_order_by(&self, person: &str, arguments: &[&str]) -> anyhow::Result<(bool, String)> {
        let signed = self.signed(person, arguments);
        self.try_order(&signed.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// [`Office::order`] by this person.
    pub fn order_by(&self, person: &str, arguments: &[&str]) -> anyhow::Result<String> {
        let signed = self.signed(person, arguments);
        self.order(&signed.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Gives an order: what it printed, and whether all was well.
    pub fn try_order(&self, arguments: &[&str]) -> anyhow::Result<(bool, String)> {
        let output = tokio::task::block_in_place(|| self.hub.command(arguments))?;
        let told = [output.stdout, output.stderr].concat();
        Ok((output.status.success(), String::from_utf8_lossy(&told).into_owned()))
    }

    /// Gives an order that has to be carried out; what it printed.
    pub fn order(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = tokio::task::block_in_place(|| self.hub.command(arguments))?;
        let (told, error) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        ensure!(
            output.status.success(),
            "viaduct {}: {told}\n{error}",
            arguments.join(" ")
        );
        Ok(told.into_owned())
    }

    /// Gives an order whose answer is JSON.
    pub fn ask<T: DeserializeOwned>(&self, arguments: &[&str]) -> anyhow::Result<T> {
        let told = self.order(arguments)?;
        serde_json::from_str(&told).with_context(|| format!("viaduct {}: {told}", arguments.join(" ")))
    }

    /// The entries of the ledger that answer these options, oldest first.
    pub fn entries(&self, options: &[&str]) -> anyhow::Result<Vec<Value>> {
        tokio::task::block_in_place(|| self.hub.entries(options))
    }
}

/// The text of a signed note (C2SP `signed-note`), checked with nothing of the hub's but its public key, `name+id+key`.
pub fn signed_text(path: &Path, key: &str) -> anyhow::Result<String> {
    let note = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let (name, key) = key.trim().split_once('+').context("a name and a key")?;
    let (id, key) = key.split_once('+').context("an id and a key")?;
    let key = STANDARD.decode(key)?;
    let (text, signatures) = note.rsplit_once("\n\n").context("a text and signatures")?;
    let text = format!("{text}\n");
    let line = signatures
        .lines()
        .find_map(|line| line.strip_prefix(&format!("\u{2014} {name} ")))
        .context("a signature of the ledger's name")?;
    let signature = STANDARD.decode(line)?;
    let (told, signature) = signature.split_first_chunk().context("an id and a signature")?;
    let told = format!("{:08x}", u32::from_be_bytes(*told));
    ensure!(told == id, "signed with key {told}, not {id}");
    let (&kind, key) = key.split_first().context("a kind and a key")?;
    ensure!(kind == 1, "an Ed25519 key");
    UnparsedPublicKey::new(&ED25519, key)
        .verify(text.as_bytes(), signature)
        .map_err(|_| anyhow::anyhow!("{} is not signed by the ledger's key", path.display()))?;
    Ok(text)
}
