//! With a login of their own in Teams: Graph lets the app act in their name.

use std::net::SocketAddr;

use serde_json::{Value, json};
use viaduct_tests::launch::{HubSpec, available, free_port, teams_endpoint};
use viaduct_tests::people::{HEARD, MatrixPerson, Seen, TeamsMessage, TeamsPerson};
use viaduct_tests::teams::{Kind, Limits, TeamsStandIn};
use viaduct_tests::wait::{wait_for, wait_until};
use viaduct_tests::world::{World, made_room};

use super::{ANN, ROOM};

/// Ann on Matrix, herself in Teams, and others on both sides of one mirror.
struct Talk {
    ann: MatrixPerson,
    ben: MatrixPerson,
    /// Ann as she is in Teams.
    herself: TeamsPerson,
    sue: TeamsPerson,
    /// What Teams calls the channel.
    channel: String,
    room: String,
    world: World,
    teams: TeamsStandIn,
}

impl Talk {
    /// None where a server is missing.
    async fn start() -> anyhow::Result<Option<Self>> {
        let teams = TeamsStandIn::start().await?;
        teams.set_limits(Limits::none());
        let herself = TeamsPerson::new(teams.url(), "Ann Arbor").await?;
        let sue = TeamsPerson::new(teams.url(), "Sue Miller").await?;
        let channel = teams.add_channel("project", Kind::Standard);
        let endpoint = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        teams.set_endpoint(Some(&teams_endpoint(endpoint)));
        let login = teams.login_of(herself.id());
        let complete = |spec: HubSpec| {
            let mut spec = spec
                .teams("teams", &teams.about(), endpoint)
                .with("appservice", json!({ "speak_for": [ANN] }))
                .mirror("project", &made_room("project"), &[("teams", "Acme/project")]);
            if let Some(section) = spec.networks.get_mut("teams").and_then(Value::as_object_mut) {
                section.insert("people".to_owned(), json!({ ANN: { "refresh_token": login } }));
            }
            spec
        };
        let Some(mut world) = available(World::start_with(complete).await)? else {
            return Ok(None);
        };
        let listens = || !teams.calls("graph.messages").is_empty();
        let waited = wait_until("the hub listening to Teams", HEARD, listens).await;
        match world.hub.process() {
            Some(process) => process.explain(waited)?,
            None => waited?,
        }
        let ann = world.matrix_person("ann").await?;
        let ben = world.matrix_person("ben").await?;
        let room = ann.join(ROOM).await?;
        ben.join(ROOM).await?;
        Ok(Some(Self {
            ann,
            ben,
            herself,
            sue,
            channel,
            room,
            world,
            teams,
        }))
    }

    /// Waits for a message in Teams that Ann wrote as herself.
    async fn written_by_ann(&self, words: &str) -> anyhow::Result<TeamsMessage> {
        let like = |said: &TeamsMessage| said.user() == self.herself.id() && said.text() == words;
        self.sue.expect(words, &self.channel, like).await
    }

    /// Waits until Ann says something on Matrix, whichever way she said it.
    async fn said_by_ann(&self, words: &str) -> anyhow::Result<Seen> {
        let like = |seen: &Seen| seen.sender() == ANN && seen.body() == words;
        self.ben.expect(words, &self.room, like).await
    }

