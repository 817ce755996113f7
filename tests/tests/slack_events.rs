//! Slack's signed HTTP events instead of sockets, at the listening address of a whole hub: who is believed, and what is lost.

use std::fmt::Write as _;
use std::time::UNIX_EPOCH;

use anyhow::ensure;
use hmac::{Hmac, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use viaduct_tests::launch::{HubSpec, available, free_port, install_tls};
use viaduct_tests::people::{HEARD, MatrixPerson, Seen, SlackMessage, SlackPerson};
use viaduct_tests::slack::{Limits, SlackStandIn};
use viaduct_tests::wait::wait_for;
use viaduct_tests::world::{World, made_room};

const ROOM: &str = "#project:localhost";

/// One person on each side, and a hub that Slack posts its events to.
struct Talk {
    ann: MatrixPerson,
    sue: SlackPerson,
    channel: String,
    room: String,
    /// Where the hub takes events.
    url: String,
    world: World,
    slack: SlackStandIn,
}

impl Talk {
    /// None where a server is missing.
    async fn start() -> anyhow::Result<Option<Self>> {
        let slack = SlackStandIn::start().await?;
        slack.set_limits(Limits::none());
        let app = slack.app();
        let sue = SlackPerson::new(slack.url(), "sue").await?;
        let channel = sue.make_channel("project", &[&app.bot_user]).await?;
        let listen = format!("127.0.0.1:{}", free_port()?);
        let complete = |spec: HubSpec| {
            let mut spec = spec.slack("slack", &slack.api_url(), &app.bot_token, "").mirror(
                "project",
                &made_room("project"),
                &[("slack", "#project")],
            );
            if let Some(section) = spec.networks.get_mut("slack").and_then(Value::as_object_mut) {
                section.remove("app_token");
                section.insert(
                    "events".to_owned(),
                    json!({ "listen": listen, "signing_secret": app.signing_secret }),
                );
            }
            spec
        };
        let Some(world) = available(World::start_with(complete).await)? else {
            return Ok(None);
        };
        let ann = world.matrix_person("ann").await?;
        let room = ann.join(ROOM).await?;
        let talk = Self {
            ann,
            sue,
            channel,
            room,
            url: format!("http://{listen}/slack/events"),
            world,
            slack,
        };
        talk.subscribe().await?;
        Ok(Some(talk))
    }

    /// Slack sends its events from now on, once the hub has echoed its challenge.
    async fn subscribe(&self) -> anyhow::Result<()> {
        wait_for("the hub echoing Slack's challenge", HEARD, || async {
            self.slack.deliver_to(&self.url, 0).await.ok()
        })
        .await
    }

    /// An event about something that Sue never said, as Slack would send it.
    fn event(&self, id: &str, text: &str) -> Value {
        let app = self.slack.app();
        let now = seconds();
        json!({
            "token": app.verification_token, "team_id": app.team, "api_app_id": app.app_id, "type": "event_callback",
            "event_id": id, "event_time": now,
            "authorizations": [{ "enterprise_id": null, "team_id": app.team, "user_id": app.bot_user, "is_bot": true }],
            "event": { "type": "message", "channel": self.channel, "channel_type": "channel", "user": self.sue.id(),
                       "team": app.team, "text": text, "ts": format!("{now}.{:06}", text.len()) },
        })
    }

    /// Posts a body as it is, signed for `signed` at `at`; gives the status.
    async fn post(&self, body: &str, signed: &str, secret: &str, at: u64) -> anyhow::Result<u16> {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())?;
        mac.update(format!("v0:{at}:{signed}").as_bytes());
        let mut signature = "v0=".to_owned();
        for byte in mac.finalize().into_bytes() {
            write!(signature, "{byte:02x}")?;
        }
        install_tls();
        let request = reqwest::Client::builder().no_proxy().build()?.post(&self.url);
        let request = request
            .header("content-type", "application/json")
            .header("x-slack-request-timestamp", at.to_string())
            .header("x-slack-signature", signature)
            .body(body.to_owned());
        Ok(request.send().await?.status().as_u16())
    }

    async fn figures(&self) -> anyhow::Result<String> {
        install_tls();
        let url = format!("{}/metrics", self.world.hub.admin_url());
        let request = reqwest::Client::builder().no_proxy().build()?.get(url);
        Ok(request.send().await?.text().await?)
    }
}

