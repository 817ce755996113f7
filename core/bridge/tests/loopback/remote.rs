//! The remote person.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use viaduct_bridge::conformance::{Done, Handle, Remote, RemoteError, Seen, What};
use viaduct_model::document::{Mention, MentionTarget};
use viaduct_model::{ChannelId, Document, Inline, NetworkName, PersonId};

use super::server::{Act, Item, Saying, Server};

/// Kim, whose id is `kim` whatever they are called.
pub struct Kim {
    server: Server,
    name: Mutex<String>,
    inside: Mutex<bool>,
    /// How far Kim has read.
    read: Mutex<usize>,
}

impl Kim {
    pub fn new(server: &Server) -> Self {
        Self {
            server: server.clone(),
            name: Mutex::new("Kim".to_owned()),
            inside: Mutex::new(false),
            read: Mutex::new(0),
        }
    }

    fn post(&self, act: Act) -> Done<Handle> {
        if !*self.inside.lock().unwrap() && !matches!(act, Act::Join) {
            return Err(RemoteError::Failed("Kim is not in the channel".to_owned()));
        }
        let name = self.name.lock().unwrap().clone();
        Ok(Handle(self.server.post(&name, false, act)))
    }

    fn speak(&self, saying: Saying) -> Done<Handle> {
        self.post(Act::Say(saying))
    }

    fn next(&self) -> Option<Seen> {
        let mut read = self.read.lock().unwrap();
        let log = self.server.log();
        let item = log.items.iter().enumerate().skip(*read).find(|(_, item)| item.by_hub)?;
        *read = item.0 + 1;
        if matches!(&item.1.act, Act::Kick(who) if who == "kim") {
            *self.inside.lock().unwrap() = false;
        }
        Some(seen(item.1))
    }
}

fn seen(item: &Item) -> Seen {
    let mut seen = Seen {
        author: item.author.clone(),
        handle: Handle(item.id.clone()),
        what: What::Other,
        ..Seen::default()
    };
    let on = |target: &String| Some(Handle(target.clone()));
    match &item.act {
        Act::Say(saying) => {
            seen.what = What::Message;
            seen.text = saying.body.to_plain();
            saying
                .body
                .each_inline(&mut |inline| seen.bold |= matches!(inline, Inline::Strong(_)));
            seen.target = saying.reply_to.as_ref().and_then(on);
            seen.thread = saying.thread.as_ref().and_then(on);
            seen.mentions_me = saying.notify.iter().any(|who| who == "kim");
            seen.mentions_everyone = saying.notify.iter().any(|who| who == "*");
            seen.file = saying.file.clone().map(|(_, bytes)| bytes);
        }
        Act::Edit { target, body } => (seen.what, seen.target, seen.text) = (What::Edit, on(target), body.to_plain()),
        Act::Delete { target } => (seen.what, seen.target) = (What::Delete, on(target)),
        Act::React { target, emoji } => (seen.what, seen.target, seen.text) = (What::React, on(target), emoji.clone()),
        Act::Unreact { target, emoji } => {
            (seen.what, seen.target, seen.text) = (What::Unreact, on(target), emoji.clone());
        }
        Act::Topic(topic) => (seen.what, seen.text) = (What::Topic, topic.clone()),
        Act::Join => seen.what = What::Join,
        Act::Leave => seen.what = What::Leave,
        Act::Kick(who) => (seen.what, seen.text) = (What::Kick, who.clone()),
        Act::Noise(_) => {}
    }
    seen
}

#[async_trait]
impl Remote for Kim {
    fn channel(&self) -> ChannelId {
        ChannelId::new("the-log").unwrap()
    }

    async fn connect(&self) -> Done {
        self.join().await
    }

    async fn say(&self, text: &str) -> Done<Handle> {
        self.speak(Saying {
            body: Document::plain(text),
            ..Saying::default()
        })
    }

    async fn expect_next(&self, bound: Duration) -> Done<Option<Seen>> {
        let mut changes = self.server.changes();
        let search = async {
            loop {
                if let Some(seen) = self.next() {
                    return seen;
                }
                changes.changed().await.unwrap();
            }
        };
        Ok(tokio::time::timeout(bound, search).await.ok())
    }

