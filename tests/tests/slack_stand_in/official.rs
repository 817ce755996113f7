//! The official Python client works with the stand-in.

use serde_json::json;
use viaduct_tests::launch::{available, python, run_script};
use viaduct_tests::slack::Limits;

use super::super::ready;

#[tokio::test(flavor = "multi_thread")]
async fn the_official_client_works_with_it() -> anyhow::Result<()> {
    let Some(python) = available(python("slack_sdk", "slack-sdk"))? else {
        return Ok(());
    };
    let (slack, channel, sue) = ready().await?;
    slack.set_limits(Limits {
        channel_burst: 100,
        ..Limits::default()
    });
    let app = slack.app();
    let task = json!({
        "url": slack.url(), "api_url": slack.api_url(), "bot_token": app.bot_token, "app_token": app.app_token,
        "channel": channel, "user": sue,
    });
    let said = run_script(&python, "tests/tests/slack_stand_in/official.py", &task).await?;
    assert!(said.trim_end().ends_with("all is well"), "{said}");
    assert_eq!(slack.violations(), []);
    Ok(())
}
