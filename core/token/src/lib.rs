//! Tokens that somebody else signs (JSON Web Tokens, RFC 7519): whether one is to be believed; and how people log in there.
//!
//! | module | one reason to exist |
//! |---|---|
//! | [`keys`] | the issuer's public keys, and which algorithms each may be used with (RFC 7517); pure |
//! | [`check`](mod@check) | signature, issuer, audience and time of a token; pure |
//! | [`issuer`] | where the keys come from, and how often they are asked for |
//! | [`login`] | how people log in there: the authorization code flow with a proof key |
//! | `testing` | with the feature of that name: an identity provider for tests |
//!
//! ```text
//!  token ──▶ claimed key ──known?──▶ signed by it? ──▶ issuer, audience, time ──▶ claims
//!                 └──no──▶ the issuer is asked again, but not more often than it allows itself
//! ```
//!
//! # What is not believed
//!
//! An algorithm is accepted if the caller allows it *and* the key is made for it: `none` and shared secrets (`HS256` …) never
//! are, so that a public key cannot be made a secret. A token that names a key nobody knows makes the issuer be asked at most
//! once in [`issuer::PAUSE`]. A token with `crit` (RFC 7515 §4.1.11) is refused, since nothing it could name is understood.
//!
//! # Logging in
//!
//! ```text
//!  question(state, nonce, challenge) ──▶ the issuer asks the person ──▶ code, state
//!  code, verifier ──▶ id_token ──▶ Issuer::check (audience: the client) ──▶ is_answer (nonce, client) ──▶ claims
//! ```
//!
//! The flow itself is the crate `oauth2`'s, over the same HTTP client as everything here. The crate `openidconnect`, which adds
//! the id token, is not used: it brings signature libraries of its own beside those of [`check`](mod@check), one of which (`rsa`)
//! has a known weakness of timing, and believes tokens by rules of its own.
//!
//! # Extending
//!
//! A kind of key is an arm in `keys`. What else a token has to say, such as a tenant, is its caller's to check in the claims.

pub mod check;
pub mod issuer;
pub mod keys;
pub mod login;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use check::{Claimed, Expected, Refusal, Signed, bearer, check, claimed, in_time, signed};
pub use issuer::{Issuer, Unchecked, client, is_private};
pub use jsonwebtoken::Algorithm;
pub use keys::{Key, KeySet};
pub use login::{Attempt, Client, LoginError, is_answer};

#[cfg(test)]
mod tests;
