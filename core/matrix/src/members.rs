//! Memberships, roles and room state, as remote networks change them.

use serde_json::{Map, Value, json};
use viaduct_bridge::DeliveryError;
use viaduct_model::{Membership, Outbound, Person, Receipt, Role};

use crate::Homeserver;
use crate::client::{As, segment};
use crate::convert::inbound::level;
use crate::error::ApiError;

impl Homeserver {
    /// Shows that somebody's membership changed.
    pub(crate) async fn change_member(
        &self,
        out: &Outbound,
        person: &Person,
        change: &Membership,
        reason: Option<&str>,
    ) -> Result<Receipt, DeliveryError> {
        let room = out.to.channel.as_str();
        if person.network.is_matrix() {
            self.change_local(room, person, change, reason).await?;
            return Ok(Receipt::default());
        }
        match change {
            Membership::Join => drop(self.ghost_in(person, room).await?),
            Membership::Leave => {
                let ghost = self.ghosts.get(&self.ghost_id(person));
                self.exit(&ghost, room, reason).await?;
            }
            Membership::Kick => self.remove(room, person, "kick", reason).await?,
            Membership::Ban => self.remove(room, person, "ban", reason).await?,
            Membership::Unban => self
                .moderate(room, "unban", &self.ghost_id(person), None)
                .await
                .or_else(not_needed)?,
            Membership::Rename { .. } => {
                let ghost = self.ghosts.get(&self.ghost_id(person));
                // Somebody who never spoke or joined has no ghost to rename.
                if self.is_made(&ghost).await {
                    self.made_ghost(person).await?;
                }
            }
            // They are expected back; Matrix has no word for it that would not be a leave.
            Membership::Absent | Membership::Invite => {}
        }
        Ok(Receipt::default())
    }

    /// Kicks or bans a person's ghost. Where the bot may not, the ghost goes by itself.
    async fn remove(&self, room: &str, person: &Person, verb: &str, reason: Option<&str>) -> Result<(), ApiError> {
        let ghost = self.ghosts.get(&self.ghost_id(person));
        if verb == "kick" && !self.is_inside(&ghost, room).await {
            return Ok(());
        }
        match self.moderate(room, verb, &ghost.mxid, reason).await {
            Err(error) if error.is("M_FORBIDDEN") => self.exit(&ghost, room, reason).await?,
            other => other?,
        }
        self.forget_room(&ghost, room).await;
        Ok(())
    }

    /// A remote network changed the membership of somebody on Matrix.
    async fn change_local(
        &self,
        room: &str,
        person: &Person,
        change: &Membership,
        reason: Option<&str>,
    ) -> Result<(), ApiError> {
        let mxid = person.id.as_str();
        match change {
            Membership::Kick => self.moderate(room, "kick", mxid, reason).await,
            Membership::Ban => self.moderate(room, "ban", mxid, reason).await,
            Membership::Unban => self.moderate(room, "unban", mxid, None).await,
            Membership::Invite => self.moderate(room, "invite", mxid, reason).await.or_else(not_needed),
            _ => Ok(()),
        }
    }

    async fn moderate(&self, room: &str, verb: &str, mxid: &str, reason: Option<&str>) -> Result<(), ApiError> {
        let path = format!("/_matrix/client/v3/rooms/{}/{verb}", segment(room));
        let mut body = Map::new();
        body.insert("user_id".to_owned(), mxid.into());
        if let Some(reason) = reason {
            body.insert("reason".to_owned(), reason.into());
        }
        self.api.post(&path, As::BOT, &Value::Object(body)).await.map(drop)
    }

    /// Sets a piece of room state as the bot.
    pub(crate) async fn set_room(&self, room: &str, kind: &str, content: &Value) -> Result<Receipt, DeliveryError> {
        self.api.set_state(room, kind, "", As::BOT, content).await?;
        // Its id is not given: an answer to it is not mirrored, as it is the bot's own.
        Ok(Receipt::default())
    }

    /// Gives somebody the power level of a role, never above or against the bot's own.
    pub(crate) async fn set_role(&self, room: &str, person: &Person, role: Role) -> Result<(), ApiError> {
        let mxid = if person.network.is_matrix() {
            person.id.as_str().to_owned()
        } else {
            self.ghost_id(person)
        };
        let mut levels = self.api.state(room, "m.room.power_levels", "", As::BOT).await?;
        if change_level(&mut levels, &mxid, role, self.names.bot()) {
            self.api
                .set_state(room, "m.room.power_levels", "", As::BOT, &levels)
                .await?;
        }
        Ok(())
    }
}

/// That somebody is invited or not banned already is no failure.
fn not_needed(error: ApiError) -> Result<(), ApiError> {
    if error.is("M_FORBIDDEN") || error.is("M_BAD_STATE") {
        Ok(())
    } else {
        Err(error)
    }
}

/// The level of a role.
fn level_of(role: Role) -> i64 {
    match role {
        Role::Visitor | Role::Member => 0,
        Role::Voiced => 10,
        Role::Moderator => 50,
        Role::Admin => 100,
    }
}

/// Changes one user's level in a power-level content; whether anything changed. In room version 12 and later the creator is
/// not listed and stands above all levels.
fn change_level(levels: &mut Value, mxid: &str, role: Role, bot: &str) -> bool {
    let default = level(levels.get("users_default")).unwrap_or(0);
    let Some(content) = levels.as_object_mut() else {
        return false;
    };
    let users = content.entry("users").or_insert_with(|| json!({}));
    let Some(users) = users.as_object_mut() else {
        return false;
    };
    let own = level(users.get(bot)).unwrap_or(100);
    let now = level(users.get(mxid)).unwrap_or(default);
    let wanted = level_of(role).max(default).min(own);
    // Equals cannot be demoted, and the bot does not disarm itself.
    if mxid == bot || now == wanted || now >= own {
        return false;
    }
    if wanted == default {
        users.remove(mxid);
    } else {
        users.insert(mxid.to_owned(), wanted.into());
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_change_within_the_bots_power() {
        let bot = "@viaduct:example.org";
        let mut levels = json!({ "users": { bot: 75, "@admin:example.org": 100 } });
        assert!(change_level(&mut levels, "@g:example.org", Role::Admin, bot));
        assert_eq!(levels["users"]["@g:example.org"], 75);
        assert!(!change_level(&mut levels, "@admin:example.org", Role::Member, bot));
        assert!(!change_level(&mut levels, bot, Role::Member, bot));
        let mut levels = json!({ "users": { "@g:example.org": 50 } });
        assert!(change_level(&mut levels, "@g:example.org", Role::Member, bot));
        assert_eq!(levels["users"], json!({}));
        assert!(!change_level(&mut levels, "@g:example.org", Role::Member, bot));
        assert!(!change_level(&mut json!([]), "@g:example.org", Role::Member, bot));
    }
}
