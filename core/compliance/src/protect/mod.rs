//! Know-how that must not cross, without the hub knowing it: lists of keyed hashes.
//!
//! A policy names a *list* and the *key* it was made with. A list of values ([`list_values`]) holds customer numbers, names or
//! part numbers; a list of documents ([`list_documents`]) the fingerprints of texts. Neither says what it protects to whoever
//! has only the list, and the key alone says nothing at all: keep them apart, the key readable by the hub's user only.
//!
//! # Values
//!
//! A value is its letters and digits, folded and in small letters, without what separates them; so is a text, cut into *atoms*
//! where letters, digits and separators meet. Every run of joined atoms that is as long as some value has a rolling hash, and
//! what passes that is proved by HMAC-SHA-256. In the list the rolling hash stands masked by SipHash-2-4 of the proof, which is
//! a mask of each value's own: without the key the list does not say even whether it holds a value that is known. So
//! `KD-4711 0815` is found as `kd47110815` and in `Kunde KD 4711/0815`, but not within `KD-4711 08156`.
//!
//! # Fingerprints
//!
//! Winnowing as by Schleimer, Wilkerson and Aiken (*Winnowing: Local Algorithms for Document Fingerprinting*, 2003): of every
//! [`WINDOW`] neighbouring runs of [`RUN`] letters and digits the one with the smallest hash is kept, in the list as in a text
//! that is looked at. A passage of [`RUN`] + [`WINDOW`] - 1 letters and digits that was copied unchanged is certain to have a
//! fingerprint; what was reworded throughout has none.
//!
//! ```
//! use viaduct_compliance::protect::{Key, list_values};
//!
//! let key = Key::new("0123456789abcdef0123456789abcdef").unwrap();
//! let list = list_values(&key, "KD-4711 0815\nMüller & Söhne\n").unwrap();
//! assert!(!list.contains("4711"));
//! ```

mod documents;
mod keyed;
mod lists;
mod normal;
mod rolling;
mod values;

pub use documents::{RUN, WINDOW, list_documents};
pub use keyed::Key;
pub use values::list_values;

pub(crate) use documents::{DocumentList, Seen, Threshold, winnow};
pub(crate) use lists::{documents, values};
pub(crate) use normal::Normal;
pub(crate) use values::ValueList;

/// What is wrong with a list of what is protected, or with its key. Never repeats what is protected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// The key can be guessed.
    #[error("the key has fewer than 32 characters; `viaduct policy protect key` makes one")]
    Key,
    /// Nothing would be found with this key.
    #[error("the list was made with another key; name that one as `key_file`, or make the list again")]
    OtherKey,
    /// It is not a list of this kind.
    #[error("line {0} is not one of such a list; `viaduct policy protect` makes lists")]
    Format(usize),
    /// A value is too short: it would be found everywhere.
    #[error("line {0}: the value has fewer than 4 letters and digits, and would be found everywhere")]
    Short(usize),
    /// A value is too long to be one.
    #[error("line {0}: the value has more than 120 letters and digits; fingerprints are for texts")]
    Long(usize),
    /// A text is too short to have fingerprints.
    #[error("text {0} has too few letters and digits to have fingerprints of its own")]
    Bare(usize),
    /// There is nothing in it.
    #[error("there is nothing in it to protect")]
    Empty,
    /// It has more than a list may have.
    #[error("it has more than {0} entries; make several lists, each with a rule of its own")]
    Size(usize),
    /// A file cannot be read.
    #[error("{0}")]
    File(String),
}
