//! The hub or the XMPP server going down loses, doubles and reorders nothing, in both directions: a room has an archive, so
//! an unknown outcome can be looked up and what was missed can be read.
//!
//! Judge of what is in the room is its archive, as an independent client reads it.

use anyhow::ensure;
use serde_json::json;
use viaduct_tests::kills::{HandedOver, STEPS, ends_soon, launch_to_crash, steps_to_matrix};
use viaduct_tests::launch::{Hub, HubSpec, Process, Prosody, XmppServer, available};
use viaduct_tests::load::{Tally, tally};
use viaduct_tests::people::{PASSWORD, XmppMessage, XmppPerson};
use viaduct_tests::stub::{Pusher, StubHomeserver};
use viaduct_tests::stub_world::{
    ACKNOWLEDGED, BACKLOG, arrivals_in_room, matrix_message, number, room, text, told_failures,
};
use viaduct_tests::wait::wait_until;

/// What the hub logs when it is in the room.
const ENTERED: &str = "The hub entered a room.";

fn muc() -> String {
    XmppServer::room("project")
}

/// The hub between a stub homeserver and a real XMPP server with one person in the one mirrored room.
struct Rig {
    xena: XmppPerson,
    hub: Hub,
    stub: StubHomeserver,
    pusher: Pusher,
    server: XmppServer,
}

impl Rig {
    /// None where a server is missing.
    async fn start() -> anyhow::Result<Option<Self>> {
        let Some(_) = available(XmppPerson::python())? else {
            return Ok(None);
        };
        let Some(prosody) = available(Prosody::start().await)? else {
            return Ok(None);
        };
        let server = XmppServer::Prosody(prosody);
        let stub = StubHomeserver::start("viaduct").await?;
        let spec = HubSpec::new(&stub.url(), StubHomeserver::DOMAIN)
            .xmpp("xmpp", server.components())
            .mirror("project", &json!(room(0)), &[("xmpp", &muc())]);
        let Some(mut hub) = available(Hub::prepare(&spec))? else {
            return Ok(None);
        };
        stub.set_hub(&hub.url(), hub.hs_token());
        let pusher = Pusher::new(&hub.url(), hub.hs_token())?;
        hub.start().await?;
        server.register("xena", PASSWORD)?;
        let xena = XmppPerson::login(server.clients(), "xena", PASSWORD).await?;
        xena.join(&muc(), "xena").await?;
        let mut rig = Self {
            xena,
            hub,
            stub,
            pusher,
            server,
        };
        rig.entered(1).await?;
        Ok(Some(rig))
    }

    /// Waits until the hub, over all its lives, has entered the room this often, or has ended.
    async fn entered(&mut self, times: usize) -> anyhow::Result<()> {
        let hub = &mut self.hub;
        let inside = || hub.log().matches(ENTERED).count() >= times || !hub.process().is_some_and(Process::is_running);
        let waited = wait_until("the hub in the room", BACKLOG, inside).await;
        match self.hub.process() {
            Some(process) => process.explain(waited),
            None => waited,
        }
    }

    fn entries(&self) -> usize {
        self.hub.log().matches(ENTERED).count()
    }

    /// Starts the hub and waits until it is in the room.
    async fn start_hub(&mut self) -> anyhow::Result<()> {
        let before = self.entries();
        self.hub.start().await?;
        self.entered(before + 1).await
    }

    /// Says the messages of a range on XMPP; each is in the room before the next is said.
    async fn say(&self, numbers: std::ops::Range<usize>) -> anyhow::Result<()> {
        for number in numbers {
            self.xena.say(&muc(), &text(number)).await?;
        }
        Ok(())
    }

    /// Hands over the messages of a range from the Matrix room.
    async fn push(&mut self, numbers: std::ops::Range<usize>) -> anyhow::Result<()> {
        let events: Vec<String> = numbers.map(|number| matrix_message(0, number)).collect();
        self.pusher.push(&events, ACKNOWLEDGED).await
    }

    async fn in_matrix_room(&self, wanted: usize) -> anyhow::Result<()> {
        let there = || arrivals_in_room(&self.stub, 0).contains(&wanted);
        wait_until(format!("message {wanted} on Matrix"), BACKLOG, there).await
    }

    /// Waits until the person hears a message of Matrix live.
    async fn heard(&self, wanted: usize) -> anyhow::Result<()> {
        let there = || {
            let said = |message: &XmppMessage| is_of_hub(message) && number(message.text()) == Some(wanted);
            self.xena.count_of(said) > 0
        };
        wait_until(format!("message {wanted} on XMPP"), BACKLOG, there).await
    }

    /// The numbers of the hub's messages in the room's archive, in order.
    async fn archived(&self) -> anyhow::Result<Vec<usize>> {
        let archive = self.xena.archive(&muc()).await?;
        let of_hub = archive.iter().filter(|message| is_of_hub(message));
        Ok(of_hub.filter_map(|message| number(message.text())).collect())
    }

    /// The numbers of the person's messages in the room's archive, in order.
    async fn archived_of_person(&self) -> anyhow::Result<Vec<usize>> {
        let archive = self.xena.archive(&muc()).await?;
        let of_person = archive.iter().filter(|message| message.nick() == "xena");
        Ok(of_person.filter_map(|message| number(message.text())).collect())
    }

