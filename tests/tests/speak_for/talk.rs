//! What holds whichever the network is.

use anyhow::Context as _;
use serde_json::json;
use viaduct_tests::launch::{HubSpec, available};
use viaduct_tests::people::{HEARD, MatrixPerson, Seen};
use viaduct_tests::wait::{wait_for, wait_until};
use viaduct_tests::world::{World, made_room};

/// Who has a login of their own.
pub const ANN: &str = "@ann:localhost";
const ROOM: &str = "#project:localhost";
const IRC_CHANNEL: &str = "#viaduct";

/// A network on which people have logins that the hub may use, with the one channel of the mirror.
pub trait Network: Sized {
    /// What the network is called in the hub's configuration.
    const NAME: &'static str;
    /// The channel, as the configuration spells it.
    const CHANNEL: &'static str;
    /// The reaction of [`Account::react`], as Matrix shows it.
    const REACTION: &'static str;
    /// Somebody there.
    type Person: Account;

    async fn start() -> anyhow::Result<Self>;
    /// Somebody new who is in the channel.
    async fn person(&self, name: &str) -> anyhow::Result<Self::Person>;
    /// Has a hub know it, without anybody's login.
    fn known_to(&self, spec: HubSpec) -> HubSpec;
    /// Somebody's login: the key of the configuration it stands under, and the secret.
    fn login(&self, person: &Self::Person) -> (&'static str, String);
    /// Whether the hub hears what is said in the channel from now on.
    fn is_listened_to(&self) -> bool;
    /// Takes a login back.
    fn withdraw(&self, person: &Self::Person, secret: &str);
    /// Nothing was asked of it that it does not offer.
    fn check_manners(&self);
}

/// Somebody in the channel.
pub trait Account {
    /// What the network calls them.
    fn id(&self) -> &str;
    /// Says something, and gives what the network calls it.
    async fn say(&self, words: &str) -> anyhow::Result<String>;
    async fn reply(&self, to: &str, words: &str) -> anyhow::Result<()>;
    async fn edit(&self, message: &str, words: &str) -> anyhow::Result<()>;
    async fn delete(&self, message: &str) -> anyhow::Result<()>;
    async fn react(&self, to: &str, set: bool) -> anyhow::Result<()>;
    /// Everything in the channel that was not deleted.
    async fn history(&self) -> anyhow::Result<Vec<Message>>;
}

/// A message in the channel.
#[derive(Debug)]
pub struct Message {
    /// What the network calls it.
    pub id: String,
    /// Whose account said it.
    pub user: String,
    /// The name it is shown under, where the app says it for somebody.
    pub name: String,
    pub text: String,
    pub is_edited: bool,
}

/// Ann on Matrix, herself on the network, and others on all sides of one mirror.
pub struct Talk<N: Network> {
    pub ann: MatrixPerson,
    pub ben: MatrixPerson,
    /// Ann as she is on the network.
    pub herself: N::Person,
    pub sue: N::Person,
    pub room: String,
    /// Ann's own login there.
    secret: String,
    world: World,
    pub network: N,
}

impl<N: Network> Talk<N> {
    /// None where a server is missing. The homeserver's operator allows the hub to speak for these.
    pub async fn start(speak_for: &[&str]) -> anyhow::Result<Option<Self>> {
        let network = N::start().await?;
        let herself = network.person("Ann Arbor").await?;
        let sue = network.person("Sue Miller").await?;
        let (key, secret) = network.login(&herself);
        let complete = |spec: HubSpec| {
            let mut spec = network
                .known_to(spec)
                .with("appservice", json!({ "speak_for": speak_for }))
                .mirror(
                    "project",
                    &made_room("project"),
                    &[(N::NAME, N::CHANNEL), ("irc", IRC_CHANNEL)],
                );
            spec.networks[N::NAME]["people"] = json!({ ANN: { key: secret } });
            spec
        };
        let Some(mut world) = available(World::start_with(complete).await)? else {
            return Ok(None);
        };
        let listens = wait_until("the hub listening", HEARD, || network.is_listened_to()).await;
        world.hub.process().context("the hub runs")?.explain(listens)?;
        let ann = world.matrix_person("ann").await?;
        let ben = world.matrix_person("ben").await?;
        let room = ann.join(ROOM).await?;
        ben.join(ROOM).await?;
        Ok(Some(Self {
            ann,
            ben,
            herself,
            sue,
            room,
            secret,
            world,
            network,
        }))
    }

