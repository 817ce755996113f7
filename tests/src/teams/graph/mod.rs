//! Graph: teams, channels, people; messages, files and subscriptions have their own files.

mod files;
mod messages;
mod subscriptions;

pub(super) use files::reference;
pub(super) use subscriptions::subscribe;

use serde_json::{Value, json};

use super::call::{Answer, Asked, Reply};
use super::ids::now_millis;
use super::state::{Channel, Kind, State, Team, Token};

/// A picture of one pixel.
const PIXEL: &[u8] = &[
    0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0x0d, b'I', b'H', b'D', b'R', 0, 0, 0, 1, 0, 0, 0, 1, 8,
    6, 0, 0, 0, 0x1f, 0x15, 0xc4, 0x89, 0, 0, 0, 0x0d, b'I', b'D', b'A', b'T', 0x78, 0x9c, 0x63, 0xf8, 0x0f, 0x04, 0,
    0x09, 0xfb, 0x03, 0xfd, 0xfb, 0x5e, 0x6b, 0x2b, 0, 0, 0, 0, b'I', b'E', b'N', b'D', 0xae, 0x42, 0x60, 0x82,
];

/// Any of these permissions lets an app ask for it.
fn consent_for(operation: &str, is_chat: bool, is_personal: bool) -> &'static [&'static str] {
    match operation {
        "graph.messages" | "graph.message" | "graph.replies" | "graph.delta" | "graph.hosted" if is_personal => {
            &["Chat.Read.All", "Chat.ReadWrite.All"]
        }
        "graph.messages" | "graph.message" | "graph.replies" | "graph.delta" | "graph.hosted" if is_chat => {
            &["ChatMessage.Read.Chat", "Chat.Read.All", "Chat.ReadWrite.All"]
        }
        "graph.messages" | "graph.message" | "graph.replies" | "graph.delta" | "graph.hosted" => {
            &["ChannelMessage.Read.Group", "ChannelMessage.Read.All"]
        }
        "graph.teams" => &["Team.ReadBasic.All", "TeamSettings.Read.All"],
        "graph.team" => &[
            "TeamSettings.Read.Group",
            "TeamSettings.ReadWrite.Group",
            "Team.ReadBasic.All",
        ],
        "graph.channels" | "graph.channel" => &["ChannelSettings.Read.Group", "Channel.ReadBasic.All"],
        "graph.members" if is_chat => &["ChatMember.Read.Chat", "ChatMember.Read.All"],
        "graph.members" => &["TeamMember.Read.Group", "TeamMember.Read.All", "ChannelMember.Read.All"],
        "graph.chat" => &["ChatSettings.Read.Chat", "Chat.ReadBasic.All", "Chat.Read.All"],
        "graph.user" | "graph.photo" => &["User.Read.All", "User.ReadBasic.All", "Directory.Read.All"],
        "graph.folder" | "graph.share" | "graph.item" => &[
            "Files.Read.All",
            "Files.ReadWrite.All",
            "Sites.Selected",
            "Sites.Read.All",
            "Sites.ReadWrite.All",
        ],
        "graph.upload" => &["Files.ReadWrite.All", "Sites.Selected", "Sites.ReadWrite.All"],
        _ => &[],
    }
}

/// Whether an id or address in a path is this one; Graph does not mind the case.
fn same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

impl State {
    /// Answers a call of Graph.
    pub(super) fn graph_call(&mut self, asked: &Asked) -> Answer {
        let token = self.authorize(asked, true)?;
        self.allow(asked, &token)?;
        self.limit_graph(asked, &token)?;
        match asked.operation {
            "graph.messages" if asked.method == http::Method::GET => self.messages(asked, &token),
            "graph.messages" | "graph.replies" if asked.method == http::Method::POST => self.say_as(asked, &token),
            "graph.message" if asked.method == http::Method::GET => self.message(asked, &token),
            "graph.message" => self.change_as(asked, &token),
            "graph.replies" => self.replies(asked, &token),
            "graph.delta" => self.delta(asked, &token),
            "graph.hosted" => self.hosted(asked, &token),
            "graph.teams" => Ok(self.list_teams(&token)),
            "graph.team" => Ok(Reply::json(200, &Self::view_team(self.asked_team(asked, &token)?))),
            "graph.channels" => self.list_channels(asked, &token),
            "graph.channel" | "graph.chat" => self.one_channel(asked, &token),
            "graph.members" => self.list_members(asked, &token),
            "graph.grants" => self.grants(asked, &token),
            "graph.user" => self.one_user(asked, &token),
            "graph.photo" => Ok(Reply::bytes(200, "image/png", bytes::Bytes::from_static(PIXEL))),
            "graph.organization" => Ok(self.organization(&token)),
            "graph.folder" => self.folder(asked, &token),
            "graph.upload" => self.begin_upload(asked),
            "graph.item" => self.item(asked),
            "graph.share" => self.share(asked),
            "graph.subscriptions" | "graph.subscription" => self.subscription(asked, &token),
            _ => Err(Reply::error(400, "BadRequest", "Resource not found for the segment.")),
        }
    }

