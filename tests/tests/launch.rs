//! The launcher itself: every server starts, is ready, keeps to loopback and is gone afterwards.

use std::path::Path;

use viaduct_tests::launch::{
    Clamd, Ejabberd, Inspircd, Ngircd, Process, Prosody, Synapse, SynapseSpec, assert_loopback_only, available,
};
use viaduct_tests::people::{IrcPerson, MatrixPerson};

/// Checks that a server keeps to loopback while it runs, and gives its process id.
fn check(process: &mut Process) -> anyhow::Result<u32> {
    assert!(process.is_running());
    assert_loopback_only(&[process])?;
    Ok(process.id())
}

fn assert_gone(id: u32) {
    assert!(
        !Path::new(&format!("/proc/{id}")).exists(),
        "process {id} is still there"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn synapse_serves_two_people() -> anyhow::Result<()> {
    let Some(mut synapse) = available(Synapse::start(SynapseSpec::default()).await)? else {
        return Ok(());
    };
    let id = check(synapse.process())?;
    for name in ["ann", "bob"] {
        synapse.register(name, "secret").await?;
    }
    let ann = MatrixPerson::login(&synapse.url(), "ann", "secret").await?;
    let bob = MatrixPerson::login(&synapse.url(), "bob", "secret").await?;
    let room = ann.create_room("talk", &[]).await?;
    assert_eq!(bob.join("#talk:localhost").await?, room);
    let event = ann.say(&room, "hello").await?;
    assert_eq!(bob.hears(&room, "hello").await?.id(), event);
    bob.reply(&room, &event, "hello yourself").await?;
    ann.hears(&room, "hello yourself").await?;
    assert!(ann.is_joined(&room, &bob.id()).await?);

    synapse.stop();
    synapse.start_again().await?;
    ann.say(&room, "still there?").await?;
    bob.hears(&room, "still there?").await?;
    drop(synapse);
    assert_gone(id);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn ngircd_carries_a_conversation() -> anyhow::Result<()> {
    let Some(mut server) = available(Ngircd::start().await)? else {
        return Ok(());
    };
    let id = check(server.process())?;
    converse(server.address()).await?;
    drop(server);
    assert_gone(id);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn inspircd_offers_sasl_and_ircv3() -> anyhow::Result<()> {
    let Some(mut server) = available(Inspircd::start().await)? else {
        return Ok(());
    };
    let id = check(server.process())?;
    let offered = IrcPerson::capabilities(server.address()).await?;
    for wanted in [
        "sasl=",
        "echo-message",
        "labeled-response",
        "message-tags",
        "server-time",
        "batch",
        "account-tag",
    ] {
        assert!(offered.contains(wanted), "{wanted} is not in {offered}");
    }
    converse(server.address()).await?;
    let ann = IrcPerson::connect(server.address(), "registrar").await?;
    ann.say("NickServ", "REGISTER registrar secret test@example.org")
        .await?;
    ann.hears("registrar", "registrar").await?;
    drop(server);
    assert_gone(id);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn prosody_admits_accounts() -> anyhow::Result<()> {
    let Some(mut server) = available(Prosody::start().await)? else {
        return Ok(());
    };
    let id = check(server.process())?;
    server.register("ann", "secret")?;
    drop(server);
    assert_gone(id);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn ejabberd_starts_and_ends() -> anyhow::Result<()> {
    let Some(mut server) = available(Ejabberd::start().await)? else {
        return Ok(());
    };
    let id = check(server.process())?;
    drop(server);
    assert_gone(id);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn clamd_starts_and_ends() -> anyhow::Result<()> {
    let Some(mut server) = available(Clamd::start().await)? else {
        return Ok(());
    };
    let id = check(server.process())?;
    drop(server);
    assert_gone(id);
    Ok(())
}

async fn converse(server: std::net::SocketAddr) -> anyhow::Result<()> {
    let ann = IrcPerson::connect(server, "ann").await?;
    let bob = IrcPerson::connect(server, "bob").await?;
    ann.join("#talk").await?;
    bob.join("#talk").await?;
    ann.say("#talk", "hello").await?;
    assert_eq!(bob.hears("#talk", "hello").await?.nick(), "ann");
    Ok(())
}
