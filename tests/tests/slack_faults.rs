//! The hub or Slack going down loses, doubles and reorders nothing, in both directions: a channel has a history, so what was
//! missed can be read, and each message of ours carries its key there, so an unknown outcome can be looked up.
//!
//! Judge of what is in the channel is its history, as the stand-in keeps it.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::ensure;
use serde_json::json;
use tokio::time::Instant;
use viaduct_tests::launch::{Hub, HubSpec, Process, available, slack_section};
use viaduct_tests::load::LoadServer;
use viaduct_tests::people::HEARD;
use viaduct_tests::slack::{Fault, Kind, Limits, SlackStandIn, Which};
use viaduct_tests::stub::{Pusher, StubHomeserver};
use viaduct_tests::stub_world::{
    SlackStubWorld, StubSpec, arrivals_in_room, channel, matrix_message, nick, number, room, text,
};
use viaduct_tests::wait::wait_until;

/// The steps of an event's way at which the hub can be made to end.
const STEPS: [&str; 7] = [
    "accept-before",
    "accept-after",
    "begin-after",
    "deliver-before",
    "deliver-after",
    "settle-before",
    "settle-after",
];
/// How long a transaction may wait for its acknowledgement, over restarts of the hub.
const ACKNOWLEDGED: Duration = Duration::from_mins(1);
/// How long a backlog may take: the hub tries again after growing pauses.
const BACKLOG: Duration = Duration::from_mins(2);

/// None where a server is missing.
async fn start() -> anyhow::Result<Option<SlackStubWorld>> {
    available(SlackStubWorld::start(StubSpec::default()).await)
}

/// Says the messages of a range in Slack.
async fn speak(world: &SlackStubWorld, numbers: std::ops::Range<usize>) {
    for number in numbers {
        world.server.speak(&channel(0), &nick(0, 0), &text(number)).await;
    }
}

/// Hands over the messages of a range from the Matrix room.
async fn push(world: &mut SlackStubWorld, numbers: std::ops::Range<usize>) -> anyhow::Result<()> {
    let events: Vec<String> = numbers.map(|number| matrix_message(0, number)).collect();
    world.pusher.push(&events, ACKNOWLEDGED).await
}

async fn in_room(world: &SlackStubWorld, wanted: usize) -> anyhow::Result<()> {
    let there = || world.arrivals_in_room(0).contains(&wanted);
    wait_until(format!("message {wanted} on Matrix"), BACKLOG, there).await
}

async fn in_channel(world: &SlackStubWorld, wanted: usize) -> anyhow::Result<()> {
    let there = || world.arrivals_in_channel(0).contains(&wanted);
    wait_until(format!("message {wanted} in Slack"), BACKLOG, there).await
}

/// Everything said in Slack is on Matrix once and in order.
fn check_room(world: &SlackStubWorld, sent: usize, what: &str) -> anyhow::Result<()> {
    let harm = world.tally_rooms(|_| sent);
    ensure!(harm.is_clean(), "{what}: {harm:?} {:?}", world.arrivals_in_room(0));
    let violations = world.stub.counts().violations;
    ensure!(violations == 0, "{what}: a transaction id was used for something else");
    check_manners(world, what)
}

/// Everything from Matrix is in Slack once and in order, and no sender was told of a failure.
fn check_channel(world: &SlackStubWorld, sent: usize, what: &str) -> anyhow::Result<()> {
    let harm = world.tally_channels(|_| sent);
    ensure!(harm.is_clean(), "{what}: {harm:?} {:?}", world.arrivals_in_channel(0));
    let told = world.told_failures(0);
    ensure!(told.is_empty(), "{what}: told without need: {told:?}");
    check_manners(world, what)
}

fn check_manners(world: &SlackStubWorld, what: &str) -> anyhow::Result<()> {
    let violations = world.server.slack.violations();
    ensure!(violations.is_empty(), "{what}: {violations:?}");
    Ok(())
}

/// Starts a hub that will end when it comes to `step` with the next message. Starting may pass the step by itself, as it
/// settles what was left; then it is to end one passing later.
async fn launch_to_crash(world: &mut SlackStubWorld, step: &str) -> anyhow::Result<()> {
    for passing in 1..=5 {
        world
            .hub
            .launch(&[("VIADUCT_CRASH_AT", &format!("{step}:{passing}"))])?;
        let SlackStubWorld { hub, server, .. } = &mut *world;
        let started = || !hub.process().is_some_and(Process::is_running) || server.members(&channel(0)) > 0;
        wait_until("the hub connected or gone", HEARD, started).await?;
        if world.hub.ready().await.is_ok() {
            return Ok(());
        }
    }
    anyhow::bail!("the hub passes {step} again and again by itself")
}

