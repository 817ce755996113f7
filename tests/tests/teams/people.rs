//! Who people are: names, pictures, mentions, coming and going.

use viaduct_tests::people::{HEARD, Seen, TeamsMessage};
use viaduct_tests::teams::Draft;
use viaduct_tests::wait::wait_for;

use super::talk::Talk;

#[tokio::test(flavor = "multi_thread")]
async fn people_have_their_names_and_pictures() -> anyhow::Result<()> {
    let Some(talk) = Talk::start().await? else {
        return Ok(());
    };
    let (_, seen) = talk.sue_says("good morning").await?;
    let ghost = seen.sender().to_owned();
    let named = |name: &'static str| {
        let ghost = ghost.clone();
        move |seen: &Seen| seen.membership(&ghost) == "join" && seen.text("/content/displayname").contains(name)
    };
    talk.ann.expect("Sue's name", &talk.room, named("Sue Miller")).await?;
    let with_picture = talk
        .ann
        .expect("Sue's picture", &talk.room, |seen| {
            seen.membership(&ghost) == "join" && seen.text("/content/avatar_url").starts_with("mxc://")
        })
        .await?;
    let picture = talk.ann.download(with_picture.text("/content/avatar_url")).await?;
    assert!(picture.starts_with(b"\x89PNG"), "{} bytes", picture.len());

    talk.teams.rename_user(talk.sue.id(), "Sue Smith");
    talk.sue_says("I married").await?;
    talk.ann.expect("her new name", &talk.room, named("Sue Smith")).await?;
    talk.check_manners();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_addressed_on_one_side_is_addressed_on_the_other() -> anyhow::Result<()> {
    let Some(talk) = Talk::start().await? else {
        return Ok(());
    };
    let (_, seen) = talk.sue_says("good morning").await?;
    let ghost = seen.sender();
    let html = format!("<a href=\"https://matrix.to/#/{ghost}\">Sue Miller</a>: are you there?");
    talk.ann
        .say_html(&talk.room, "Sue Miller: are you there?", &html)
        .await?;
    let said = talk.sue.hears(&talk.channel, "are you there?").await?;
    let mentioned = said.0.pointer("/mentions/0/mentioned/user/id");
    assert_eq!(mentioned.and_then(|id| id.as_str()), Some(talk.sue.id()), "{}", said.0);

    let bob = talk.teams.add_user("Bob Bauer");
    talk.teams.join(talk.teams.team(), &bob);
    let draft = Draft {
        html: "<p><at id=\"0\">Sue Miller</at> please answer</p>".to_owned(),
        mentions: vec![talk.sue.id().to_owned()],
        ..Draft::default()
    };
    talk.teams.say_with(&talk.channel, &bob, draft);
    let seen = talk.ann.hears(&talk.room, "please answer").await?;
    let html = seen.text("/content/formatted_body");
    let address = ghost.replace('@', "%40").replace(':', "%3A");
    assert!(html.contains(&format!("https://matrix.to/#/{address}")), "{html}");
    talk.check_manners();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_into_the_team_or_leaves_it_does_so_in_the_room() -> anyhow::Result<()> {
    let Some(talk) = Talk::start().await? else {
        return Ok(());
    };
    let bob = talk.teams.add_user("Bob Bauer");
    assert!(talk.teams.join(talk.teams.team(), &bob));
    let ghost = format!("@_via_teams_{bob}:localhost");
    talk.ann
        .expect("Bob's ghost", &talk.room, |seen| seen.membership(&ghost) == "join")
        .await?;
    talk.teams.say(&talk.channel, &bob, "I am new here");
    talk.ann
        .expect("Bob's name", &talk.room, |seen| {
            seen.membership(&ghost) == "join" && seen.text("/content/displayname").contains("Bob Bauer")
        })
        .await?;
    assert!(talk.teams.leave(talk.teams.team(), &bob));
    talk.ann
        .expect("Bob's ghost gone", &talk.room, |seen| {
            seen.membership(&ghost) == "leave"
        })
        .await?;
    talk.check_manners();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn private_messages_go_both_ways_and_an_answer_to_whom_it_is_for() -> anyhow::Result<()> {
    let Some(talk) = Talk::start().await? else {
        return Ok(());
    };
    let (_, seen) = talk.sue_says("here I am").await?;
    // Sue has added the app for herself.
    let direct = talk.teams.direct(talk.sue.id());
    let chat = talk.ann.direct(seen.sender()).await?;
    wait_for("Sue's ghost in the chat", HEARD, || async {
        talk.ann.is_joined(&chat, seen.sender()).await.ok()?.then_some(())
    })
    .await?;
    talk.ann.say(&chat, "between you and me").await?;
    talk.sue.hears(&direct, "between you and me").await?;
    talk.sue.say(&direct, "I will not tell").await?;
    talk.ann.hears(&chat, "I will not tell").await?;
    let public = |said: &TeamsMessage| said.text().contains("between you and me");
    assert_eq!(
        talk.sue.count_of(&talk.channel, public).await?,
        0,
        "nothing private in public"
    );
    let public = |seen: &Seen| seen.body().contains("I will not tell");
    assert_eq!(talk.ann.count_of(&talk.room, public), 0, "nothing private in public");

    // Another person on Matrix talks with the same one: an answer is for whom it quotes.
    let ben = talk.world.matrix_person("ben").await?;
    let other = ben.direct(seen.sender()).await?;
    wait_for("Sue's ghost in Ben's chat", HEARD, || async {
        ben.is_joined(&other, seen.sender()).await.ok()?.then_some(())
    })
    .await?;
    ben.say(&other, "I am Ben, may I?").await?;
    let asked = talk.sue.hears(&direct, "may I?").await?;
    let answer = Draft {
        html: "<p>you may</p>".to_owned(),
        quotes: Some(asked.id()),
        ..Draft::default()
    };
    talk.teams.say_with(&direct, talk.sue.id(), answer);
    ben.hears(&other, "you may").await?;
    let misled = |seen: &Seen| seen.body().contains("you may");
    assert_eq!(talk.ann.count_of(&chat, misled), 0, "only Ben is answered");
    talk.check_manners();
    Ok(())
}
