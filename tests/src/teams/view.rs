//! How things look on the wire: activities for bots, resources of Graph.

use serde_json::{Value, json};

use super::control::App;
use super::html;
use super::ids::written;
use super::state::{Author, Channel, File, Message, State, Team, User};

/// Where an attachment stands in a text.
fn mark(id: &str) -> String {
    format!("<attachment id=\"{id}\"></attachment>")
}

impl State {
    fn person(user: &User) -> Value {
        json!({ "id": user.mri, "name": user.name, "aadObjectId": user.id })
    }

    /// A member as the connector lists it.
    pub(super) fn view_member(user: &User) -> Value {
        let mut names = user.name.splitn(2, ' ');
        json!({
            "id": user.mri, "name": user.name, "aadObjectId": user.id, "objectId": user.id, "email": user.mail,
            "givenName": names.next().unwrap_or_default(), "surname": names.next().unwrap_or_default(),
            "userPrincipalName": user.mail, "tenantId": user.tenant, "userRole": if user.guest { "guest" } else { "user" },
        })
    }

    /// The id of a conversation: that of the channel, with the first message of the reply chain.
    pub(super) fn conversation(channel: &Channel, message: Option<&Message>) -> String {
        match message {
            Some(message) if !channel.kind.is_chat() => {
                format!("{};messageid={}", channel.id, message.root.unwrap_or(message.id))
            }
            _ => channel.id.clone(),
        }
    }

    fn channel_data(channel: &Channel, team: Option<&Team>) -> Value {
        let mut data = json!({ "tenant": { "id": channel.tenant } });
        if let Some(team) = team {
            data["teamsChannelId"] = json!(channel.id);
            data["teamsTeamId"] = json!(team.id);
            data["channel"] = json!({ "id": channel.id });
            data["team"] = json!({ "id": team.id });
        }
        data
    }

    /// What all activities about a channel have.
    pub(super) fn view_frame(&self, app: &App, channel: &Channel, message: Option<&Message>, at: u64) -> Value {
        let mut conversation = json!({
            "isGroup": channel.kind.conversation() != "personal", "conversationType": channel.kind.conversation(),
            "tenantId": channel.tenant, "id": Self::conversation(channel, message),
        });
        if channel.kind.is_chat() && !channel.name.is_empty() {
            conversation["name"] = json!(channel.name);
        }
        json!({
            "timestamp": written(at), "localTimestamp": written(at), "channelId": "msteams",
            "serviceUrl": self.service(&channel.tenant), "recipient": { "id": app.bot_id, "name": app.name },
            "conversation": conversation, "channelData": Self::channel_data(channel, self.team_of(channel)),
        })
    }

    /// A message as a bot is told of it.
    pub(super) fn view_activity(&self, app: &App, channel: &Channel, message: &Message) -> Value {
        let mut activity = self.view_frame(app, channel, Some(message), message.modified);
        activity["type"] = json!("message");
        activity["id"] = json!(message.id.to_string());
        if let Author::User(id) = &message.from
            && let Some(user) = self.users.get(id)
        {
            activity["from"] = Self::person(user);
        }
        activity["locale"] = json!("en-US");
        activity["textFormat"] = json!("plain");
        activity["text"] = json!(html::plain(&message.html));
        let mut attachments: Vec<Value> = message.hosted.iter().map(|hosted| {
            json!({
                "contentType": "image/*",
                "contentUrl": format!("{}v3/attachments/{}/views/original", self.service(&channel.tenant), hosted.id),
            })
        }).collect();
        let mut shown = html::for_bots(&message.html, &message.mentions);
        for attachment in &message.attachments {
            if attachment["contentType"] == "reference" && channel.kind.conversation() != "personal" {
                shown.push_str(&mark(attachment["id"].as_str().unwrap_or_default()));
            } else {
                attachments.push(self.attachment_for_bots(attachment));
            }
        }
        attachments.push(json!({ "contentType": "text/html", "content": format!("<div>{shown}</div>") }));
        activity["attachments"] = json!(attachments);
        activity["entities"] = json!(self.view_entities(channel, message));
        activity
    }

    /// In a personal chat files are named with an address that needs no token; cards come as objects.
    fn attachment_for_bots(&self, attachment: &Value) -> Value {
        if attachment["contentType"] == "reference" {
            let address = attachment["contentUrl"].as_str().unwrap_or_default();
            let id = self
                .files
                .values()
                .find(|file| file.address == address)
                .map(|file| file.id.clone());
            let id = id.unwrap_or_default();
            return json!({
                "contentType": "application/vnd.microsoft.teams.file.download.info", "contentUrl": address,
                "name": attachment["name"],
                "content": { "downloadUrl": format!("{}/download/{id}", self.base), "uniqueId": id, "fileType": "bin" },
            });
        }
        let content = attachment["content"]
            .as_str()
            .and_then(|text| serde_json::from_str::<Value>(text).ok());
        json!({ "contentType": attachment["contentType"], "content": content, "name": attachment["name"] })
    }

