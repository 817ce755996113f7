//! Tokens, both ways.

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaPublicKeyComponents};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use viaduct_tests::teams::TeamsStandIn;

use super::super::{BOUND, Side, client, ready, token};

fn read(part: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// The claims of a token, if a published key signed it and vouches for Teams.
async fn verified(teams: &TeamsStandIn, token: &str) -> anyhow::Result<Option<Value>> {
    let client = client()?;
    let metadata: Value = client.get(teams.openid_url()).send().await?.json().await?;
    let keys: Value = client
        .get(metadata["jwks_uri"].as_str().unwrap())
        .send()
        .await?
        .json()
        .await?;
    let (message, signature) = token.rsplit_once('.').unwrap();
    let (header, claims) = message.split_once('.').unwrap();
    let kid = read(header)["kid"].clone();
    let key = keys["keys"].as_array().unwrap().iter().find(|key| key["kid"] == kid);
    let Some(key) = key.filter(|key| key["endorsements"].as_array().unwrap().contains(&json!("msteams"))) else {
        return Ok(None);
    };
    let number = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
    let key = RsaPublicKeyComponents {
        n: number("n"),
        e: number("e"),
    };
    let signature = URL_SAFE_NO_PAD.decode(signature)?;
    let right = key
        .verify(&RSA_PKCS1_2048_8192_SHA256, message.as_bytes(), &signature)
        .is_ok();
    Ok(right.then(|| read(claims)))
}

#[tokio::test(flavor = "multi_thread")]
async fn activities_come_with_a_token_that_can_be_checked() -> anyhow::Result<()> {
    let (teams, bot, channel, sue) = ready().await?;
    teams.say(&channel, &sue, "hello");
    teams.settled(BOUND).await?;
    let bearer = bot.bearers()[0].strip_prefix("Bearer ").unwrap().to_owned();
    let claims = verified(&teams, &bearer).await?.unwrap();
    assert_eq!(claims["iss"], "https://api.botframework.com");
    assert_eq!(
        (&claims["aud"], &claims["serviceurl"]),
        (&json!(teams.app().app_id), &json!(teams.service_url()))
    );
    teams.rotate_keys(true)?;
    assert!(verified(&teams, &bearer).await?.is_some(), "the old key is still there");
    teams.say(&channel, &sue, "again");
    teams.settled(BOUND).await?;
    let fresh = bot
        .bearers()
        .last()
        .unwrap()
        .strip_prefix("Bearer ")
        .unwrap()
        .to_owned();
    assert_ne!(fresh, bearer);
    assert!(verified(&teams, &fresh).await?.is_some());
    teams.rotate_keys(false)?;
    assert!(verified(&teams, &fresh).await?.is_none(), "that key is gone");
    let forged = teams.sign_unpublished(&json!({}), &claims)?;
    assert!(verified(&teams, &forged).await?.is_none());
    teams.endorse(&["webchat"]);
    assert!(verified(&teams, &teams.sign(&json!({}), &claims)?).await?.is_none());
    assert_eq!(
        teams
            .send(&json!({ "type": "message" }), Some(&format!("Bearer {forged}")))
            .await?,
        200
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_wrongly_gets_no_token() -> anyhow::Result<()> {
    let (teams, _bot, _, _) = ready().await?;
    let app = teams.app().clone();
    let url = format!("{}{}/oauth2/v2.0/token", teams.login_url(), app.tenant);
    let scope = "https://api.botframework.com/.default";
    for (status, id, secret, grant, scope) in [
        (400, "unknown", app.secret.as_str(), "client_credentials", scope),
        (401, &app.app_id, "wrong", "client_credentials", scope),
        (400, &app.app_id, &app.secret, "password", scope),
        (
            400,
            &app.app_id,
            &app.secret,
            "client_credentials",
            "https://api.botframework.com/read",
        ),
        (400, &app.app_id, &app.secret, "authorization_code", scope),
    ] {
        let form = [
            ("client_id", id),
            ("client_secret", secret),
            ("grant_type", grant),
            ("scope", scope),
        ];
        assert_eq!(
            client()?.post(&url).form(&form).send().await?.status(),
            status,
            "{form:?}"
        );
    }
    let connector = token(&teams, scope).await?;
    let graph = Side {
        token: connector,
        ..Side::graph(&teams).await?
    };
    assert_eq!(
        graph.call("GET", "teams", Value::Null).await?.0,
        401,
        "a token of the connector is none for Graph"
    );
    let graph = Side::graph(&teams).await?;
    assert_eq!(graph.call("GET", "teams", Value::Null).await?.0, 200);
    teams.expire_tokens();
    assert_eq!(graph.call("GET", "teams", Value::Null).await?.0, 401);
    let fresh = teams.renew_secret();
    assert!(token(&teams, scope).await.is_err());
    assert_ne!(fresh, app.secret);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_does_as_well_as_a_secret() -> anyhow::Result<()> {
    let (teams, _bot, _, _) = ready().await?;
    let key = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048)?;
    let certificate = rcgen::CertificateParams::new(vec!["viaduct.test".to_owned()])?.self_signed(&key)?;
    teams.set_certificate(certificate.der());
    let app = teams.app();
    let url = format!("{}{}/oauth2/v2.0/token", teams.login_url(), app.tenant);
    let pair = aws_lc_rs::rsa::KeyPair::from_pkcs8(&key.serialize_der())?;
    let until = time::OffsetDateTime::now_utc().unix_timestamp() + 300;
    for (audience, status) in [(url.as_str(), 200), ("https://elsewhere.test/", 401)] {
        let claims = json!({ "iss": app.app_id, "sub": app.app_id, "aud": audience, "exp": until, "jti": "1" });
        let header = json!({ "alg": "RS256", "typ": "JWT", "x5t#S256": "thumbprint" });
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", encode(&header), encode(&claims));
        let mut signature = vec![0; pair.public_modulus_len()];
        let random = aws_lc_rs::rand::SystemRandom::new();
        pair.sign(&RSA_PKCS1_SHA256, &random, message.as_bytes(), &mut signature)?;
        let assertion = format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature));
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", &app.app_id),
            (
                "client_assertion_type",
                "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            ),
            ("client_assertion", &assertion),
            ("scope", "https://api.botframework.com/.default"),
        ];
        assert_eq!(
            client()?.post(&url).form(&form).send().await?.status(),
            status,
            "{audience}"
        );
    }
    assert_eq!(teams.violations(), []);
    Ok(())
}
