//! Who the app is: in one workspace, or in all of an organisation's.

use std::collections::BTreeSet;

use super::Slack;
use crate::client::calls::Identity;
use crate::client::error::CallError;

/// Who the app is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Me {
    /// The workspace; of an app that is installed for a whole organisation, the organisation.
    pub team: String,
    /// The own workspaces and the organisation: whoever is of another one is a stranger.
    pub own: BTreeSet<String>,
    /// The workspaces that have to be named when something is listed; none of an app of one workspace.
    pub workspaces: Vec<String>,
    /// The app's user.
    pub user: String,
    /// The app's bot.
    pub bot: Option<String>,
    /// The app.
    pub app: Option<String>,
}

impl Me {
    /// The workspace, if it is one of another organisation.
    pub fn foreign<'t>(&self, team: Option<&'t str>) -> Option<&'t str> {
        team.filter(|team| !team.is_empty() && !self.own.contains(*team))
    }

    /// What to name when something is listed, one after the other.
    pub fn listed(&self) -> Vec<Option<&String>> {
        listed(&self.workspaces)
    }
}

/// What to name when something is listed in these workspaces.
pub fn listed(workspaces: &[String]) -> Vec<Option<&String>> {
    if workspaces.is_empty() {
        return vec![None];
    }
    workspaces.iter().map(Some).collect()
}

impl Slack {
    /// Who the app is.
    pub(super) async fn introduce(&self) -> Result<Me, CallError> {
        let identity = self.api.identity().await?;
        self.people.name_team(&identity.team_id, &identity.team);
        let mut own: BTreeSet<String> = [identity.team_id.clone()].into();
        own.extend(identity.enterprise_id.clone());
        let (granted, workspaces) = self.workspaces(&identity).await?;
        own.extend(granted);
        Ok(Me {
            team: identity.team_id,
            own,
            workspaces,
            user: identity.user_id,
            bot: identity.bot_id,
            app: self.me().and_then(|me| me.app.clone()),
        })
    }

    /// Of an app of an organisation, the workspaces that it was added to, and those of them in which channels are looked for.
    pub(super) async fn workspaces(&self, identity: &Identity) -> Result<(Vec<String>, Vec<String>), CallError> {
        if !identity.is_enterprise_install {
            return Ok(Default::default());
        }
        let granted = self.api.workspaces().await?;
        for team in &granted {
            self.people.name_team(&team.id, &team.name);
        }
        let granted: Vec<String> = granted.into_iter().map(|team| team.id).collect();
        let wanted = &self.section.workspaces;
        let searched = granted.iter().filter(|team| wanted.is_empty() || wanted.contains(team));
        let searched = searched.cloned().collect();
        Ok((granted, searched))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_of_another_organisation_is_a_stranger() {
        let me = Me {
            own: ["E1".to_owned(), "T1".to_owned(), "T2".to_owned()].into(),
            ..Me::default()
        };
        assert_eq!(me.foreign(Some("T2")), None);
        assert_eq!(me.foreign(Some("T9")), Some("T9"));
        assert_eq!((me.foreign(None), me.foreign(Some(""))), (None, None));
        assert_eq!(me.listed(), [None], "a token of one workspace needs no name");
    }
}
