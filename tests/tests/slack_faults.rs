//! The hub or Slack going down loses, doubles and reorders nothing, in both directions: a channel has a history, so what was
//! missed can be read, and each message of ours carries its key there, so an unknown outcome can be looked up.
//!
//! Judge of what is in the channel is its history, as the stand-in keeps it.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::ensure;
use serde_json::json;
use tokio::time::Instant;
use viaduct_tests::kills::{STEPS, on_the_way_from_matrix, on_the_way_to_matrix, steps_to_matrix};
use viaduct_tests::launch::{Hub, HubSpec, available, slack_section};
use viaduct_tests::load::LoadSlack;
use viaduct_tests::people::HEARD;
use viaduct_tests::slack::{Fault, Kind, Limits, SlackStandIn, Which};
use viaduct_tests::stub::{Pusher, StubHomeserver};
use viaduct_tests::stub_world::{
    ACKNOWLEDGED, BACKLOG, SlackStubWorld, StubSpec, arrivals_in_room, matrix_message, number, room, text,
};
use viaduct_tests::wait::wait_until;

/// None where a server is missing.
async fn start() -> anyhow::Result<Option<SlackStubWorld>> {
    available(SlackStubWorld::start(StubSpec::default()).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_step_a_message_to_matrix_arrives_once() -> anyhow::Result<()> {
    for step in steps_to_matrix() {
        if available(on_the_way_to_matrix::<LoadSlack>(step).await)?.is_none() {
            break;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_step_a_message_to_slack_arrives_once() -> anyhow::Result<()> {
    for step in STEPS {
        if available(on_the_way_from_matrix::<LoadSlack>(step).await)?.is_none() {
            break;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn posts_whose_answer_is_lost_are_looked_up_and_not_repeated() -> anyhow::Result<()> {
    const SENT: usize = 12;
    let Some(mut world) = start().await? else {
        return Ok(());
    };
    // Each of these is posted, and the hub never hears of it.
    world.server.slack.fail_every("chat.postMessage", Fault::CutAnswer, 4);
    world.push(0, 0..SENT).await?;
    world.in_channel(0, SENT - 1).await?;
    world.server.slack.heal();
    world.push(0, SENT..SENT + 1).await?;
    world.in_channel(0, SENT).await?;
    world.check_channels(SENT + 1, "answers lost")
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_of_all_kinds_hold_up_and_lose_nothing() -> anyhow::Result<()> {
    const SENT: usize = 12;
    let Some(mut world) = start().await? else {
        return Ok(());
    };
    let slack = &world.server.slack;
    slack.fail_next("chat.postMessage", Fault::Limited { retry_after: 1 }, 2);
    slack.fail_next("chat.postMessage", Fault::Status(503), 2);
    slack.fail_next("chat.postMessage", Fault::Error("internal_error".to_owned()), 2);
    world.push(0, 0..SENT).await?;
    world.in_channel(0, SENT - 1).await?;
    world.check_channels(SENT, "refusals")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slack_that_is_away_gets_and_gives_everything_later_in_order() -> anyhow::Result<()> {
    const PART: usize = 40;
    let Some(mut world) = start().await? else {
        return Ok(());
    };
    world.speak(0, 0..PART).await;
    world.push(0, 0..PART).await?;
    world.in_room(0, PART - 1).await?;
    world.in_channel(0, PART - 1).await?;

    // Nothing is answered, no socket opens, and what happens meanwhile is told to nobody.
    world.server.slack.fail_every("", Fault::Status(503), 1);
    world.server.slack.break_sockets(Which::All);
    world.disconnected().await?;
    world.speak(0, PART..2 * PART).await;
    world.push(0, PART..2 * PART).await?;
    let lost = world.server.slack.delivered().lost;
    ensure!(
        lost >= PART as u64,
        "Slack kept events for later, so nothing was shown: {lost}"
    );

    world.server.slack.heal();
    world.in_room(0, 2 * PART - 1).await?;
    world.in_channel(0, 2 * PART - 1).await?;
    world.connected().await?;
    world.speak(0, 2 * PART..2 * PART + 1).await;
    world.push(0, 2 * PART..2 * PART + 1).await?;
    world.in_room(0, 2 * PART).await?;
    world.in_channel(0, 2 * PART).await?;
    world.check_rooms(2 * PART + 1, "Slack away")?;
    world.check_channels(2 * PART + 1, "Slack away")
}

/// Lets something happen to the sockets in the middle of a stream of events; all of them are on Matrix, once. In order only
/// as far as that can be told: Slack spreads events over sockets, and one of them may have come late. Gives how many were
/// said in all.
async fn through(
    world: &SlackStubWorld,
    said: usize,
    what: &str,
    trouble: impl Fn(&SlackStandIn),
) -> anyhow::Result<usize> {
    const HALF: usize = 50;
    world.speak(0, said..said + HALF).await;
    trouble(&world.server.slack);
    world.speak(0, said + HALF..said + 2 * HALF).await;
    let mut end = said + 2 * HALF;
    let all = |end: usize| async move {
        wait_until(format!("{end} messages on Matrix"), BACKLOG, || {
            world.tally_rooms(|_| end).lost == 0
        })
        .await
    };
    all(end).await?;
    let harm = world.tally_rooms(|_| end);
    ensure!(
        (harm.lost, harm.doubled) == (0, 0),
        "{what}: {harm:?} {:?}",
        world.arrivals_in_room(0)
    );
    world.check_manners(what)?;
    // Whatever is opened in exchange has brought something before the next trouble begins.
    world.server.slack.connected(2, BACKLOG).await?;
    for _ in 0..4 {
        world.speak(0, end..end + 1).await;
        end += 1;
        all(end).await?;
    }
    Ok(end)
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_that_renew_and_break_under_load_lose_and_double_nothing() -> anyhow::Result<()> {
    let Some(world) = start().await? else {
        return Ok(());
    };
    let slack = &world.server.slack;
    slack.connected(2, HEARD).await?;
    let said = through(&world, 0, "events twice", |slack| slack.duplicate_next(40)).await?;
    let said = through(&world, said, "acknowledgements lost", |slack| slack.ignore_acks(20)).await?;
    let said = through(&world, said, "all sockets broken", |slack| {
        slack.break_sockets(Which::All);
    })
    .await?;
    through(&world, said, "renewal", |slack| {
        slack.refresh(Which::All, Duration::from_secs(1));
    })
    .await?;
    Ok(())
}

/// A hub that is paced as Slack asks for, before a stand-in with Slack's own limits.
struct Paced {
    hub: Hub,
    stub: StubHomeserver,
    pusher: Pusher,
    slack: SlackStandIn,
    channels: Vec<String>,
    sue: String,
}

impl Paced {
    async fn start(mirrors: usize, limits: Limits) -> anyhow::Result<Option<Self>> {
        let slack = SlackStandIn::start().await?;
        slack.set_limits(limits);
        let app = slack.app().clone();
        let sue = slack.add_user("sue");
        let stub = StubHomeserver::start("viaduct").await?;
        let section = slack_section(&slack.api_url(), &app.bot_token, &app.app_token, true);
        let mut spec = HubSpec::new(&stub.url(), StubHomeserver::DOMAIN).network("slack", section);
        let mut channels = Vec::new();
        for mirror in 0..mirrors {
            let name = format!("channel{mirror}");
            let id = slack.add_channel(&name, Kind::Public);
            slack.join(&id, &app.bot_user);
            slack.join(&id, &sue);
            channels.push(id);
            spec = spec.mirror(&name, &json!(room(mirror)), &[("slack", &format!("#{name}"))]);
        }
        let Some(mut hub) = available(Hub::prepare(&spec))? else {
            return Ok(None);
        };
        stub.set_hub(&hub.url(), hub.hs_token());
        let pusher = Pusher::new(&hub.url(), hub.hs_token())?;
        hub.start().await?;
        let mut paced = Self {
            hub,
            stub,
            pusher,
            slack,
            channels,
            sue,
        };
        paced.connected().await?;
        Ok(Some(paced))
    }

    async fn connected(&mut self) -> anyhow::Result<()> {
        let connected = self.slack.connected(1, BACKLOG).await;
        match self.hub.process() {
            Some(process) => process.explain(connected),
            None => connected,
        }
    }

    fn id(&self, mirror: usize) -> &str {
        self.channels.get(mirror).map_or("", String::as_str)
    }

    /// The numbers of the messages from Matrix in a channel, in order.
    fn posted(&self, mirror: usize) -> Vec<usize> {
        let history = self.slack.history(self.id(mirror));
        let of_app = history.iter().filter(|message| message.get("bot_id").is_some());
        of_app
            .filter_map(|message| number(message.get("text")?.as_str()?))
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_events_missed_are_caught_up_in_order_within_slacks_limits() -> anyhow::Result<()> {
    const MISSED: usize = 2_000;
    let Some(mut paced) = Paced::start(1, Limits::default()).await? else {
        return Ok(());
    };
    let say = |paced: &Paced, number: usize| {
        paced.slack.say(paced.id(0), &paced.sue, &text(number));
    };
    say(&paced, 0);
    wait_until("the first message", HEARD, || arrivals_in_room(&paced.stub, 0) == [0]).await?;
    assert!(paced.hub.stop());
    wait_until("the hub gone", HEARD, || paced.slack.sockets() == 0).await?;
    for number in 1..=MISSED {
        say(&paced, number);
    }
    let begun = Instant::now();
    paced.hub.start().await?;
    paced.connected().await?;
    say(&paced, MISSED + 1);
    let arrived = || arrivals_in_room(&paced.stub, 0).len() >= MISSED + 2;
    wait_until("everything that was missed", BACKLOG, arrived).await?;
    let took = begun.elapsed();
    let arrivals = arrivals_in_room(&paced.stub, 0);
    assert_eq!(
        arrivals,
        (0..MISSED + 2).collect::<Vec<_>>(),
        "all of it, in order, once"
    );
    assert_eq!(paced.slack.limited(), 0, "no call too many");
    assert_eq!(paced.slack.violations(), []);
    eprintln!(
        "{MISSED} missed events were on Matrix {:.1} s after the start, with {} calls of conversations.history",
        took.as_secs_f64(),
        paced.slack.calls("conversations.history").len()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn posting_is_paced_so_that_slack_never_has_to_refuse() -> anyhow::Result<()> {
    const MIRRORS: usize = 2;
    const EACH: usize = 20;
    const RUN: usize = 8;
    let Some(mut paced) = Paced::start(MIRRORS, Limits::default()).await? else {
        return Ok(());
    };
    // More at once than may be posted: the hub has to spread it.
    let events: Vec<String> = (0..EACH * MIRRORS)
        .map(|n| matrix_message(n % MIRRORS, n / MIRRORS))
        .collect();
    let begun = Instant::now();
    paced.pusher.push(&events, ACKNOWLEDGED).await?;
    let posted = || (0..MIRRORS).all(|mirror| paced.posted(mirror).len() >= EACH);
    wait_until("everything posted", BACKLOG, posted).await?;
    let took = begun.elapsed();
    for mirror in 0..MIRRORS {
        assert_eq!(paced.posted(mirror), (0..EACH).collect::<Vec<_>>(), "in order, once");
    }
    assert_eq!(paced.slack.limited(), 0, "no call too many");
    // How far apart two calls arrive is up to the machine; a run of them says how fast they were sent.
    let mut calls: HashMap<String, Vec<Instant>> = HashMap::new();
    for call in paced.slack.calls("chat.postMessage") {
        let channel = call.arguments.get("channel").map(ToString::to_string);
        calls.entry(channel.unwrap_or_default()).or_default().push(call.at);
    }
    for times in calls.values() {
        for (first, last) in times.iter().zip(times.iter().skip(RUN)) {
            let took = *last - *first;
            assert!(took > Duration::from_secs(RUN as u64 - 1), "{RUN} messages in {took:?}");
        }
    }
    // The channels do not wait for each other.
    let bound = Duration::from_secs(EACH as u64 + 15);
    assert!(
        took < bound,
        "{EACH} messages into each of {MIRRORS} channels took {took:?}"
    );
    eprintln!(
        "{EACH} messages into each of {MIRRORS} channels in {:.1} s, none refused",
        took.as_secs_f64()
    );
    Ok(())
}