    /// These words are on both sides once, whoever said them.
    async fn check_once(&self, words: &[&str]) -> anyhow::Result<()> {
        for words in words {
            let there = |said: &TeamsMessage| said.text() == *words;
            self.sue.expect(words, &self.channel, there).await?;
            assert_eq!(self.sue.count_of(&self.channel, there).await?, 1, "in Teams: {words}");
            let here = |seen: &Seen| seen.body() == *words;
            self.ben.expect(words, &self.room, here).await?;
            assert_eq!(self.ben.count_of(&self.room, here), 1, "on Matrix: {words}");
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_a_login_of_their_own_is_themselves_on_both_sides() -> anyhow::Result<()> {
    let Some(talk) = Talk::start().await? else {
        return Ok(());
    };
    // From Matrix into Teams: as herself, and not once more by way of Teams.
    let event = talk.ann.say(&talk.room, "I am at my desk").await?;
    let said = talk.written_by_ann("I am at my desk").await?;
    talk.ann.edit(&talk.room, &event, "I am at home").await?;
    talk.sue
        .expect("the edit", &talk.channel, |other| {
            other.id() == said.id() && other.text() == "I am at home"
        })
        .await?;
    let question = talk.sue.say(&talk.channel, "who has the key?").await?;
    let seen = talk.ben.hears(&talk.room, "who has the key?").await?;
    talk.ann.react(&talk.room, seen.id(), "👍").await?;
    talk.sue
        .expect("👍", &talk.channel, |other| {
            other.id() == question && other.reacted_by("👍", talk.herself.id())
        })
        .await?;

    // From Teams into Matrix: as herself again.
    let said = talk.herself.say(&talk.channel, "I am on my way").await?;
    let seen = talk.said_by_ann("I am on my way").await?;
    talk.herself.edit(&talk.channel, said, "I am nearly there").await?;
    talk.ben
        .expect("the edit", &talk.room, |other| {
            other.sender() == ANN && other.rewords(seen.id(), "I am nearly there")
        })
        .await?;
    let secret = talk.herself.say(&talk.channel, "forget that").await?;
    let seen = talk.said_by_ann("forget that").await?;
    talk.herself.delete(&talk.channel, secret).await?;
    talk.ben
        .expect("the deletion", &talk.room, |other| {
            other.sender() == ANN && other.redacts(seen.id())
        })
        .await?;

    // Everybody else is who they were.
    talk.ben.say(&talk.room, "I have it").await?;
    let said = talk.sue.hears(&talk.channel, "I have it").await?;
    assert_eq!(said.name(), "ben", "{}", said.html());
    talk.check_once(&["I have it", "who has the key?"]).await?;
    let ghosts = |seen: &Seen| seen.sender().starts_with("@_via_") && seen.body().contains("I am");
    assert_eq!(talk.ben.count_of(&talk.room, ghosts), 0, "no ghost of hers spoke");
    assert_eq!(talk.teams.violations(), []);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_they_say_while_the_hub_is_away_is_theirs_too() -> anyhow::Result<()> {
    let Some(mut talk) = Talk::start().await? else {
        return Ok(());
    };
    talk.ann.say(&talk.room, "before").await?;
    talk.written_by_ann("before").await?;
    talk.world.hub.kill();
    talk.herself.say(&talk.channel, "meanwhile in Teams").await?;
    talk.ann.say(&talk.room, "meanwhile on Matrix").await?;
    talk.world.hub.start().await?;
    talk.said_by_ann("meanwhile in Teams").await?;
    talk.written_by_ann("meanwhile on Matrix").await?;
    talk.check_once(&["before", "meanwhile in Teams", "meanwhile on Matrix"])
        .await?;
    assert_eq!(talk.teams.violations(), []);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_is_withdrawn_is_shown_and_the_bot_speaks_for_them() -> anyhow::Result<()> {
    let Some(talk) = Talk::start().await? else {
        return Ok(());
    };
    talk.ann.say(&talk.room, "as myself").await?;
    talk.written_by_ann("as myself").await?;
    talk.teams.revoke_login(talk.herself.id());
    talk.ann.say(&talk.room, "by the bot").await?;
    let said = talk.sue.hears(&talk.channel, "by the bot").await?;
    assert_eq!(said.name(), "ann", "under her name: {}", said.html());
    wait_for("doctor telling of her login", HEARD, || async {
        let doctor = tokio::task::block_in_place(|| talk.world.hub.doctor());
        doctor.ok().filter(|(_, told)| told.contains(ANN))
    })
    .await?;
    talk.check_once(&["as myself", "by the bot"]).await?;
    Ok(())
}
