//! What the person sees in the room, in the kit's words.

use viaduct_bridge::conformance::{Handle, Seen, What};
use xmpp_parsers::minidom::Element;
use xmpp_parsers::ns;

use super::{Memory, RoomPerson, stanza_id};

impl RoomPerson {
    /// Understands what was seen.
    pub(super) async fn note(&self, element: &Element) {
        let mut state = self.state.lock().await;
        let author = element
            .attr("from")
            .and_then(|from| from.split_once('/'))
            .map(|(_, nick)| nick.to_owned())
            .unwrap_or_default();
        let seen = Seen {
            author: author.clone(),
            handle: Handle(stanza_id(element).unwrap_or_default()),
            ..Seen::default()
        };
        if element.name() == "presence" {
            return state.note_presence(element, seen);
        }
        if element.name() != "message" || element.attr("type") != Some("groupchat") || author == state.nick {
            return;
        }
        let child = |name: &str, namespace: &str| element.get_child(name, namespace);
        if let Some(reactions) = child("reactions", ns::REACTIONS) {
            return state.note_reactions(reactions, seen);
        }
        if let Some(retract) = child("retract", "urn:xmpp:message-retract:1") {
            let target = retract.attr("id").map(|id| Handle(id.to_owned()));
            return state.seen.push_back(Seen {
                what: What::Delete,
                target,
                ..seen
            });
        }
        if let (Some(subject), None) = (child("subject", ns::DEFAULT_NS), child("body", ns::DEFAULT_NS)) {
            if !author.is_empty() {
                state.seen.push_back(Seen {
                    what: What::Topic,
                    text: subject.text(),
                    ..seen
                });
            }
            return;
        }
        if let Some(body) = child("body", ns::DEFAULT_NS).map(Element::text) {
            let seen = state.understand(element, body, seen);
            let seen = self.complete(element, seen).await;
            state.seen.push_back(seen);
        }
    }

    /// Adds what only the person knows: who they are, the file behind a link, and for whom the hub speaks.
    async fn complete(&self, element: &Element, mut seen: Seen) -> Seen {
        let me = format!("xmpp:{}", self.room);
        let is_me = |uri: &str| uri.starts_with(&me) || uri.contains("robin@people.localhost");
        seen.mentions_me = element
            .children()
            .any(|child| child.is("reference", "urn:xmpp:reference:0") && child.attr("uri").is_some_and(is_me));
        let link = element
            .get_child("x", ns::OOB)
            .and_then(|oob| oob.get_child("url", ns::OOB));
        if let Some(link) = link
            && let Ok(response) = reqwest::get(&link.text()).await
        {
            seen.file = response.bytes().await.ok().map(|bytes| bytes.to_vec());
        }
        if self.relayed
            && seen.author == "viaduct"
            && let Some((name, text)) = seen.text.clone().split_once(": ")
        {
            (seen.author, seen.text) = (name.to_owned(), text.to_owned());
        }
        seen
    }
}

impl Memory {
    fn note_presence(&mut self, element: &Element, mut seen: Seen) {
        let user = || element.get_child("x", ns::MUC_USER);
        let codes: Vec<&str> = user()
            .into_iter()
            .flat_map(Element::children)
            .filter_map(|child| child.attr("code"))
            .collect();
        if codes.contains(&"110") && !codes.contains(&"307") {
            return;
        }
        // Another nick is neither a leave nor a join.
        if codes.contains(&"303") {
            let item = user().and_then(|x| x.get_child("item", ns::MUC_USER));
            self.renamed = item.and_then(|item| item.attr("nick")).map(str::to_owned);
            return;
        }
        if self.renamed.as_ref() == Some(&seen.author) {
            self.renamed = None;
            return;
        }
        seen.what = match element.attr("type") {
            None => What::Join,
            Some("unavailable") if codes.contains(&"307") => What::Kick,
            Some("unavailable") => What::Leave,
            _ => return,
        };
        seen.text.clone_from(&seen.author);
        self.seen.push_back(seen);
    }

    /// A stanza with reactions says all of them: what changed is told.
    fn note_reactions(&mut self, reactions: &Element, mut seen: Seen) {
        let target = reactions.attr("id").unwrap_or_default().to_owned();
        let now: Vec<String> = reactions.children().map(Element::text).collect();
        let set = (seen.author.clone(), target.clone());
        let before = self.reactions.insert(set, now.clone()).unwrap_or_default();
        seen.target = Some(Handle(target));
        let new = now.iter().filter(|one| !before.contains(one));
        let gone = before.iter().filter(|one| !now.contains(one));
        let changes = new
            .map(|text| (What::React, text))
            .chain(gone.map(|text| (What::Unreact, text)));
        for (what, text) in changes {
            self.seen.push_back(Seen {
                what,
                text: text.clone(),
                ..seen.clone()
            });
        }
    }

    /// What a message with a text says.
    fn understand(&mut self, element: &Element, mut body: String, mut seen: Seen) -> Seen {
        let child = |name: &str, namespace: &str| element.get_child(name, namespace);
        if let Some(replaced) = child("replace", ns::MESSAGE_CORRECT).and_then(|replace| replace.attr("id")) {
            seen.what = What::Edit;
            let original = self.named.iter().find(|(_, stanza)| *stanza == replaced);
            seen.target = original.map(|(id, _)| Handle(id.clone()));
        } else if let Some(id) = element.attr("id") {
            self.named.insert(seen.handle.0.clone(), id.to_owned());
        }
        if let Some(reply) = child("reply", "urn:xmpp:reply:0") {
            seen.target = reply.attr("id").map(|id| Handle(id.to_owned()));
            let fallback = child("fallback", "urn:xmpp:fallback:0");
            let part = fallback.and_then(|fallback| fallback.get_child("body", "urn:xmpp:fallback:0"));
            let end = part.and_then(|part| part.attr("end")).and_then(|end| end.parse().ok());
            body = body.chars().skip(end.unwrap_or(0)).collect();
        }
        if let Some(thread) = child("thread", ns::DEFAULT_NS).map(Element::text) {
            let root = self.threads.get(&thread).cloned().unwrap_or(thread);
            seen.thread = Some(Handle(root));
        }
        let is_bold = |word: &str| word.len() > 2 && word.starts_with('*') && word.ends_with('*');
        seen.bold = child("unstyled", "urn:xmpp:styling:0").is_none() && body.split_whitespace().any(is_bold);
        body = body.replace('\u{2060}', "");
        if seen.bold {
            body = body.replace('*', "");
        }
        seen.text = body;
        seen
    }
}
