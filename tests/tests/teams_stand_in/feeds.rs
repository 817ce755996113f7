//! What bots and subscribers are told.

use aws_lc_rs::cipher::{AES_256, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use viaduct_tests::teams::{Counts, Draft, Feed, Kind, TeamsStandIn};

use super::super::{BOUND, Bot, Side, ready};

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_is_told_of_messages_and_what_becomes_of_them() -> anyhow::Result<()> {
    let (teams, bot, channel, sue) = ready().await?;
    let root = teams.say(&channel, &sue, "hello <world>");
    let reply = teams.reply(&channel, &sue, root, "more");
    teams.edit(&channel, reply, "much more");
    teams.delete(&channel, reply);
    teams.undelete(&channel, reply);
    teams.settled(BOUND).await?;
    let about: Vec<Value> = bot
        .heard()
        .into_iter()
        .filter(|one| !one["text"].is_null() || one["type"] == "messageDelete")
        .collect();
    let short: Vec<_> = about
        .iter()
        .map(|one| (one["type"].as_str().unwrap(), one["text"].as_str().unwrap_or_default()))
        .collect();
    assert_eq!(
        short,
        [
            ("message", "hello <world>"),
            ("message", "more"),
            ("messageUpdate", "much more"),
            ("messageDelete", ""),
            ("messageUpdate", "much more"),
        ]
    );
    let conversation = format!("{channel};messageid={root}");
    assert!(about.iter().all(|one| one["conversation"]["id"] == *conversation));
    assert_eq!(about[0]["id"], root.to_string());
    assert_eq!(about[1]["id"], reply.to_string());
    assert_eq!(about[4]["channelData"]["eventType"], "undeleteMessage");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_consent_only_those_who_address_the_bot_are_heard() -> anyhow::Result<()> {
    let (teams, bot, channel, sue) = ready().await?;
    teams.set_consent("ChannelMessage.Read.Group", false);
    teams.say(&channel, &sue, "unheard");
    let draft = Draft {
        html: "<p><at id=\"0\">viaduct</at> heard</p>".to_owned(),
        mentions: vec![teams.app().bot_id.clone()],
        ..Draft::default()
    };
    teams.say_with(&channel, &sue, draft);
    let side = Side::graph(&teams).await?;
    let path = format!("teams/{}/channels/{channel}/messages", teams.group(teams.team()));
    assert_eq!(side.call("GET", &path, Value::Null).await?.0, 403);
    teams.set_consent("ChannelMessage.Read.Group", true);
    teams.say(&channel, &sue, "again");
    teams.settled(BOUND).await?;
    assert_eq!(bot.texts(), ["<at>viaduct</at> heard", "again"]);
    assert_eq!(side.call("GET", &path, Value::Null).await?.0, 200);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn activities_are_lost_doubled_shuffled_and_sent_again() -> anyhow::Result<()> {
    let (teams, bot, channel, sue) = ready().await?;
    let say = |text: &str| teams.say(&channel, &sue, text);
    teams.settled(BOUND).await?;
    teams.lose_next(Feed::Activities, 1);
    teams.double_next(Feed::Activities, 1);
    assert!(["lost", "twice", "once"].map(say).iter().all(|id| *id > 0));
    teams.shuffle_next(Feed::Activities, 3);
    assert!(["1", "2", "3", "4"].map(say).iter().all(|id| *id > 0));
    teams.settled(BOUND).await?;
    assert_eq!(bot.texts(), ["twice", "twice", "once", "3", "2", "1", "4"]);
    assert_eq!(teams.history(&channel).len(), 7);
    let before = teams.counts(Feed::Activities);
    teams.spoil(Feed::Activities, 15, 15);
    for number in 0..200 {
        say(&number.to_string());
    }
    teams.spoil(Feed::Activities, 0, 0);
    teams.settled(BOUND).await?;
    let Counts { lost, doubled, .. } = teams.counts(Feed::Activities);
    let share = (lost - before.lost) + (doubled - before.doubled);
    assert!((40..80).contains(&share), "{share} of 200 were lost or doubled");
    drop(bot);
    say("while nobody listens");
    teams.settled(BOUND).await?;
    let counts = teams.counts(Feed::Activities);
    assert_eq!((counts.refused, counts.given_up), (4, 1));
    teams.pause(true);
    say("kept");
    let again = Bot::start().await?;
    teams.set_endpoint(Some(&again.url));
    say("and more");
    assert!(again.heard().is_empty());
    teams.pause(false);
    again
        .hears("what was said after the pause", |one| one["text"] == "and more")
        .await?;
    Ok(())
}

/// A certificate (base64 of DER) and its key (PKCS #8).
fn certificate() -> anyhow::Result<(String, Vec<u8>)> {
    let key = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048)?;
    let certificate = rcgen::CertificateParams::new(vec!["viaduct.test".to_owned()])?.self_signed(&key)?;
    Ok((STANDARD.encode(certificate.der()), key.serialize_der()))
}

/// Opens what a notification carries, as its receiver does.
fn open(sealed: &Value, key: &[u8]) -> anyhow::Result<Value> {
    let field = |name: &str| STANDARD.decode(sealed[name].as_str().unwrap());
    let private = OaepPrivateDecryptingKey::new(PrivateDecryptingKey::from_pkcs8(key)?)?;
    let mut room = vec![0; private.min_output_size()];
    let secret = private
        .decrypt(&OAEP_SHA1_MGF1SHA1, &field("dataKey")?, &mut room, None)?
        .to_vec();
    let mut data = field("data")?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&secret)?;
    mac.update(&data);
    mac.verify_slice(&field("dataSignature")?)?;
    let context = DecryptionContext::Iv128(FixedLength::try_from(&secret[..16])?);
    let cipher = PaddedBlockDecryptingKey::cbc_pkcs7(UnboundCipherKey::new(&AES_256, &secret)?)?;
    Ok(serde_json::from_slice(cipher.decrypt(&mut data, context)?)?)
}

fn in_minutes(minutes: i64) -> String {
    let at = time::OffsetDateTime::now_utc() + time::Duration::minutes(minutes);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second()
    )
}