fn seconds() -> u64 {
    UNIX_EPOCH.elapsed().map(|since| since.as_secs()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn with_signed_events_both_sides_talk_as_with_sockets() -> anyhow::Result<()> {
    let Some(mut talk) = Talk::start().await? else {
        return Ok(());
    };
    talk.world.assert_loopback_only()?;
    assert_eq!(talk.slack.sockets(), 0, "there is no socket");
    let before = talk.slack.delivered();
    for number in 0..10 {
        talk.ann.say(&talk.room, &format!("from Matrix {number}")).await?;
        talk.sue.say(&talk.channel, &format!("from Slack {number}")).await?;
    }
    talk.sue.hears(&talk.channel, "from Matrix 9").await?;
    talk.ann.hears(&talk.room, "from Slack 9").await?;
    let seen = talk.ann.seen(&talk.room);
    let bodies: Vec<&str> = seen
        .iter()
        .map(Seen::body)
        .filter(|body| body.starts_with("from Slack"))
        .collect();
    let wanted: Vec<String> = (0..10).map(|number| format!("from Slack {number}")).collect();
    assert_eq!(bodies, wanted, "once and in order");
    let said = talk.sue.say(&talk.channel, "we meet at nine").await?;
    let seen = talk.ann.hears(&talk.room, "we meet at nine").await?;
    talk.sue.edit(&talk.channel, &said, "we meet at ten").await?;
    talk.ann
        .expect("the edit", &talk.room, |other| {
            other.rewords(seen.id(), "we meet at ten")
        })
        .await?;
    talk.sue.delete(&talk.channel, &said).await?;
    talk.ann
        .expect("the deletion", &talk.room, |other| other.redacts(seen.id()))
        .await?;
    let counts = talk.slack.delivered();
    assert_eq!((counts.retries, counts.lost), (0, before.lost), "{counts:?}");
    assert!(counts.acked >= 12, "{counts:?}");
    assert_eq!(talk.slack.violations(), []);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_slack_signed_now_is_believed_and_what_comes_again_is_told_once() -> anyhow::Result<()> {
    let Some(talk) = Talk::start().await? else {
        return Ok(());
    };
    let (secret, now) = (talk.slack.app().signing_secret.clone(), seconds());
    let forged = talk.event("EvFORGED", "forged").to_string();
    for (why, signed, secret, at) in [
        ("another secret", forged.as_str(), "wrong", now),
        ("another body", "{}", secret.as_str(), now),
        ("ten minutes ago", forged.as_str(), secret.as_str(), now - 600),
        ("in ten minutes", forged.as_str(), secret.as_str(), now + 600),
    ] {
        assert_eq!(talk.post(&forged, signed, secret, at).await?, 401, "{why}");
    }
    let figures = talk.figures().await?;
    assert!(
        figures.contains("viaduct_slack_bad_signatures_total 4"),
        "what is refused is counted"
    );

    let challenge = json!({ "type": "url_verification", "token": "t", "challenge": "3eZbrw1aB" }).to_string();
    assert_eq!(talk.post(&challenge, &challenge, &secret, now).await?, 200);
    assert_eq!(talk.post(&challenge, &challenge, "wrong", now).await?, 401);

    // Slack repeats what it believes was not taken.
    let good = talk.event("EvGOOD", "said once").to_string();
    for _ in 0..3 {
        assert_eq!(talk.post(&good, &good, &secret, seconds()).await?, 200);
    }
    talk.sue.say(&talk.channel, "and said after it").await?;
    talk.ann.hears(&talk.room, "and said after it").await?;
    assert_eq!(talk.ann.count_of(&talk.room, |seen| seen.body() == "said once"), 1);
    assert_eq!(talk.ann.count_of(&talk.room, |seen| seen.body() == "forged"), 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_slack_could_not_deliver_is_read_when_the_hub_is_back() -> anyhow::Result<()> {
    let Some(mut talk) = Talk::start().await? else {
        return Ok(());
    };
    talk.sue.say(&talk.channel, "before").await?;
    talk.ann.hears(&talk.room, "before").await?;
    talk.world.hub.kill();
    for number in 0..5 {
        talk.sue.say(&talk.channel, &format!("meanwhile {number}")).await?;
    }
    talk.world.hub.start().await?;
    talk.ann.hears(&talk.room, "meanwhile 4").await?;
    talk.subscribe().await?;
    talk.ann.say(&talk.room, "I read it all").await?;
    talk.sue.hears(&talk.channel, "I read it all").await?;
    talk.sue.say(&talk.channel, "after").await?;
    talk.ann.hears(&talk.room, "after").await?;
    let seen = talk.ann.seen(&talk.room);
    let bodies: Vec<&str> = seen
        .iter()
        .filter(|seen| seen.sender().starts_with("@_via_slack_") && seen.kind() == "m.room.message")
        .map(Seen::body)
        .collect();
    let wanted = [
        "before",
        "meanwhile 0",
        "meanwhile 1",
        "meanwhile 2",
        "meanwhile 3",
        "meanwhile 4",
        "after",
    ];
    ensure!(bodies == wanted, "{bodies:?}");
    let once = |said: &SlackMessage| said.text() == "I read it all";
    assert_eq!(talk.sue.count_of(&talk.channel, once).await?, 1);
    Ok(())
}
