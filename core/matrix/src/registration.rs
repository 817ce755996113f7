//! The registration file: what the homeserver has to know about us.

use serde::{Deserialize, Serialize};

use crate::{HomeserverConfig, SpeakFor};

/// The contents of a registration file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Registration {
    /// The application service's id.
    pub id: String,
    /// Where the homeserver reaches us; none if it is not to push.
    pub url: Option<String>,
    /// What we show to the homeserver.
    pub as_token: String,
    /// What the homeserver shows to us.
    pub hs_token: String,
    /// The localpart of our own user.
    pub sender_localpart: String,
    /// Whether our users are rate-limited.
    #[serde(default)]
    pub rate_limited: Option<bool>,
    /// Whether typing and receipts are pushed.
    #[serde(default)]
    pub receive_ephemeral: bool,
    /// Whether what matters to devices of ours is pushed: changed devices, how many keys are left.
    #[serde(default, rename = "org.matrix.msc3202", skip_serializing_if = "is_not")]
    pub device_changes: bool,
    /// Whether we make devices of our own.
    #[serde(default, rename = "io.element.msc4190", skip_serializing_if = "is_not")]
    pub device_management: bool,
    /// The user ids and aliases that are ours.
    pub namespaces: Namespaces,
}

/// The user ids and aliases that are ours.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Namespaces {
    /// User ids.
    #[serde(default)]
    pub users: Vec<Namespace>,
    /// Aliases.
    #[serde(default)]
    pub aliases: Vec<Namespace>,
    /// Rooms.
    #[serde(default)]
    pub rooms: Vec<Namespace>,
}

/// One pattern of names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Namespace {
    /// Whether nobody else may use them.
    pub exclusive: bool,
    /// The pattern, as a regular expression.
    pub regex: String,
}

impl Registration {
    /// The registration that a configuration needs; `aliases` are those of rooms the hub is to make.
    pub fn of(config: &HomeserverConfig, aliases: &[String]) -> Self {
        let domain = escaped(&config.domain);
        let ghosts = Namespace {
            exclusive: true,
            regex: format!("@{}.*:{domain}", escaped(&config.ghost_prefix)),
        };
        let mut users = vec![ghosts];
        users.extend(spoken_for(config).into_iter().map(|regex| Namespace {
            exclusive: false,
            regex,
        }));
        // Exactly the aliases wanted: a wider pattern would send us the events of every room that has one.
        let aliases = aliases.iter().map(|alias| Namespace {
            exclusive: false,
            regex: format!("^{}$", escaped(alias)),
        });
        Self {
            id: config.id.clone(),
            url: Some(config.reachable_url()),
            as_token: config.as_token.reveal().to_owned(),
            hs_token: config.hs_token.reveal().to_owned(),
            sender_localpart: config.bot.clone(),
            rate_limited: Some(false),
            receive_ephemeral: true,
            device_changes: config.encryption.is_some(),
            device_management: config.encryption.is_some(),
            namespaces: Namespaces {
                users,
                aliases: aliases.collect(),
                rooms: Vec::new(),
            },
        }
    }

    /// The file's text.
    pub fn to_yaml(&self) -> String {
        // Strings, booleans and lists can always be written.
        serde_norway::to_string(self).unwrap_or_default()
    }
}

/// Reads a registration file.
///
/// # Errors
///
/// Says what is wrong and where.
pub fn parse(text: &str) -> Result<Registration, String> {
    serde_norway::from_str(text).map_err(|error| error.to_string())
}

