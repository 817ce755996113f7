//! The command line, and its help.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

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

Environment: VIADUCT_CONFIG names the configuration, VIADUCT_LOG sets the log level.
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
    /// Print the JSON schema of the configuration, for an editor
    #[command(after_help = "\
Example, for editors that know the YAML language server: put this at the top of viaduct.yaml
  # yaml-language-server: $schema=./viaduct.schema.json")]
    Schema,
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
    }
}