fn wish(teams: &TeamsStandIn, bot: &Bot, channel: &str) -> Value {
    json!({
        "changeType": "created,updated,deleted", "notificationUrl": bot.url, "lifecycleNotificationUrl": bot.url,
        "resource": format!("/teams/{}/channels/{channel}/messages", teams.group(teams.team())),
        "expirationDateTime": in_minutes(120), "clientState": "state",
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn notifications_are_sealed_for_their_subscriber() -> anyhow::Result<()> {
    let (teams, bot, channel, sue) = ready().await?;
    let side = Side::graph(&teams).await?;
    let (certificate, key) = certificate()?;
    let mut asked = wish(&teams, &bot, &channel);
    asked["includeResourceData"] = json!(true);
    asked["encryptionCertificate"] = json!(certificate);
    asked["encryptionCertificateId"] = json!("k1");
    let (status, subscription) = side.call("POST", "subscriptions", asked.clone()).await?;
    assert_eq!(status, 201, "{subscription}");
    assert_eq!(side.call("POST", "subscriptions", asked).await?.0, 409);
    let root = teams.say(&channel, &sue, "secret");
    let reply = teams.reply(&channel, &sue, root, "more");
    teams.react(&channel, reply, &sue, "heart", true);
    teams.delete(&channel, reply);
    teams.settled(BOUND).await?;
    let told: Vec<Value> = bot.heard().into_iter().filter(|one| !one["value"].is_null()).collect();
    let words: Vec<&str> = told
        .iter()
        .map(|one| one["value"][0]["changeType"].as_str().unwrap())
        .collect();
    assert_eq!(words, ["created", "created", "updated", "deleted"]);
    let first = &told[0]["value"][0];
    assert_eq!(
        (&first["clientState"], &first["subscriptionId"]),
        (&json!("state"), &subscription["id"])
    );
    assert_eq!(
        open(&first["encryptedContent"], &key)?["body"]["content"],
        "<p>secret</p>"
    );
    let reaction = open(&told[2]["value"][0]["encryptedContent"], &key)?;
    assert_eq!(reaction["reactions"][0]["reactionType"], "heart");
    assert!(
        told[1]["value"][0]["resource"]
            .as_str()
            .unwrap()
            .ends_with(&format!("/messages('{root}')/replies('{reply}')"))
    );
    assert_eq!(told[0]["validationTokens"][0].as_str().unwrap().split('.').count(), 3);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_are_checked_renewed_and_ended() -> anyhow::Result<()> {
    let (teams, bot, channel, sue) = ready().await?;
    let side = Side::graph(&teams).await?;
    let asked = wish(&teams, &bot, &channel);
    for (field, value) in [
        ("notificationUrl", json!("http://127.0.0.1:9/none")),
        ("resource", json!("/users")),
        ("changeType", json!("everything")),
        ("expirationDateTime", json!(in_minutes(-1))),
        ("expirationDateTime", json!(in_minutes(5000))),
        ("lifecycleNotificationUrl", Value::Null),
        ("includeResourceData", json!(true)),
        ("clientState", json!("x".repeat(129))),
    ] {
        let mut wrong = asked.clone();
        wrong[field] = value;
        assert_eq!(side.call("POST", "subscriptions", wrong).await?.0, 400, "{field}");
    }
    let (status, made) = side.call("POST", "subscriptions", asked.clone()).await?;
    assert_eq!(status, 201, "{made}");
    let path = format!("subscriptions/{}", made["id"].as_str().unwrap());
    let notified = || {
        bot.heard()
            .iter()
            .filter(|one| one["value"][0]["changeType"] == "created")
            .count()
    };
    teams.say(&channel, &sue, "1");
    teams.ask_reauthorization();
    teams.say(&channel, &sue, "2");
    teams.settled(BOUND).await?;
    assert_eq!(notified(), 1);
    assert!(
        bot.heard()
            .iter()
            .any(|one| one["value"][0]["lifecycleEvent"] == "reauthorizationRequired")
    );
    assert_eq!(
        side.call("PATCH", &path, json!({ "expirationDateTime": in_minutes(60) }))
            .await?
            .0,
        200
    );
    teams.say(&channel, &sue, "3");
    teams.settled(BOUND).await?;
    assert_eq!(notified(), 2);
    assert_eq!(teams.subscriptions().len(), 1);
    teams.expire_subscriptions();
    teams.say(&channel, &sue, "4");
    assert_eq!(
        side.call("PATCH", &path, json!({ "expirationDateTime": in_minutes(60) }))
            .await?
            .0,
        404
    );
    let (_, made) = side.call("POST", "subscriptions", asked).await?;
    let path = format!("subscriptions/{}", made["id"].as_str().unwrap());
    assert_eq!(side.get("subscriptions").await?["value"][0]["id"], made["id"]);
    assert_eq!(side.call("DELETE", &path, Value::Null).await?.0, 204);
    teams.settled(BOUND).await?;
    assert_eq!(notified(), 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_tenants_hear_only_their_own() -> anyhow::Result<()> {
    let (teams, bot, _, _) = ready().await?;
    let tenant = teams.add_tenant("Partner");
    let app = teams.register(&tenant, "viaduct");
    let other = teams.of(&app);
    let second = Bot::start().await?;
    other.set_endpoint(Some(&second.url));
    let team = other.add_team("Partner");
    other.install(&team);
    let paul = other.add_user("Paul");
    other.join(&team, &paul);
    let channel = other.add_channel_to(&team, "p", Kind::Standard);
    other.say(&channel, &paul, "ours");
    other.settled(BOUND).await?;
    assert_eq!(second.texts(), ["ours"]);
    assert!(bot.texts().is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_comes_whole_and_in_order() -> anyhow::Result<()> {
    let (teams, bot, channel, sue) = ready().await?;
    let other = teams.add_channel("other", Kind::Standard);
    let flood = teams.flood(&[&channel, &other], &sue, "n", 2000).await?;
    assert_eq!((flood.taken, flood.refused), (2000, 0));
    let numbers = |place: &str| -> Vec<u64> {
        let here = |one: &Value| one["channelData"]["channel"]["id"] == *place;
        let number = |one: &Value| one["text"].as_str()?.strip_prefix("n ")?.parse().ok();
        bot.of("message")
            .iter()
            .filter(|one| here(one))
            .filter_map(number)
            .collect()
    };
    assert_eq!(
        numbers(&channel),
        (0..1000).map(|number| number * 2).collect::<Vec<_>>()
    );
    assert_eq!(
        numbers(&other),
        (0..1000).map(|number| number * 2 + 1).collect::<Vec<_>>()
    );
    println!("{:.0} activities/s", flood.rate());
    Ok(())
}

/// A bot that takes everything and looks at nothing, so that only the stand-in is measured: its address.
async fn sink() -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/api/messages", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut room = vec![0; 64 * 1024];
                let mut held = 0;
                // A request has come whole when its body has ended, which is an object.
                while let Ok(length @ 1..) = stream.read(&mut room[held..]).await {
                    held += length;
                    if room[..held].ends_with(b"}") {
                        held = 0;
                        stream
                            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                            .await
                            .ok();
                    }
                }
            });
        }
    });
    Ok(url)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_flood_alone_is_measured() -> anyhow::Result<()> {
    let (teams, _bot, _, sue) = ready().await?;
    teams.set_endpoint(None);
    let channels: Vec<String> = (0..64)
        .map(|number| teams.add_channel(&format!("c{number}"), Kind::Standard))
        .collect();
    teams.set_endpoint(Some(&sink().await?));
    let channels: Vec<&str> = channels.iter().map(String::as_str).collect();
    let flood = teams.flood(&channels, &sue, "n", 20_000).await?;
    assert_eq!((flood.taken, flood.refused), (20_000, 0));
    println!("offered {:.0} activities/s", flood.rate());
    Ok(())
}
