//! With a login of their own in Slack.

use viaduct_tests::launch::HubSpec;
use viaduct_tests::people::{SlackMessage, SlackPerson};
use viaduct_tests::slack::{Limits, SlackStandIn};

use super::talk::{self, Account, Message, Network};

struct Slack {
    stand_in: SlackStandIn,
    channel: String,
}

impl Network for Slack {
    const NAME: &'static str = "slack";
    const CHANNEL: &'static str = "#project";
    const REACTION: &'static str = "👀";
    type Person = Member;

    async fn start() -> anyhow::Result<Self> {
        let stand_in = SlackStandIn::start().await?;
        stand_in.set_limits(Limits::none());
        let founder = SlackPerson::new(stand_in.url(), "founder").await?;
        let channel = founder.make_channel("project", &[&stand_in.app().bot_user]).await?;
        Ok(Self { stand_in, channel })
    }

    async fn person(&self, name: &str) -> anyhow::Result<Member> {
        let person = SlackPerson::new(self.stand_in.url(), name).await?;
        person.join(&self.channel).await?;
        let channel = self.channel.clone();
        Ok(Member { person, channel })
    }

    fn known_to(&self, spec: HubSpec) -> HubSpec {
        let app = self.stand_in.app();
        spec.slack(Self::NAME, &self.stand_in.api_url(), &app.bot_token, &app.app_token)
    }

    fn login(&self, person: &Member) -> (&'static str, String) {
        ("token", self.stand_in.user_token(person.id()))
    }

    fn is_listened_to(&self) -> bool {
        self.stand_in.sockets() > 0
    }

    fn withdraw(&self, _: &Member, secret: &str) {
        self.stand_in.revoke(secret);
    }

    fn check_manners(&self) {
        assert_eq!(self.stand_in.violations(), []);
    }
}

/// Somebody in the channel.
struct Member {
    person: SlackPerson,
    channel: String,
}

impl Account for Member {
    fn id(&self) -> &str {
        self.person.id()
    }

    async fn say(&self, words: &str) -> anyhow::Result<String> {
        self.person.say(&self.channel, words).await
    }

    async fn reply(&self, to: &str, words: &str) -> anyhow::Result<()> {
        self.person.reply(&self.channel, to, words, false).await.map(drop)
    }

    async fn edit(&self, message: &str, words: &str) -> anyhow::Result<()> {
        self.person.edit(&self.channel, message, words).await
    }

    async fn delete(&self, message: &str) -> anyhow::Result<()> {
        self.person.delete(&self.channel, message).await
    }

    async fn react(&self, to: &str, set: bool) -> anyhow::Result<()> {
        self.person.react(&self.channel, to, "eyes", set).await
    }

    async fn history(&self) -> anyhow::Result<Vec<Message>> {
        let history = self.person.history(&self.channel).await?;
        let shown = |said: &SlackMessage| Message {
            id: said.ts().to_owned(),
            user: said.user().to_owned(),
            name: said.name().to_owned(),
            text: said.text(),
            is_edited: said.is_edited(),
        };
        Ok(history.iter().map(shown).collect())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_a_login_of_their_own_is_themselves_on_both_sides() -> anyhow::Result<()> {
    talk::who_has_a_login_of_their_own_is_themselves_on_both_sides::<Slack>().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_they_say_while_the_hub_is_away_is_theirs_too() -> anyhow::Result<()> {
    talk::what_they_say_while_the_hub_is_away_is_theirs_too::<Slack>().await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_operators_leave_a_ghost_speaks_for_them_on_matrix() -> anyhow::Result<()> {
    talk::without_the_operators_leave_a_ghost_speaks_for_them_on_matrix::<Slack>().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_is_withdrawn_is_shown_and_the_app_speaks_for_them() -> anyhow::Result<()> {
    talk::a_login_that_is_withdrawn_is_shown_and_the_app_speaks_for_them::<Slack>().await
}
