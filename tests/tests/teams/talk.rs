//! One person on Matrix and one in Teams, in one mirror.

use std::net::SocketAddr;

use serde_json::{Map, Value};
use viaduct_tests::launch::{HubSpec, available, free_port, teams_endpoint};
use viaduct_tests::people::{HEARD, MatrixPerson, Seen, TeamsMessage, TeamsPerson};
use viaduct_tests::teams::{Kind, Limits, TeamsStandIn};
use viaduct_tests::wait::wait_until;
use viaduct_tests::world::{World, made_room};

/// The channel of the mirror, as the configuration spells it.
pub const CHANNEL: &str = "Acme/project";

/// A world with one person on each side, both in the mirror `project`.
pub struct Talk {
    pub ann: MatrixPerson,
    pub sue: TeamsPerson,
    /// What Teams calls the channel.
    pub channel: String,
    pub room: String,
    pub world: World,
    pub teams: TeamsStandIn,
}

impl Talk {
    /// None where a server is missing.
    pub async fn start() -> anyhow::Result<Option<Self>> {
        Self::start_with(|spec| spec).await
    }

    /// The same with further keys in the network's section.
    pub async fn start_with_section(more: Value) -> anyhow::Result<Option<Self>> {
        let mut more: Map<String, Value> = serde_json::from_value(more)?;
        Self::start_with(|mut spec| {
            if let Some(section) = spec.networks.get_mut("teams").and_then(Value::as_object_mut) {
                section.append(&mut more);
            }
            spec
        })
        .await
    }

    /// The same with whatever else `complete` says.
    pub async fn start_with(complete: impl FnOnce(HubSpec) -> HubSpec) -> anyhow::Result<Option<Self>> {
        let teams = tenant().await?;
        let sue = TeamsPerson::new(teams.url(), "Sue Miller").await?;
        let channel = teams.add_channel("project", Kind::Standard);
        let mirrored = |spec: HubSpec| complete(spec.mirror("project", &made_room("project"), &[("teams", CHANNEL)]));
        let Some(world) = start(&teams, 1, mirrored).await? else {
            return Ok(None);
        };
        let ann = world.matrix_person("ann").await?;
        let room = ann.join("#project:localhost").await?;
        Ok(Some(Self {
            ann,
            sue,
            channel,
            room,
            world,
            teams,
        }))
    }

    /// Says something in Teams, and gives both what Teams calls it and how Matrix shows it.
    pub async fn sue_says(&self, text: &str) -> anyhow::Result<(u64, Seen)> {
        let said = self.sue.say(&self.channel, text).await?;
        Ok((said, self.ann.hears(&self.room, text).await?))
    }

    /// Says something on Matrix, and gives both how Matrix calls it and how Teams shows it.
    pub async fn ann_says(&self, text: &str) -> anyhow::Result<(String, TeamsMessage)> {
        let said = self.ann.say(&self.room, text).await?;
        Ok((said, self.sue.hears(&self.channel, text).await?))
    }

    /// Waits until a message of the channel is like this.
    pub async fn in_teams(
        &self,
        what: &str,
        id: u64,
        like: impl Fn(&TeamsMessage) -> bool,
    ) -> anyhow::Result<TeamsMessage> {
        self.sue
            .expect(what, &self.channel, |said| said.id() == id && like(said))
            .await
    }

    /// Messages with these words are on both sides, once.
    pub async fn check_once(&self, words: &[&str]) -> anyhow::Result<()> {
        for words in words {
            let there = |said: &TeamsMessage| !said.is_deleted() && said.text() == *words;
            self.sue.expect(words, &self.channel, there).await?;
            assert_eq!(self.sue.count_of(&self.channel, there).await?, 1, "in Teams: {words}");
            let here = |seen: &Seen| seen.kind() == "m.room.message" && seen.body() == *words;
            self.ann.expect(words, &self.room, here).await?;
            assert_eq!(self.ann.count_of(&self.room, here), 1, "on Matrix: {words}");
        }
        Ok(())
    }

    /// What the operator is told by `doctor`, and whether all is well.
    pub fn doctor(&self) -> anyhow::Result<(bool, String)> {
        tokio::task::block_in_place(|| self.world.hub.doctor())
    }

    /// Nothing was asked of Microsoft that it does not offer.
    pub fn check_manners(&self) {
        assert_eq!(self.teams.violations(), []);
    }
}

/// A tenant without limits.
pub async fn tenant() -> anyhow::Result<TeamsStandIn> {
    let teams = TeamsStandIn::start().await?;
    teams.set_limits(Limits::none());
    Ok(teams)
}

/// A world with a hub that knows the tenant as the network `teams`, and listens to so many channels of it.
pub async fn start(
    teams: &TeamsStandIn,
    channels: usize,
    complete: impl FnOnce(HubSpec) -> HubSpec,
) -> anyhow::Result<Option<World>> {
    let endpoint = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    teams.set_endpoint(Some(&teams_endpoint(endpoint)));
    let with_teams = |spec: HubSpec| complete(spec.teams("teams", &teams.about(), endpoint));
    let Some(mut world) = available(World::start_with(with_teams).await)? else {
        return Ok(None);
    };
    // Each channel was read, so that what is said from now on is new.
    let listens = || teams.calls("graph.messages").len() >= channels;
    let waited = wait_until("the hub listening to Teams", HEARD, listens).await;
    match world.hub.process() {
        Some(process) => process.explain(waited)?,
        None => waited?,
    }
    Ok(Some(world))
}
