//! What the commands about compliance take, and their help.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// What to do with the ledger.
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Check every byte against what was signed
    Verify {
        /// Its folder, where there is no configuration
        #[arg(long, value_name = "FOLDER", requires = "key")]
        folder: Option<PathBuf>,
        /// The key to check signatures with, as `viaduct audit key` printed it, where there is no configuration
        #[arg(long, value_name = "KEY", requires = "folder")]
        key: Option<String>,
        /// A checkpoint of earlier that was kept elsewhere: only this shows that the ledger was put back as a whole
        #[arg(long, value_name = "FILE")]
        checkpoint: Vec<PathBuf>,
    },
    /// List entries
    Find {
        /// Which
        #[command(flatten)]
        which: Entries,
        /// How many at most
        #[arg(long, default_value_t = 1000)]
        limit: usize,
        /// As JSON, one a line
        #[arg(long)]
        json: bool,
    },
    /// Write entries into a file, and a signed manifest beside it
    Export {
        /// Which
        #[command(flatten)]
        which: Entries,
        /// In what form
        #[arg(long, default_value = "jsonl")]
        format: Format,
        /// The file; its manifest gets the same name with `.manifest`
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Make the two keys a ledger needs, in a folder, and print what others check signatures with
    Key {
        /// The folder
        #[arg(value_name = "FOLDER")]
        folder: PathBuf,
        /// The ledger's name [default: the server's name and /viaduct]
        #[arg(long, value_name = "NAME")]
        origin: Option<String>,
    },
    /// Print what others check signatures with
    Verifier,
}

/// Which entries of the ledger.
#[derive(Debug, Args)]
pub struct Entries {
    /// Only from this day on (2026-01-31)
    #[arg(long, value_name = "DAY")]
    pub since: Option<String>,
    /// Only until the end of this day
    #[arg(long, value_name = "DAY")]
    pub until: Option<String>,
    /// Only these actions, such as delivered, held, refused
    #[arg(long, value_name = "ACTION")]
    pub action: Vec<String>,
    /// Only of this partner (`own`: the own organisation)
    #[arg(long)]
    pub partner: Option<String>,
    /// Only of this mirror
    #[arg(long)]
    pub mirror: Option<String>,
    /// Only from or to this network
    #[arg(long)]
    pub network: Option<String>,
    /// Only of the event with this id, at its source or its destination
    #[arg(long, value_name = "ID")]
    pub event: Option<String>,
    /// Only what this rule decided or found
    #[arg(long)]
    pub rule: Option<String>,
    /// Only of this person, as network/id; needs the keys
    #[arg(long, value_name = "NETWORK/ID")]
    pub person: Option<String>,
}

/// How exported entries are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// The ledger's own lines, whose hashes can be checked against its tree
    Jsonl,
    /// For spreadsheets
    Csv,
    /// For mail programs and archives
    Eml,
}

