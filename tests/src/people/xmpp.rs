//! A person on XMPP, on slixmpp: a client that shares no code with the bridge it tests.
//!
//! slixmpp is Python, so the person is a small program, `xmpp_person.py`, held by its ends: commands go in and events come
//! out as JSON lines.

mod message;

pub use message::XmppMessage;

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::HEARD;
use crate::launch::{XmppServer, python};
use crate::wait::{wait_for, wait_until};

/// How long a command may take.
const DONE: Duration = Duration::from_mins(1);

/// What the program tells.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Told {
    Message { message: Box<XmppMessage> },
    Presence { presence: Presence },
    Done { done: u64, result: Value },
    Failed { failed: u64, why: String },
    Online { online: bool },
    Offline { offline: String },
}

#[derive(Debug, Deserialize)]
struct Presence {
    from: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Debug, Default)]
struct State {
    messages: Vec<XmppMessage>,
    /// Who is in which room, as `room/nick`.
    present: HashSet<String>,
    waiting: HashMap<u64, oneshot::Sender<Result<Value, String>>>,
    next: u64,
    online: bool,
    /// The program is no more.
    ended: bool,
    /// Why it last was not online.
    offline: String,
    /// What the program had to say about itself, such as why it failed.
    complaints: String,
}

/// Somebody on XMPP. Remembers every message; comes back by itself when the server was away.
#[derive(Debug)]
pub struct XmppPerson {
    address: String,
    state: Arc<Mutex<State>>,
    commands: tokio::sync::Mutex<ChildStdin>,
    listening: [JoinHandle<()>; 2],
    /// Ends with its owner.
    _program: Child,
}

impl XmppPerson {
    /// The Python that has slixmpp: from `VIADUCT_PYTHON`, else the one `tests/run` installed.
    ///
    /// # Errors
    ///
    /// [`Missing`] when there is none.
    pub fn python() -> anyhow::Result<PathBuf> {
        python("slixmpp", "slixmpp")
    }

    /// Logs in to an account at `localhost`.
    ///
    /// # Errors
    ///
    /// [`Missing`], or when the server refuses.
    pub async fn login(server: SocketAddr, user: &str, password: &str) -> anyhow::Result<Self> {
        let address = format!("{user}@{}", XmppServer::DOMAIN);
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/people/xmpp_person.py");
        let mut program = Command::new(Self::python()?)
            .arg(script)
            .args([&server.ip().to_string(), &server.port().to_string(), &address, password])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let state = Arc::new(Mutex::new(State::default()));
        let ends = (program.stdin.take(), program.stdout.take(), program.stderr.take());
        let (Some(commands), Some(output), Some(complaints)) = ends else {
            bail!("the program of {address} has no ends");
        };
        let person = Self {
            listening: [
                tokio::spawn(listen(output, Arc::clone(&state))),
                tokio::spawn(note_complaints(complaints, Arc::clone(&state))),
            ],
            address,
            state,
            commands: tokio::sync::Mutex::new(commands),
            _program: program,
        };
        let decided = || {
            let state = person.guard();
            state.online || state.ended
        };
        let welcomed = wait_until(format!("{} online", person.address), HEARD, decided).await;
        welcomed.with_context(|| person.complaints())?;
        ensure!(
            person.is_online(),
            "{} cannot log in: {}",
            person.address,
            person.complaints()
        );
        Ok(person)
    }

    /// Their address.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether they are connected now.
    pub fn is_online(&self) -> bool {
        self.guard().online
    }

    /// Enters a room and waits until in.
    ///
    /// # Errors
    ///
    /// When the room does not let them in.
    pub async fn join(&self, room: &str, nick: &str) -> anyhow::Result<()> {
        self.command("join", json!({ "room": room, "nick": nick })).await?;
        Ok(())
    }

    /// Leaves a room.
    ///
    /// # Errors
    ///
    /// When they are not in it.
    pub async fn leave(&self, room: &str) -> anyhow::Result<()> {
        self.command("leave", json!({ "room": room })).await?;
        Ok(())
    }

    /// Whether somebody is in a room now.
    pub fn sees(&self, room: &str, nick: &str) -> bool {
        self.guard().present.contains(&format!("{room}/{nick}"))
    }

    /// Waits until somebody is in a room.
    ///
    /// # Errors
    ///
    /// When they do not come.
    pub async fn meets(&self, room: &str, nick: &str) -> anyhow::Result<()> {
        let what = format!("{nick} in {room}");
        wait_until(what, HEARD, || self.sees(room, nick))
            .await
            .with_context(|| format!("{} sees only {:?}", self.address, self.guard().present))
    }

