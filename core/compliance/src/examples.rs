//! The rules' own tests.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use viaduct_model::{
    Attachment, AttachmentKind, Author, ChannelId, Content, DeliveryKey, IdError, MediaRef, Message, MessageId,
    NetworkName, Outbound, Person, PersonId, Place, Reaction, Timestamp,
};

use crate::compile::{Compiled, PolicyError, label_key};
use crate::context::{Context, Evidence, FileText};
use crate::policy::{Policy, ScanResult};
use crate::rules::{Facts, match_rule};
use crate::text::{read, read_file};

/// Events that show what a rule means.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Examples {
    /// The rule matches these.
    #[serde(default, rename = "match")]
    pub matching: Vec<Example>,
    /// The rule does not match these.
    #[serde(default)]
    pub pass: Vec<Example>,
}

/// One example: the text of a message, of which only what the rule says about texts counts; or a whole event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Example {
    /// The text of a message.
    Text(String),
    /// An event.
    Event(Box<EventExample>),
}

/// An event as an example. What is left out is of no interest to the rule.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventExample {
    /// The text of a message.
    #[serde(default)]
    pub text: String,
    /// For a change of the topic: the topic.
    #[serde(default)]
    pub topic: Option<String>,
    /// For a reaction: the reaction.
    #[serde(default)]
    pub reaction: Option<String>,
    /// The sender's id.
    #[serde(default)]
    pub sender: Option<String>,
    /// The sender's name.
    #[serde(default)]
    pub name: Option<String>,
    /// The sender's organisation.
    #[serde(default)]
    pub organisation: Option<String>,
    /// The network it comes from; left out, the homeserver.
    #[serde(default)]
    pub from: Option<String>,
    /// The network it goes to; left out, some network.
    #[serde(default)]
    pub to: Option<String>,
    /// A file.
    #[serde(default)]
    pub file: Option<FileExample>,
    /// Labels of the conversation.
    #[serde(default)]
    pub labels: Vec<String>,
}

/// A file of an example.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileExample {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// The type it claims.
    #[serde(default)]
    pub claimed: Option<String>,
    /// The type its bytes show.
    #[serde(default)]
    pub seen: Option<String>,
    /// Its size in bytes.
    #[serde(default)]
    pub size: Option<u64>,
    /// For an archive: how many levels of archives it has; left out, it is none.
    #[serde(default)]
    pub archive_depth: Option<u32>,
    /// What can be read in it; left out, nothing.
    #[serde(default)]
    pub text: String,
    /// What the malware scan said.
    #[serde(default)]
    pub scan: ScanResult,
}

/// How one example went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExampleResult {
    /// The rule.
    pub rule: String,
    /// The example; none for [`ExampleOutcome::Missing`].
    pub example: Option<Example>,
    /// What became of it.
    pub outcome: ExampleOutcome,
}

/// What became of an example.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExampleOutcome {
    /// As it should be.
    AsExpected,
    /// It should match, and does not.
    DoesNotMatch,
    /// It should not match, and does.
    Matches,
    /// The rule looks at texts or files and has no example that matches.
    Missing,
    /// The example cannot be an event: why.
    Invalid(String),
}

impl ExampleResult {
    /// Whether nobody has to do anything about it.
    pub fn is_good(&self) -> bool {
        self.outcome == ExampleOutcome::AsExpected
    }
}

impl Policy {
    /// Tries the examples of every rule against that rule alone.
    ///
    /// # Errors
    ///
    /// What is wrong with the policy itself.
    pub fn test(&self) -> Result<Vec<ExampleResult>, Vec<PolicyError>> {
        let compiled = Compiled::new(self.clone())?;
        let mut results = Vec::new();
        for (number, rule) in self.rules.iter().enumerate() {
            let mut add = |example: Option<&Example>, outcome| {
                results.push(ExampleResult {
                    rule: rule.name.clone(),
                    example: example.cloned(),
                    outcome,
                });
            };
            let looks = compiled
                .rules
                .get(number)
                .is_some_and(|ready| !ready.matchers.is_empty());
            if rule.examples.matching.is_empty() && (looks || rule.attachments.is_some()) {
                add(None, ExampleOutcome::Missing);
            }
            for example in &rule.examples.matching {
                add(Some(example), outcome(&compiled, number, example, true));
            }
            for example in &rule.examples.pass {
                add(Some(example), outcome(&compiled, number, example, false));
            }
        }
        Ok(results)
    }
}

