//! With a login of their own in Teams: Graph lets the app act in their name.

use std::net::SocketAddr;

use viaduct_tests::launch::{HubSpec, free_port, teams_endpoint};
use viaduct_tests::people::{HEARD, TeamsMessage, TeamsPerson};
use viaduct_tests::teams::{Kind, Limits, TeamsStandIn};
use viaduct_tests::wait::wait_for;

use super::talk::{self, ANN, Account, Message, Network, Talk};

struct Teams {
    stand_in: TeamsStandIn,
    channel: String,
    /// Where the bot takes requests.
    endpoint: SocketAddr,
}

impl Network for Teams {
    const NAME: &'static str = "teams";
    const CHANNEL: &'static str = "Acme/project";
    const REACTION: &'static str = "👍";
    type Person = Member;

    async fn start() -> anyhow::Result<Self> {
        let stand_in = TeamsStandIn::start().await?;
        stand_in.set_limits(Limits::none());
        let channel = stand_in.add_channel("project", Kind::Standard);
        let endpoint = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        stand_in.set_endpoint(Some(&teams_endpoint(endpoint)));
        Ok(Self {
            stand_in,
            channel,
            endpoint,
        })
    }

    async fn person(&self, name: &str) -> anyhow::Result<Member> {
        Ok(Member {
            person: TeamsPerson::new(self.stand_in.url(), name).await?,
            channel: self.channel.clone(),
        })
    }

    fn known_to(&self, spec: HubSpec) -> HubSpec {
        spec.teams(Self::NAME, &self.stand_in.about(), self.endpoint)
    }

    fn login(&self, person: &Member) -> (&'static str, String) {
        ("refresh_token", self.stand_in.login_of(person.id()))
    }

    fn is_listened_to(&self) -> bool {
        !self.stand_in.calls("graph.messages").is_empty()
    }

    fn withdraw(&self, person: &Member, _: &str) {
        self.stand_in.revoke_login(person.id());
    }

    fn check_manners(&self) {
        assert_eq!(self.stand_in.violations(), []);
    }
}

/// Somebody in the channel.
struct Member {
    person: TeamsPerson,
    channel: String,
}

impl Account for Member {
    fn id(&self) -> &str {
        self.person.id()
    }

    async fn say(&self, words: &str) -> anyhow::Result<String> {
        Ok(self.person.say(&self.channel, words).await?.to_string())
    }

    async fn reply(&self, to: &str, words: &str) -> anyhow::Result<()> {
        self.person.reply(&self.channel, to.parse()?, words).await.map(drop)
    }

    async fn edit(&self, message: &str, words: &str) -> anyhow::Result<()> {
        self.person.edit(&self.channel, message.parse()?, words).await
    }

    async fn delete(&self, message: &str) -> anyhow::Result<()> {
        self.person.delete(&self.channel, message.parse()?).await
    }

    async fn react(&self, to: &str, set: bool) -> anyhow::Result<()> {
        self.person.react(&self.channel, to.parse()?, "like", set).await
    }

    async fn history(&self) -> anyhow::Result<Vec<Message>> {
        let history = self.person.history(&self.channel).await?;
        let shown = |said: &TeamsMessage| Message {
            id: said.id().to_string(),
            user: said.user().to_owned(),
            name: said.name(),
            text: said.text(),
            is_edited: said.is_edited(),
        };
        let there = history.iter().filter(|said| !said.is_deleted());
        Ok(there.map(shown).collect())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_a_login_of_their_own_is_themselves_on_both_sides() -> anyhow::Result<()> {
    talk::who_has_a_login_of_their_own_is_themselves_on_both_sides::<Teams>().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_they_say_while_the_hub_is_away_is_theirs_too() -> anyhow::Result<()> {
    talk::what_they_say_while_the_hub_is_away_is_theirs_too::<Teams>().await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_operators_leave_a_ghost_speaks_for_them_on_matrix() -> anyhow::Result<()> {
    talk::without_the_operators_leave_a_ghost_speaks_for_them_on_matrix::<Teams>().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_is_withdrawn_is_shown_and_the_app_speaks_for_them() -> anyhow::Result<()> {
    talk::a_login_that_is_withdrawn_is_shown_and_the_app_speaks_for_them::<Teams>().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_they_like_on_matrix_they_like_in_teams() -> anyhow::Result<()> {
    let Some(talk) = Talk::<Teams>::start(&[ANN]).await? else {
        return Ok(());
    };
    let question = talk.sue.say("who has the key?").await?;
    let seen = talk.ben.hears(&talk.room, "who has the key?").await?;
    talk.ann.react(&talk.room, seen.id(), "👍").await?;
    wait_for("👍 of Ann's own", HEARD, || async {
        let history = talk.sue.person.history(&talk.sue.channel).await.ok()?;
        let liked = |said: &TeamsMessage| said.id().to_string() == question && said.reacted_by("👍", talk.herself.id());
        history.iter().any(liked).then_some(())
    })
    .await?;
    talk.network.check_manners();
    Ok(())
}