    /// Waits for a message like this in the channel.
    pub async fn in_channel(&self, what: &str, like: impl Fn(&Message) -> bool) -> anyhow::Result<Message> {
        let like = &like;
        wait_for(what, HEARD, || async move {
            self.sue.history().await.ok()?.into_iter().find(like)
        })
        .await
    }

    /// Waits for a message in the channel that Ann wrote as herself.
    pub async fn written_by_ann(&self, words: &str) -> anyhow::Result<Message> {
        self.in_channel(words, |said| said.user == self.herself.id() && said.text == words)
            .await
    }

    /// Waits until Ann says something on Matrix, whichever way she said it.
    pub async fn said_by_ann(&self, words: &str) -> anyhow::Result<Seen> {
        let like = |seen: &Seen| seen.sender() == ANN && seen.body() == words;
        self.ben.expect(words, &self.room, like).await
    }

    /// Waits until Ann does something else on Matrix, whichever way she did it.
    pub async fn done_by_ann(&self, what: &str, like: impl Fn(&Seen) -> bool) -> anyhow::Result<Seen> {
        let hers = |seen: &Seen| seen.sender() == ANN && like(seen);
        self.ben.expect(what, &self.room, hers).await
    }

    /// Waits until a ghost of the network says something on Matrix.
    async fn said_by_ghost(&self, words: &str) -> anyhow::Result<Seen> {
        let ghosts = format!("@_via_{}_", N::NAME);
        let like = |seen: &Seen| seen.sender().starts_with(&ghosts) && seen.body() == words;
        self.ben.expect(words, &self.room, like).await
    }