    /// Says something to a person, without waiting; gives the message's id.
    ///
    /// # Errors
    ///
    /// When the program failed.
    pub async fn chat(&self, to: &str, text: &str) -> anyhow::Result<String> {
        self.sent("say", json!({ "to": to, "text": text })).await
    }

    /// Says something in a room, without waiting until the room shows it; gives the message's id.
    ///
    /// # Errors
    ///
    /// When the program failed.
    pub async fn utter(&self, room: &str, text: &str) -> anyhow::Result<String> {
        self.chat(room, text).await
    }

    /// Says something in a room, and gives it as the room shows it.
    ///
    /// # Errors
    ///
    /// When the room does not show it.
    pub async fn say(&self, room: &str, text: &str) -> anyhow::Result<XmppMessage> {
        let id = self.utter(room, text).await?;
        self.shown(&id).await
    }

    /// Gives a message of their own another wording.
    ///
    /// # Errors
    ///
    /// When the room does not show it.
    pub async fn edit(&self, room: &str, message: &XmppMessage, text: &str) -> anyhow::Result<XmppMessage> {
        let id = self
            .sent("edit", json!({ "to": room, "target": message.id, "text": text }))
            .await?;
        self.shown(&id).await
    }

    /// Answers a message, quoting it for clients that know no answers.
    ///
    /// # Errors
    ///
    /// When the room does not show it.
    pub async fn reply(&self, room: &str, to: &XmppMessage, text: &str) -> anyhow::Result<XmppMessage> {
        let command = json!({
            "to": room, "author": to.from, "target": to.name(), "quoted": to.text(), "text": text,
        });
        let id = self.sent("reply", command).await?;
        self.shown(&id).await
    }

    /// Sets all their reactions to a message.
    ///
    /// # Errors
    ///
    /// When the program failed.
    pub async fn react(&self, room: &str, to: &XmppMessage, reactions: &[&str]) -> anyhow::Result<()> {
        self.command(
            "react",
            json!({ "to": room, "target": to.name(), "reactions": reactions }),
        )
        .await?;
        Ok(())
    }

    /// Withdraws a message of their own.
    ///
    /// # Errors
    ///
    /// When the program failed.
    pub async fn retract(&self, room: &str, message: &XmppMessage) -> anyhow::Result<()> {
        self.command("retract", json!({ "to": room, "target": message.name() }))
            .await?;
        Ok(())
    }

    /// Withdraws a message of somebody else, as a moderator may.
    ///
    /// # Errors
    ///
    /// When the room refuses.
    pub async fn moderate(&self, room: &str, message: &XmppMessage, reason: &str) -> anyhow::Result<()> {
        self.command(
            "moderate",
            json!({ "to": room, "target": message.name(), "reason": reason }),
        )
        .await?;
        Ok(())
    }

    /// Changes a room's subject.
    ///
    /// # Errors
    ///
    /// When the program failed.
    pub async fn set_subject(&self, room: &str, text: &str) -> anyhow::Result<()> {
        self.command("subject", json!({ "to": room, "text": text })).await?;
        Ok(())
    }

    /// Uploads a text file and shares its address in a room; gives the address. With `described`, as clients of today do, also
    /// says what it is, under this name (XEP-0446), and where (XEP-0447).
    ///
    /// # Errors
    ///
    /// When the server does not take it.
    pub async fn share(&self, room: &str, name: &str, text: &str, described: Option<&str>) -> anyhow::Result<String> {
        let service = XmppServer::UPLOADS;
        let command = json!({ "to": room, "name": name, "text": text, "service": service, "described": described });
        self.sent("upload", command).await
    }

    /// Everything in a room's archive, oldest first.
    ///
    /// # Errors
    ///
    /// When the room does not show it.
    pub async fn archive(&self, room: &str) -> anyhow::Result<Vec<XmppMessage>> {
        let archive = self.command("archive", json!({ "room": room })).await?;
        Ok(serde_json::from_value(archive)?)
    }

    /// Every message so far.
    pub fn messages(&self) -> Vec<XmppMessage> {
        self.guard().messages.clone()
    }

    /// How many of the messages so far are like this.
    pub fn count_of(&self, like: impl Fn(&XmppMessage) -> bool) -> usize {
        self.guard().messages.iter().filter(|message| like(message)).count()
    }

    /// Waits for a message like this, whether it came before or comes now.
    ///
    /// # Errors
    ///
    /// When none came in time; with the last messages there were.
    pub async fn expect(&self, what: &str, like: impl Fn(&XmppMessage) -> bool) -> anyhow::Result<XmppMessage> {
        let found = wait_for(what, HEARD, || {
            let found = self.guard().messages.iter().find(|message| like(message)).cloned();
            async move { found }
        });
        found.await.with_context(|| {
            let state = self.guard();
            let from = state.messages.len().saturating_sub(15);
            let last = state.messages.get(from..).unwrap_or_default();
            format!("{} heard only: {last:#?}\n{}", self.address, state.complaints)
        })
    }

