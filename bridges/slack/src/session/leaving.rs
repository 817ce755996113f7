//! The end of a mirror: its channel is left, or at least no longer listened to.

use viaduct_bridge::DeliveryError;
use viaduct_model::ChannelId;

use super::{Slack, unsupported};

/// Slack's words for that the app must not, or cannot, leave by itself.
const MUST_STAY: [&str; 7] = [
    "missing_scope",
    "not_allowed_token_type",
    "no_permission",
    "restricted_action",
    "cant_leave_general",
    "last_member",
    "method_not_supported_for_channel_type",
];
/// Slack's words for that there is nothing to leave.
const IS_OUT: [&str; 3] = ["not_in_channel", "channel_not_found", "is_archived"];

impl Slack {
    /// Leaves a channel for good. From here on nothing of it is heard, also where the app has to stay in it.
    pub(super) async fn leave(&self, channel: &ChannelId) -> Result<(), DeliveryError> {
        // Of a direct chat there is nothing to leave.
        let Some(channel) = self.channels.spelled(channel) else {
            return Ok(());
        };
        self.channels.dismiss(channel);
        let id = {
            let mut known = channel.known();
            known.ended = true;
            known.trouble = Some("its mirror has ended".to_owned());
            known.id.clone()
        };
        channel.reset();
        let language = self.context.language;
        let stays = language.pick(
            "the app no longer listens in the Slack channel, but it is still in it: somebody there removes it",
            "die App hört im Slack-Kanal nicht mehr zu, ist aber noch darin: jemand dort entfernt sie",
        );
        let Some(id) = id else { return Ok(()) };
        if !self.section.leave {
            return Err(unsupported(stays));
        }
        match self.api.leave(&id).await {
            Ok(()) => Ok(()),
            Err(error) => match error.code() {
                Some(code) if IS_OUT.contains(&code) => Ok(()),
                Some(code) if MUST_STAY.contains(&code) => Err(unsupported(&format!("{stays} ({error})"))),
                _ => Err(error.for_repeatable()),
            },
        }
    }
}
