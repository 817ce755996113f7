//! Who is asking: by a token of their own, by one of the organisation's identity provider, or by what they say to the bot.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::Value;
use sha2::{Digest, Sha256};
use viaduct_governance::Day;
use viaduct_model::{Clock, Secret, Timestamp};
use viaduct_token::Unchecked;

use crate::denied::Denied;
use crate::oidc::Oidc;
use crate::role::{Act, Role, Roles, roles_for};

/// What a token that is nobody's may be used for: to look and to operate, but not to act as a person.
const SHARED: [Role; 2] = [Role::Operator, Role::Auditor];

/// A person who has something to say here.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Their Matrix user id.
    pub user: String,
    /// What they are there for.
    pub roles: Roles,
    /// Their last day; nothing is allowed after it.
    pub until: Option<Day>,
    /// The token they show to the API, if they have one.
    pub token: Option<Secret>,
}

/// Everybody who has something to say.
#[derive(Default)]
pub struct Directory {
    /// The people named in the configuration.
    pub people: Vec<Grant>,
    /// A token that is nobody's in particular. With it one may look and operate, but not act as a person.
    pub shared: Option<Secret>,
    /// The organisation's identity provider.
    pub oidc: Option<Oidc>,
}

/// How somebody showed who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    /// By a token from the configuration.
    Token,
    /// By a token of the identity provider.
    Oidc,
    /// By what they said to the bot: the homeserver knows them.
    Bot,
}

/// Somebody who asks, and whom we know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Their Matrix user id; none for the token that is nobody's.
    pub person: Option<String>,
    /// What they are there for.
    pub roles: Roles,
    /// How they showed who they are.
    pub means: Means,
}

impl Caller {
    /// Whether they may do something.
    ///
    /// # Errors
    ///
    /// [`Denied::Role`].
    pub fn may(&self, act: &Act<'_>) -> Result<(), Denied> {
        let needed = roles_for(act);
        if needed.iter().any(|role| self.roles.contains(role)) {
            return Ok(());
        }
        Err(Denied::Role {
            needed,
            has: self.roles.clone(),
        })
    }
}

/// Who came in, as far as it is remembered: what they may do is found anew each time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Who {
    /// Somebody whom the identity provider named.
    Oidc {
        /// The provider.
        issuer: String,
        /// What it says of them.
        claims: Value,
    },
    /// Somebody with a token of their own from the configuration.
    Token {
        /// Their Matrix user id.
        user: String,
        /// The token's hash: with another token they come in anew.
        hash: [u8; 32],
    },
}

/// The door: knows people by what they show.
pub struct Access {
    directory: RwLock<Arc<Directory>>,
    clock: Arc<dyn Clock>,
}

impl Access {
    /// A door for these.
    pub fn new(directory: Directory, clock: Arc<dyn Clock>) -> Self {
        Self {
            directory: RwLock::new(Arc::new(directory)),
            clock,
        }
    }

    /// From now on, for these. Whoever is no longer among them may do nothing any more.
    pub fn replace(&self, directory: Directory) {
        *self.directory.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(directory);
    }

    pub(crate) fn directory(&self) -> Arc<Directory> {
        Arc::clone(&self.directory.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Whether there is an identity provider, so that a token from the configuration is the way for when it is away.
    pub(crate) fn is_central(&self) -> bool {
        self.directory().oidc.is_some()
    }

    /// Who shows this bearer token.
    ///
    /// # Errors
    ///
    /// [`Denied`], if nobody does, or their time is over.
    pub async fn bearer(&self, token: &str) -> Result<Caller, Denied> {
        let (directory, now) = (self.directory(), self.now());
        if let Some(caller) = directory.by_token(token, now)? {
            return Ok(caller);
        }
        match &directory.oidc {
            Some(oidc) if token.contains('.') => oidc.caller(token, now).await.map_err(|error| match error {
                Unchecked::Refused(refusal) => Denied::Token(refusal),
                no_keys @ Unchecked::NoKeys(_) => Denied::Unavailable(no_keys.to_string()),
            })?,
            _ if directory.is_closed() => Err(Denied::Closed),
            _ => Err(Denied::Unknown),
        }
    }

    /// Who has this token of their own from the configuration. The token that is nobody's is nobody.
    ///
    /// # Errors
    ///
    /// [`Denied`], if nobody has, or their time is over.
    pub(crate) fn own_token(&self, token: &str) -> Result<(Who, Caller), Denied> {
        let caller = self.directory().by_token(token, self.now())?.ok_or(Denied::Unknown)?;
        let user = caller.person.clone().ok_or(Denied::NoPerson)?;
        let hash = Sha256::digest(token).into();
        Ok((Who::Token { user, hash }, caller))
    }

    /// What somebody who came in before may do now.
    ///
    /// # Errors
    ///
    /// [`Denied`], if they are not known any more, or their time is over.
    pub(crate) fn again(&self, who: &Who) -> Result<Caller, Denied> {
        let directory = self.directory();
        match who {
            Who::Oidc { issuer, claims } => {
                let provider = directory.oidc.as_ref().filter(|oidc| oidc.is_client_at(issuer));
                provider.ok_or(Denied::Unknown)?.meaning().caller(claims)
            }
            Who::Token { user, hash } => {
                let is_theirs = |grant: &&Grant| {
                    let token = grant.token.as_ref().map(|token| Sha256::digest(token.reveal()));
                    grant.user == *user && token.is_some_and(|known| known.as_slice() == hash)
                };
                let grant = directory.people.iter().find(is_theirs);
                grant.ok_or(Denied::Unknown)?.caller(Means::Token, self.now())
            }
        }
    }

    /// The person of this Matrix user id, who said something to the bot.
    ///
    /// # Errors
    ///
    /// [`Denied`], if they are not known here, or their time is over.
    pub fn sender(&self, user: &str) -> Result<Caller, Denied> {
        let directory = self.directory();
        let grant = directory.people.iter().find(|grant| grant.user == user);
        grant.ok_or(Denied::Unknown)?.caller(Means::Bot, self.now())
    }
}

impl Directory {
    /// Who has this token from the configuration. All are looked at, so that the time does not tell which is right.
    fn by_token(&self, token: &str, now: Timestamp) -> Result<Option<Caller>, Denied> {
        let of = |grant: &&Grant| grant.token.as_ref().is_some_and(|secret| secret.matches(token));
        let found = self.people.iter().filter(of).fold(None, |_, grant| Some(grant));
        let shared = self.shared.as_ref().is_some_and(|secret| secret.matches(token));
        match found {
            Some(grant) => grant.caller(Means::Token, now).map(Some),
            None => Ok(shared.then(|| Caller {
                person: None,
                roles: BTreeSet::from(SHARED),
                means: Means::Token,
            })),
        }
    }

    /// Whether there is no token that would be believed.
    fn is_closed(&self) -> bool {
        self.shared.is_none() && self.oidc.is_none() && self.people.iter().all(|grant| grant.token.is_none())
    }
}

impl Grant {
    fn caller(&self, means: Means, now: Timestamp) -> Result<Caller, Denied> {
        if let Some(day) = self.until.filter(|day| now >= day.end()) {
            return Err(Denied::Ended(day));
        }
        Ok(Caller {
            person: Some(self.user.clone()),
            roles: self.roles.clone(),
            means,
        })
    }
}