/// How the registration `found` differs from the one `wanted`, one difference a line, in the operator's words. Tokens are
/// never shown.
pub fn diff(wanted: &Registration, found: &Registration) -> Vec<String> {
    let mut out = Vec::new();
    let mut field = |name: &str, wanted: &str, found: &str| {
        if wanted != found {
            out.push(format!("{name} is {found:?} and should be {wanted:?}"));
        }
    };
    field("id", &wanted.id, &found.id);
    field(
        "url",
        wanted.url.as_deref().unwrap_or("null"),
        found.url.as_deref().unwrap_or("null"),
    );
    field("sender_localpart", &wanted.sender_localpart, &found.sender_localpart);
    for (name, wanted, found) in [
        ("as_token", &wanted.as_token, &found.as_token),
        ("hs_token", &wanted.hs_token, &found.hs_token),
    ] {
        if wanted != found {
            out.push(format!("{name} is another than in the configuration"));
        }
    }
    if found.rate_limited != Some(false) {
        out.push("rate_limited should be false, or ghosts are slowed down".to_owned());
    }
    if !found.receive_ephemeral {
        out.push("receive_ephemeral should be true, or typing and receipts do not cross".to_owned());
    }
    for (key, wanted, found) in [
        ("org.matrix.msc3202", wanted.device_changes, found.device_changes),
        ("io.element.msc4190", wanted.device_management, found.device_management),
    ] {
        if wanted && !found {
            out.push(format!("{key} should be true, or nothing encrypted crosses"));
        }
    }
    for (kind, wanted, found) in [
        ("user", &wanted.namespaces.users, &found.namespaces.users),
        ("alias", &wanted.namespaces.aliases, &found.namespaces.aliases),
    ] {
        for namespace in wanted {
            if !found
                .iter()
                .any(|other| other.regex == namespace.regex && other.exclusive == namespace.exclusive)
            {
                out.push(format!(
                    "the {kind} namespace {:?} (exclusive: {}) is missing",
                    namespace.regex, namespace.exclusive
                ));
            }
        }
    }
    out
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it")]
fn is_not(value: &bool) -> bool {
    !value
}

/// The user ids of those for whom the hub may speak, as regular expressions.
fn spoken_for(config: &HomeserverConfig) -> Vec<String> {
    match &config.speak_for {
        SpeakFor::Nobody => Vec::new(),
        SpeakFor::These(people) => people.iter().map(|mxid| format!("^{}$", escaped(mxid))).collect(),
        SpeakFor::OwnUsers => vec![format!("^@[^:]+:{}$", escaped(&config.domain))],
    }
}

/// A text in which no character means anything in a regular expression.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if ".^$*+?()[]{}|\\".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_readable_and_complete() {
        let config = crate::testing::config("http://127.0.0.1:1");
        let wanted = Registration::of(&config, &["#team:example.org".to_owned()]);
        insta::assert_snapshot!(wanted.to_yaml(), @r"
        id: viaduct
        url: http://127.0.0.1:0
        as_token: as-secret
        hs_token: hs-secret
        sender_localpart: viaduct
        rate_limited: false
        receive_ephemeral: true
        namespaces:
          users:
          - exclusive: true
            regex: '@_via_.*:example\.org'
          aliases:
          - exclusive: false
            regex: ^#team:example\.org$
          rooms: []
        ");
        assert_eq!(parse(&wanted.to_yaml()).as_ref(), Ok(&wanted));
        assert!(diff(&wanted, &wanted).is_empty());
    }

    #[test]
    fn those_spoken_for_are_named_and_stay_free() {
        let mut config = crate::testing::config("http://127.0.0.1:1");
        let nobody = Registration::of(&config, &[]);
        let mut wanted = |speak_for| {
            config.speak_for = speak_for;
            Registration::of(&config, &[])
        };
        let these = wanted(SpeakFor::These(["@anna.b:example.org".to_owned()].into()));
        let all = wanted(SpeakFor::OwnUsers);
        let patterns = |found: &Registration| {
            let free = found.namespaces.users.iter().filter(|namespace| !namespace.exclusive);
            free.map(|namespace| namespace.regex.clone()).collect::<Vec<_>>()
        };
        assert!(patterns(&nobody).is_empty());
        assert_eq!(patterns(&these), [r"^@anna\.b:example\.org$"]);
        assert_eq!(patterns(&all), [r"^@[^:]+:example\.org$"]);
        // The registration in use from before is told to lack it.
        let told = diff(&these, &nobody);
        assert!(
            matches!(told.as_slice(), [one] if one.contains("anna") && one.contains("missing")),
            "{told:?}"
        );
    }

    #[test]
    fn drift_is_told_without_tokens() {
        let config = crate::testing::config("http://127.0.0.1:1");
        let wanted = Registration::of(&config, &[]);
        let mut found = wanted.clone();
        found.as_token = "other-secret".into();
        found.url = None;
        found.namespaces.users.clear();
        let told = diff(&wanted, &found).join("\n");
        assert_eq!(told.lines().count(), 3, "{told}");
        assert!(!told.contains("secret"), "{told}");
        assert!(parse("id: [").is_err());
    }
}
