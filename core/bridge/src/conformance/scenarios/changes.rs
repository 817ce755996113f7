//! What refers to a message, and files.

use futures_util::TryStreamExt;
use viaduct_model::{Attachment, Content, Event, Message, MessageId, Reaction, Receipt, Support};

use crate::conformance::stage::Stage;
use crate::conformance::{Handle, Seen, Step, What, check, fail, same};

/// Something the remote person said, as both sides name it.
async fn theirs(stage: &mut Stage<'_>) -> Step<(Handle, Event)> {
    let word = stage.word();
    let handle = stage.remote.say(&format!("mine is {word}")).await?;
    Ok((handle, stage.hear_text(&word).await?))
}

/// Something Alice said, as both sides name it.
async fn ours(stage: &mut Stage<'_>) -> Step<(Seen, Receipt, MessageId)> {
    let word = stage.word();
    let receipt = stage.say_out(&format!("ours is {word}")).await?;
    let seen = stage.see_text(&word).await?;
    let id = receipt.ids.first().cloned();
    let id = id.ok_or_else(|| fail("the receipt of a message has no id, so nothing can refer to it"))?;
    Ok((seen, receipt, id))
}

fn message(text: &str) -> Message {
    Message::plain(text)
}

/// Another wording, both ways.
pub(super) async fn edit(stage: &mut Stage<'_>) -> Step {
    let support = stage.capabilities()?.edit;
    let (seen, receipt, target) = ours(stage).await?;
    for _ in 0..2 {
        let word = stage.word();
        let content = Content::Edit {
            target: target.clone(),
            message: message(&format!("better {word}")),
        };
        if stage.offer(support, content, &receipt.ids).await?.is_none() {
            return Ok(());
        }
        let edited = stage.see_text(&word).await?;
        if support == Support::Native {
            same("what the edit was seen as", &edited.what, &What::Edit)?;
            same("the message edited", &edited.target, &Some(seen.handle.clone()))?;
        }
    }
    if support == Support::Native {
        let (handle, original) = theirs(stage).await?;
        for _ in 0..2 {
            let word = stage.word();
            stage.remote.edit(&handle, &format!("corrected {word}")).await?;
            let heard = stage.hear_since(0, "the edit", |event| {
                matches!(&event.content, Content::Edit { message, .. } if message.body.to_plain().contains(&word))
            });
            same(
                "the target of an edit",
                &heard.await?.content.target(),
                &Some(&original.id),
            )?;
        }
    }
    Ok(())
}

/// Withdrawals, both ways.
pub(super) async fn delete(stage: &mut Stage<'_>) -> Step {
    let support = stage.capabilities()?.delete;
    let (seen, receipt, target) = ours(stage).await?;
    let content = Content::Delete { target, reason: None };
    if stage.offer(support, content, &receipt.ids).await?.is_none() || support != Support::Native {
        return Ok(());
    }
    let gone = Some(seen.handle);
    stage
        .see("the deletion", |seen| seen.what == What::Delete && seen.target == gone)
        .await?;

    let (handle, original) = theirs(stage).await?;
    stage.remote.delete(&handle).await?;
    let wanted = |event: &Event| matches!(&event.content, Content::Delete { target, .. } if *target == original.id);
    stage.hear_since(0, "the deletion of the right message", wanted).await?;
    Ok(())
}

/// Answers to one message, both ways.
pub(super) async fn reply(stage: &mut Stage<'_>) -> Step {
    let support = stage.capabilities()?.reply;
    let (handle, original) = theirs(stage).await?;
    let word = stage.word();
    let answer = Message {
        reply_to: Some(original.id),
        ..message(&format!("answer {word}"))
    };
    if stage.offer(support, Content::Message(answer), &[]).await?.is_none() {
        return Ok(());
    }
    let seen = stage.see_text(&word).await?;
    if support != Support::Native {
        return Ok(());
    }
    same("the message replied to", &seen.target, &Some(handle))?;

    let (seen, receipt, _) = ours(stage).await?;
    let word = stage.word();
    stage
        .remote
        .reply(&seen.handle, &format!("their answer {word}"))
        .await?;
    let event = stage.hear_text(&word).await?;
    let target = event.content.message().and_then(|message| message.reply_to.clone());
    check(
        target.as_ref().is_some_and(|target| receipt.ids.contains(target)),
        || format!("a reply to {:?} came as a reply to {target:?}", receipt.ids),
    )
}

/// Conversations below one message, both ways.
pub(super) async fn thread(stage: &mut Stage<'_>) -> Step {
    let support = stage.capabilities()?.thread;
    let (handle, original) = theirs(stage).await?;
    let word = stage.word();
    let answer = Message {
        thread: Some(original.id),
        ..message(&format!("below {word}"))
    };
    if stage.offer(support, Content::Message(answer), &[]).await?.is_none() {
        return Ok(());
    }
    let seen = stage.see_text(&word).await?;
    if support != Support::Native {
        return Ok(());
    }
    same("the thread of a message", &seen.thread, &Some(handle))?;

    let (seen, _, root) = ours(stage).await?;
    let word = stage.word();
    stage
        .remote
        .say_in_thread(&seen.handle, &format!("theirs below {word}"))
        .await?;
    let event = stage.hear_text(&word).await?;
    same(
        "the thread of an event",
        &event.content.message().and_then(|message| message.thread.clone()),
        &Some(root),
    )
}

