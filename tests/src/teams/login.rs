//! Microsoft's login: tokens for apps and people, and the keys by which Microsoft's own tokens are checked.

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};

use super::call::{Answer, Asked, Reply};
use super::ids::now_seconds;
use super::state::{State, Token};

/// How long a token is good for, in seconds.
const LIFE: u64 = 3599;

fn refused(status: u16, error: &str, what: &str) -> Reply {
    Reply::json(
        status,
        &json!({ "error": error, "error_description": what, "error_codes": [] }),
    )
}

impl State {
    /// What describes the keys of the connector's tokens.
    pub(super) fn openid(&self) -> Reply {
        Reply::json(
            200,
            &json!({
                "issuer": "https://api.botframework.com", "authorization_endpoint": "https://invalid.botframework.com",
                "jwks_uri": format!("{}/openid/v1/.well-known/keys", self.base),
                "id_token_signing_alg_values_supported": ["RS256"],
                "token_endpoint_auth_methods_supported": ["private_key_jwt"],
            }),
        )
    }

    /// The same of a tenant's login.
    pub(super) fn openid_of_tenant(&self, tenant: &str) -> Reply {
        Reply::json(
            200,
            &json!({
                "issuer": format!("https://login.microsoftonline.com/{tenant}/v2.0"),
                "token_endpoint": format!("{}/login/{tenant}/oauth2/v2.0/token", self.base),
                "jwks_uri": format!("{}/login/{tenant}/discovery/v2.0/keys", self.base),
                "id_token_signing_alg_values_supported": ["RS256"],
            }),
        )
    }

    /// Hands out a token (RFC 6749, 4.1.3, 4.4 and 6).
    pub(super) fn token(&mut self, asked: &Asked) -> Answer {
        let tenant = asked.part(0).to_owned();
        if !asked
            .header(CONTENT_TYPE)
            .starts_with("application/x-www-form-urlencoded")
        {
            self.violate(asked.operation, "the body is no form");
        }
        let form: Vec<(String, String)> = url::form_urlencoded::parse(&asked.raw).into_owned().collect();
        let field = |name: &str| {
            let found = form.iter().find(|(key, _)| key == name);
            found.map_or("", |(_, value)| value.as_str())
        };
        let index = self.apps.iter().position(|one| one.app.app_id == field("client_id"));
        let index = index.ok_or_else(|| refused(400, "unauthorized_client", "AADSTS700016: there is no such app"))?;
        let Some(registration) = self.apps.get(index) else {
            return Err(refused(500, "server_error", "no app"));
        };
        if registration.app.tenant != tenant {
            return Err(refused(
                400,
                "invalid_request",
                "AADSTS90002: the app is not in this tenant",
            ));
        }
        match field("client_assertion") {
            "" if field("client_secret") == registration.app.secret => {}
            "" => {
                return Err(refused(
                    401,
                    "invalid_client",
                    "AADSTS7000215: Invalid client secret provided.",
                ));
            }
            assertion => {
                if !field("client_assertion_type").ends_with(":jwt-bearer") {
                    self.violate(asked.operation, "client_assertion_type is not that of a token");
                }
                self.check_assertion(index, assertion)
                    .map_err(|what| refused(401, "invalid_client", &format!("AADSTS700027: {what}")))?;
            }
        }
        let user = self.person_of(index, field("grant_type"), field("code"), field("refresh_token"))?;
        let scope = field("scope").to_owned();
        let for_graph = !scope.contains("botframework.");
        if user.is_none() && !scope.ends_with("/.default") {
            let what = "AADSTS1002012: the scope of an app's token ends with /.default";
            return Err(refused(400, "invalid_scope", what));
        }
        let text = self.ids.secret("token");
        let token = Token {
            app: index,
            tenant,
            for_graph,
            user: user.clone(),
            scope: scope.clone(),
            until: now_seconds() + LIFE,
        };
        self.tokens.insert(text.clone(), token);
        let mut answer =
            json!({ "token_type": "Bearer", "expires_in": LIFE, "ext_expires_in": LIFE, "access_token": text });
        if let Some(user) = user.filter(|_| scope.split(' ').any(|one| one == "offline_access")) {
            let refresh = self.ids.secret("refresh");
            self.codes.insert(refresh.clone(), (index, user));
            answer["refresh_token"] = json!(refresh);
            answer["scope"] = json!(scope);
        }
        Ok(Reply::json(200, &answer))
    }

