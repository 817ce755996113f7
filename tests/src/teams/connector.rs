//! The connector: what bots post, change and ask for.

use serde_json::{Value, json};

use super::call::{Answer, Asked, Reply};
use super::contract::Contract;
use super::html;
use super::state::{Author, Channel, Message, State, Token};

/// The type of an adaptive card.
const CARD: &str = "application/vnd.microsoft.card.adaptive";
/// The largest card, in bytes of JSON.
const LARGEST_CARD: usize = 28 * 1024;

impl State {
    /// Answers a call of the connector. The first part of the path is the tenant, the second the version.
    pub(super) fn connector(&mut self, asked: &Asked) -> Answer {
        if let Some(contract) = Contract::get() {
            for what in contract.check(asked) {
                self.violate(asked.operation, what);
            }
        }
        let token = self.authorize(asked, false)?;
        let app = self.apps.get(token.app).map(|one| one.app.clone());
        let app = app.ok_or_else(|| Reply::error(401, "Unauthorized", "no app"))?;
        if asked.part(0) != app.tenant {
            return Err(Reply::error(
                403,
                "Forbidden",
                "The tenant of the token is another one.",
            ));
        }
        self.limit(asked, &app.app_id)?;
        match asked.operation {
            "connector.create" => self.create(asked, &app.app_id),
            "connector.reply" => self.reply(asked, &app.app_id),
            "connector.edit" => self.replace(asked, &app.app_id),
            "connector.delete" => self.take_back(asked, &app.app_id),
            "connector.react" => self.feel(asked, &app.app_id),
            "connector.members" => self.members(asked, &app.app_id),
            "connector.member" => self.member(asked, &app.app_id),
            "connector.conversations" => Ok(self.conversations(&token)),
            "connector.team" => self.team(asked, &app.app_id),
            "connector.team_channels" => self.team_channels(asked, &app.app_id),
            "connector.attachment" => self.attachment(asked),
            _ => Err(Reply::not_found("operation")),
        }
    }

    fn limit(&mut self, asked: &Asked, app: &str) -> Result<(), Reply> {
        if !self.limits.enforce {
            return Ok(());
        }
        let named = match asked.operation {
            "connector.create" => asked.body["channelData"]["channel"]["id"].as_str().unwrap_or_default(),
            _ => asked.part(3),
        };
        let place = named.split(';').next().unwrap_or_default();
        let mut counted = vec![(format!("connector {app}"), self.limits.tenant.as_slice())];
        match asked.operation {
            "connector.create" | "connector.reply" | "connector.edit" | "connector.delete" | "connector.react" => {
                counted.push((format!("send {app} {place}"), self.limits.send.as_slice()));
            }
            "connector.members" | "connector.member" => {
                counted.push((format!("members {app} {place}"), self.limits.members.as_slice()));
            }
            _ => {}
        }
        self.usage
            .take(&counted)
            .map_err(|wait| Reply::limited(wait.as_secs() + u64::from(wait.subsec_nanos() > 0)))
    }

    /// The conversation that is named in the path: its channel, and the first message of the reply chain.
    fn place(&self, asked: &Asked, app: &str) -> Result<(String, Option<u64>), Reply> {
        let named = asked.part(3);
        let (channel, root) = match named.split_once(";messageid=") {
            Some((channel, root)) => {
                let missing = || Reply::error(404, "ConversationNotFound", "Conversation not found.");
                (channel, Some(root.parse::<u64>().map_err(|_| missing())?))
            }
            None => (named, None),
        };
        self.present(channel, app)?;
        Ok((channel.to_owned(), root))
    }

    /// A channel in which the app is.
    fn present(&self, id: &str, app: &str) -> Result<&Channel, Reply> {
        let channel = self.channels.get(id).filter(|channel| !channel.deleted);
        let channel = channel.ok_or_else(|| Reply::error(404, "ConversationNotFound", "Conversation not found."))?;
        if !self.is_in(app, channel) {
            let what = "The bot is not part of the conversation roster.";
            return Err(Reply::error(403, "BotNotInConversationRoster", what));
        }
        Ok(channel)
    }

