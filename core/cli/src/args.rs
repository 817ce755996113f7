//! The command line, and its help.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use crate::orders::{Audit, By, Entries, Form, Format, Hold, Office, Partner, Policy, Quarantine, Subject, Tongue};

/// Mirrors Matrix rooms with channels on other networks.
#[derive(Debug, Parser)]
#[command(
    name = "viaduct",
    version,
    max_term_width = 100,
    after_help = "\
A first try, next to a Synapse on this machine:

  viaduct init --homeserver http://127.0.0.1:8008 --domain example.org --admin @you:example.org
  # add the printed lines to homeserver.yaml, restart Synapse, then:
  viaduct doctor
  viaduct run
  # accept the invitation in Element, say something, and Echo answers

Environment: VIADUCT_CONFIG names the configuration, VIADUCT_LOG sets the log level, VIADUCT_ADMIN_TOKEN (or a file named by
VIADUCT_TOKEN_FILE) is the token that is shown to the running hub.
Exit status: 0 all is well, 1 something is wrong and was told, 2 the command line was not understood."
)]
pub struct Cli {
    /// The configuration
    #[arg(
        short,
        long,
        global = true,
        env = "VIADUCT_CONFIG",
        default_value = "viaduct.yaml",
        value_name = "FILE"
    )]
    pub config: PathBuf,

    /// A file with your own token, to show to the running hub [default: the variable `VIADUCT_ADMIN_TOKEN`, else the
    /// configuration's `admin.token`]
    #[arg(long, global = true, env = "VIADUCT_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,

    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a first configuration, its secrets and the registration file
    ///
    /// Asks for what is not given. Never overwrites a file. Without a terminal, give --homeserver, --domain and --admin.
    Init(Init),
    /// Say what is wrong in the configuration, with line, column and what to do
    Check {
        /// As JSON, for an editor or a pipeline
        #[arg(long)]
        json: bool,
    },
    /// Try out whether everything works: homeserver, tokens, networks, channels, clock, disk
    ///
    /// Each finding comes with its cause and what to do. Beside a running hub, that hub is asked about its networks. No
    /// messages are sent.
    #[command(after_help = "\
Examples:
  viaduct doctor
  viaduct doctor -r /etc/matrix-synapse/viaduct-registration.yaml    # also compare what Synapse has
  viaduct doctor --json | jq '.[] | select(.status != \"ok\")'")]
    Doctor(Doctor),
    /// Print the registration file that the homeserver needs
    #[command(after_help = "\
Example, for Synapse:
  viaduct registration > /etc/matrix-synapse/viaduct-registration.yaml
  # in homeserver.yaml:
  #   app_service_config_files: [/etc/matrix-synapse/viaduct-registration.yaml]
  systemctl restart matrix-synapse")]
    Registration,
    /// Run the hub until it is told to stop
    ///
    /// SIGTERM or Ctrl-C: finish what is being delivered and end. SIGHUP: read the configuration again; networks that did
    /// not change stay connected, and a configuration with errors changes nothing.
    Run,
    /// Print what each kind of network can express
    Capabilities {
        /// As a Markdown table
        #[arg(long, conflicts_with = "json")]
        markdown: bool,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Look after deliveries that did not simply arrive: list, try again, give up
    #[command(after_help = "\
Examples:
  viaduct deliveries list
  viaduct deliveries list --mirror project --state failed
  viaduct deliveries retry --mirror project --network acme-irc --channel '#project' --seq 42
  viaduct deliveries retry --all --state failed
  viaduct deliveries drop --mirror project --network acme-irc --channel '#project' --seq 42

Asks the running hub through its admin API; `list` and `drop` also work while it is stopped.")]
    Deliveries {
        /// What to do with them
        #[command(subcommand)]
        action: Deliveries,
    },
    /// The ledger: check it, search it, hand out parts of it
    #[command(after_help = "\
Examples:
  viaduct audit verify
  viaduct audit verify --checkpoint kept-elsewhere.txt
  viaduct audit find --partner acme --action refused --since 2026-06-01
  viaduct audit export --partner acme --format csv --out acme.csv    # and acme.csv.manifest, signed
  viaduct audit key secrets --origin example.org/viaduct

Reads the ledger's files; the hub may be running or not.")]
    Audit {
        /// What to do with it
        #[command(subcommand)]
        action: Audit,
    },
    /// Policies: try their examples, try one on the journal, say why an event did or did not cross
    #[command(after_help = "\
Examples:
  viaduct policy test                             # the configuration's policies
  viaduct policy test policies/partner.yaml
  viaduct policy replay candidate.yaml --since 2026-06-01
  viaduct policy explain '$event-id'
  viaduct policy reports --since 2026-06-01       # what senders call false alarms")]
    Policy {
        /// What to do with them
        #[command(subcommand)]
        action: Policy,
    },
    /// What policies hold: list, show, release as a second person, reject
    #[command(after_help = "\
Examples:
  viaduct quarantine list
  viaduct quarantine show 0123456789ab-0000000000000007 --reason 'to decide about it'
  viaduct quarantine release 0123456789ab-0000000000000007 --reason 'agreed with the project lead'

Whoever releases must be neither the sender nor the author of the rule. Asks the running hub.")]
    Quarantine {
        /// What to do with it
        #[command(subcommand)]
        action: Quarantine,
    },
    /// Legal holds: what they cover is not deleted, whatever agreements say
    #[command(after_help = "\
Examples:
  viaduct hold list
  viaduct hold add --partner acme --since 2026-01-01 --reason 'file number 7 O 11/26'
  viaduct hold end 1780272000000 --reason 'the case is closed'

Asks the running hub.")]
    Hold {
        /// What to do with them
        #[command(subcommand)]
        action: Hold,
    },
    /// What people may demand: all of their data, their erasure; and whose a pseudonym is
    #[command(after_help = "\
Examples:
  viaduct subject export matrix/@ann:example.org acme-irc/ann --reason 'letter of 2026-06-01' --out ann.json
  viaduct subject erase acme-irc/bob --reason 'letter of 2026-06-02'
  viaduct subject grant own.1:0123… --to @anna:example.org --reason 'incident 12'    # as the data protection officer
  viaduct subject unmask own.1:0123… --reason 'incident 12'                          # as Anna, within a day

A person is named by all their ids, each as network/id. Asks the running hub.")]
    Subject {
        /// What to do
        #[command(subcommand)]
        action: Subject,
    },
    /// Agreements with partners: list, add, sign, renew, suspend, resume, report, offboard
    #[command(after_help = "\
Examples:
  viaduct partner list
  viaduct partner add acme acme.yaml              # a file like one entry of `partners`
  viaduct partner sign acme dpo
  viaduct partner renew acme --until 2027-12-31
  viaduct partner suspend acme --reason 'contact person is missing'
  viaduct partner offboard acme --preview
  viaduct partner offboard acme --out certificates
  viaduct partner report acme --month 2026-11 --language de
  viaduct partner record > verzeichnis.txt
  viaduct partner incident acme --since 2026-11-01 --until 2026-11-03 --reason 'lost laptop' --json

Asks the running hub; `list` also works while it is stopped.")]
    Partner {
        /// What to do with them
        #[command(subcommand)]
        action: Partner,
    },
    /// Print the JSON schema of the configuration, for an editor
    #[command(after_help = "\
Example, for editors that know the YAML language server: put this at the top of viaduct.yaml
  # yaml-language-server: $schema=./viaduct.schema.json")]
    Schema,
    /// `KIND manifest NETWORK`: the files with which a partner's administrator sets the remote side up
    #[command(external_subcommand)]
    Kind(Vec<String>),
}

