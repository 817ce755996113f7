//! `users.*` and `bots.info`: who people and bots are.

use serde_json::json;

use crate::slack::call::{Answer, Caller, Refusal};
use crate::slack::state::{State, User};

/// The longest page of a list.
const LONGEST_PAGE: usize = 1000;

/// A user whom the caller's workspace knows: its own, or one in a shared channel with it.
fn known<'a>(state: &'a State, caller: &Caller, user: &str) -> Result<&'a User, Refusal> {
    let found = state.users.get(user).ok_or_else(|| Refusal::from("user_not_found"))?;
    let meets = state
        .channels
        .values()
        .any(|channel| channel.teams.iter().any(|team| caller.works_in(team)) && channel.teams.contains(&found.team));
    if caller.works_in(&found.team) || meets {
        Ok(found)
    } else {
        Err("user_not_visible".into())
    }
}

pub(super) fn info(state: &mut State, caller: &Caller) -> Answer {
    let user = known(state, caller, caller.text("user").unwrap_or_default())?;
    let mut view = state.view_user(user, caller.reader(false));
    if caller.flag("include_locale") {
        view["locale"] = json!("en-US");
    }
    Ok(json!({ "user": view }))
}

pub(super) fn list(state: &mut State, caller: &Caller) -> Answer {
    let team = caller.listed_team()?;
    let users: Vec<&User> = state.users.values().filter(|user| user.team == team).collect();
    let (page, next) = caller.page("user", users, |user| user.id.clone(), LONGEST_PAGE)?;
    let members: Vec<_> = page
        .into_iter()
        .map(|user| state.view_user(user, caller.reader(false)))
        .collect();
    let now = crate::slack::ids::now_micros() / 1_000_000;
    Ok(json!({ "members": members, "cache_ts": now, "response_metadata": { "next_cursor": next } }))
}

pub(super) fn profile(state: &mut State, caller: &Caller) -> Answer {
    let user = known(state, caller, caller.text("user").unwrap_or(&caller.user))?;
    let view = state.view_user(user, caller.reader(false));
    Ok(json!({ "profile": view["profile"] }))
}

pub(super) fn bots_info(state: &mut State, caller: &Caller) -> Answer {
    let bot = caller.text("bot").unwrap_or(&caller.bot);
    let install = state
        .installs
        .iter()
        .find(|install| install.bot == bot && install.team == caller.team);
    let install = install.ok_or_else(|| Refusal::from("bot_not_found"))?;
    Ok(json!({ "bot": {
        "id": install.bot, "deleted": !install.live, "name": install.name, "updated": 1_700_000_000, "app_id": install.app,
        "user_id": install.user, "icons": state.view_icons(&install.user),
    } }))
}
