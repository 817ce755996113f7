//! What a network's test implements: an independent person on the remote side.

use std::time::Duration;

use async_trait::async_trait;
use viaduct_model::ChannelId;

/// How a message is named by the remote person's own client. The kit never compares it with a
/// [`MessageId`](viaduct_model::MessageId); it only hands it back.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Handle(pub String);

/// Why the remote person did not do what a scenario asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemoteError {
    /// This implementation of [`Remote`] does not know how. The scenario fails: nothing is left out silently.
    #[error("the remote person of this test does not know how to {0}")]
    Unsupported(&'static str),
    /// The network has no such thing, and why. The scenario is listed as skipped with this reason; where the session declares
    /// the capability as native, it fails.
    #[error("the network has no such thing: {0}")]
    Absent(String),
    /// It was tried and failed.
    #[error("the remote person failed: {0}")]
    Failed(String),
}

/// What was seen happening.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum What {
    /// Somebody said something.
    #[default]
    Message,
    /// A message has another wording now.
    Edit,
    /// A message was withdrawn.
    Delete,
    /// A reaction was added.
    React,
    /// A reaction was taken back.
    Unreact,
    /// The topic changed.
    Topic,
    /// Somebody came.
    Join,
    /// Somebody went.
    Leave,
    /// Somebody was removed.
    Kick,
    /// Something else.
    Other,
}

/// One thing the remote person saw in the channel.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seen {
    /// What happened.
    pub what: What,
    /// Who did it, as shown: a nick, or the name that a relay put before the text.
    pub author: String,
    /// What can be read, without the relayed name; the emoji of a reaction, the new topic, the name of who came or went.
    pub text: String,
    /// What the message is called here.
    pub handle: Handle,
    /// What it refers to: the message edited, deleted, reacted or replied to.
    pub target: Option<Handle>,
    /// The first message of its thread.
    pub thread: Option<Handle>,
    /// Whether any of it is shown bold.
    pub bold: bool,
    /// Whether it addresses the remote person, so that they would be notified.
    pub mentions_me: bool,
    /// Whether it addresses everybody.
    pub mentions_everyone: bool,
    /// The bytes of a file, where one came along natively.
    pub file: Option<Vec<u8>>,
}

/// Whether something was done, or why not.
pub type Done<T = ()> = Result<T, RemoteError>;

/// An independent person on the remote network, driven by the kit. It should speak to the network by other code than the
/// bridge under test: its own few lines, or another client.
///
/// Methods have a default that answers [`RemoteError::Unsupported`]. Implement all that the network has, and answer
/// [`RemoteError::Absent`] where the network has no such thing. Every method must come back within a bound of its own.
#[async_trait]
pub trait Remote: Send + Sync {
    /// The channel to be mirrored, as the configuration spells it.
    fn channel(&self) -> ChannelId;

    /// Enters the channel. Called once before the session is opened.
    async fn connect(&self) -> Done;

    /// Goes away for good. Called once at the end.
    async fn disconnect(&self) -> Done {
        Ok(())
    }

    /// Says a text: what arrives has to read exactly like this, so markup of the network is escaped where it can be.
    async fn say(&self, text: &str) -> Done<Handle>;

    /// The next thing seen in the channel, in the order of the channel, waiting so long at most. What the remote person did
    /// itself is left out. Everything since [`Remote::connect`] is kept until it is asked for.
    async fn expect_next(&self, bound: Duration) -> Done<Option<Seen>>;

    /// Puts bytes on the wire as they are, as far as the network lets a client do that.
    async fn say_raw(&self, _bytes: &[u8]) -> Done {
        Err(RemoteError::Unsupported("send raw bytes"))
    }

    /// Input that is hostile to this network's parser, for [`Remote::say_raw`], beyond what the kit has.
    fn hostile(&self) -> Vec<Vec<u8>> {
        Vec::new()
    }

    /// Says a text in bold.
    async fn say_bold(&self, _text: &str) -> Done<Handle> {
        Err(RemoteError::Unsupported("say something in bold"))
    }

    /// Addresses somebody by the name under which they were seen, and says a text.
    async fn say_mention(&self, _author: &str, _text: &str) -> Done<Handle> {
        Err(RemoteError::Unsupported("mention somebody"))
    }

    /// Replaces the wording of an own message.
    async fn edit(&self, _target: &Handle, _text: &str) -> Done {
        Err(RemoteError::Unsupported("edit a message"))
    }

    /// Withdraws an own message.
    async fn delete(&self, _target: &Handle) -> Done {
        Err(RemoteError::Unsupported("delete a message"))
    }

    /// Answers a message.
    async fn reply(&self, _target: &Handle, _text: &str) -> Done<Handle> {
        Err(RemoteError::Unsupported("reply to a message"))
    }

    /// Says something in the thread below a message.
    async fn say_in_thread(&self, _root: &Handle, _text: &str) -> Done<Handle> {
        Err(RemoteError::Unsupported("speak in a thread"))
    }

    /// Reacts to a message.
    async fn react(&self, _target: &Handle, _emoji: &str) -> Done {
        Err(RemoteError::Unsupported("react to a message"))
    }

    /// Takes a reaction back.
    async fn unreact(&self, _target: &Handle, _emoji: &str) -> Done {
        Err(RemoteError::Unsupported("take a reaction back"))
    }

    /// Sends a file.
    async fn upload(&self, _name: &str, _bytes: &[u8]) -> Done<Handle> {
        Err(RemoteError::Unsupported("send a file"))
    }

    /// Changes the topic.
    async fn set_topic(&self, _topic: &str) -> Done {
        Err(RemoteError::Unsupported("change the topic"))
    }

    /// Takes another display name. The name holds lower-case letters and digits only.
    async fn rename(&self, _name: &str) -> Done {
        Err(RemoteError::Unsupported("take another name"))
    }

    /// Leaves the channel.
    async fn leave(&self) -> Done {
        Err(RemoteError::Unsupported("leave the channel"))
    }

    /// Comes back into the channel.
    async fn join(&self) -> Done {
        Err(RemoteError::Unsupported("join the channel"))
    }

    /// Removes somebody by the name under which they were seen.
    async fn kick(&self, _author: &str) -> Done {
        Err(RemoteError::Unsupported("kick somebody"))
    }

    /// Breaks every connection between the session and the network and lets none come up until [`Remote::restore`]. The
    /// remote person stays connected.
    async fn cut_connection(&self) -> Done {
        Err(RemoteError::Unsupported("cut the session's connection"))
    }

    /// Undoes [`Remote::cut_connection`] and every other trouble that was made. Harmless if there was none.
    async fn restore(&self) -> Done {
        Ok(())
    }

    /// Lets the network refuse the next so many deliveries because of too high a rate.
    async fn limit_rate(&self, _times: u32) -> Done {
        Err(RemoteError::Unsupported("limit the session's rate"))
    }

    /// Lets the network take the next delivery, and the session's connection break before it learns of that.
    async fn lose_answer(&self) -> Done {
        Err(RemoteError::Unsupported("lose the answer to a delivery"))
    }

    /// Lets the network tell the session once more of a message it has told of before.
    async fn repeat(&self, _message: &Handle) -> Done {
        Err(RemoteError::Unsupported("repeat a message"))
    }
}
