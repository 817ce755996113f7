//! People: who is addressed, who comes and goes, and what they do to the channel.

use viaduct_model::document::{Mention, MentionTarget};
use viaduct_model::{Content, Document, Event, Inline, Membership, Message, Person, Support};

use crate::conformance::stage::{Stage, person};
use crate::conformance::{Step, What, check, same};

/// The remote person, as the session presents them.
async fn them(stage: &mut Stage<'_>) -> Step<Person> {
    let word = stage.word();
    stage.remote.say(&format!("it is me, {word}")).await?;
    Ok(stage.hear_text(&word).await?.sender)
}

fn mention_of(label: &str, target: MentionTarget) -> Inline {
    Inline::Mention(Mention {
        label: label.to_owned(),
        target,
    })
}

/// Addressing a person, both ways; nobody is addressed by "everybody".
pub(super) async fn mention(stage: &mut Stage<'_>) -> Step {
    let capabilities = stage.capabilities()?;
    let native = capabilities.mention == Support::Native;
    let remote = them(stage).await?;
    let word = stage.word();
    let target = MentionTarget::Person {
        network: remote.network.clone(),
        id: remote.id.clone(),
    };
    let body = Document::paragraph(vec![
        mention_of(&remote.name, target),
        Inline::Text(format!(": for you, {word}")),
    ]);
    stage
        .send(
            Content::Message(Message {
                body,
                ..Message::default()
            }),
            &[],
        )
        .await?;
    let seen = stage.see_text(&word).await?;
    check(seen.mentions_me || !native, || {
        format!("a mention does not address the remote person: {:?}", seen.text)
    })?;

    let word = stage.word();
    let body = Document::paragraph(vec![
        mention_of("@room", MentionTarget::Everyone),
        Inline::Text(format!(" {word}")),
    ]);
    stage
        .send(
            Content::Message(Message {
                body,
                ..Message::default()
            }),
            &[],
        )
        .await?;
    let seen = stage.see_text(&word).await?;
    check(!seen.mentions_everyone, || {
        format!("a mention of everybody crossed as more than text: {:?}", seen.text)
    })?;

    if native && capabilities.puppet == Support::Native {
        let word = stage.word();
        stage
            .remote
            .say_mention(&seen.author, &format!("a question, {word}"))
            .await?;
        let event = stage.hear_text(&word).await?;
        let mentions = event
            .content
            .message()
            .map_or(0, |message| message.body.mentions().len());
        check(mentions > 0, || {
            "the remote person mentioned a puppet, and the event mentions nobody".to_owned()
        })?;
    }
    Ok(())
}

/// A new display name is known with the next message at the latest.
pub(super) async fn rename(stage: &mut Stage<'_>) -> Step {
    let before = them(stage).await?;
    let name = format!("new{}", stage.word());
    stage.remote.rename(&name).await?;
    let word = stage.word();
    stage.remote.say(&format!("call me otherwise, {word}")).await?;
    let after = stage.hear_text(&word).await?.sender;
    check(after.name.contains(&name), || {
        format!("after a rename to {name:?} the sender is {:?}", after.name)
    })?;
    check(after.name != before.name, || "the name did not change".to_owned())
}

/// Whose membership changed, and how.
fn is_change(event: &Event, wanted: &[Membership]) -> bool {
    matches!(&event.content, Content::Membership { change, .. } if wanted.contains(change))
}

/// Somebody goes and comes back.
pub(super) async fn join_leave(stage: &mut Stage<'_>) -> Step {
    let remote = them(stage).await?;
    let mark = stage.mark();
    stage.remote.leave().await?;
    let gone = stage
        .hear_since(mark, "that the remote person left", |event| {
            is_change(event, &[Membership::Leave, Membership::Absent])
        })
        .await?;
    if let Content::Membership { person, .. } = &gone.content {
        same("who left", &person.id, &remote.id)?;
    }
    let mark = stage.mark();
    stage.remote.join().await?;
    stage
        .hear_since(mark, "that the remote person came", |event| {
            is_change(event, &[Membership::Join])
        })
        .await?;
    stage.settle().await?;

    let support = stage.capabilities()?.membership;
    if support != Support::None {
        let carol = person("Carol")?;
        for change in [Membership::Join, Membership::Leave] {
            let content = Content::Membership {
                person: carol.person.clone(),
                change,
                reason: None,
            };
            stage.offer(Support::Fallback, content, &[]).await?;
        }
    }
    Ok(())
}

/// Topics, both ways.
pub(super) async fn topic(stage: &mut Stage<'_>) -> Step {
    let support = stage.capabilities()?.topic;
    let word = stage.word();
    let content = Content::Topic {
        topic: format!("We speak of {word}"),
    };
    if stage.offer(support, content, &[]).await?.is_some() {
        let seen = stage.see_text(&word).await?;
        if support == Support::Native {
            same("what the topic was seen as", &seen.what, &What::Topic)?;
        }
    }
    let word = stage.word();
    let mark = stage.mark();
    stage.remote.set_topic(&format!("Now of {word}")).await?;
    let wanted = |event: &Event| matches!(&event.content, Content::Topic { topic } if topic.contains(&word));
    stage.hear_since(mark, "the topic", wanted).await?;
    Ok(())
}

/// Kicks, both ways; whoever is kicked takes nobody along.
pub(super) async fn kick(stage: &mut Stage<'_>) -> Step {
    let capabilities = stage.capabilities()?;
    if capabilities.puppet == Support::Native {
        let word = stage.word();
        stage.say_out(&format!("kick me, {word}")).await?;
        let seen = stage.see_text(&word).await?;
        let mark = stage.mark();
        stage.remote.kick(&seen.author).await?;
        stage
            .hear_since(mark, "the kick", |event| is_change(event, &[Membership::Kick]))
            .await?;
        let word = stage.word();
        let text = Content::Message(Message::plain(&format!("I am still here, {word}")));
        stage.send_as(&person("Bob")?, text, &[]).await?;
        stage.see_text(&word).await?;
    }
    if capabilities.moderation == Support::Native {
        let remote = them(stage).await?;
        let reason = Some("enough".to_owned());
        let content = Content::Membership {
            person: remote,
            change: Membership::Kick,
            reason,
        };
        stage.send(content, &[]).await?;
        stage
            .see("the kick of the remote person", |seen| seen.what == What::Kick)
            .await?;
        stage.remote.join().await?;
        stage.settle().await?;
    }
    Ok(())
}