    fn check_activity(&mut self, operation: &str, activity: &Value) -> Result<(), Reply> {
        let mut measured = activity.clone();
        for attachment in measured["attachments"].as_array_mut().into_iter().flatten() {
            if attachment["contentUrl"]
                .as_str()
                .is_some_and(|url| url.starts_with("data:"))
            {
                attachment["contentUrl"] = Value::Null;
            }
        }
        if measured.to_string().len() > self.largest {
            return Err(Reply::error(413, "MessageSizeTooBig", "Message size too large."));
        }
        let text = activity["text"].as_str().unwrap_or_default();
        let has_more = activity["attachments"].as_array().is_some_and(|list| !list.is_empty());
        if activity["type"] == "message" && text.is_empty() && !has_more {
            return Err(Reply::error(
                400,
                "BadSyntax",
                "The activity has neither text nor attachments.",
            ));
        }
        for entity in activity["entities"].as_array().into_iter().flatten() {
            let mark = entity["text"].as_str().unwrap_or_default();
            if entity["type"] == "mention" && (mark.is_empty() || !text.contains(mark)) {
                self.violate(operation, format!("the text does not hold the mention {mark:?}"));
            }
        }
        for attachment in activity["attachments"].as_array().into_iter().flatten() {
            if attachment["contentType"] == CARD {
                for what in html::strange_card(&attachment["content"]) {
                    self.violate(operation, what);
                }
                if attachment["content"].to_string().len() > LARGEST_CARD {
                    return Err(Reply::error(413, "RequestEntityTooLarge", "The card is too large."));
                }
            }
        }
        match activity["textFormat"].as_str() {
            Some("xml") => {
                for element in html::strange_elements(text) {
                    self.violate(
                        operation,
                        format!("the text holds <{element}>, which Teams does not show"),
                    );
                }
            }
            None | Some("plain" | "markdown") => {}
            Some(other) => self.violate(operation, format!("there is no textFormat {other}")),
        }
        Ok(())
    }

    fn create(&mut self, asked: &Asked, app: &str) -> Answer {
        let activity = &asked.body["activity"];
        let Some(place) = asked.body["channelData"]["channel"]["id"].as_str() else {
            return self.open_personal(asked, app);
        };
        let place = self.present(place, app)?.id.clone();
        if activity.is_null() {
            return Err(Reply::error(
                400,
                "BadSyntax",
                "A conversation in a channel begins with an activity.",
            ));
        }
        self.check_activity(asked.operation, activity)?;
        let id = self.written_by(app, &place, None, activity)?;
        Ok(Reply::json(
            201,
            &json!({ "id": format!("{place};messageid={id}"), "activityId": id.to_string() }),
        ))
    }

    /// The chat of the bot and one person.
    fn open_personal(&mut self, asked: &Asked, app: &str) -> Answer {
        let member = asked.body["members"][0]["id"].as_str().unwrap_or_default();
        let user = self.user_by_mri(member).map(|user| user.id.clone());
        let user =
            user.ok_or_else(|| Reply::error(400, "BadArgument", "Neither a channel nor a known person is named."))?;
        let registered = self.app_by_id(app).map(|one| one.app.clone());
        let registered = registered.ok_or_else(|| Reply::not_found("app"))?;
        let named = asked.body["tenantId"].as_str();
        if named.or(asked.body["channelData"]["tenant"]["id"].as_str()) != Some(registered.tenant.as_str()) {
            return Err(Reply::error(
                400,
                "BadArgument",
                "The tenant is not named, or is another one.",
            ));
        }
        let refused = || Reply::error(403, "Forbidden", "The person does not have the app.");
        if self.without_app.contains(&user) {
            return Err(refused());
        }
        let id = self.personal_chat(&registered, &user);
        self.present(&id, app).map_err(|_| refused())?;
        if asked.body["activity"].is_object() {
            let message = self.written_by(app, &id, None, &asked.body["activity"])?;
            return Ok(Reply::json(
                201,
                &json!({ "id": id, "activityId": message.to_string() }),
            ));
        }
        Ok(Reply::json(201, &json!({ "id": id })))
    }