/// What to do with policies.
#[derive(Debug, Subcommand)]
pub enum Policy {
    /// Try the examples of every rule
    Test {
        /// A file with one policy, or with `policies:`; the configuration if left out
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Make the lists with which a policy recognises what it must not be told: values, and passages of documents
    Protect {
        /// What to make
        #[command(subcommand)]
        what: crate::protect::Protect,
    },
    /// Say what a policy would have made of what is in the journal; nothing is sent
    Replay {
        /// A file with one policy
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Only this mirror
        #[arg(long)]
        mirror: Option<String>,
        /// Only what was said from this day on
        #[arg(long, value_name = "DAY")]
        since: Option<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// List the rules that senders reported as false alarms, and how often
    Reports {
        /// Only since this day
        #[arg(long, value_name = "DAY")]
        since: Option<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Say what the policies make of one event, by which rules and why, and what the ledger has of it
    Explain {
        /// Its id, at its source or at a destination
        #[arg(value_name = "EVENT")]
        event: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

/// Who does something, and why.
#[derive(Debug, Args)]
pub struct Reasoned {
    /// Why; it is noted in the ledger
    #[arg(long)]
    pub reason: String,
    /// Who
    #[command(flatten)]
    pub by: By,
}

/// Who does something.
#[derive(Debug, Args)]
pub struct By {
    /// Who you are, as a Matrix user id; the hub refuses the order if your token is another's [default: whose token it is]
    #[arg(long, value_name = "@YOU:NAME", env = "VIADUCT_USER")]
    pub by: Option<String>,
}

/// What to do with what is held.
#[derive(Debug, Subcommand)]
pub enum Quarantine {
    /// List it: neither contents nor names
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one, content included; that you saw it is noted in the ledger
    Show {
        /// Which, as listed
        id: String,
        /// Who and why
        #[command(flatten)]
        reasoned: Reasoned,
    },
    /// Let one go the rest of its way, as a second person
    Release {
        /// Which, as listed
        id: String,
        /// Who and why
        #[command(flatten)]
        reasoned: Reasoned,
    },
    /// Reject one, and what refers to it
    Reject {
        /// Which, as listed
        id: String,
        /// Who and why
        #[command(flatten)]
        reasoned: Reasoned,
    },
}

/// What to do with agreements.
#[derive(Debug, Subcommand)]
pub enum Partner {
    /// List them, and how they stand
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Make an agreement
    Add {
        /// The partner's name
        name: String,
        /// A file like one entry of `partners`
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Who
        #[command(flatten)]
        by: By,
    },
    /// Sign an agreement that was made by command
    Sign {
        /// The partner's name
        name: String,
        /// For which office
        office: Office,
        /// Who
        #[command(flatten)]
        by: By,
    },
    /// Let an agreement go on until another day
    Renew {
        /// The partner's name
        name: String,
        /// Its new last day
        #[arg(long, value_name = "DAY")]
        until: String,
        /// Who
        #[command(flatten)]
        by: By,
    },
    /// Stop everything to and from a partner for now; nothing is dropped
    Suspend {
        /// The partner's name
        name: String,
        /// Who and why
        #[command(flatten)]
        reasoned: Reasoned,
    },
    /// End a partnership: tell people, delete what each network lets be deleted, destroy the keys, certify it
    Offboard {
        /// The partner's name
        name: String,
        /// Only say what would be done
        #[arg(long)]
        preview: bool,
        /// The folder for the certificate, in German and English
        #[arg(long, value_name = "FOLDER", default_value = ".")]
        out: PathBuf,
        /// Who
        #[command(flatten)]
        by: By,
    },
    /// Report a month: volumes, findings, times, holds, notices read, what ends; from the ledger, no contents
    Report {
        /// The partner's name
        name: String,
        /// The month
        #[arg(long, value_name = "2026-11")]
        month: String,
        /// In which form
        #[command(flatten)]
        form: Form,
    },
    /// Write the record of processing activities (Art. 30 GDPR), from all agreements as they stand
    Record {
        /// In which language [default: the configuration's]
        #[arg(long, value_enum)]
        language: Option<Tongue>,
    },
    /// Gather what a notification of a breach needs (Art. 33 GDPR): whom and what it concerns; people as pseudonyms
    Incident {
        /// The partner's name
        name: String,
        /// The first day
        #[arg(long, value_name = "DAY")]
        since: String,
        /// The last day
        #[arg(long, value_name = "DAY")]
        until: String,
        /// In which form
        #[command(flatten)]
        form: Form,
        /// Who and why
        #[command(flatten)]
        reasoned: Reasoned,
    },
    /// Take a suspension back
    Resume {
        /// The partner's name
        name: String,
        /// Who
        #[command(flatten)]
        by: By,
    },
}

/// In which form something is written.
#[derive(Debug, Args)]
pub struct Form {
    /// In which language [default: the configuration's]
    #[arg(long, value_enum)]
    pub language: Option<Tongue>,
    /// As JSON
    #[arg(long, conflicts_with = "language")]
    pub json: bool,
}

/// A language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Tongue {
    /// German
    De,
    /// English
    En,
}

/// What to do with legal holds.
#[derive(Debug, Subcommand)]
pub enum Hold {
    /// List those that stand
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Place one; it covers what answers all of what is given
    Add {
        /// Of this partner
        #[arg(long)]
        partner: Option<String>,
        /// Of this mirror
        #[arg(long)]
        mirror: Option<String>,
        /// By or about this person
        #[arg(long, value_name = "NETWORK/ID")]
        person: Option<String>,
        /// From this day on
        #[arg(long, value_name = "DAY")]
        since: Option<String>,
        /// Until the end of this day
        #[arg(long, value_name = "DAY")]
        until: Option<String>,
        /// Who and why
        #[command(flatten)]
        reasoned: Reasoned,
    },
    /// Lift one
    End {
        /// Which, as listed
        id: String,
        /// Who and why
        #[command(flatten)]
        reasoned: Reasoned,
    },
}

/// What to do for, or about, people.
#[derive(Debug, Subcommand)]
pub enum Subject {
    /// Gather everything about a person into a file
    Export {
        /// All ids of the person
        #[arg(value_name = "NETWORK/ID", required = true)]
        ids: Vec<String>,
        /// The file: a page to read and print if it ends in .html, JSON for machines otherwise
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Who and why
        #[command(flatten)]
        reasoned: Reasoned,
    },
    /// Erase what a person said and did, on all networks as far as they allow; what became of it is listed
    Erase {
        /// All ids of the person
        #[arg(value_name = "NETWORK/ID", required = true)]
        ids: Vec<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
        /// Who and why
        #[command(flatten)]
        reasoned: Reasoned,
    },
    /// Let somebody else learn whose a pseudonym is, once, within a day
    Grant {
        /// The pseudonym, as it is in the ledger
        tag: String,
        /// Who may ask
        #[arg(long, value_name = "@THEY:NAME")]
        to: String,
        /// Who grants it, and why
        #[command(flatten)]
        reasoned: Reasoned,
    },
    /// Say whose a pseudonym is, where somebody else has granted it
    Unmask {
        /// The pseudonym, as it is in the ledger
        tag: String,
        /// Who asks, and why
        #[command(flatten)]
        reasoned: Reasoned,
    },
}

/// An office that signs agreements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Office {
    /// Information technology
    It,
    /// Data protection
    Dpo,
    /// Management
    Management,
}