/// What `init` asks for.
#[derive(Debug, Args)]
pub struct Init {
    /// Where the homeserver's client API is reached [asked for if left out]
    #[arg(long, value_name = "URL")]
    pub homeserver: Option<String>,
    /// The homeserver's server name, what stands after the colon in user ids [asked for if left out]
    #[arg(long, value_name = "NAME")]
    pub domain: Option<String>,
    /// Your own Matrix id: invited to the first room, and obeyed by the bot [asked for if left out]
    #[arg(long, value_name = "@YOU:NAME")]
    pub admin: Option<String>,
    /// Where viaduct waits for the homeserver
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:29320")]
    pub listen: String,
    /// Where the homeserver reaches viaduct, if that is not the listening address
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// Why http:// will do between homeserver and viaduct, if they are not on one machine
    #[arg(long, value_name = "REASON")]
    pub plaintext: Option<String>,
}

/// What `doctor` looks at.
#[derive(Debug, Args)]
pub struct Doctor {
    /// As JSON
    #[arg(long)]
    pub json: bool,
    /// The registration file that the homeserver uses, to find out whether it is out of date
    #[arg(short, long, value_name = "FILE")]
    pub registration: Option<PathBuf>,
    /// Look at the homeserver and this machine only, not at the networks
    #[arg(long)]
    pub no_networks: bool,
}

/// What to do with deliveries.
#[derive(Debug, Subcommand)]
pub enum Deliveries {
    /// List them, oldest first
    List {
        /// Which
        #[command(flatten)]
        which: Which,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Try again what failed or is of unknown outcome; what a policy held or refused is not released by this
    Retry(Chosen),
    /// Give up: forget them, so that they are not listed any more
    Drop(Chosen),
}

/// Which deliveries to list.
#[derive(Debug, Args)]
pub struct Which {
    /// Only of this mirror
    #[arg(long)]
    pub mirror: Option<String>,
    /// Only in this state
    #[arg(long)]
    pub state: Option<State>,
}

/// Which deliveries to act upon.
#[derive(Debug, Args)]
pub struct Chosen {
    /// Which
    #[command(flatten)]
    pub which: Which,
    /// The network of the destination (`matrix` for the room)
    #[arg(long, required_unless_present = "all", requires = "mirror")]
    pub network: Option<String>,
    /// The channel of the destination
    #[arg(long, required_unless_present = "all", requires = "network")]
    pub channel: Option<String>,
    /// The number of the event in its mirror
    #[arg(long, required_unless_present = "all", requires = "channel")]
    pub seq: Option<u64>,
    /// All that --mirror and --state name
    #[arg(long, conflicts_with_all = ["network", "channel", "seq"])]
    pub all: bool,
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum State {
    /// Waits for a second person
    Held,
    /// A policy said no
    Refused,
    /// The network said no for good
    Failed,
    /// Nobody can say whether it arrived
    Unknown,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn one_delivery_needs_all_of_its_name() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' '));
        assert!(parse("viaduct deliveries retry --all").is_ok());
        assert!(parse("viaduct deliveries retry --mirror m --network n --channel c --seq 1").is_ok());
        assert!(parse("viaduct deliveries retry --mirror m --network n --channel c").is_err());
        assert!(parse("viaduct deliveries retry --all --seq 1").is_err());
        assert!(parse("viaduct -c x.yaml doctor --json").is_ok());
        assert!(
            parse("viaduct audit verify --folder x").is_err(),
            "a folder needs a key"
        );
        assert!(
            parse("viaduct quarantine release x").is_err(),
            "a release needs a reason"
        );
        assert!(parse("viaduct irc manifest acme-irc").is_ok());
    }
}
