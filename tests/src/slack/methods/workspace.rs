//! The app and its workspace: who one is, where to connect, the team, its emoji and groups, and consent.

use serde_json::{Map, Value, json};

use crate::slack::call::{Answer, Caller, Refusal};
use crate::slack::ids::now_micros;
use crate::slack::state::{State, Token, TokenKind};
use crate::slack::view::view_group;

/// Seconds within which the address of a socket has to be used.
const TICKET_LIFE: u64 = 30;
/// The longest page of workspaces.
const LONGEST_PAGE: usize = 1000;

pub(super) fn api_test(_: &mut State, caller: &Caller) -> Answer {
    let mut echoed = Map::new();
    for name in ["error", "foo"] {
        if let Some(text) = caller.text(name) {
            echoed.insert(name.to_owned(), json!(text));
        }
    }
    match caller.text("error") {
        Some(error) => Err(Refusal {
            code: error.to_owned(),
            more: json!({ "args": echoed }),
        }),
        None => Ok(json!({ "args": echoed })),
    }
}

pub(super) fn auth_test(state: &mut State, caller: &Caller) -> Answer {
    if caller.token.kind == TokenKind::App {
        return Ok(
            json!({ "app_name": state.installs.get(caller.install).map(|install| &install.name), "app_id": caller.app }),
        );
    }
    let team = state
        .teams
        .get(&caller.team)
        .ok_or_else(|| Refusal::from("fatal_error"))?;
    let mut answer = json!({
        "url": format!("https://{}.slack.com/", team.domain), "team": team.name, "team_id": team.id,
        "user": state.users.get(&caller.user).map(|user| &user.name), "user_id": caller.user,
        "is_enterprise_install": false,
    });
    if let Some(organisation) = &caller.organisation {
        for key in ["team_id", "enterprise_id"] {
            answer[key] = json!(organisation.id);
        }
        answer["team"] = json!(organisation.name);
        answer["is_enterprise_install"] = json!(true);
    }
    if caller.is_bot() {
        answer["bot_id"] = json!(caller.bot);
    }
    Ok(answer)
}

/// The workspaces that the app was added to.
pub(super) fn teams(state: &mut State, caller: &Caller) -> Answer {
    let teams = state.teams.values().filter(|team| caller.works_in(&team.id)).collect();
    let (page, next) = caller.page("team", teams, |team| team.id.clone(), LONGEST_PAGE)?;
    let views: Vec<Value> = page
        .iter()
        .map(|team| json!({ "id": team.id, "name": team.name }))
        .collect();
    Ok(json!({ "teams": views, "response_metadata": { "next_cursor": next } }))
}

pub(super) fn connections_open(state: &mut State, caller: &Caller) -> Answer {
    let now = now_micros() / 1_000_000;
    state.tickets.retain(|_, (_, until)| *until >= now);
    let ticket = state.ids.secret("ticket");
    state
        .tickets
        .insert(ticket.clone(), (caller.install, now + TICKET_LIFE));
    let place = state.base.replacen("http", "ws", 1);
    Ok(json!({ "url": format!("{place}/link/?ticket={ticket}&app_id={}", caller.app) }))
}

pub(super) fn team(state: &mut State, caller: &Caller) -> Answer {
    let id = caller.text("team").unwrap_or(&caller.team);
    let meets = state
        .channels
        .values()
        .any(|channel| channel.teams.contains(id) && channel.teams.iter().any(|team| caller.works_in(team)));
    let team = state.teams.get(id).filter(|_| caller.works_in(id) || meets);
    let team = team.ok_or_else(|| Refusal::from("team_not_found"))?;
    let image = |size: u32| format!("{}/avatars/{}_{size}.png", state.base, team.id);
    Ok(json!({ "team": {
        "id": team.id, "name": team.name, "domain": team.domain, "email_domain": "",
        "url": format!("https://{}.slack.com/", team.domain), "is_verified": false,
        "icon": { "image_34": image(34), "image_44": image(44), "image_68": image(68), "image_88": image(88),
            "image_102": image(102), "image_132": image(132), "image_230": image(230), "image_default": true },
    } }))
}

pub(super) fn emoji(state: &mut State, caller: &Caller) -> Answer {
    let emoji = state.teams.get(&caller.team).map(|team| &team.emoji);
    Ok(json!({ "emoji": emoji, "cache_ts": state.ids.ts().to_string() }))
}

pub(super) fn groups(state: &mut State, caller: &Caller) -> Answer {
    let team = caller.listed_team()?;
    let groups: Vec<Value> = state
        .teams
        .get(team)
        .into_iter()
        .flat_map(|team| team.groups.values())
        .map(|group| view_group(group, team, caller.flag("include_users")))
        .collect();
    Ok(json!({ "usergroups": groups }))
}

/// A person's consent becomes their token.
pub(super) fn oauth(state: &mut State, caller: &Caller) -> Answer {
    let (index, user) = state
        .codes
        .remove(caller.text("code").unwrap_or_default())
        .ok_or_else(|| Refusal::from("invalid_code"))?;
    let access = state.ids.secret("xoxp");
    let install = state.installs.get(index).ok_or_else(|| Refusal::from("invalid_code"))?;
    if caller.text("client_id") != Some(&install.client_id) {
        return Err("invalid_client_id".into());
    }
    if caller.text("client_secret") != Some(&install.client_secret) {
        return Err("bad_client_secret".into());
    }
    let scopes = install.scopes.clone();
    let scope = scopes.iter().cloned().collect::<Vec<_>>().join(",");
    let team = state
        .teams
        .get(&install.team)
        .map(|team| json!({ "id": team.id, "name": team.name }));
    let answer = json!({
        "app_id": install.app, "team": team, "enterprise": null, "is_enterprise_install": false,
        "authed_user": { "id": user, "scope": scope, "access_token": access, "token_type": "user" },
    });
    state.tokens.insert(
        access,
        Token {
            install: index,
            kind: TokenKind::User,
            user,
            scopes,
            dead: None,
        },
    );
    Ok(answer)
}
