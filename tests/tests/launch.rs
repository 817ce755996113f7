//! The launcher itself: every server starts, is ready, keeps to loopback and is gone afterwards.

use std::path::Path;

use viaduct_tests::launch::{
    Clamd, Ejabberd, Inspircd, Ngircd, Process, Prosody, Synapse, SynapseSpec, XmppServer, assert_loopback_only,
    available,
};
use viaduct_tests::people::{HEARD, IrcPerson, MatrixPerson, XmppPerson};
use viaduct_tests::wait::wait_until;

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
async fn prosody_carries_a_conversation_and_keeps_it() -> anyhow::Result<()> {
    let Some(server) = available(Prosody::start().await)? else {
        return Ok(());
    };
    converse_on_xmpp(XmppServer::Prosody(server)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn ejabberd_carries_a_conversation_and_keeps_it() -> anyhow::Result<()> {
    let Some(server) = available(Ejabberd::start().await)? else {
        return Ok(());
    };
    converse_on_xmpp(XmppServer::Ejabberd(server)).await
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

async fn converse_on_xmpp(mut server: XmppServer) -> anyhow::Result<()> {
    let id = check(server.process())?;
    let Some(_) = available(XmppPerson::python())? else {
        return Ok(());
    };
    for name in ["ann", "bob"] {
        server.register(name, "secret")?;
    }
    let room = XmppServer::room("talk");
    let ann = XmppPerson::login(server.clients(), "ann", "secret").await?;
    let bob = XmppPerson::login(server.clients(), "bob", "secret").await?;
    ann.join(&room, "ann").await?;
    bob.join(&room, "bob").await?;
    ann.meets(&room, "bob").await?;
    let said = ann.say(&room, "hello").await?;
    let heard = bob.hears(&room, "hello").await?;
    assert_eq!((heard.nick(), heard.name()), ("ann", said.name()));
    ann.chat(bob.address(), "in private").await?;
    bob.hears(ann.address(), "in private").await?;
    ann.share(&room, "notes.txt", "what we said", None).await?;
    let file = bob.expect("the file", |message| message.link.is_some()).await?;
    let client = reqwest::Client::builder().no_proxy().build()?;
    let got = client.get(file.link.unwrap_or_default()).send().await?.text().await?;
    assert_eq!(got, "what we said");

    server.stop();
    server.start_again().await?;
    wait_until("ann back in the room", HEARD, || {
        ann.is_online() && ann.sees(&room, "ann")
    })
    .await?;
    let kept = ann.archive(&room).await?;
    assert_eq!(
        kept.iter().filter(|message| message.text() == "hello").count(),
        1,
        "{kept:#?}"
    );
    drop(server);
    assert_gone(id);
    Ok(())
}
