//! Each has its own: what is one's is no use with the other. And within one hub each network stands alone.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use rustix::process::Signal;
use serde_json::{Map, Value, json};
use viaduct_tests::launch::{Hub, HubSpec, Ngircd, Prosody, XmppServer, available, xmpp_section};
use viaduct_tests::organisation::Organisation;
use viaduct_tests::people::HEARD;
use viaduct_tests::stub_world::BACKLOG;
use viaduct_tests::wait::wait_until;
use viaduct_tests::world::{World, made_room, made_room_at};

const CHANNEL: &str = "#project";

/// The files that a running hub has open.
fn open_files(hub: &mut Hub) -> anyhow::Result<BTreeSet<PathBuf>> {
    let id = hub.process().context("the hub runs")?.id();
    let open = fs::read_dir(format!("/proc/{id}/fd"))?;
    let open = open.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
    Ok(open
        .filter(|path| path.is_absolute() && !path.starts_with("/dev") && !path.starts_with("/proc"))
        .collect())
}

/// The status with which an address answers to a token.
async fn status(method: reqwest::Method, url: &str, token: &str) -> anyhow::Result<u16> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let request = client
        .request(method, url)
        .bearer_auth(token)
        .json(&json!({ "events": [] }));
    Ok(request.send().await?.status().as_u16())
}

fn told(hub: &Hub, arguments: &[&str]) -> anyhow::Result<(bool, String)> {
    let output = hub.command(arguments)?;
    let told = [output.stdout, output.stderr].concat();
    Ok((output.status.success(), String::from_utf8_lossy(&told).into_owned()))
}

/// The public key of its ledger, by which anybody can check it.
fn verifier(hub: &Hub) -> anyhow::Result<String> {
    let (good, told) = told(hub, &["audit", "verifier"])?;
    ensure!(good, "{told}");
    Ok(told.trim().to_owned())
}

async fn organisation(name: &str, ngircd: &Ngircd) -> anyhow::Result<Organisation> {
    let domain = format!("{name}.localhost");
    let complete = |mut spec: HubSpec| {
        spec.ledger = true;
        let mut section = viaduct_tests::launch::irc_section(ngircd.address(), false);
        section["nick"] = name.into();
        spec.network("irc", section).mirror(
            "project",
            &made_room_at(&domain, "project"),
            &[("irc", &format!("#{name}"))],
        )
    };
    Organisation::start(&domain, None, complete).await
}

#[tokio::test(flavor = "multi_thread")]
async fn s28_two_hubs_on_one_machine_share_nothing() -> anyhow::Result<()> {
    viaduct_tests::launch::install_tls();
    let Some(ngircd) = available(Ngircd::start().await)? else {
        return Ok(());
    };
    let Some(mut one) = available(organisation("one", &ngircd).await)? else {
        return Ok(());
    };
    let mut two = organisation("two", &ngircd).await?;
    let files = [open_files(&mut one.hub)?, open_files(&mut two.hub)?];
    ensure!(files.iter().all(|files| !files.is_empty()), "{files:?}");
    let both: Vec<&PathBuf> = files[0].intersection(&files[1]).collect();
    ensure!(both.is_empty(), "both have open: {both:?}");

    for (own, other) in [(&one.hub, &two.hub), (&two.hub, &one.hub)] {
        let api = format!("{}/api/v1/status", own.admin_url());
        assert_eq!(status(reqwest::Method::GET, &api, own.admin_token()).await?, 200);
        assert_eq!(status(reqwest::Method::GET, &api, other.admin_token()).await?, 401);
        let transaction = format!("{}/_matrix/app/v1/transactions/1", own.url());
        assert_eq!(status(reqwest::Method::PUT, &transaction, own.hs_token()).await?, 200);
        assert_eq!(status(reqwest::Method::PUT, &transaction, other.hs_token()).await?, 403);
    }

    one.hub.stop();
    two.hub.stop();
    let keys = [verifier(&one.hub)?, verifier(&two.hub)?];
    assert_ne!(keys[0], keys[1]);
    let verify = |ledger: &Hub, key: &str| {
        let folder = ledger.ledger();
        let arguments = ["audit", "verify", "--folder", &folder.to_string_lossy(), "--key", key];
        told(ledger, &arguments)
    };
    for (hub, own, other) in [(&one.hub, &keys[0], &keys[1]), (&two.hub, &keys[1], &keys[0])] {
        let (good, told) = verify(hub, own)?;
        ensure!(good, "{told}");
        let (good, told) = verify(hub, other)?;
        ensure!(!good, "a ledger is verified with somebody else's key: {told}");
    }
    Ok(())
}