    fn written_by(&mut self, app: &str, place: &str, thread: Option<u64>, activity: &Value) -> Result<u64, Reply> {
        let mut draft = self.draft_of(activity);
        draft.thread = thread;
        let archived = self
            .channels
            .get(place)
            .and_then(|channel| self.team_of(channel))
            .is_some_and(|team| team.archived);
        if archived {
            return Err(Reply::error(403, "Forbidden", "The team is archived."));
        }
        let written = self.write(place, Author::App(app.to_owned()), draft);
        written.ok_or_else(|| Reply::error(404, "ConversationNotFound", "Conversation not found."))
    }

    fn reply(&mut self, asked: &Asked, app: &str) -> Answer {
        let (place, mut root) = self.place(asked, app)?;
        if let Some(to) = asked.path.get(5).and_then(|to| to.parse::<u64>().ok()) {
            // A reply by the id of a message: it goes to that message's chain.
            let message = self.channels.get(&place).and_then(|channel| channel.messages.get(&to));
            root = message.map(|message| message.root.unwrap_or(message.id)).or(root);
        }
        self.check_activity(asked.operation, &asked.body)?;
        if asked.body["type"] == "typing" {
            return Ok(Reply::json(201, &json!({})));
        }
        let id = self.written_by(app, &place, root, &asked.body)?;
        Ok(Reply::json(201, &json!({ "id": id.to_string() })))
    }

    /// A message that this app wrote.
    fn own(&self, asked: &Asked, app: &str) -> Result<(String, u64), Reply> {
        let (place, _) = self.place(asked, app)?;
        let missing = || {
            Reply::error(
                404,
                "ActivityNotFoundInConversation",
                "The activity is not in the conversation.",
            )
        };
        let id = asked.part(5).parse::<u64>().map_err(|_| missing())?;
        let message = self
            .channels
            .get(&place)
            .and_then(|channel| channel.messages.get(&id))
            .ok_or_else(missing)?;
        if message.from != Author::App(app.to_owned()) {
            return Err(Reply::error(403, "Forbidden", "The bot did not write this message."));
        }
        if message.deleted.is_some() {
            return Err(missing());
        }
        Ok((place, id))
    }

    fn replace(&mut self, asked: &Asked, app: &str) -> Answer {
        let (place, id) = self.own(asked, app)?;
        self.check_activity(asked.operation, &asked.body)?;
        let draft = self.draft_of(&asked.body);
        self.edit(&place, id, draft);
        Ok(Reply::json(200, &json!({ "id": id.to_string() })))
    }

    fn take_back(&mut self, asked: &Asked, app: &str) -> Answer {
        let (place, id) = self.own(asked, app)?;
        self.delete(&place, id, true);
        Ok(Reply::empty(200))
    }

    fn feel(&mut self, asked: &Asked, app: &str) -> Answer {
        let (place, _) = self.place(asked, app)?;
        let id = asked.part(5).parse::<u64>().map_err(|_| Reply::not_found("message"))?;
        let is_there = |message: Option<&Message>| message.is_some_and(|message| message.deleted.is_none());
        if !is_there(self.channels.get(&place).and_then(|channel| channel.messages.get(&id))) {
            return Err(Reply::not_found("message"));
        }
        let set = asked.method == http::Method::PUT;
        self.react(&place, id, &Author::App(app.to_owned()), asked.part(7), set);
        Ok(Reply::empty(200))
    }

