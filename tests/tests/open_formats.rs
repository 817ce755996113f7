//! What the hub hands out can be checked and read by anybody, without the hub: a program in another language, with libraries of
//! others, follows the published formats and comes to the same tree, the same signature and the same entries.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::ensure;
use serde_json::Value;
use viaduct_tests::launch::{Hub, HubSpec, Synapse, available};
use viaduct_tests::people::HEARD;
use viaduct_tests::wait::wait_for;
use viaduct_tests::world::{World, made_room};

const CHANNEL: &str = "#project";

/// The forms of an export.
const FORMS: [&str; 3] = ["jsonl", "csv", "eml"];

/// What a command of the hub's prints.
fn told(hub: &Hub, arguments: &[&str]) -> anyhow::Result<String> {
    let output = tokio::task::block_in_place(|| hub.command(arguments))?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// What the other program finds in a folder with an export in each form; none, with its complaint, if anything does not fit.
fn checked(folder: &Path, key: &str) -> anyhow::Result<Result<Value, String>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/open_formats/check.py");
    let output = Command::new(Synapse::python()?)
        .arg(script)
        .arg(key)
        .args(FORMS.map(|form| folder.join(form)))
        .output()?;
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() {
        return Ok(Ok(serde_json::from_slice(&output.stdout)?));
    }
    Ok(Err(complaint))
}

#[tokio::test(flavor = "multi_thread")]
async fn s8_s51_a_third_party_checks_the_whole_ledger_without_the_hub() -> anyhow::Result<()> {
    let complete = |mut spec: HubSpec| {
        spec.ledger = true;
        spec.mirror("project", &made_room("project"), &[("irc", CHANNEL)])
    };
    let Some(mut world) = available(World::start_with(complete).await)? else {
        return Ok(());
    };
    let ann = world.matrix_person("ann").await?;
    let room = ann.join("#project:localhost").await?;
    let igor = world.irc_person("igor", CHANNEL).await?;
    for number in 0..12 {
        ann.say(&room, &format!("=from Matrix, \"{number}\"")).await?;
        igor.say(CHANNEL, &format!("from IRC {number}")).await?;
    }
    igor.hears(CHANNEL, "from Matrix, \"11\"").await?;
    ann.hears(&room, "from IRC 11").await?;
    let delivered = || async {
        let entries = tokio::task::block_in_place(|| world.hub.entries(&["--action", "delivered"])).ok()?;
        (entries.len() >= 24).then_some(())
    };
    wait_for("the entries of all that was delivered", HEARD, delivered).await?;
    world.hub.stop();

    let folder = tempfile::tempdir()?;
    // The hub is stopped, so each form has the same entries.
    for form in FORMS {
        let out = folder.path().join(form);
        told(
            &world.hub,
            &["audit", "export", "--format", form, "--out", &out.to_string_lossy()],
        )?;
    }
    let key = told(&world.hub, &["audit", "verifier"])?;
    let found = checked(folder.path(), key.trim())?.map_err(anyhow::Error::msg)?;
    ensure!(found["records"].as_u64() >= Some(48), "{found}");

    // Whatever is changed, dropped or signed by somebody else is found out.
    let export = folder.path().join("jsonl");
    let original = fs::read(&export)?;
    let line = original
        .split_inclusive(|byte| *byte == b'\n')
        .next()
        .map_or(0, <[u8]>::len);
    let mut changed = original.clone();
    changed[line / 2] ^= 1;
    for forged in [changed.as_slice(), &original[line..]] {
        fs::write(&export, forged)?;
        ensure!(checked(folder.path(), key.trim())?.is_err(), "a forged export is good");
    }
    fs::write(&export, &original)?;
    let manifest = folder.path().join("jsonl.manifest");
    let signed = fs::read_to_string(&manifest)?;
    fs::write(&manifest, signed.replacen("records ", "records 1", 1))?;
    ensure!(
        checked(folder.path(), key.trim())?.is_err(),
        "a forged manifest is good"
    );
    fs::write(&manifest, signed)?;
    ensure!(checked(folder.path(), key.trim())?.is_ok(), "the original is not");
    Ok(())
}