    /// Whether consent was given.
    pub(super) fn allow(&self, asked: &Asked, token: &Token) -> Result<(), Reply> {
        let is_chat = asked.part(0) == "chats";
        // Consent for one chat is given for chats of several people.
        let is_personal = is_chat && asked.part(1).ends_with("@unq.gbl.spaces");
        let needed = consent_for(asked.operation, is_chat, is_personal);
        if token.user.is_some() {
            return Self::allow_person(asked, token);
        }
        let consent = self.apps.get(token.app).map(|one| &one.consent);
        let given = |one: &&str| consent.is_some_and(|consent| consent.contains(*one));
        if needed.is_empty() || needed.iter().any(given) {
            return Ok(());
        }
        let what = format!(
            "Missing role permissions on the request. API requires one of '{}'.",
            needed.join(", ")
        );
        Err(Reply::error(403, "Forbidden", &what))
    }

    /// What a person let the app do in their name. Reading is not looked at.
    fn allow_person(asked: &Asked, token: &Token) -> Result<(), Reply> {
        let action = asked.path.last().map_or("", String::as_str);
        let needed = match (asked.method.as_str(), action) {
            ("GET", "me") => "User.Read",
            ("PATCH", _) | (_, "softDelete" | "undoSoftDelete") => "ChannelMessage.ReadWrite",
            ("POST", "messages" | "replies" | "setReaction" | "unsetReaction") => "ChannelMessage.Send",
            _ => return Ok(()),
        };
        if token.scope.split([' ', '/']).any(|one| one == needed) {
            return Ok(());
        }
        let what = format!("Missing scope permissions on the request. API requires one of '{needed}'.");
        Err(Reply::error(403, "Forbidden", &what))
    }

    pub(super) fn limit_graph(&mut self, asked: &Asked, token: &Token) -> Result<(), Reply> {
        if !self.limits.enforce {
            return Ok(());
        }
        let mut counted = vec![(
            format!("graph {} {}", token.app, token.tenant),
            self.limits.graph.as_slice(),
        )];
        let scope = match asked.part(0) {
            "teams" => Some(asked.part(3)),
            "chats" => Some(asked.part(1)),
            _ => None,
        };
        if let Some(scope) = scope.filter(|scope| !scope.is_empty()) {
            counted.push((
                format!("graph {} {scope}", token.app),
                self.limits.graph_channel.as_slice(),
            ));
        }
        self.usage
            .take(&counted)
            .map_err(|wait| Reply::limited(wait.as_secs() + u64::from(wait.subsec_nanos() > 0)))
    }

    /// What an app may see of a team or chat: only where it is installed.
    fn sees(&self, channel: &Channel, token: &Token) -> bool {
        if let Some(user) = &token.user {
            return self.people(channel).iter().any(|one| one.id == *user);
        }
        let app = self
            .apps
            .get(token.app)
            .map(|one| one.app.app_id.as_str())
            .unwrap_or_default();
        channel.tenant == token.tenant && self.is_in(app, channel)
    }

    fn asked_team(&self, asked: &Asked, token: &Token) -> Result<&Team, Reply> {
        let team = self.teams.values().find(|team| same(&team.group, asked.part(1)));
        let team = team.filter(|team| team.tenant == token.tenant);
        let team = team.ok_or_else(|| Reply::error(404, "NotFound", "No team found with Group Id."))?;
        let general = self.channels.get(&team.id).filter(|general| self.sees(general, token));
        general.ok_or_else(|| Reply::error(403, "Forbidden", "The app is not installed in the team."))?;
        Ok(team)
    }

    /// The channel or chat that is named in the path.
    fn asked_channel(&self, asked: &Asked, token: &Token) -> Result<&Channel, Reply> {
        let channel = if asked.part(0) == "teams" {
            let team = self.asked_team(asked, token)?;
            let channel = self.channels.get(asked.part(3));
            channel.filter(|channel| channel.team == team.id && !channel.deleted)
        } else {
            self.chat_in_graph(asked.part(1))
        };
        let channel = channel.ok_or_else(|| Reply::error(404, "NotFound", "There is no such channel or chat."))?;
        if !self.sees(channel, token) {
            return Err(Reply::error(403, "Forbidden", "The app is not installed in the chat."));
        }
        Ok(channel)
    }

    fn list_teams(&self, token: &Token) -> Reply {
        let teams = self.teams.values().filter(|team| team.tenant == token.tenant);
        Reply::list(&teams.map(Self::view_team).collect::<Vec<_>>())
    }

