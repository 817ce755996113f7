//! What Echo says to an event.

use viaduct_model::{Content, IdError, Message, MessageId, MessageStyle, Outbound};

/// The id under which a delivered event is known here: its delivery key.
pub fn delivered(outbound: &Outbound) -> Result<MessageId, IdError> {
    MessageId::new(outbound.key.as_str())
}

/// The id of Echo's answer to the event with this id.
pub fn answer_id(id: &MessageId) -> Result<MessageId, IdError> {
    MessageId::new(format!("{id}~echo"))
}

/// Echo's answer, or nothing: automatons are not answered, or two echoes would talk for ever.
pub fn answer(outbound: &Outbound) -> Result<Option<Content>, IdError> {
    if outbound.author.person.bot {
        return Ok(None);
    }
    Ok(match &outbound.content {
        Content::Message(message) => say(message).map(Content::Message),
        Content::Edit { target, message } => match say(message) {
            Some(message) => Some(Content::Edit {
                target: answer_id(target)?,
                message,
            }),
            None => None,
        },
        Content::Delete { target, reason } => Some(Content::Delete {
            target: answer_id(target)?,
            reason: reason.clone(),
        }),
        // Reactions are repeated where they were made.
        content @ (Content::React { .. } | Content::Unreact { .. }) => Some(content.clone()),
        _ => None,
    })
}

fn say(message: &Message) -> Option<Message> {
    let answered = message.style != MessageStyle::Notice;
    answered.then(|| Message {
        reply_to: None,
        ..message.clone()
    })
}

#[cfg(test)]
mod tests {
    use viaduct_model::*;

    use super::*;

    fn outbound(content: Content) -> Outbound {
        let place = |network: &str| Place::new(NetworkName::new(network).unwrap(), ChannelId::new("lobby").unwrap());
        let person = Person {
            network: NetworkName::matrix(),
            id: PersonId::new("@a:example.org").unwrap(),
            name: "A".into(),
            avatar: None,
            organisation: None,
            bot: false,
        };
        let key = DeliveryKey::from_remote("key");
        let author = Author {
            person,
            display: "A".into(),
        };
        Outbound {
            key,
            to: place("echo"),
            from: place("matrix"),
            author,
            at: Timestamp(0),
            content,
            parts: Vec::new(),
        }
    }

    #[test]
    fn a_message_is_said_again_and_an_edit_finds_the_answer() {
        let message = Message::plain("Grüße");
        assert_eq!(
            answer(&outbound(Content::Message(message.clone()))),
            Ok(Some(Content::Message(message.clone())))
        );
        let target = MessageId::new("key").unwrap();
        let edit = Content::Edit {
            target: target.clone(),
            message: message.clone(),
        };
        let expected = Content::Edit {
            target: answer_id(&target).unwrap(),
            message,
        };
        assert_eq!(answer(&outbound(edit)), Ok(Some(expected)));
    }

    #[test]
    fn automatons_and_notices_are_not_answered() {
        let mut from_bot = outbound(Content::Message(Message::plain("x")));
        from_bot.author.person.bot = true;
        assert_eq!(answer(&from_bot), Ok(None));
        let notice = Message {
            style: MessageStyle::Notice,
            ..Message::plain("x")
        };
        assert_eq!(answer(&outbound(Content::Message(notice))), Ok(None));
        assert_eq!(answer(&outbound(Content::Opened)), Ok(None));
    }
}