    /// In whose name the token acts, if in a person's.
    fn person_of(&mut self, index: usize, grant: &str, code: &str, refresh: &str) -> Result<Option<String>, Reply> {
        let given = match grant {
            "client_credentials" => return Ok(None),
            "authorization_code" => code,
            "refresh_token" => refresh,
            _ => return Err(refused(400, "unsupported_grant_type", "AADSTS70003")),
        };
        match self.codes.remove(given) {
            Some((app, user)) if app == index => Ok(Some(user)),
            _ => Err(refused(
                400,
                "invalid_grant",
                "AADSTS70008: the code or refresh token has expired",
            )),
        }
    }

    /// A token by which an app shows that it has the key of its certificate (RFC 7523).
    fn check_assertion(&self, index: usize, assertion: &str) -> Result<(), &'static str> {
        let registration = self.apps.get(index).ok_or("no app")?;
        let key = registration.certificate.as_ref().ok_or("the app has no certificate")?;
        let (message, signature) = assertion.rsplit_once('.').ok_or("this is no token")?;
        let (header, claims) = message.split_once('.').ok_or("this is no token")?;
        let read = |part: &str| -> Option<Value> { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok() };
        let header = read(header).ok_or("the header cannot be read")?;
        let claims = read(claims).ok_or("the claims cannot be read")?;
        let signature = URL_SAFE_NO_PAD
            .decode(signature)
            .map_err(|_| "the signature cannot be read")?;
        let algorithm = match header["alg"].as_str() {
            Some("RS256") => &RSA_PKCS1_2048_8192_SHA256,
            Some("PS256") => &RSA_PSS_2048_8192_SHA256,
            _ => return Err("the algorithm is neither RS256 nor PS256"),
        };
        UnparsedPublicKey::new(algorithm, key)
            .verify(message.as_bytes(), &signature)
            .map_err(|_| "the signature is wrong")?;
        if header["x5t"].is_null() && header["x5t#S256"].is_null() && header["kid"].is_null() {
            return Err("the header names no certificate");
        }
        let id = &registration.app.app_id;
        let endpoint = format!("/login/{}/oauth2/v2.0/token", registration.app.tenant);
        if claims["iss"] != **id || claims["sub"] != **id {
            return Err("iss and sub are not the app");
        }
        if !claims["aud"].as_str().unwrap_or_default().ends_with(&endpoint) {
            return Err("aud is not this endpoint");
        }
        if claims["exp"].as_u64().is_none_or(|until| until <= now_seconds()) {
            return Err("the token has expired");
        }
        Ok(())
    }

    /// The token of a call.
    pub(super) fn authorize(&self, asked: &Asked, for_graph: bool) -> Result<Token, Reply> {
        let refused = |what| {
            Reply::error(
                401,
                if for_graph {
                    "InvalidAuthenticationToken"
                } else {
                    "Unauthorized"
                },
                what,
            )
        };
        let token = asked.bearer().and_then(|bearer| self.tokens.get(bearer));
        let token = token.ok_or_else(|| refused("Access token is missing or not known."))?;
        if token.for_graph != for_graph {
            return Err(refused("Access token validation failure. Invalid audience."));
        }
        if token.until <= now_seconds() {
            return Err(refused("Lifetime validation failed, the token is expired."));
        }
        Ok(token.clone())
    }
}
