//! What happens on the homeserver that is not an event of a mirrored room.

use async_trait::async_trait;

/// Hears of it. Everything here is awaited before the homeserver's transaction is acknowledged, and may be told again after a
/// crash.
#[async_trait]
pub trait Observer: Send + Sync {
    /// The bot or a ghost was invited into a room, by whom, and whether it is to be a direct chat.
    async fn invited(&self, room: &str, invitee: &str, by: &str, direct: bool);

    /// A room was replaced by another; the bot is in the new one already if it could come in.
    async fn upgraded(&self, room: &str, replacement: &str);

    /// The label of a mirrored room was set, changed, or (none) taken away; see [`LABEL`](crate::LABEL).
    async fn labelled(&self, room: &str, label: Option<&str>);

    /// Somebody spoke to the bot: `!viaduct …` anywhere, or any text in a direct chat with it.
    async fn command(&self, room: &str, sender: &str, text: &str, event_id: &str);

    /// Whether a user id of ours stands for somebody.
    async fn user_exists(&self, mxid: &str) -> bool;

    /// Whether an alias of ours leads somewhere.
    async fn alias_exists(&self, alias: &str) -> bool;

    /// Whether a room belongs to a mirror. The events of others are not passed on.
    fn is_mirrored(&self, room: &str) -> bool;

    /// Whether the mirror of a room is to be end-to-end encrypted, by the operator's wish.
    fn is_encrypted(&self, _room: &str) -> bool {
        false
    }

    /// Nothing crosses between a room and its mirror, and the room was told why.
    async fn unfit(&self, _room: &str, _reason: &str) {}

    /// Waits, after a start, until it is known which rooms are mirrored: before that, nothing of them may be acknowledged.
    async fn settled(&self) {}
}
