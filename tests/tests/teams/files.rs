//! Files and pictures.

use bytes::Bytes;
use serde_json::json;
use viaduct_tests::people::{TeamsMessage, fetch};
use viaduct_tests::teams::Draft;

use super::talk::Talk;

/// A picture of one point.
const PICTURE: &[u8] =
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\0\0\0\rIDATx\x9cc\xf8\
\xcf\xc0\xf0\x1f\0\x05\0\x01\xff\x89\x99=\x1d\0\0\0\0IEND\xaeB`\x82";

#[tokio::test(flavor = "multi_thread")]
async fn files_go_into_the_channels_folder_and_out_of_it() -> anyhow::Result<()> {
    let Some(talk) = Talk::start().await? else {
        return Ok(());
    };
    talk.ann
        .send_file(&talk.room, "minutes.txt", b"we agreed on everything")
        .await?;
    let shared = talk.sue.hears(&talk.channel, "minutes.txt").await?;
    assert!(shared.html().contains("<a href"), "{}", shared.html());
    let uploaded = talk.teams.files();
    let minutes = uploaded.iter().find(|(name, _)| name == "minutes.txt");
    assert_eq!(
        minutes.map(|(_, content)| &content[..]),
        Some(&b"we agreed on everything"[..])
    );

    talk.teams.upload(
        &talk.channel,
        talk.sue.id(),
        "notes.txt",
        "text/plain",
        b"and wrote it down",
    );
    let notes = talk.ann.receives_file(&talk.room, "teams", "notes.txt").await?;
    assert_eq!(notes, b"and wrote it down");
    talk.check_manners();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn small_pictures_stand_in_the_message_both_ways() -> anyhow::Result<()> {
    let Some(talk) = Talk::start().await? else {
        return Ok(());
    };
    talk.ann.send_picture(&talk.room, "pier.png", PICTURE).await?;
    let like = |said: &TeamsMessage| said.is_of_app() && said.html().contains("<img");
    talk.sue.expect("a picture", &talk.channel, like).await?;

    let draft = Draft {
        html: "<p>the other side</p>".to_owned(),
        pictures: vec![("image/png".to_owned(), Bytes::from_static(PICTURE))],
        ..Draft::default()
    };
    talk.teams.say_with(&talk.channel, talk.sue.id(), draft);
    let seen = talk
        .ann
        .expect("a picture", &talk.room, |seen| {
            seen.text("/content/msgtype") == "m.image" && seen.sender().starts_with("@_via_teams_")
        })
        .await?;
    assert_eq!(talk.ann.download(seen.text("/content/url")).await?, PICTURE);
    talk.check_manners();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_permission_for_the_folder_a_file_is_a_link_to_the_hub() -> anyhow::Result<()> {
    let Some(talk) = Talk::start_with_section(json!({ "files": "link" })).await? else {
        return Ok(());
    };
    talk.teams.set_consent("Files.ReadWrite.All", false);
    talk.ann
        .send_file(&talk.room, "minutes.txt", b"we agreed on everything")
        .await?;
    let shared = talk.sue.hears(&talk.channel, "minutes.txt").await?;
    assert!(talk.teams.files().is_empty(), "nothing was uploaded");
    let link = shared.html().split('"').find(|part| part.starts_with("http://"));
    let link = link.unwrap_or_default().replace("&amp;", "&");
    assert!(link.starts_with(&talk.world.hub.url()), "{}", shared.html());
    assert_eq!(fetch(&link).await?, b"we agreed on everything");
    talk.check_manners();
    Ok(())
}
