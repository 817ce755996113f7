//! Why somebody may not do something, in words for them.

use std::fmt;

use viaduct_governance::Day;
use viaduct_model::Language;
use viaduct_token::Refusal;

use crate::role::{Role, Roles};

/// Why somebody may not do something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denied {
    /// Nobody may use the API: there is no token that would be believed.
    Closed,
    /// Nobody is known by what was shown.
    Unknown,
    /// The token is to be the identity provider's, and is not to be believed.
    Token(Refusal),
    /// Whether to believe a token cannot be found out now.
    Unavailable(String),
    /// The identity provider does not take a login. Says why.
    Login(String),
    /// The identity provider's token names nobody whom we know. Says which claim is wrong.
    Nobody(String),
    /// Their time is over.
    Ended(Day),
    /// They may not do this.
    Role {
        /// The roles that may.
        needed: &'static [Role],
        /// Those whoever asks has.
        has: Roles,
    },
    /// It is done by a person, and the token is nobody's.
    NoPerson,
    /// The order says that somebody else gives it.
    Another {
        /// Who gives it, it says.
        said: String,
        /// Who they showed to be.
        is: String,
    },
}

impl Denied {
    /// The same in a language.
    pub fn say(&self, language: Language) -> String {
        let pick = |english: &str, german: &str| language.pick(english, german).to_owned();
        match self {
            Self::Closed => pick(
                "the API is closed: the configuration has no admin token (admin.token_file)",
                "die API ist geschlossen: die Konfiguration hat kein Token für sie (admin.token_file)",
            ),
            Self::Unknown => pick(
                "the bearer token is missing or wrong",
                "das Token fehlt oder ist falsch",
            ),
            Self::Token(refusal) => format!(
                "{}: {refusal}",
                language.pick("the token is not believed", "dem Token wird nicht geglaubt")
            ),
            Self::Unavailable(reason) | Self::Login(reason) => reason.clone(),
            Self::Nobody(claim) => pick(
                "the token's claim CLAIM names none of this homeserver's people",
                "das Token nennt in CLAIM niemanden auf diesem Homeserver",
            )
            .replace("CLAIM", claim),
            Self::Ended(day) => match language {
                Language::English => format!("the rights of this person ended with {day}: see admin.people"),
                Language::German => format!(
                    "die Rechte dieser Person endeten mit dem {}: siehe admin.people",
                    day.german()
                ),
            },
            Self::Role { needed, has } => {
                let needed = names(needed.iter(), language.pick(" or ", " oder "));
                match (language, has.is_empty()) {
                    (Language::English, true) => format!("this needs the role {needed}, and whoever asks has none"),
                    (Language::German, true) => format!("das verlangt die Rolle {needed}, und wer fragt, hat keine"),
                    (Language::English, false) => {
                        format!("this needs the role {needed}, and whoever asks is {}", names(has, ", "))
                    }
                    (Language::German, false) => {
                        format!(
                            "das verlangt die Rolle {needed}, und wer fragt, ist {}",
                            names(has, ", ")
                        )
                    }
                }
            }
            Self::NoPerson => pick(
                "this is done by a person, and the token that was shown is nobody's: use a token of your own (admin.people, \
                 --token-file), or tell the bot",
                "das tut eine Person, und das gezeigte Token gehört niemandem: nehmen Sie Ihr eigenes (admin.people, \
                 --token-file), oder sagen Sie es dem Bot",
            ),
            Self::Another { said, is } => match language {
                Language::English => format!("the order says that {said} gives it, but it is given by {is}"),
                Language::German => format!("der Auftrag nennt {said}, doch erteilt ihn {is}"),
            },
        }
    }
}

fn names<'a>(roles: impl IntoIterator<Item = &'a Role>, between: &str) -> String {
    let names: Vec<&str> = roles.into_iter().map(|role| role.as_str()).collect();
    names.join(between)
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.say(Language::English))
    }
}

impl std::error::Error for Denied {}
