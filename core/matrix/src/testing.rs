//! What the tests of several modules need.

use viaduct_model::Secret;

use crate::HomeserverConfig;

/// A configuration for tests.
pub(crate) fn config(url: &str) -> HomeserverConfig {
    HomeserverConfig {
        url: url.to_owned(),
        domain: "example.org".to_owned(),
        as_token: Secret::new("as-secret"),
        hs_token: Secret::new("hs-secret"),
        id: "viaduct".to_owned(),
        bot: "viaduct".to_owned(),
        ghost_prefix: "_via_".to_owned(),
        speak_for: crate::SpeakFor::Nobody,
        listen: ([127, 0, 0, 1], 0).into(),
        public_url: None,
        ca_file: None,
        media_limit: 1024 * 1024,
        body_limit: 1024 * 1024,
        encryption: None,
        ghost_name: "{name} ({network})".to_owned(),
    }
}