fn outcome(compiled: &Compiled, number: usize, example: &Example, expected: bool) -> ExampleOutcome {
    let text_example;
    let (event, texts_only) = match example {
        Example::Text(text) => {
            text_example = EventExample {
                text: text.clone(),
                ..EventExample::default()
            };
            (&text_example, true)
        }
        Example::Event(event) => (&**event, false),
    };
    let mut outbound = match outbound(event) {
        Ok(outbound) => outbound,
        Err(error) => return ExampleOutcome::Invalid(error.to_string()),
    };
    let evidence: Vec<Evidence> = event.file.iter().map(evidence).collect();
    let context = Context {
        evidence: &evidence,
        labels: &event.labels,
        ..Context::default()
    };
    let (mut parts, _) = read(&mut outbound);
    let files = evidence.iter().map(|evidence| &*evidence.text.read);
    parts.extend(files.filter(|text| !text.is_empty()).map(read_file));
    let hits = compiled.scanner.scan(&parts);
    let facts = Facts {
        compiled,
        context: &context,
        outbound: &outbound,
        hits: &hits,
    };
    let labels: Vec<String> = event.labels.iter().map(|label| label_key(label)).collect();
    match (match_rule(&facts, number, &labels, texts_only).is_some(), expected) {
        (true, false) => ExampleOutcome::Matches,
        (false, true) => ExampleOutcome::DoesNotMatch,
        _ => ExampleOutcome::AsExpected,
    }
}

fn evidence(file: &FileExample) -> Evidence {
    Evidence {
        attachment: 0,
        sniffed: file.seen.clone(),
        size: file.size,
        archive_depth: file.archive_depth.or(Some(0)),
        text: FileText {
            read: file.text.as_str().into(),
            whole: true,
        },
        scan: file.scan,
        ..Evidence::default()
    }
}

fn outbound(event: &EventExample) -> Result<Outbound, IdError> {
    let network = |name: &Option<String>, other: &str| NetworkName::new(name.as_deref().unwrap_or(other));
    let channel = ChannelId::new("example")?;
    let from = Place::new(network(&event.from, NetworkName::MATRIX)?, channel.clone());
    let to = Place::new(network(&event.to, "example")?, channel);
    let id = MessageId::new("example")?;
    let name = event.name.clone().unwrap_or_default();
    let person = Person {
        network: from.network.clone(),
        id: PersonId::new(event.sender.as_deref().unwrap_or("@someone:example.org"))?,
        name: name.clone(),
        avatar: None,
        organisation: event.organisation.clone(),
        bot: false,
    };
    let content = match (&event.topic, &event.reaction) {
        (Some(topic), _) => Content::Topic { topic: topic.clone() },
        (None, Some(key)) => Content::React {
            target: id.clone(),
            reaction: Reaction {
                key: key.clone(),
                image: None,
            },
        },
        (None, None) => {
            let attachments = event.file.iter().map(|file| attachment(&from.network, file)).collect();
            Content::Message(Message {
                attachments,
                ..Message::plain(&event.text)
            })
        }
    };
    Ok(Outbound {
        key: DeliveryKey::derive(&from, &id, &to),
        to,
        from,
        author: Author { person, display: name },
        at: Timestamp::default(),
        content,
        parts: Vec::new(),
    })
}

fn attachment(network: &NetworkName, file: &FileExample) -> Attachment {
    Attachment {
        media: MediaRef {
            network: network.clone(),
            locator: "example".to_owned(),
        },
        name: file.name.clone(),
        mime: file.claimed.clone(),
        size: file.size,
        kind: AttachmentKind::File,
        dimensions: None,
        duration: None,
        spoiler: false,
    }
}