/// Whether the hub ends soon. Some steps come only with the next message, so it is not waited for long.
async fn ends_soon(world: &mut SlackStubWorld) -> bool {
    let ended = || !world.hub.process().is_some_and(Process::is_running);
    wait_until("the end", Duration::from_secs(3), ended).await.is_ok()
}

async fn start_again(world: &mut SlackStubWorld) -> anyhow::Result<()> {
    world.disconnected().await?;
    world.hub.start().await?;
    world.connected().await
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_step_a_message_to_matrix_arrives_once() -> anyhow::Result<()> {
    // A transaction id may be sent again, so nothing is noted before sending begins.
    for step in STEPS.into_iter().filter(|step| *step != "begin-after") {
        let Some(mut world) = start().await? else {
            return Ok(());
        };
        // The ghost exists, so that the message is the only event on its way.
        speak(&world, 0..3).await;
        in_room(&world, 2).await?;
        assert!(world.hub.stop());
        world.disconnected().await?;

        launch_to_crash(&mut world, step).await?;
        let mut said = 3;
        loop {
            speak(&world, said..said + 1).await;
            said += 1;
            if ends_soon(&mut world).await {
                break;
            }
            assert!(said < 6, "the hub did not end at {step}");
        }
        start_again(&mut world).await?;
        speak(&world, said..said + 1).await;
        in_room(&world, said).await?;
        // Nothing is lost even before the hub had it on its disk: it was not acknowledged, and the history has it.
        check_room(&world, said + 1, step)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_step_a_message_to_slack_arrives_once() -> anyhow::Result<()> {
    for step in STEPS {
        let Some(mut world) = start().await? else {
            return Ok(());
        };
        push(&mut world, 0..3).await?;
        in_channel(&world, 2).await?;
        assert!(world.hub.stop());
        world.disconnected().await?;

        launch_to_crash(&mut world, step).await?;
        let (mut said, mut unacknowledged) = (3, Vec::new());
        loop {
            let body = format!(r#"{{"events":[{}]}}"#, matrix_message(0, said));
            let id = format!("{step}{said}");
            if !matches!(world.pusher.attempt(&id, body.clone()).await, Ok(200)) {
                unacknowledged.push((id, body));
            }
            said += 1;
            if ends_soon(&mut world).await {
                break;
            }
            assert!(said < 6, "the hub did not end at {step}");
        }
        start_again(&mut world).await?;
        // As a homeserver does, with the same transaction id.
        for (id, body) in unacknowledged {
            assert_eq!(world.pusher.attempt(id, body).await?, 200, "{step}");
        }
        push(&mut world, said..said + 1).await?;
        in_channel(&world, said).await?;
        check_channel(&world, said + 1, step)?;
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
    push(&mut world, 0..SENT).await?;
    in_channel(&world, SENT - 1).await?;
    world.server.slack.heal();
    push(&mut world, SENT..SENT + 1).await?;
    in_channel(&world, SENT).await?;
    check_channel(&world, SENT + 1, "answers lost")
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
    push(&mut world, 0..SENT).await?;
    in_channel(&world, SENT - 1).await?;
    check_channel(&world, SENT, "refusals")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slack_that_is_away_gets_and_gives_everything_later_in_order() -> anyhow::Result<()> {
    const PART: usize = 40;
    let Some(mut world) = start().await? else {
        return Ok(());
    };
    speak(&world, 0..PART).await;
    push(&mut world, 0..PART).await?;
    in_room(&world, PART - 1).await?;
    in_channel(&world, PART - 1).await?;

    // Nothing is answered, no socket opens, and what happens meanwhile is told to nobody.
    world.server.slack.fail_every("", Fault::Status(503), 1);
    world.server.slack.break_sockets(Which::All);
    world.disconnected().await?;
    speak(&world, PART..2 * PART).await;
    push(&mut world, PART..2 * PART).await?;
    let lost = world.server.slack.delivered().lost;
    ensure!(
        lost >= PART as u64,
        "Slack kept events for later, so nothing was shown: {lost}"
    );

    world.server.slack.heal();
    in_room(&world, 2 * PART - 1).await?;
    in_channel(&world, 2 * PART - 1).await?;
    world.connected().await?;
    speak(&world, 2 * PART..2 * PART + 1).await;
    push(&mut world, 2 * PART..2 * PART + 1).await?;
    in_room(&world, 2 * PART).await?;
    in_channel(&world, 2 * PART).await?;
    check_room(&world, 2 * PART + 1, "Slack away")?;
    check_channel(&world, 2 * PART + 1, "Slack away")
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
    speak(world, said..said + HALF).await;
    trouble(&world.server.slack);
    speak(world, said + HALF..said + 2 * HALF).await;
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
    check_manners(world, what)?;
    // Whatever is opened in exchange has brought something before the next trouble begins.
    world.server.slack.connected(2, BACKLOG).await?;
    for _ in 0..4 {
        speak(world, end..end + 1).await;
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
