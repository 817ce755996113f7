//! Throughput, latency, memory and losses of the whole hub.
//!
//! The hub runs as it would anywhere: the real program, its store on disk, nothing switched off. Around it are a stub
//! homeserver and a load server of IRC, XMPP, Slack or Teams (from `viaduct-tests`), both in this process on one thread, so
//! that they take as little of the machine as they can. Slack's and Microsoft's limits, by which no hub could be measured,
//! are lifted on both sides: in the stand-in, and by `limits` in the hub's configuration. Every measure starts from an empty store, is taken several times, and is told as the median
//! in one row of a Markdown table.
//!
//! ```text
//! cargo build --release -p viaduct-cli -p viaduct-bench
//! target/release/viaduct-bench all
//! target/release/viaduct-bench irc-in --runs 5 --messages 60000
//! target/release/viaduct-bench xmpp-in
//! target/release/viaduct-bench slack-in slack-out teams-in
//! ```
//!
//! # A new measure
//!
//! Write `src/measure/NAME.rs` with a function that starts a [`rig::Rig`] and gives one [`report::Figures`], and name it in
//! [`Measure`].
#![expect(clippy::print_stdout, reason = "the report is what this program is for")]

mod measure;
mod report;
mod rig;

use std::time::Duration;

use clap::{Parser, ValueEnum};
use viaduct_tests::load::{LoadIrcd, LoadSlack, LoadTeams, LoadXmpp};

use measure::throughput::{inbound, outbound};
use report::{Figures, Report};
use rig::Load;

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Measure {
    /// Everything.
    All,
    /// IRC to Matrix at full speed; the homeserver answers at once.
    IrcIn,
    /// IRC to Matrix at full speed; the homeserver takes 20 ms for each send.
    IrcInSlow,
    /// Matrix to IRC at full speed.
    IrcOut,
    /// XMPP to Matrix at full speed; the homeserver answers at once.
    XmppIn,
    /// Matrix to XMPP at full speed: a message counts once its room has shown it.
    XmppOut,
    /// Slack events to Matrix as fast as they are acknowledged; the homeserver answers at once.
    SlackIn,
    /// Matrix to Slack at full speed, without Slack's limits: each message is one call, and counts once Slack has it.
    SlackOut,
    /// Teams activities to Matrix, in each channel one after the other as fast as they are acknowledged; the homeserver
    /// answers at once. More mirrors are more activities at once.
    TeamsIn,
    /// Added delay at 50 messages a second, both ways.
    Latency,
    /// New ghosts, each with a first message.
    Ghosts,
    /// Resident memory: idle, after 1,000 and after 10,000 ghosts.
    Memory,
    /// From start to the first bridged message.
    Start,
    /// Lost, doubled and reordered messages when the hub is killed under load.
    Kill,
}

const EACH: [Measure; 13] = [
    Measure::IrcIn,
    Measure::IrcInSlow,
    Measure::IrcOut,
    Measure::XmppIn,
    Measure::XmppOut,
    Measure::SlackIn,
    Measure::SlackOut,
    Measure::TeamsIn,
    Measure::Latency,
    Measure::Ghosts,
    Measure::Memory,
    Measure::Start,
    Measure::Kill,
];

/// Measures the hub.
#[derive(Debug, Parser)]
struct Arguments {
    /// What to measure.
    #[arg(value_enum, default_value = "all")]
    measures: Vec<Measure>,
    /// How often to measure; the median is told.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Messages in a run of full speed.
    #[arg(long, default_value_t = 30_000)]
    messages: usize,
    /// Mirrors to spread them over.
    #[arg(long, default_value_t = 20)]
    mirrors: usize,
    /// Matrix people speak through the relay instead of puppets of their own.
    #[arg(long)]
    relay: bool,
    /// With the policies that come with the configuration on both ways, and a ledger.
    #[arg(long)]
    governed: bool,
    /// Print JSON lines instead of a table.
    #[arg(long)]
    json: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let measures = if arguments.measures.contains(&Measure::All) {
        EACH.to_vec()
    } else {
        arguments.measures.clone()
    };
    let load = Load {
        messages: arguments.messages,
        mirrors: arguments.mirrors.max(1),
        puppets: !arguments.relay,
        governed: arguments.governed,
    };
    let report = Report::new(arguments.json);
    println!("{}", report.head());
    for measure in measures {
        let mut runs = Vec::new();
        for _ in 0..arguments.runs.max(1) {
            runs.push(take(measure, load).await?);
        }
        for row in report.rows(&runs) {
            println!("{row}");
        }
    }
    Ok(())
}

async fn take(measure: Measure, load: Load) -> anyhow::Result<Figures> {
    match measure {
        Measure::All => Ok(Figures::default()),
        Measure::IrcIn => inbound::<LoadIrcd>(load, Duration::ZERO).await,
        Measure::IrcInSlow => {
            let load = Load {
                messages: load.messages / 6,
                ..load
            };
            inbound::<LoadIrcd>(load, Duration::from_millis(20)).await
        }
        Measure::IrcOut => outbound::<LoadIrcd>(load).await,
        Measure::XmppIn => inbound::<LoadXmpp>(load, Duration::ZERO).await,
        Measure::XmppOut => outbound::<LoadXmpp>(load).await,
        Measure::SlackIn => inbound::<LoadSlack>(load, Duration::ZERO).await,
        Measure::SlackOut => outbound::<LoadSlack>(load).await,
        Measure::TeamsIn => inbound::<LoadTeams>(load, Duration::ZERO).await,
        Measure::Latency => measure::latency::latency(load).await,
        Measure::Ghosts => measure::ghosts::speed(load).await,
        Measure::Memory => measure::ghosts::memory(load).await,
        Measure::Start => measure::start::start(load).await,
        Measure::Kill => measure::kill::kill(load).await,
    }
}