    async fn say_raw(&self, bytes: &[u8]) -> Done {
        self.post(Act::Noise(bytes.to_vec())).map(drop)
    }

    async fn say_bold(&self, text: &str) -> Done<Handle> {
        let body = Document::paragraph(vec![Inline::Strong(vec![Inline::Text(text.to_owned())])]);
        self.speak(Saying {
            body,
            ..Saying::default()
        })
    }

    async fn say_mention(&self, author: &str, text: &str) -> Done<Handle> {
        let id = PersonId::new(format!("@{}:hub.invalid", author.to_lowercase())).unwrap();
        let target = MentionTarget::Person {
            network: NetworkName::matrix(),
            id,
        };
        let mention = Inline::Mention(Mention {
            label: author.to_owned(),
            target,
        });
        let body = Document::paragraph(vec![mention, Inline::Text(format!(" {text}"))]);
        self.speak(Saying {
            body,
            ..Saying::default()
        })
    }

    async fn edit(&self, target: &Handle, text: &str) -> Done {
        self.post(Act::Edit {
            target: target.0.clone(),
            body: Document::plain(text),
        })
        .map(drop)
    }

    async fn delete(&self, target: &Handle) -> Done {
        self.post(Act::Delete {
            target: target.0.clone(),
        })
        .map(drop)
    }

    async fn reply(&self, target: &Handle, text: &str) -> Done<Handle> {
        let reply_to = Some(target.0.clone());
        self.speak(Saying {
            body: Document::plain(text),
            reply_to,
            ..Saying::default()
        })
    }

    async fn say_in_thread(&self, root: &Handle, text: &str) -> Done<Handle> {
        self.speak(Saying {
            body: Document::plain(text),
            thread: Some(root.0.clone()),
            ..Saying::default()
        })
    }

    async fn react(&self, target: &Handle, emoji: &str) -> Done {
        self.post(Act::React {
            target: target.0.clone(),
            emoji: emoji.to_owned(),
        })
        .map(drop)
    }

    async fn unreact(&self, target: &Handle, emoji: &str) -> Done {
        self.post(Act::Unreact {
            target: target.0.clone(),
            emoji: emoji.to_owned(),
        })
        .map(drop)
    }

    async fn upload(&self, name: &str, bytes: &[u8]) -> Done<Handle> {
        self.speak(Saying {
            file: Some((name.to_owned(), bytes.to_vec())),
            ..Saying::default()
        })
    }

    async fn set_topic(&self, topic: &str) -> Done {
        self.post(Act::Topic(topic.to_owned())).map(drop)
    }

    async fn rename(&self, name: &str) -> Done {
        name.clone_into(&mut self.name.lock().unwrap());
        Ok(())
    }

    async fn leave(&self) -> Done {
        self.post(Act::Leave)?;
        *self.inside.lock().unwrap() = false;
        Ok(())
    }

    async fn join(&self) -> Done {
        *self.inside.lock().unwrap() = true;
        self.post(Act::Join).map(drop)
    }

    async fn kick(&self, author: &str) -> Done {
        self.post(Act::Kick(author.to_owned())).map(drop)
    }

    async fn cut_connection(&self) -> Done {
        self.server.change(|log| log.cut = true);
        Ok(())
    }

    async fn restore(&self) -> Done {
        self.server
            .change(|log| (log.cut, log.limited, log.lose_answer) = (false, 0, false));
        Ok(())
    }

    async fn limit_rate(&self, times: u32) -> Done {
        self.server.change(|log| log.limited = times);
        Ok(())
    }

    async fn lose_answer(&self) -> Done {
        self.server.change(|log| log.lose_answer = true);
        Ok(())
    }

    async fn repeat(&self, message: &Handle) -> Done {
        self.server.change(|log| {
            let index = log.items.iter().position(|item| item.id == message.0).unwrap();
            log.again.push(index);
        });
        Ok(())
    }
}