    /// Waits until somebody says this in a room, or this person says it.
    ///
    /// # Errors
    ///
    /// As [`XmppPerson::expect`].
    pub async fn hears(&self, from: &str, text: &str) -> anyhow::Result<XmppMessage> {
        self.expect(&format!("{from}: {text}"), |message| message.says(from, text))
            .await
    }

    async fn shown(&self, id: &str) -> anyhow::Result<XmppMessage> {
        self.expect("the room showing it", |message| message.id == id).await
    }

    /// A command whose result is an id.
    async fn sent(&self, what: &str, command: Value) -> anyhow::Result<String> {
        let result = self.command(what, command).await?;
        Ok(result.as_str().context("no id")?.to_owned())
    }

    async fn command(&self, what: &str, mut command: Value) -> anyhow::Result<Value> {
        let (sender, done) = oneshot::channel();
        {
            let mut state = self.guard();
            state.next += 1;
            let number = state.next;
            state.waiting.insert(number, sender);
            if let Some(command) = command.as_object_mut() {
                command.insert("do".to_owned(), what.into());
                command.insert("number".to_owned(), number.into());
            }
        }
        let line = format!("{command}\n");
        self.commands.lock().await.write_all(line.as_bytes()).await?;
        let result = timeout(DONE, done)
            .await
            .with_context(|| format!("{} was to {what}; {}", self.address, self.complaints()))?;
        result?.map_err(|why| anyhow!("{} could not {what}: {why}", self.address))
    }

    fn complaints(&self) -> String {
        let state = self.guard();
        format!("{} {}", state.offline, state.complaints)
    }

    fn guard(&self) -> MutexGuard<'_, State> {
        guard(&self.state)
    }
}

impl Drop for XmppPerson {
    fn drop(&mut self) {
        for task in &self.listening {
            task.abort();
        }
    }
}

fn guard(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn listen(output: ChildStdout, state: Arc<Mutex<State>>) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let told = serde_json::from_str(&line);
        note(&mut guard(&state), told);
    }
    let mut state = guard(&state);
    (state.online, state.ended) = (false, true);
    // Whoever waits for the program waits in vain.
    state.waiting.clear();
}

fn note(state: &mut State, told: serde_json::Result<Told>) {
    match told {
        Ok(Told::Message { message }) => state.messages.push(*message),
        Ok(Told::Presence { presence }) => match presence.kind.as_str() {
            "" => drop(state.present.insert(presence.from)),
            "unavailable" => drop(state.present.remove(&presence.from)),
            _ => {}
        },
        Ok(Told::Done { done, result }) => answer(state, done, Ok(result)),
        Ok(Told::Failed { failed, why }) => answer(state, failed, Err(why)),
        Ok(Told::Online { online }) => state.online = online,
        Ok(Told::Offline { offline }) => {
            state.online = false;
            state.present.clear();
            state.offline = offline;
        }
        Err(error) => {
            state.complaints.push_str("it told nonsense: ");
            state.complaints.push_str(&error.to_string());
            state.complaints.push('\n');
        }
    }
}

fn answer(state: &mut State, number: u64, result: Result<Value, String>) {
    if let Some(waiting) = state.waiting.remove(&number) {
        // Whoever asked may have given up.
        waiting.send(result).ok();
    }
}

async fn note_complaints(complaints: ChildStderr, state: Arc<Mutex<State>>) {
    let mut lines = BufReader::new(complaints).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let mut state = guard(&state);
        state.complaints.push_str(&line);
        state.complaints.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_understood() {
        let mut state = State::default();
        for line in [
            r#"{"online": true}"#,
            r#"{"presence": {"from": "r@c/ann", "type": "", "codes": []}}"#,
            r#"{"presence": {"from": "r@c/bob", "type": "", "codes": []}}"#,
            r#"{"presence": {"from": "r@c/bob", "type": "unavailable", "codes": []}}"#,
            r#"{"message": {"type": "groupchat", "from": "r@c/ann", "body": "hello", "stanza_id": "s", "link": null}}"#,
        ] {
            note(&mut state, serde_json::from_str(line));
        }
        assert!(state.online && state.complaints.is_empty(), "{}", state.complaints);
        assert_eq!(state.present, HashSet::from(["r@c/ann".to_owned()]));
        let [message] = state.messages.as_slice() else {
            panic!("{:?}", state.messages)
        };
        assert!(message.says("r@c", "ell") && !message.says("r@c/ann", "hello"));
        assert_eq!((message.nick(), message.name()), ("ann", "s"));
        note(&mut state, serde_json::from_str("[]"));
        assert!(!state.complaints.is_empty());
    }
}
