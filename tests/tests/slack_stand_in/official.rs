//! The official Python client works with the stand-in.

use std::env;
use std::process::Stdio;

use anyhow::Context as _;
use serde_json::json;
use tokio::process::Command;
use viaduct_tests::launch::{Missing, available, project_root};
use viaduct_tests::slack::Limits;

use super::super::ready;

/// A Python that has `slack_sdk`.
async fn python() -> anyhow::Result<String> {
    let python = env::var("VIADUCT_PYTHON").map_err(|_| Missing("VIADUCT_PYTHON names no Python".to_owned()))?;
    let probe = Command::new(&python)
        .args(["-c", "import slack_sdk"])
        .stderr(Stdio::null())
        .status()
        .await;
    match probe {
        Ok(status) if status.success() => Ok(python),
        _ => Err(Missing(format!("{python} has no slack_sdk (pip install slack-sdk==3.47.0)")).into()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_client_works_with_it() -> anyhow::Result<()> {
    let Some(python) = available(python().await)? else {
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
    let output = Command::new(python)
        .arg(project_root().join("tests/tests/slack_stand_in/official.py"))
        .arg(task.to_string())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(std::time::Duration::from_mins(1), output)
        .await
        .context("the client took too long")??;
    let (said, complaints) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success() && said.trim_end().ends_with("all is well"),
        "{said}\n{complaints}"
    );
    assert_eq!(slack.violations(), []);
    Ok(())
}
