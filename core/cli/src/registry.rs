//! The kinds of network this program knows: the only place that names the bridges.

use std::sync::Arc;

use serde_json::Value;
use viaduct_bridge::Factory;
use viaduct_config::Kinds;

/// Every bridge, one line each.
pub fn factories() -> Vec<Arc<dyn Factory>> {
    vec![
        // A line each, for the next to be added below.
        Arc::new(viaduct_echo::EchoFactory),
        Arc::new(viaduct_irc::IrcFactory),
        Arc::new(viaduct_teams::TeamsFactory::default()),
        Arc::new(viaduct_xmpp::XmppFactory),
        Arc::new(viaduct_slack::SlackFactory),
    ]
}

/// The factories, as far as the configuration has to know them.
pub struct Registry(pub Vec<Arc<dyn Factory>>);

impl Registry {
    /// Every kind this program knows.
    pub fn new() -> Self {
        Self(factories())
    }

    /// The factory of a kind.
    pub fn factory(&self, kind: &str) -> Option<&Arc<dyn Factory>> {
        self.0.iter().find(|factory| factory.kind() == kind)
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl Kinds for Registry {
    fn names(&self) -> Vec<String> {
        self.0.iter().map(|factory| factory.kind().to_owned()).collect()
    }

    fn schema(&self, kind: &str) -> Option<Value> {
        self.factory(kind).map(|factory| factory.schema())
    }

    fn check(&self, kind: &str, section: &Value) -> Vec<(String, String)> {
        self.factory(kind)
            .map(|factory| factory.check(section))
            .unwrap_or_default()
    }
}