    fn view_entities(&self, channel: &Channel, message: &Message) -> Vec<Value> {
        let mut entities: Vec<Value> = message
            .mentions
            .iter()
            .map(|mention| {
                let id = match &mention.who {
                    Author::User(id) => self.users.get(id).map(|user| user.mri.clone()).unwrap_or_default(),
                    Author::App(id) => format!("28:{id}"),
                };
                json!({
                    "type": "mention", "mentioned": { "id": id, "name": mention.name },
                    "text": format!("<at>{}</at>", mention.name),
                })
            })
            .collect();
        if let Some(quoted) = message.quotes.and_then(|id| channel.messages.get(&id)) {
            let sender = match &quoted.from {
                Author::User(id) => self.users.get(id).map(|user| user.mri.clone()).unwrap_or_default(),
                Author::App(id) => format!("28:{id}"),
            };
            entities.push(json!({ "type": "quotedReply", "quotedReply": {
                "messageId": quoted.id.to_string(), "senderId": sender, "senderName": self.name_of(&quoted.from),
                "preview": html::plain(&quoted.html), "time": quoted.id.to_string(), "isReplyDeleted": quoted.deleted.is_some(),
            } }));
        }
        entities.push(json!({
            "type": "clientInfo", "locale": "en-US", "country": "US", "platform": "Web", "timezone": "Europe/Berlin",
        }));
        entities
    }

    fn identity(&self, who: &Author) -> Value {
        match who {
            Author::User(id) => {
                let tenant = self.users.get(id).map(|user| user.tenant.clone());
                json!({ "application": null, "device": null, "user": {
                    "@odata.type": "#microsoft.graph.teamworkUserIdentity", "id": id, "displayName": self.name_of(who),
                    "userIdentityType": "aadUser", "tenantId": tenant,
                } })
            }
            Author::App(id) => json!({ "user": null, "device": null, "application": {
                "@odata.type": "#microsoft.graph.teamworkApplicationIdentity", "id": id, "displayName": self.name_of(who),
                "applicationIdentityType": "bot",
            } }),
        }
    }

    /// A message as Graph has it.
    pub(super) fn view_message(&self, channel: &Channel, message: &Message) -> Value {
        let team = self.team_of(channel);
        let gone = message.deleted.is_some();
        let reactions: Vec<Value> = message
            .reactions
            .iter()
            .map(|(what, who, at)| {
                json!({
                    "reactionType": what, "displayName": null, "reactionContentUrl": null, "createdDateTime": written(*at),
                    "user": self.identity(who),
                })
            })
            .collect();
        let mentions: Vec<Value> = message
            .mentions
            .iter()
            .enumerate()
            .map(|(id, mention)| json!({ "id": id, "mentionText": mention.name, "mentioned": self.identity(&mention.who) }))
            .collect();
        let mut attachments = message.attachments.clone();
        let mut content = message.html.clone();
        for attachment in &attachments {
            content.push_str(&mark(attachment["id"].as_str().unwrap_or_default()));
        }
        if let Some(quoted) = message.quotes.and_then(|id| channel.messages.get(&id)) {
            content.insert_str(0, &mark(&quoted.id.to_string()));
            let preview = json!({
                "messageId": quoted.id.to_string(), "messagePreview": html::plain(&quoted.html),
                "messageSender": self.identity(&quoted.from),
            });
            attachments.push(json!({
                "id": quoted.id.to_string(), "contentType": "messageReference", "contentUrl": null,
                "content": preview.to_string(), "name": null, "thumbnailUrl": null,
            }));
        }
        json!({
            "id": message.id.to_string(), "replyToId": message.root.map(|root| root.to_string()),
            "etag": message.modified.to_string(), "messageType": "message", "createdDateTime": written(message.id),
            "lastModifiedDateTime": written(message.modified), "lastEditedDateTime": message.edited.map(written),
            "deletedDateTime": message.deleted.map(written), "subject": message.subject, "summary": null,
            "chatId": team.is_none().then(|| Self::graph_chat(channel)), "importance": "normal", "locale": "en-us",
            "webUrl": format!("https://teams.microsoft.com/l/message/{}/{}", channel.id, message.id),
            "from": self.identity(&message.from), "policyViolation": null, "eventDetail": null, "onBehalfOf": null,
            "body": { "contentType": "html", "content": if gone { "" } else { &content } },
            "channelIdentity": team.map(|team| json!({ "teamId": team.group, "channelId": channel.id })),
            "attachments": if gone { json!([]) } else { json!(attachments) },
            "mentions": if gone { json!([]) } else { json!(mentions) }, "reactions": reactions, "messageHistory": [],
        })
    }

    /// A channel as Graph has it.
    pub(super) fn view_channel(&self, channel: &Channel) -> Value {
        json!({
            "id": channel.id, "displayName": channel.name, "description": null, "email": "", "tenantId": channel.tenant,
            "membershipType": channel.kind, "isArchived": self.team_of(channel).is_some_and(|team| team.archived),
            "webUrl": format!("https://teams.microsoft.com/l/channel/{}", channel.id),
        })
    }

    /// A team as Graph has it.
    pub(super) fn view_team(team: &Team) -> Value {
        json!({
            "id": team.group, "displayName": team.name, "description": null, "internalId": team.id,
            "tenantId": team.tenant, "isArchived": team.archived, "visibility": "private",
        })
    }

    /// A person as Graph has them.
    pub(super) fn view_user(user: &User) -> Value {
        let mut names = user.name.splitn(2, ' ');
        json!({
            "id": user.id, "displayName": user.name, "mail": user.mail, "userPrincipalName": user.mail,
            "givenName": names.next(), "surname": names.next(), "userType": if user.guest { "Guest" } else { "Member" },
        })
    }

    /// A file as Graph has it.
    pub(super) fn view_file(file: &File) -> Value {
        json!({
            "id": file.id, "name": file.name, "size": file.content.len(), "webUrl": file.address,
            "eTag": format!("\"{{{}}},1\"", file.id.to_uppercase()), "file": { "mimeType": file.mime },
            "parentReference": { "driveId": file.drive, "driveType": "documentLibrary" },
        })
    }
}