    fn members(&self, asked: &Asked, app: &str) -> Answer {
        let (place, _) = self.place(asked, app)?;
        let channel = self.present(&place, app)?;
        let people: Vec<Value> = self.people(channel).into_iter().map(Self::view_member).collect();
        if !asked.part(4).eq_ignore_ascii_case("pagedmembers") {
            return Ok(Reply::json(200, &json!(people)));
        }
        let from = asked
            .query("continuationToken")
            .and_then(|text| text.parse::<usize>().ok())
            .unwrap_or(0);
        let most = asked.top("pageSize", 200, 500);
        let page: Vec<&Value> = people.iter().skip(from).take(most).collect();
        let mut answer = json!({ "members": page });
        if from + page.len() < people.len() {
            answer["continuationToken"] = json!((from + page.len()).to_string());
        }
        Ok(Reply::json(200, &answer))
    }

    fn member(&self, asked: &Asked, app: &str) -> Answer {
        let (place, _) = self.place(asked, app)?;
        let wanted = asked.part(5);
        let channel = self.present(&place, app)?;
        let found = self
            .people(channel)
            .into_iter()
            .find(|user| [&user.mri, &user.id, &user.mail].iter().any(|name| *name == wanted));
        let found =
            found.ok_or_else(|| Reply::error(404, "MemberNotFoundInConversation", "The person is not there."))?;
        Ok(Reply::json(200, &Self::view_member(found)))
    }

    fn conversations(&self, token: &Token) -> Reply {
        let app = self
            .apps
            .get(token.app)
            .map(|one| one.app.app_id.as_str())
            .unwrap_or_default();
        let list: Vec<Value> = self
            .channels
            .values()
            .filter(|channel| self.is_in(app, channel))
            .map(|channel| json!({ "id": channel.id, "members": [] }))
            .collect();
        Reply::json(200, &json!({ "conversations": list }))
    }

    fn team(&self, asked: &Asked, app: &str) -> Answer {
        let team = self
            .teams
            .get(asked.part(3))
            .filter(|team| team.installed.contains(app));
        let team = team.ok_or_else(|| Reply::error(404, "ConversationNotFound", "There is no such team."))?;
        let channels = self
            .channels
            .values()
            .filter(|channel| channel.team == team.id && !channel.deleted);
        let people = self.channels.get(&team.id).map_or(0, |general| general.members.len());
        Ok(Reply::json(
            200,
            &json!({
                "id": team.id, "name": team.name, "aadGroupId": team.group, "tenantId": team.tenant, "type": "standard",
                "channelCount": channels.count(), "memberCount": people,
            }),
        ))
    }

    fn team_channels(&self, asked: &Asked, app: &str) -> Answer {
        let team = self
            .teams
            .get(asked.part(3))
            .filter(|team| team.installed.contains(app));
        let team = team.ok_or_else(|| Reply::error(404, "ConversationNotFound", "There is no such team."))?;
        // The channel General has no name here.
        let list: Vec<Value> = self
            .channels
            .values()
            .filter(|channel| channel.team == team.id && !channel.deleted)
            .map(|channel| json!({ "id": channel.id, "name": (channel.id != team.id).then_some(&channel.name), "type": channel.kind }))
            .collect();
        Ok(Reply::json(200, &json!({ "conversations": list })))
    }

    fn attachment(&self, asked: &Asked) -> Answer {
        let wanted = asked.part(3);
        let mut hosted = self
            .channels
            .values()
            .flat_map(|channel| channel.messages.values())
            .flat_map(|one| &one.hosted);
        let hosted = hosted
            .find(|hosted| hosted.id == wanted)
            .ok_or_else(|| Reply::not_found("attachment"))?;
        if asked.part(4) == "views" {
            return Ok(Reply::bytes(200, &hosted.mime, hosted.content.clone()));
        }
        let views = json!([{ "viewId": "original", "size": hosted.content.len() }]);
        Ok(Reply::json(
            200,
            &json!({ "name": hosted.id, "type": hosted.mime, "views": views }),
        ))
    }
}
