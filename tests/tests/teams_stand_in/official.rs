//! Microsoft's own Python library works with the stand-in.

use serde_json::json;
use viaduct_tests::launch::{available, python, run_script};

use super::super::{BOUND, ready};

#[tokio::test(flavor = "multi_thread")]
async fn the_official_library_works_with_it() -> anyhow::Result<()> {
    let Some(python) = available(python("botframework.connector", "botframework-connector aiohttp"))? else {
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
    let said = run_script(&python, "tests/tests/teams_stand_in/official.py", &task).await?;
    assert!(said.trim_end().ends_with("all is well"), "{said}");
    assert_eq!(teams.violations(), []);
    Ok(())
}
