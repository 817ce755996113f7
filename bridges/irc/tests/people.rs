//! What people are beside their nicks: descriptions, accounts, hosts, whether they are away.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

mod support;

use serde_json::{Value, json};
use support::fake::{Fake, Script};
use support::person::Ircer;
use support::{Hub, irc_person, section, server, told};
use viaduct_model::{Content, Membership};

fn named() -> Value {
    json!({"display": "{realname} ({nick})", "puppets": {"enabled": false}})
}

/// What was told of people's memberships so far, but of the server's own people.
fn memberships(hub: &Hub) -> Vec<String> {
    hub.inbox.events().iter().filter_map(told).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inspircd_tells_descriptions_and_their_changes() {
    let Some(server) = server::inspircd().await else { return };
    let mut ann = Ircer::connect_as(server.port, "ann", "Ann Example").await;
    ann.join("#one").await;
    let hub = Hub::start(section(server.port, &named()), &["#one"]).await;
    hub.joined("#one").await;
    ann.send("PRIVMSG #one :hello").await;
    hub.heard("hello").await;
    let mut bo = Ircer::connect_as(server.port, "bo", "Bo Example").await;
    bo.join("#one").await;
    ann.send("SETNAME :Ann Another").await;
    ann.send("AWAY :lunch").await;
    ann.send("AWAY").await;
    ann.send("NICK anna").await;
    ann.send("PRIVMSG #one :bye").await;
    let heard = hub.heard("bye").await;
    assert_eq!(
        (heard.sender.id.as_str(), heard.sender.name.as_str()),
        ("ann", "Ann Another (anna)")
    );
    insta::assert_json_snapshot!(memberships(&hub), @r#"
    [
      "ann Ann Example (ann) Join",
      "bo Bo Example (bo) Join",
      "ann Ann Another (ann) Rename { from: \"Ann Example (ann)\" }",
      "ann Ann Another (anna) Rename { from: \"Ann Another (ann)\" }"
    ]
    "#);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ngircd_tells_descriptions_in_the_old_format() {
    let Some(server) = server::ngircd("").await else { return };
    let mut ann = Ircer::connect_as(server.port, "ann", "Ann Example").await;
    ann.join("#one").await;
    let hub = Hub::start(section(server.port, &named()), &["#one"]).await;
    hub.joined("#one").await;
    let joined = hub.event("ann", support::joins).await;
    assert_eq!(joined.sender.name, "Ann Example (ann)");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inspircd_tells_accounts_of_those_who_are_there_already() {
    let Some(server) = server::inspircd_with_services().await else {
        return;
    };
    let mut ann = Ircer::connect(server.port, "ann").await;
    ann.register("annette", "secret").await;
    ann.join("#one").await;
    let keys = json!({"identify": "account", "puppets": {"enabled": false}});
    let hub = Hub::start(section(server.port, &keys), &["#one"]).await;
    hub.joined("#one").await;
    let joined = hub.event("ann", support::joins).await;
    assert_eq!(joined.sender.id.as_str(), "$annette");
    ann.send("NICK somebody").await;
    ann.send("PRIVMSG #one :still me").await;
    assert_eq!(hub.heard("still me").await.sender.id.as_str(), "$annette");
    hub.stop().await;
}

const ALL: &str =
    "message-tags account-tag account-notify extended-join away-notify chghost setname echo-message labeled-response";

/// Waits until the server was asked who is in the channel; whatever it is told to say from then on comes after its answer.
async fn asked_who(fake: &Fake) {
    let asked = async {
        while fake.count("WHO #one") == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), asked)
        .await
        .expect("the hub asks who is there");
}

#[tokio::test]
async fn whoever_logs_in_moves_or_goes_away_stays_the_same_person() {
    let fake = Fake::start(Script {
        capabilities: ALL,
        isupport: "WHOX BOT=B",
        who: vec![":s 354 {nick} 813 #one ~a host.example ann GB 0 :Ann Example"],
        ..Script::default()
    })
    .await;
    for identify in ["nick", "account"] {
        let keys = json!({"identify": identify, "puppets": {"enabled": false}});
        let hub = Hub::start(section(fake.port, &keys), &["#one"]).await;
        hub.joined("#one").await;
        hub.event("ann", support::joins).await;
        asked_who(&fake).await;
        let before = memberships(&hub);
        for line in [
            ":ann!~a@host.example ACCOUNT annette",
            "@account=annette :ann!~a@host.example PRIVMSG #one :one",
            ":ann!~a@host.example CHGHOST anna user.example",
            ":ann!anna@user.example AWAY :lunch",
            ":ann!anna@user.example AWAY",
            ":ann!anna@user.example SETNAME :Somebody Else",
            ":ann!anna@user.example ACCOUNT *",
            ":ann!anna@user.example PRIVMSG #one :two",
        ] {
            fake.tell(line);
        }
        let (one, two) = (hub.heard("one").await, hub.heard("two").await);
        assert_eq!((one.sender.id.as_str(), two.sender.id.as_str()), ("ann", "ann"));
        assert!(one.sender.bot, "the flags say that it is one");
        assert_eq!(memberships(&hub), before, "nothing of this is told");
        assert_eq!(fake.count("WHO #one %tcuhnfar,813"), 1);
        fake.said.lock().unwrap().clear();
        hub.stop().await;
    }
}

#[tokio::test]
async fn whoever_is_banned_stays_banned_under_another_nick() {
    let fake = Fake::start(Script {
        capabilities: ALL,
        who: vec![
            ":s 352 {nick} #one ~a host.example s ann H :0 Ann Example",
            ":s 352 {nick} #one u h s {nick} H :0 Hub",
        ],
        ..Script::default()
    })
    .await;
    let hub = Hub::start(section(fake.port, &json!({"puppets": {"enabled": false}})), &["#one"]).await;
    hub.joined("#one").await;
    asked_who(&fake).await;
    fake.tell(":ann!~a@host.example CHGHOST a user.example");
    fake.tell(":ann!a@user.example PRIVMSG #one :hello");
    hub.heard("hello").await;
    let change = |change| Content::Membership {
        person: irc_person("ann"),
        change,
        reason: None,
    };
    // This server knows no labels' answers; the hub asks with PING, and is answered.
    let banned = hub.deliver("Bob", "#one", change(Membership::Ban));
    let answered = async {
        while fake.count("KICK #one ann") == 0 {
            tokio::task::yield_now().await;
        }
        let said = fake.said.lock().unwrap().clone();
        for line in said
            .iter()
            .filter(|line| line.contains("MODE") || line.contains("KICK"))
        {
            let label = line.split(' ').next().unwrap();
            fake.tell(&format!("{label} :s ACK"));
        }
    };
    let (banned, ()) = tokio::join!(banned, answered);
    banned.unwrap();
    assert_eq!(
        fake.count("MODE #one +b *!*@user.example"),
        1,
        "{:?}",
        fake.said.lock().unwrap()
    );
    // Gone by now, and the ban is still the same.
    fake.tell(":viaduct!u@h KICK #one ann :out");
    let free = hub.deliver("Bob", "#one", change(Membership::Unban));
    let answered = async {
        while fake.count("MODE #one -b") == 0 {
            tokio::task::yield_now().await;
        }
        let said = fake.said.lock().unwrap().clone();
        let line = said.iter().find(|line| line.contains("MODE #one -b")).unwrap();
        fake.tell(&format!("{} :s ACK", line.split(' ').next().unwrap()));
    };
    let (free, ()) = tokio::join!(free, answered);
    free.unwrap();
    assert_eq!(fake.count("MODE #one -b *!*@user.example"), 1);
    hub.stop().await;
}

#[tokio::test]
async fn a_server_that_takes_a_capability_back_is_joined_anew() {
    let fake = Fake::start(Script {
        capabilities: "message-tags away-notify",
        ..Script::default()
    })
    .await;
    let hub = Hub::start(section(fake.port, &json!({"puppets": {"enabled": false}})), &["#one"]).await;
    hub.joined("#one").await;
    fake.tell(":s CAP viaduct DEL :sasl unheard-of");
    fake.tell(":ann!a@b PRIVMSG #one :still there");
    hub.heard("still there").await;
    assert_eq!(fake.count("NICK"), 1);
    fake.tell(":s CAP viaduct DEL :away-notify");
    hub.inbox
        .until("the report", |_, reports| {
            let down = |(_, standing): &(_, viaduct_bridge::Connection)| {
                matches!(standing, viaduct_bridge::Connection::Down(reason) if reason.contains("away-notify"))
            };
            reports.iter().any(down).then_some(())
        })
        .await;
    hub.joined("#one").await;
    hub.stop().await;
}
