//! The kit against the example network: it passes, and every fault is found by the scenario that is about it.

#![allow(
    clippy::unwrap_used,
    reason = "the example network is test code, also outside of test functions"
)]

mod loopback;

use std::time::Duration;

use async_trait::async_trait;
use loopback::{Fault, Kim, Loopback, Server, rich};
use serde_json::json;
use viaduct_bridge::conformance::{Done, Handle, Line, Options, Outcome, Remote, RemoteError, Report, Seen, run};
use viaduct_model::{Capabilities, ChannelId};

async fn play(fault: Fault, capabilities: Capabilities, only: &[&str]) -> Report {
    let server = Server::new();
    let factory = Loopback::new(&server, fault, capabilities);
    let only = only.iter().map(ToString::to_string).collect();
    let options = Options {
        patience: Duration::from_secs(3),
        only,
        ..Options::default()
    };
    run(Kim::new(&server), &factory, json!({}), options).await
}

#[tokio::test(start_paused = true)]
async fn a_network_with_everything_passes() {
    let report = play(Fault::None, rich(), &[]).await;
    println!("{report}");
    report.assert();
    assert_eq!(report.skipped(), Vec::<&str>::new());
}

/// The same in true time and with several threads, as with a real server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_passes_in_true_time() {
    let server = Server::new();
    let factory = Loopback::new(&server, Fault::None, rich());
    let options = Options {
        hold: Duration::from_millis(100),
        ..Options::default()
    };
    run(Kim::new(&server), &factory, json!({}), options).await.assert();
}

#[tokio::test(start_paused = true)]
async fn what_a_poor_network_lacks_is_listed_as_skipped() {
    let report = play(Fault::None, Capabilities::default(), &[]).await;
    println!("{report}");
    report.assert();
    let skipped = [
        "formatting",
        "mention",
        "edit",
        "delete",
        "reply",
        "thread",
        "reaction",
        "file",
        "topic",
        "kick",
        "same key",
        "catch-up",
        "durability",
    ];
    assert_eq!(report.skipped(), skipped);
    assert_eq!(
        report.outcome("edit"),
        Some(&Outcome::Skipped("the session declares edit: none".to_owned()))
    );
}

/// A remote person who knows next to nothing: talks and listens, and says that the network has no names to change.
struct Shy(Kim);

#[async_trait]
impl Remote for Shy {
    fn channel(&self) -> ChannelId {
        self.0.channel()
    }

    async fn connect(&self) -> Done {
        self.0.connect().await
    }

    async fn say(&self, text: &str) -> Done<Handle> {
        self.0.say(text).await
    }

    async fn expect_next(&self, bound: Duration) -> Done<Option<Seen>> {
        self.0.expect_next(bound).await
    }

    async fn rename(&self, _name: &str) -> Done {
        Err(RemoteError::Absent("there are no names here".to_owned()))
    }

    async fn delete(&self, _target: &Handle) -> Done {
        Err(RemoteError::Absent("nothing can be withdrawn here".to_owned()))
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_out_silently() {
    let server = Server::new();
    let factory = Loopback::new(&server, Fault::None, rich());
    let options = Options {
        patience: Duration::from_secs(3),
        ..Options::default()
    };
    let report = run(Shy(Kim::new(&server)), &factory, json!({}), options).await;
    // What the network has not is listed with the reason; where the session claims it, or where this remote person simply
    // does not know how, the scenario fails.
    assert_eq!(
        report.outcome("rename"),
        Some(&Outcome::Skipped("there are no names here".to_owned()))
    );
    let failed = [
        "formatting",
        "mention",
        "edit",
        "delete",
        "reply",
        "thread",
        "reaction",
        "file",
        "injection in",
        "join and leave",
        "topic",
        "kick",
        "duplicate input",
        "rate limit",
        "unknown outcome",
        "reconnect",
    ];
    assert_eq!(report.failed(), failed, "{report}");
}

#[test]
fn the_report_is_a_table() {
    let line = |scenario, outcome| Line {
        scenario,
        outcome,
        took: Duration::from_millis(7),
    };
    let report = Report {
        kind: "loopback".to_owned(),
        lines: vec![
            line("text", Outcome::Passed),
            line("edit", Outcome::Skipped("the session declares edit: none".to_owned())),
            line("order", Outcome::Failed("found [1], wanted [1, 2]".to_owned())),
        ],
    };
    insta::assert_snapshot!(report, @r"
    scenario           outcome        ms  loopback
    text               passed          7
    edit               skipped         7  the session declares edit: none
    order              FAILED          7  found [1], wanted [1, 2]
    3 scenarios, 1 failed, 1 skipped
    ");
}

/// Each fault with the scenario that must find it.
const FAULTS: [(Fault, &str); 34] = [
    (Fault::AcksEarly, "durability"),
    (Fault::BreaksUnicode, "unicode"),
    (Fault::CallsEverybody, "mention"),
    (Fault::ClaimsDelivered, "reconnect"),
    (Fault::ClaimsPins, "honesty"),
    (Fault::DoublesAfterReconnect, "reconnect"),
    (Fault::DropsMessages, "order"),
    (Fault::ForgetsFormatting, "formatting"),
    (Fault::ForgetsHistory, "catch-up"),
    (Fault::ForgetsName, "rename"),
    (Fault::ForgetsUnreact, "reaction"),
    (Fault::HidesKicks, "kick"),
    (Fault::HidesLeave, "join and leave"),
    (Fault::IgnoresKey, "same key"),
    (Fault::IgnoresStop, "stop"),
    (Fault::LeaksLines, "injection out"),
    (Fault::LosesFileEnd, "file"),
    (Fault::LosesOnFullInbox, "full inbox"),
    (Fault::LosesReply, "reply"),
    (Fault::LosesThread, "thread"),
    (Fault::LosesTopic, "topic"),
    (Fault::NewIdOnRepeat, "duplicate input"),
    (Fault::DiesOfBytes, "injection in"),
    (Fault::PermanentOnLimit, "rate limit"),
    (Fault::PretendsTyping, "honesty"),
    (Fault::ProbeFails, "probe"),
    (Fault::PushesEcho, "echo"),
    (Fault::RetriesUnknown, "unknown outcome"),
    (Fault::SwapsOrder, "order"),
    (Fault::Truncates, "long text"),
    (Fault::TrustsNames, "hostile names"),
    (Fault::WrongDelete, "delete"),
    (Fault::WrongEditTarget, "edit"),
    (Fault::Anonymous, "text"),
];

#[tokio::test(start_paused = true)]
async fn every_fault_is_found_by_its_scenario() {
    for (fault, scenario) in FAULTS {
        let report = play(fault, rich(), &[scenario]).await;
        assert!(
            report.failed().contains(&scenario),
            "{fault:?} was not found by {scenario:?}:\n{report}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn every_scenario_has_a_fault_that_it_finds() {
    let report = play(Fault::None, rich(), &["probe"]).await;
    for line in &report.lines {
        let proven = line.scenario == "start" || FAULTS.iter().any(|(_, scenario)| *scenario == line.scenario);
        assert!(proven, "nothing shows that {:?} can fail", line.scenario);
    }
}
