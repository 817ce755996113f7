//! What one tenant's app is good for in another: nothing.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a test says what it sees, and stops at the first surprise"
)]

mod common;

use common::{CHANNEL, free_port, message, world};
use serde_json::json;
use viaduct_bridge::Connection;
use viaduct_bridge::testing::Hub;
use viaduct_teams::TeamsFactory;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s40_one_tenants_app_cannot_send_in_another() {
    let world = world().await;
    let ours = world.start().await;
    let globex = world.teams.add_tenant("Globex");
    let app = world.teams.register(&globex, "viaduct");
    let mut stolen = world.section.clone();
    stolen["app_id"] = json!(app.app_id);
    stolen["tenant"] = json!(app.tenant);
    stolen["secret"] = json!(app.secret);
    let elsewhere = format!("127.0.0.1:{}", free_port());
    stolen["public_url"] = json!(format!("http://{elsewhere}/api/messages"));
    stolen["listen"] = json!(elsewhere);

    // The other tenant's app logs in, and asks for our channel, by name and by id.
    let hub = Hub::new("globex");
    let thief = hub
        .open(&TeamsFactory::default(), &stolen, &[CHANNEL, &world.channel])
        .await;
    let down = |hub: &Hub, place| matches!(hub.standing(place), Some(Connection::Down(_) | Connection::AuthLost(_)));
    for place in [CHANNEL, &world.channel] {
        hub.wait_for("the channel is not theirs", |hub| {
            down(hub, Some(place)) || down(hub, None)
        })
        .await;
        let error = thief.deliver(hub.outbound(place, message("smuggled"))).await;
        assert!(error.is_err(), "{place}: {error:?}");
    }
    assert_eq!(world.teams.posted(&world.channel).len(), 0, "nothing was sent here");
    thief.stop().await;

    // One app's id and the other's secret are no login, and so is ours asked for by the wrong tenant.
    for (key, value) in [
        ("app_id", &world.teams.app().app_id),
        ("tenant", &world.teams.app().tenant),
    ] {
        let mut mixed = stolen.clone();
        mixed[key] = json!(value);
        let hub = Hub::new("mixed");
        let session = hub.open(&TeamsFactory::default(), &mixed, &[CHANNEL]).await;
        hub.wait_for("no login", |hub| down(hub, None)).await;
        assert!(
            session.deliver(hub.outbound(CHANNEL, message("mixed"))).await.is_err(),
            "{key}"
        );
        session.stop().await;
    }
    assert_eq!(world.teams.posted(&world.channel).len(), 0, "nothing was sent here");
    ours.say_of("anna", CHANNEL, message("our own")).await;
    assert_eq!(world.teams.posted(&world.channel).len(), 1, "what is ours goes on");
    ours.stop().await;
}
