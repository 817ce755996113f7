//! Pure translations between Teams' words and the hub's.
//!
//! | module | translates |
//! |---|---|
//! | `html` | the HTML of messages → rich text, pictures, files, what is answered |
//! | `render` | rich text → the XML that bots and the HTML that people may send, and who is addressed in it |
//! | `said` | activities and Graph's messages → one form, and that → a message |
//! | `card` | cards → text, and our own cards |
//! | `emoji` | reactions |
//! | `split` | long texts → several |
//! | `ids` | message ids, which name their reply chain |

pub mod card;
pub mod emoji;
pub mod html;
pub mod ids;
pub mod render;
pub mod said;
pub mod split;
#[cfg(test)]
mod tests;
