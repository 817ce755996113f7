//! What `doctor` should know.

use viaduct_bridge::Probe;

use super::{Slack, locked};
use crate::manifest::bot_scopes;

impl Slack {
    pub(super) async fn probe_all(&self) -> Vec<Probe> {
        let mut probes = Vec::new();
        match self.api.identity().await {
            Ok(identity) => {
                probes.push(Probe::ok(
                    "bot token",
                    format!("Slack accepts it for the workspace {}", identity.team),
                ));
            }
            Err(error) => {
                let fix = if error.is_auth() {
                    "install the app again and take over its new bot token"
                } else {
                    "check that Slack can be reached from here, and the proxy"
                };
                probes.push(Probe::error("bot token", error.to_string(), fix));
                return probes;
            }
        }
        probes.push(self.probe_scopes());
        if let Some(reason) = &*locked(&self.auth_lost) {
            probes.push(Probe::error("app", reason.clone(), "install the app again"));
        } else if self.me().is_none() {
            probes.push(Probe::warning(
                "app",
                format!("the hub is not connected: {}", locked(&self.down)),
                "start the hub, or look into its log",
            ));
        }
        for channel in &self.channels.all {
            probes.push(self.probe_channel(channel).await);
        }
        for (user, login) in locked(&self.logins).iter() {
            let subject = format!("own token of {user}");
            probes.push(match &login.trouble {
                None => Probe::ok(subject, "Slack accepts it"),
                Some(trouble) => Probe::warning(
                    subject,
                    trouble.clone(),
                    "let them log in again; until then they are spoken for",
                ),
            });
        }
        probes
    }

    fn probe_scopes(&self) -> Probe {
        let Some(granted) = self.api.scopes() else {
            return Probe::warning("scopes", "Slack does not say what the app may do", "");
        };
        let missing: Vec<&str> = bot_scopes(&self.section)
            .into_iter()
            .filter(|scope| !granted.iter().any(|granted| granted == scope))
            .collect();
        if missing.is_empty() {
            return Probe::ok("scopes", "the app may do all that this configuration needs");
        }
        Probe::error(
            "scopes",
            format!("the app lacks {}", missing.join(", ")),
            "change the app to the printed manifest, and install it again",
        )
    }

    async fn probe_channel(&self, channel: &super::channels::Channel) -> Probe {
        let subject = format!("channel {}", channel.spelling);
        if let Ok(id) = channel.usable() {
            let known = channel.known();
            let shared = if known.shared {
                ", shared with another organisation"
            } else {
                ""
            };
            return Probe::ok(subject, format!("the app is in #{} ({id}){shared}", known.name));
        }
        if self.me().is_some() {
            let reason = channel.usable().err().unwrap_or_default();
            return Probe::error(subject, reason, "invite the app into the channel");
        }
        // The session does not run: look for this channel only.
        let found = match super::channels::spelled(&channel.spelling) {
            super::channels::Spelled::Id(id) => self.api.conversation(id).await.map(Some),
            super::channels::Spelled::Name(name) => {
                let mut found = None;
                let searched = self
                    .api
                    .conversations("public_channel,private_channel", &mut |conversation| {
                        let hit = conversation.name == name;
                        if hit {
                            found = Some(conversation);
                        }
                        hit
                    })
                    .await;
                searched.map(|()| found)
            }
        };
        match found {
            Ok(Some(found)) if found.is_archived => {
                Probe::error(subject, "it is archived", "unarchive it, or take it out")
            }
            Ok(Some(found)) if found.is_member => {
                Probe::ok(subject, format!("the app is in #{} ({})", found.name, found.id))
            }
            Ok(Some(found)) if !found.is_private && self.section.join => {
                Probe::ok(subject, format!("the app will join #{} ({})", found.name, found.id))
            }
            Ok(Some(_)) => Probe::error(
                subject,
                "the app is not in the channel",
                "invite the app into the channel",
            ),
            Ok(None) => Probe::error(
                subject,
                "there is no such channel, or the app does not see it",
                "correct the name, or invite the app if the channel is private",
            ),
            Err(error) => Probe::error(subject, error.to_string(), "invite the app into the channel"),
        }
    }
}
