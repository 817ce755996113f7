//! An Enterprise Grid: several workspaces of one organisation, and an app that is installed for all of them at once. It has one
//! token, and says in which workspace it looks whenever it lists something.

use std::collections::BTreeSet;

use super::call::{Caller, Refusal};
use super::control::Control;
use super::state::{Channel, Install, Kind};

/// An organisation, as an app sees it that was installed for it.
#[derive(Debug, Clone, Default)]
pub(super) struct Organisation {
    pub(super) id: String,
    pub(super) name: String,
    /// The workspaces that the app was added to.
    pub(super) teams: BTreeSet<String>,
}

impl Install {
    /// Whether it is installed in a workspace, by itself or by way of the organisation.
    pub(super) fn works_in(&self, team: &str) -> bool {
        works_in(&self.team, self.organisation.as_ref(), team)
    }

    /// The workspace by which its app sees a channel.
    pub(super) fn seen_from<'a>(&'a self, channel: Option<&'a Channel>) -> &'a str {
        let teams = channel.into_iter().flat_map(|channel| &channel.teams);
        let mut own = teams.filter(|team| self.works_in(team));
        own.next().unwrap_or(&self.team)
    }
}

impl Caller {
    /// Whether the token is good for a workspace.
    pub(super) fn works_in(&self, team: &str) -> bool {
        works_in(&self.team, self.organisation.as_ref(), team)
    }

    /// The workspace in which something is listed: the caller's own, or the named one of an organisation.
    pub(super) fn listed_team(&self) -> Result<&str, Refusal> {
        let Some(organisation) = &self.organisation else {
            return Ok(&self.team);
        };
        let team = self.text("team_id").ok_or_else(|| Refusal::from("missing_argument"))?;
        if organisation.teams.contains(team) {
            Ok(team)
        } else {
            Err("team_access_not_granted".into())
        }
    }
}

/// Whether something of a workspace and perhaps of an organisation is at home in a workspace.
pub(super) fn works_in(own: &str, organisation: Option<&Organisation>, team: &str) -> bool {
    match organisation {
        Some(organisation) => organisation.teams.contains(team),
        None => own == team,
    }
}

impl Control {
    /// Makes the first workspace and these ones an organisation's, and the app from the start one that is installed for the
    /// organisation and was added to all of them. Gives the organisation's id, `E…`.
    pub fn organise(&self, name: &str, teams: &[&str]) -> String {
        let mut state = self.state();
        let organisation = Organisation {
            id: state.ids.next("E"),
            name: name.to_owned(),
            teams: teams.iter().copied().chain([self.team()]).map(str::to_owned).collect(),
        };
        let id = organisation.id.clone();
        if let Some(install) = state.installs.first_mut() {
            install.organisation = Some(organisation);
        }
        id
    }

    /// A new channel of a workspace, with nobody in it: its id.
    pub fn add_channel_to(&self, team: &str, name: &str, kind: Kind) -> String {
        self.state().make_channel(team, name, kind, "")
    }
}