/// Reactions, put and taken back, both ways.
pub(super) async fn reaction(stage: &mut Stage<'_>) -> Step {
    let support = stage.capabilities()?.reaction;
    let (handle, original) = theirs(stage).await?;
    let thumb = Reaction {
        key: "👍".to_owned(),
        image: None,
    };
    let parts = [original.id.clone()];
    let put = Content::React {
        target: original.id.clone(),
        reaction: thumb.clone(),
    };
    if stage.offer(support, put, &parts).await?.is_none() || support != Support::Native {
        return Ok(());
    }
    let on = Some(handle);
    let wanted = |what: What| move |seen: &Seen| seen.what == what && seen.text.contains("👍");
    let seen = stage.see("the reaction", wanted(What::React)).await?;
    same("the message reacted to", &seen.target, &on)?;
    stage
        .send(
            Content::Unreact {
                target: original.id,
                reaction: thumb,
            },
            &parts,
        )
        .await?;
    let seen = stage
        .see("the reaction being taken back", wanted(What::Unreact))
        .await?;
    same("the message whose reaction was taken back", &seen.target, &on)?;

    let (seen, _, id) = ours(stage).await?;
    stage.remote.react(&seen.handle, "🎉").await?;
    let put = stage
        .hear_since(0, "the reaction to the right message", |event| {
            matches!(&event.content, Content::React { target, reaction } if *target == id && reaction.key.contains("🎉"))
        })
        .await?;
    stage.remote.unreact(&seen.handle, "🎉").await?;
    let back = |event: &Event| match &event.content {
        Content::Unreact { target, reaction } => *target == id && reaction.key.contains("🎉"),
        Content::Delete { target, .. } => *target == put.id,
        _ => false,
    };
    stage.hear_since(0, "the reaction being taken back", back).await?;
    Ok(())
}

/// Bytes that no text could be mistaken for.
fn bytes(length: u16) -> Vec<u8> {
    (0..length)
        .map(|number| (number.wrapping_mul(31) >> 3).to_le_bytes()[0])
        .collect()
}

/// Files, both ways, byte by byte.
pub(super) async fn file(stage: &mut Stage<'_>) -> Step {
    let support = stage.capabilities()?.file;
    let caption = stage.word();
    let content = bytes(5_000);
    let media = stage.hub.put_file(&caption, content.clone());
    let mut with_file = message(&format!("see {caption}"));
    with_file.attachments.push(Attachment {
        media,
        name: format!("{caption}.bin"),
        mime: Some("application/octet-stream".to_owned()),
        size: Some(content.len() as u64),
        kind: viaduct_model::AttachmentKind::File,
        dimensions: None,
        duration: None,
        spoiler: false,
    });
    if stage.offer(support, Content::Message(with_file), &[]).await?.is_none() {
        return Ok(());
    }
    let seen = stage.seen_by_now().await?;
    check(seen.iter().any(|seen| seen.text.contains(&caption)), || {
        "the caption of a file was lost".to_owned()
    })?;
    if support != Support::Native {
        let link = format!("https://files.invalid/{caption}");
        return check(seen.iter().any(|seen| seen.text.contains(&link)), || {
            "neither the file nor the link to it arrived".to_owned()
        });
    }
    let arrived = seen
        .iter()
        .filter_map(|seen| seen.file.as_ref())
        .any(|found| *found == content);
    check(arrived, || {
        "the file did not arrive, or not with the same bytes".to_owned()
    })?;

    let name = format!("{}.bin", stage.word());
    let mark = stage.mark();
    stage.remote.upload(&name, &content).await?;
    let event = stage
        .hear_since(mark, "the file", |event| {
            event.content.message().is_some_and(|m| !m.attachments.is_empty())
        })
        .await?;
    let attachment = event.content.message().and_then(|message| message.attachments.first());
    let attachment = attachment.ok_or_else(|| fail("the event has no file"))?;
    same("the name of the file", attachment.name.as_str(), &name)?;
    same(
        "the network of the file",
        &attachment.media.network,
        &event.place.network,
    )?;
    let read = async {
        let media = stage.session()?.open_media(&attachment.media.locator).await;
        let media = media.map_err(|error| fail(format!("the file could not be opened: {error}")))?;
        let pieces: Vec<bytes::Bytes> = media
            .stream
            .try_collect()
            .await
            .map_err(|error| fail(format!("the file could not be read: {error}")))?;
        Step::Ok(pieces.concat())
    };
    let found = tokio::time::timeout(stage.options.patience, read).await;
    let found = found.map_err(|_| fail("the file could not be read in time"))??;
    check(found == content, || {
        format!("the file read has {} bytes, and not the same", found.len())
    })
}
