//! What happens on the homeserver beside the rooms' events: invitations, upgrades, labels, commands, queries.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use viaduct_matrix::Observer;
use viaduct_model::{MirrorName, Person, Place};
use viaduct_store::StoreError;

use crate::backoff::Backoff;
use crate::core::Core;
use crate::{disputing, intake, labels, notices, overriding, upkeep};

/// How long after a start the homeserver's events wait for the mirrors' rooms.
const SETTLING: Duration = Duration::from_secs(20);

/// Answers commands that people give the bot.
#[async_trait]
pub trait Commands: Send + Sync {
    /// The answer to `text`, said by `sender` (a Matrix user id).
    async fn answer(&self, text: &str, sender: &str) -> String;
}

/// The engine as the homeserver side sees it.
pub(crate) struct HomeObserver {
    pub(crate) core: Arc<Core>,
    pub(crate) commands: Option<Arc<dyn Commands>>,
}

impl HomeObserver {
    /// A Matrix person invited a ghost: they want to talk to the person behind it.
    async fn direct(&self, room: &str, ghost: &str, by: &str) -> Option<()> {
        let home = self.core.home()?;
        let (network, person) = home.person_of_ghost(ghost)?;
        let side = self.core.side(&network)?;
        let channel = match side.session.direct_channel(&person, by).await {
            Ok(channel) => channel,
            Err(error) => {
                tracing::info!(%network, %error, "A direct chat is not possible.");
                let text = format!("{error}");
                home.notice(room, &text, None, &format!("direct-{room}")).await.ok();
                return None;
            }
        };
        let name = person.to_string();
        let person = Person {
            network: network.clone(),
            id: person,
            name,
            avatar: None,
            organisation: None,
            bot: false,
        };
        let place = Place::new(network, channel);
        let mirror = intake::open_direct(&self.core, place, Some(person), by.to_owned()).await?;
        if let Err(error) = self.core.save_room(&mirror, room).await {
            tracing::error!(%error, "The room of a direct chat could not be remembered.");
        }
        let core = self.core.clone();
        self.core.tasks.spawn(async move {
            // The ghost has to come in before it can see the room's state.
            labels::learn(&core, &mirror).await;
            core.wake_all(&mirror);
        });
        Some(())
    }
}

impl HomeObserver {
    /// The answer to what everybody may say: ask about data protection, say that they have read the notice, decide about what
    /// they sent where the rules allow it, and call a rule wrong. None if it was something else.
    async fn for_everybody(&self, room: &str, sender: &str, text: &str) -> Option<String> {
        if let Some(answer) = notices::asked(&self.core, room, text) {
            return Some(answer);
        }
        if let Some(answer) = notices::read(&self.core, room, sender, text).await {
            return Some(answer);
        }
        if let Some(answer) = disputing::asked(&self.core, sender, text).await {
            return Some(answer);
        }
        overriding::asked(&self.core, sender, text).await
    }
}

#[async_trait]
impl Observer for HomeObserver {
    async fn invited(&self, room: &str, invitee: &str, by: &str, direct: bool) {
        if direct {
            self.direct(room, invitee, by).await;
        }
    }

    async fn upgraded(&self, room: &str, replacement: &str) {
        let Some(name) = self.core.mirror_of_room(room) else {
            return;
        };
        let Some(mirror) = self.core.routes().named(&name).cloned() else {
            return;
        };
        if let Err(error) = labels::inherit(&self.core, room, replacement).await {
            tracing::error!(mirror = %name, %error, "The upgraded room's label could not be remembered.");
        }
        match self.core.save_room(&mirror, replacement).await {
            Ok(()) => {
                tracing::info!(mirror = %name, replacement, "The mirror's room was upgraded; the mirror follows.");
            }
            Err(error) => tracing::error!(mirror = %name, %error, "The upgraded room could not be remembered."),
        }
    }

    async fn labelled(&self, room: &str, label: Option<&str>) {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
        // The homeserver tells it once: it is not acknowledged before it is kept.
        while let Err(error) = labels::note(&self.core, room, label).await {
            if error == StoreError::Closed || self.core.stop.is_cancelled() {
                return;
            }
            tracing::error!(room, %error, "A room's label could not be remembered and is tried again.");
            tokio::time::sleep(backoff.next(None, &*self.core.entropy)).await;
        }
    }

    async fn command(&self, room: &str, sender: &str, text: &str, event_id: &str) {
        let Some(home) = self.core.home() else { return };
        let answer = match (self.for_everybody(room, sender, text).await, &self.commands) {
            (Some(answer), _) => Some(answer),
            (None, Some(commands)) => Some(commands.answer(text, sender).await),
            (None, None) => None,
        };
        let Some(answer) = answer else { return };
        if let Err(error) = home
            .notice(room, &answer, Some(event_id), &format!("command-{event_id}"))
            .await
        {
            tracing::warn!(%error, "A command could not be answered.");
        }
    }

    async fn user_exists(&self, mxid: &str) -> bool {
        match self.core.home().and_then(|home| home.person_of_ghost(mxid)) {
            Some((network, _)) => self.core.side(&network).is_some(),
            None => false,
        }
    }

    async fn alias_exists(&self, _alias: &str) -> bool {
        // Rooms are made when the hub starts, not when somebody asks for their alias.
        false
    }

    async fn settled(&self) {
        let mut unsettled = self.core.unsettled.subscribe();
        // A room that cannot be had must not keep all others waiting for ever.
        let settled = unsettled.wait_for(|mirrors| *mirrors == 0);
        tokio::time::timeout(SETTLING, settled).await.map(drop).ok();
    }

    fn is_mirrored(&self, room: &str) -> bool {
        self.core.mirror_of_room(room).is_some()
    }

    fn is_encrypted(&self, room: &str) -> bool {
        let name = self.core.mirror_of_room(room);
        name.is_some_and(|name| {
            self.core
                .routes()
                .named(&name)
                .is_some_and(|mirror| mirror.is_encrypted())
        })
    }

    async fn unfit(&self, room: &str, reason: &str) {
        let Some(name) = self.core.mirror_of_room(room) else {
            return;
        };
        let (text, key) = (format!("{name}: {reason}"), format!("unfit-{name}-{room}"));
        upkeep::tell_operators(&self.core, &text, &key).await;
    }
}

/// Reads which rooms the mirrors have from the last run.
pub(crate) async fn remember_rooms(core: &Arc<Core>) -> Result<(), StoreError> {
    labels::remember(core).await?;
    for portal in core.store.portals().await? {
        let mirror: &MirrorName = &portal.mirror;
        if let Some(with) = portal.direct_to.clone() {
            let settings = core.settings();
            let direct = crate::routes::direct(mirror.clone(), portal.place.clone(), None, with, &settings);
            core.add_mirror(direct);
        }
        if !portal.room.is_empty() && core.routes().named(mirror).is_some() {
            core.know_room(mirror, &portal.room);
        }
    }
    Ok(())
}
