//! Microsoft's own Python library works with the stand-in.

use std::env;
use std::process::Stdio;

use anyhow::Context as _;
use serde_json::json;
use tokio::process::Command;
use viaduct_tests::launch::{Missing, available, project_root};

use super::super::{BOUND, ready};

/// A Python that has `botframework.connector`.
async fn python() -> anyhow::Result<String> {
    let python = env::var("VIADUCT_PYTHON").map_err(|_| Missing("VIADUCT_PYTHON names no Python".to_owned()))?;
    let probe = Command::new(&python)
        .args(["-c", "import botframework.connector"])
        .stderr(Stdio::null())
        .status()
        .await;
    match probe {
        Ok(status) if status.success() => Ok(python),
        _ => {
            let wanted = "botframework-connector==4.17.1 aiohttp==3.14.5";
            Err(Missing(format!("{python} has no botframework.connector (pip install {wanted})")).into())
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_library_works_with_it() -> anyhow::Result<()> {
    let Some(python) = available(python().await)? else {
        return Ok(());
    };
    let (teams, bot, channel, sue) = ready().await?;
    teams.say(teams.team(), &sue, "for a token");
    teams.settled(BOUND).await?;
    let app = teams.app();
    let forged = teams.sign_unpublished(&json!({}), &teams.claims())?;
    let task = json!({
        "url": teams.url(), "login": teams.login_url(), "openid": teams.openid_url(), "service": teams.service_url(),
        "app_id": app.app_id, "tenant": app.tenant, "secret": app.secret, "channel": channel, "mri": teams.mri(&sue),
        "bearer": bot.bearers()[0], "forged": format!("Bearer {forged}"),
    });
    let output = Command::new(python)
        .arg(project_root().join("tests/tests/teams_stand_in/official.py"))
        .arg(task.to_string())
        .env("NO_PROXY", "127.0.0.1")
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(std::time::Duration::from_mins(2), output)
        .await
        .context("the library took too long")??;
    let (said, complaints) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success() && said.trim_end().ends_with("all is well"),
        "{said}\n{complaints}"
    );
    assert_eq!(teams.violations(), []);
    Ok(())
}
