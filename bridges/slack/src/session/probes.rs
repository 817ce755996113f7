//! What `doctor` should know.

use viaduct_bridge::Probe;

use super::channels::{Channel, Spelled, spelled};
use super::finding::Found;
use super::{Slack, locked};
use crate::client::calls::Identity;
use crate::manifest::bot_scopes;

impl Slack {
    pub(super) async fn probe_all(&self) -> Vec<Probe> {
        let mut probes = Vec::new();
        let mut workspaces = Vec::new();
        match self.api.identity().await {
            Ok(identity) => {
                let what = if identity.is_enterprise_install {
                    "organisation"
                } else {
                    "workspace"
                };
                let found = format!("Slack accepts it for the {what} {}", identity.team);
                probes.push(Probe::ok("bot token", found));
                if identity.is_enterprise_install {
                    let (probe, searched) = self.probe_workspaces(&identity).await;
                    probes.push(probe);
                    workspaces = searched;
                }
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
            probes.push(self.probe_channel(channel, &workspaces).await);
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

    /// To which workspaces of its organisation the app was added.
    async fn probe_workspaces(&self, identity: &Identity) -> (Probe, Vec<String>) {
        let subject = "workspaces";
        let fix = "add the app to them in the organisation's administration, or correct the option workspaces";
        match self.workspaces(identity).await {
            Ok((granted, searched)) if !searched.is_empty() => {
                let names = granted.iter().filter_map(|team| self.people.team(team));
                let found = format!("the app was added to {}", names.collect::<Vec<_>>().join(", "));
                (Probe::ok(subject, found), searched)
            }
            Ok(_) => (
                Probe::error(subject, "the app was added to none of them", fix),
                Vec::new(),
            ),
            Err(error) => (Probe::error(subject, error.to_string(), fix), Vec::new()),
        }
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

    async fn probe_channel(&self, channel: &Channel, workspaces: &[String]) -> Probe {
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
        let found = match spelled(&channel.spelling) {
            Spelled::Id(id) => self.api.conversation(id).await,
            Spelled::Name(name) => match self.search(workspaces, &[name]).await.map(|mut found| found.pop()) {
                Ok(Some(Found::One(conversation))) => Ok(*conversation),
                Ok(found) => {
                    let trouble = found.unwrap_or_default().trouble().unwrap_or_default();
                    let fix = "correct the name, or invite the app if the channel is private";
                    return Probe::error(subject, trouble, fix);
                }
                Err(error) => Err(error),
            },
        };
        match found {
            Ok(found) if found.is_archived => Probe::error(subject, "it is archived", "unarchive it, or take it out"),
            Ok(found) if found.is_member => Probe::ok(subject, format!("the app is in #{} ({})", found.name, found.id)),
            Ok(found) if !found.is_private && self.section.join => {
                Probe::ok(subject, format!("the app will join #{} ({})", found.name, found.id))
            }
            Ok(_) => Probe::error(
                subject,
                "the app is not in the channel",
                "invite the app into the channel",
            ),
            Err(error) => Probe::error(subject, error.to_string(), "invite the app into the channel"),
        }
    }
}
