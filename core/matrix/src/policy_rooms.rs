//! Policy rooms: whom a community does not want, as the state of a room says.

use serde::Deserialize;
use serde_json::Value;
use viaduct_bridge::DeliveryError;
use viaduct_compliance::{EntityKind, ListRule};

use crate::Homeserver;
use crate::client::{As, segment};
use crate::rooms::RoomSpec;

/// A piece of a room's state, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Piece {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    content: Value,
}

/// The rules among the state of a room. What cannot be read as one is none.
fn rules(state: Vec<Piece>) -> Vec<(EntityKind, ListRule)> {
    let rule = |piece: Piece| {
        let kind = EntityKind::of_event(&piece.kind)?;
        Some((kind, serde_json::from_value(piece.content).ok()?))
    };
    state.into_iter().filter_map(rule).collect()
}

impl Homeserver {
    /// What the state of a policy room says now. The bot comes in if it is not there yet.
    ///
    /// # Errors
    ///
    /// As of any delivery; permanent if the room is not there or the bot may not come in.
    pub async fn policy_rules(&self, room: &RoomSpec) -> Result<Vec<(EntityKind, ListRule)>, DeliveryError> {
        let room = self.ensure_room(room).await?;
        let path = format!("/_matrix/client/v3/rooms/{}/state", segment(&room));
        Ok(rules(self.api.get(&path, As::BOT).await?))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_rules_are_read_and_oddities_are_none() {
        let state = json!([
            { "type": "m.room.name", "state_key": "", "content": { "name": "bans" } },
            { "type": "m.policy.rule.user", "state_key": "rule:@a:b",
              "content": { "entity": "@a:b", "recommendation": "m.ban", "reason": "spam" } },
            { "type": "m.policy.rule.server", "state_key": "gone", "content": {} },
            { "type": "m.policy.rule.server", "state_key": "odd", "content": { "entity": 7 } },
            { "type": "m.policy.rule.planet", "state_key": "x", "content": { "entity": "x", "recommendation": "m.ban" } },
            { "type": "m.policy.rule.room" },
        ]);
        let rules = rules(serde_json::from_value(state).unwrap());
        let told: Vec<_> = rules
            .iter()
            .map(|(kind, rule)| (*kind, rule.entity.as_deref()))
            .collect();
        assert_eq!(told, [(EntityKind::User, Some("@a:b")), (EntityKind::Server, None)]);
    }
}