    /// Everything from Matrix is in the room once and in order, and no sender was told of a failure.
    async fn check_room(&self, sent: usize, what: &str) -> anyhow::Result<()> {
        let archived = self.archived().await?;
        ensure!(tally(sent, archived.iter().copied()).is_clean(), "{what}: {archived:?}");
        let told = told_failures(&self.stub, 0);
        ensure!(told.is_empty(), "{what}: told without need: {told:?}");
        Ok(())
    }

    /// Everything the person said is on Matrix once and in order.
    fn check_matrix(&self, sent: usize, what: &str) -> anyhow::Result<()> {
        let arrivals = arrivals_in_room(&self.stub, 0);
        let harm: Tally = tally(sent, arrivals.iter().copied());
        ensure!(harm.is_clean(), "{what}: {arrivals:?}");
        let violations = self.stub.counts().violations;
        ensure!(violations == 0, "{what}: a transaction id was used for something else");
        Ok(())
    }
}

/// Whether the hub, by what it logged, is in the room.
fn is_inside(log: &str) -> bool {
    log.contains(ENTERED)
}

fn is_of_hub(message: &XmppMessage) -> bool {
    message.kind == "groupchat" && message.nick() != "xena"
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_step_a_message_to_matrix_arrives_once() -> anyhow::Result<()> {
    for step in steps_to_matrix() {
        let Some(mut rig) = Rig::start().await? else {
            return Ok(());
        };
        // The ghost exists, so that the message is the only event on its way.
        rig.say(0..3).await?;
        rig.in_matrix_room(2).await?;
        assert!(rig.hub.stop());

        launch_to_crash(&mut rig.hub, step, is_inside).await?;
        let mut said = 3;
        loop {
            rig.say(said..said + 1).await?;
            said += 1;
            if ends_soon(&mut rig.hub).await {
                break;
            }
            assert!(said < 6, "the hub did not end at {step}");
        }
        rig.start_hub().await?;
        rig.say(said..said + 1).await?;
        rig.in_matrix_room(said).await?;
        // Nothing is lost even before the hub had it on its disk: the archive has it.
        rig.check_matrix(said + 1, step)?;
    }
    Ok(())
}

/// Lets the hub end at `step` on its way to XMPP.
async fn crash_towards_xmpp(rig: &mut Rig, step: &str) -> anyhow::Result<HandedOver> {
    rig.push(0..3).await?;
    rig.heard(2).await?;
    assert!(rig.hub.stop());
    launch_to_crash(&mut rig.hub, step, is_inside).await?;
    HandedOver::until_the_end(&mut rig.hub, &rig.pusher, 3, step).await
}

/// The hub is back: what was not acknowledged is repeated, and everything is there once.
async fn recover_towards_xmpp(rig: &mut Rig, step: &str, handed_over: HandedOver) -> anyhow::Result<()> {
    let next = handed_over.next;
    handed_over.repeat(&rig.pusher).await?;
    rig.push(next..next + 1).await?;
    rig.heard(next).await?;
    rig.check_room(next + 1, step).await
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_step_a_message_to_xmpp_arrives_once() -> anyhow::Result<()> {
    for step in STEPS {
        let Some(mut rig) = Rig::start().await? else {
            return Ok(());
        };
        let handed_over = crash_towards_xmpp(&mut rig, step).await?;
        rig.start_hub().await?;
        recover_towards_xmpp(&mut rig, step, handed_over).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_together_with_the_server_a_message_to_xmpp_arrives_once() -> anyhow::Result<()> {
    // Around the one step whose outcome can be unknown: before anything was sent, and after it was.
    for step in ["deliver-before", "deliver-after", "settle-before"] {
        let Some(mut rig) = Rig::start().await? else {
            return Ok(());
        };
        let handed_over = crash_towards_xmpp(&mut rig, step).await?;
        rig.server.kill();
        // The hub is back first: it has to wait for the server before it can ask it.
        let before = rig.entries();
        rig.hub.launch(&[])?;
        rig.server.start_again().await?;
        rig.entered(before + 1).await?;
        rig.hub.ready().await?;
        wait_until("xena back in the room", BACKLOG, || {
            rig.xena.is_online() && rig.xena.sees(&muc(), "xena")
        })
        .await?;
        recover_towards_xmpp(&mut rig, step, handed_over).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_under_load_loses_and_doubles_nothing() -> anyhow::Result<()> {
    const PART: usize = 100;
    let Some(mut rig) = Rig::start().await? else {
        return Ok(());
    };
    for round in 0..2 {
        rig.push(round * PART..(round + 1) * PART).await?;
        for number in round * PART..(round + 1) * PART {
            rig.xena.utter(&muc(), &text(number)).await?;
        }
        let entries = rig.entries();
        rig.server.kill();
        rig.server.start_again().await?;
        rig.entered(entries + 1).await?;
        wait_until("xena back in the room", BACKLOG, || {
            rig.xena.is_online() && rig.xena.sees(&muc(), "xena")
        })
        .await?;
    }
    // What the person said may be lost on its way to the server, where nothing can be done about it: what the server has
    // must be on Matrix.
    let last = 2 * PART;
    rig.say(last..last + 1).await?;
    rig.push(last..last + 1).await?;
    rig.heard(last).await?;
    rig.in_matrix_room(last).await?;
    rig.check_room(last + 1, "the server killed").await?;
    let (there, here) = (rig.archived_of_person().await?, arrivals_in_room(&rig.stub, 0));
    assert_eq!(here, there, "what the room has is what Matrix has, in the same order");
    Ok(())
}
