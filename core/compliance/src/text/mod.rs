//! Every text of an event, made comparable, with the way back to the original characters.
//!
//! [`parts`] walks an event and names every string in it a *leaf*; reading and masking walk the same way, so that a leaf's
//! number means the same in both. [`view`] turns a part's leaves into one text without the tricks that hide a word from a
//! filter but not from a reader, and remembers where each character came from.

mod fold;
mod mask;
pub(crate) mod parts;
mod table;
pub(crate) mod view;

pub(crate) use fold::fold;
pub(crate) use mask::{Masked, mask};
pub(crate) use parts::{Part, read, read_file, read_previous};
pub(crate) use view::{Span, View};