    /// These words are on both sides once, whoever said them.
    async fn check_once(&self, words: &[&str]) -> anyhow::Result<()> {
        for words in words {
            self.in_channel(words, |said| said.text == *words).await?;
            let history = self.sue.history().await?;
            let times = history.iter().filter(|said| said.text == *words).count();
            assert_eq!(times, 1, "in {}: {words}", N::NAME);
            let here = |seen: &Seen| seen.body() == *words;
            self.ben.expect(words, &self.room, here).await?;
            assert_eq!(self.ben.count_of(&self.room, here), 1, "on Matrix: {words}");
        }
        Ok(())
    }
}

pub async fn who_has_a_login_of_their_own_is_themselves_on_both_sides<N: Network>() -> anyhow::Result<()> {
    let Some(talk) = Talk::<N>::start(&[ANN]).await? else {
        return Ok(());
    };
    let igor = talk.world.irc_person("igor", IRC_CHANNEL).await?;
    // From Matrix: as herself, and not once more by way of the network.
    let event = talk.ann.say(&talk.room, "I am at my desk").await?;
    let said = talk.written_by_ann("I am at my desk").await?;
    talk.ann.edit(&talk.room, &event, "I am at home").await?;
    let edited = talk.in_channel("the edit", |other| other.id == said.id && other.text == "I am at home");
    assert!(edited.await?.is_edited);
    igor.hears(IRC_CHANNEL, "I am at my desk").await?;

    // From the network: as herself again, and on IRC as whom people know there.
    let said = talk.herself.say("I am on my way").await?;
    let seen = talk.said_by_ann("I am on my way").await?;
    let line = igor.hears(IRC_CHANNEL, "I am on my way").await?;
    assert!(
        line.nick().starts_with("ann") || line.text().contains("ann"),
        "{line:?}"
    );
    talk.herself.edit(&said, "I am nearly there").await?;
    talk.done_by_ann("the edit", |other| other.rewords(seen.id(), "I am nearly there"))
        .await?;

    // What others said, she answers and likes from there.
    let question = talk.ben.say(&talk.room, "who has the key?").await?;
    let shown = talk
        .in_channel("the question", |said| said.text == "who has the key?")
        .await?;
    assert_eq!(shown.name, "ben", "{shown:?}");
    talk.herself.react(&shown.id, true).await?;
    let liked = talk
        .done_by_ann(N::REACTION, |other| other.reacts(&question, N::REACTION))
        .await?;
    talk.herself.react(&shown.id, false).await?;
    talk.done_by_ann("the reaction taken back", |other| other.redacts(liked.id()))
        .await?;
    talk.herself.reply(&shown.id, "I have it").await?;
    let answer = talk.said_by_ann("I have it").await?;
    assert_eq!(answer.thread(), question, "{}", answer.event);

    let secret = talk.herself.say("forget that").await?;
    let seen = talk.said_by_ann("forget that").await?;
    talk.herself.delete(&secret).await?;
    talk.done_by_ann("the deletion", |other| other.redacts(seen.id()))
        .await?;

    // Everybody else is who they were.
    talk.sue.say("good morning").await?;
    talk.said_by_ghost("good morning").await?;
    talk.check_once(&["who has the key?", "I have it", "good morning"])
        .await?;
    let echoes = igor.count_of(|line| line.says(IRC_CHANNEL, "I am on my way"));
    assert_eq!(echoes, 1, "on IRC once");
    let ghosts = |seen: &Seen| seen.sender().starts_with("@_via_") && seen.body().contains("I am");
    assert_eq!(talk.ben.count_of(&talk.room, ghosts), 0, "no ghost of hers spoke");
    talk.network.check_manners();
    Ok(())
}

pub async fn what_they_say_while_the_hub_is_away_is_theirs_too<N: Network>() -> anyhow::Result<()> {
    let Some(mut talk) = Talk::<N>::start(&[ANN]).await? else {
        return Ok(());
    };
    talk.ann.say(&talk.room, "before").await?;
    talk.written_by_ann("before").await?;
    talk.world.hub.kill();
    talk.herself.say("meanwhile there").await?;
    talk.ann.say(&talk.room, "meanwhile on Matrix").await?;
    talk.world.hub.start().await?;
    talk.said_by_ann("meanwhile there").await?;
    talk.written_by_ann("meanwhile on Matrix").await?;
    talk.herself.say("after").await?;
    talk.said_by_ann("after").await?;
    talk.check_once(&["before", "meanwhile there", "meanwhile on Matrix", "after"])
        .await?;
    talk.network.check_manners();
    Ok(())
}

pub async fn without_the_operators_leave_a_ghost_speaks_for_them_on_matrix<N: Network>() -> anyhow::Result<()> {
    let Some(talk) = Talk::<N>::start(&[]).await? else {
        return Ok(());
    };
    talk.ann.say(&talk.room, "I am at my desk").await?;
    talk.written_by_ann("I am at my desk").await?;
    talk.herself.say("I am on my way").await?;
    talk.said_by_ghost("I am on my way").await?;
    talk.check_once(&["I am at my desk", "I am on my way"]).await?;
    talk.network.check_manners();
    Ok(())
}

pub async fn a_login_that_is_withdrawn_is_shown_and_the_app_speaks_for_them<N: Network>() -> anyhow::Result<()> {
    let Some(talk) = Talk::<N>::start(&[ANN]).await? else {
        return Ok(());
    };
    talk.ann.say(&talk.room, "as myself").await?;
    talk.written_by_ann("as myself").await?;
    talk.network.withdraw(&talk.herself, &talk.secret);
    talk.ann.say(&talk.room, "as the app").await?;
    let said = talk.in_channel("as the app", |said| said.text == "as the app").await?;
    assert_eq!(said.name, "ann", "under her name: {said:?}");
    let told = wait_for("doctor telling of her login", HEARD, || async {
        let doctor = tokio::task::block_in_place(|| talk.world.hub.doctor());
        doctor.ok().map(|(_, told)| told).filter(|told| told.contains(ANN))
    })
    .await?;
    assert!(!told.contains(&talk.secret), "a login is told to nobody");
    talk.check_once(&["as myself", "as the app"]).await?;
    Ok(())
}