/// The mirror's channels on these networks.
fn members(networks: &[&str]) -> Vec<Value> {
    let all = [("irc", CHANNEL.to_owned()), ("xmpp", XmppServer::room("project"))];
    let wanted = all.into_iter().filter(|(network, _)| networks.contains(network));
    wanted
        .map(|(network, channel)| json!({ "network": network, "channel": channel, "direction": "both" }))
        .collect()
}

/// Changes the configuration and has the running hub read it.
fn reload(hub: &mut Hub, change: impl FnOnce(&mut Map<String, Value>)) -> anyhow::Result<()> {
    hub.configure(change)?;
    hub.process().context("the hub runs")?.signal(Signal::HUP);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn s10_networks_come_go_and_fail_each_for_itself() -> anyhow::Result<()> {
    let Some(prosody) = available(Prosody::start().await)? else {
        return Ok(());
    };
    let muc = XmppServer::room("project");
    let mut section = xmpp_section(prosody.components());
    section["own"] = true.into();
    let both = [("irc", CHANNEL), ("xmpp", muc.as_str())];
    let started = World::start_with_xmpp(XmppServer::Prosody(prosody), |spec| {
        spec.mirror("project", &made_room("project"), &both)
    });
    let Some(mut world) = available(started.await)? else {
        return Ok(());
    };
    let ann = world.matrix_person("ann").await?;
    let room = ann.join("#project:localhost").await?;
    let igor = world.irc_person("igor", CHANNEL).await?;
    let xena = world.xmpp_person("xena", &muc).await?;
    let speaks = async |words: &str, on_xmpp: bool| -> anyhow::Result<()> {
        ann.say(&room, words).await?;
        igor.hears(CHANNEL, words).await?;
        if on_xmpp {
            xena.hears(&muc, words).await?;
        }
        Ok(())
    };
    speaks("on both", true).await?;

    // One network is taken out of the configuration, and comes back.
    reload(&mut world.hub, |config| {
        if let Some(networks) = config.get_mut("networks").and_then(Value::as_object_mut) {
            networks.remove("xmpp");
        }
        config["mirrors"][0]["members"] = members(&["irc"]).into();
    })?;
    wait_until("the hub leaves XMPP", HEARD, || !xena.sees(&muc, "viaduct")).await?;
    speaks("on IRC alone", false).await?;
    reload(&mut world.hub, |config| {
        config["networks"]["xmpp"] = section;
        config["mirrors"][0]["members"] = members(&["irc", "xmpp"]).into();
    })?;
    xena.meets(&muc, "viaduct").await?;
    speaks("on both again", true).await?;
    ensure!(
        xena.count_of(|message| message.says(&muc, "on IRC alone")) == 0,
        "what was said while XMPP was out is not for it"
    );

    // One server goes down, and comes back.
    let server = world.xmpp.as_mut().context("an XMPP server")?;
    server.kill();
    speaks("while XMPP is down", false).await?;
    server.start_again().await?;
    let back = || xena.is_online() && xena.sees(&muc, "xena") && xena.sees(&muc, "viaduct");
    wait_until("everybody back on XMPP", BACKLOG, back).await?;
    speaks("after that", true).await?;

    let words = [
        "on both",
        "on IRC alone",
        "on both again",
        "while XMPP is down",
        "after that",
    ];
    for words in words {
        let said = |line: &viaduct_tests::people::IrcLine| line.says(CHANNEL, words) && line.text().ends_with(words);
        assert_eq!(igor.count_of(said), 1, "{words}");
    }
    let left = igor.count_of(|line| {
        ["PART", "QUIT"].contains(&line.command.as_str()) && ["viaduct", "ann[m]"].contains(&line.nick())
    });
    assert_eq!(left, 0, "nobody on IRC was disconnected");
    Ok(())
}