    fn list_channels(&self, asked: &Asked, token: &Token) -> Answer {
        let team = self.asked_team(asked, token)?;
        let channels = self
            .channels
            .values()
            .filter(|channel| channel.team == team.id && !channel.deleted);
        Ok(Reply::list(
            &channels.map(|channel| self.view_channel(channel)).collect::<Vec<_>>(),
        ))
    }

    fn one_channel(&self, asked: &Asked, token: &Token) -> Answer {
        let channel = self.asked_channel(asked, token)?;
        if !channel.kind.is_chat() {
            return Ok(Reply::json(200, &self.view_channel(channel)));
        }
        let kind = if channel.kind == Kind::Group {
            "group"
        } else {
            "oneOnOne"
        };
        Ok(Reply::json(
            200,
            &json!({
                "id": Self::graph_chat(channel), "topic": channel.name, "chatType": kind, "tenantId": channel.tenant,
            }),
        ))
    }

    fn list_members(&self, asked: &Asked, token: &Token) -> Answer {
        let channel = if asked.part(2) == "members" && asked.part(0) == "teams" {
            let team = self.asked_team(asked, token)?;
            self.channels.get(&team.id).ok_or_else(|| Reply::not_found("team"))?
        } else {
            self.asked_channel(asked, token)?
        };
        let people: Vec<Value> = self
            .people(channel)
            .into_iter()
            .map(|user| {
                json!({
                    "@odata.type": "#microsoft.graph.aadUserConversationMember", "id": user.id, "userId": user.id,
                    "displayName": user.name, "email": user.mail, "tenantId": user.tenant,
                    "roles": if user.guest { json!(["guest"]) } else { json!([]) },
                })
            })
            .collect();
        let most = asked.top("$top", 100, 999);
        self.pages(asked, people, most, |user| {
            user["id"].as_str().unwrap_or_default().to_owned()
        })
    }

    /// The part of a list that was asked for, and the address of the next.
    fn pages(&self, asked: &Asked, values: Vec<Value>, most: usize, name: impl Fn(&Value) -> String) -> Answer {
        let start = match asked.query("$skiptoken") {
            None => 0,
            Some(from) => {
                let found = values.iter().position(|value| name(value) == from);
                found.ok_or_else(|| Reply::error(400, "BadRequest", "The skip token is not known."))?
            }
        };
        let mut rest = values.into_iter().skip(start);
        let page: Vec<Value> = rest.by_ref().take(most).collect();
        let mut answer = json!({ "@odata.count": page.len(), "value": page });
        if let Some(next) = rest.next() {
            answer["@odata.nextLink"] = json!(self.link(asked, "$skiptoken", &name(&next)));
        }
        Ok(Reply::json(200, &answer))
    }

    /// The same address with another token of where to go on.
    fn link(&self, asked: &Asked, name: &str, value: &str) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let kept = asked
            .query
            .iter()
            .filter(|(key, _)| !["$skiptoken", "$deltatoken"].contains(&key.as_str()));
        query.extend_pairs(kept).append_pair(name, value);
        format!("{}/{}?{}", self.graph(), asked.path.join("/"), query.finish())
    }

    /// The consent that was given for a team or a chat alone.
    fn grants(&self, asked: &Asked, token: &Token) -> Answer {
        if asked.part(0) == "teams" {
            self.asked_team(asked, token)?;
        } else {
            self.asked_channel(asked, token)?;
        }
        let registration = self.apps.get(token.app).ok_or_else(|| Reply::not_found("app"))?;
        let end = if asked.part(0) == "teams" { ".Group" } else { ".Chat" };
        let grants: Vec<Value> = registration
            .consent
            .iter()
            .filter(|permission| permission.ends_with(end))
            .map(|permission| {
                json!({
                    "id": permission, "clientAppId": registration.app.app_id, "permissionType": "Application",
                    "permission": permission, "deletedDateTime": null,
                })
            })
            .collect();
        Ok(Reply::list(&grants))
    }

    fn one_user(&self, asked: &Asked, token: &Token) -> Answer {
        if asked.part(0) == "me" && token.user.is_none() {
            let what = "/me request is only valid with delegated authentication flow.";
            return Err(Reply::error(400, "BadRequest", what));
        }
        let wanted = match asked.part(0) {
            "me" => token.user.as_deref().unwrap_or_default(),
            _ => asked.part(1),
        };
        let user = self
            .users
            .values()
            .find(|user| same(&user.id, wanted) || same(&user.mail, wanted));
        let user = user.filter(|user| user.tenant == token.tenant);
        let user = user.ok_or_else(|| Reply::error(404, "Request_ResourceNotFound", "There is no such person."))?;
        Ok(Reply::json(200, &Self::view_user(user)))
    }

    fn organization(&self, token: &Token) -> Reply {
        let name = self.tenants.get(&token.tenant);
        Reply::list(&[
            json!({ "id": token.tenant, "displayName": name, "createdDateTime": super::ids::written(now_millis()) }),
        ])
    }
}
