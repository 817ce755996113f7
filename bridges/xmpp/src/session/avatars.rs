//! Pictures of people: those in the rooms (XEP-0153, XEP-0084), and those of puppets.
//!
//! A picture is known by its SHA-1, which presences announce. A locator names whose it is and which: `picture ADDRESS SHA1`.
//! The bytes are fetched when a destination asks, and are taken only if they are those announced. Puppets' pictures stay where
//! they are, too, until somebody asks their puppet for its vCard or its published avatar.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use sha1::{Digest, Sha1};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use viaduct_bridge::{Media, MediaError, bounded};
use viaduct_model::{MediaRef, Person, PersonId};
use xmpp_parsers::jid::{BareJid, Jid};
use xmpp_parsers::minidom::Element;
use xmpp_parsers::ns;
use xmpp_parsers::vcard::{Photo, VCard, VCardQuery};
use xmpp_parsers::vcard_update::{Photo as Announced, VCardUpdate};

use super::Xmpp;
use super::room::Room;
use crate::client::wire::{Ask, RequestError, Wire};
use crate::convert::names::hex;
use crate::convert::pictures::{BOUND, SOURCE_BOUND, Small, shrink};
use crate::xep::xep0060_items::Published;

/// So many puppets and pictures are remembered; further ones have no vCard.
const MEMORY: usize = 8192;
/// How many pictures are read, and how many made smaller, side by side.
const READERS: usize = 16;
const SHRINKERS: usize = 2;
/// So many pictures that were made smaller are kept; then all are made anew.
const SMALL: usize = 256;
/// How long a puppet waits for its picture before it enters a room without.
const PATIENCE: Duration = Duration::from_secs(3);

/// Somebody's picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Picture {
    pub mime: Option<String>,
    pub bytes: Vec<u8>,
}

impl Picture {
    fn digest(&self) -> [u8; 20] {
        Sha1::digest(&self.bytes).into()
    }

    /// Where it can be fetched again.
    pub fn locator(&self, owner: &Jid) -> String {
        locator(owner, &hex(&self.digest()))
    }
}

impl From<Small> for Picture {
    fn from(small: Small) -> Self {
        Self {
            mime: Some(small.mime.to_owned()),
            bytes: small.bytes,
        }
    }
}

impl From<Picture> for Photo {
    fn from(picture: Picture) -> Self {
        Self {
            type_: xmpp_parsers::vcard::Type {
                data: picture.mime.unwrap_or_else(|| "image/png".to_owned()),
            },
            binval: xmpp_parsers::vcard::Binval { data: picture.bytes },
        }
    }
}

/// Names the picture of somebody.
pub(super) fn locator(owner: &Jid, digest: &str) -> String {
    // An address may have blanks in its resource, a digest has none.
    format!("picture {digest} {owner}")
}

fn read_locator(locator: &str) -> Option<(&str, Jid)> {
    let (digest, owner) = locator.strip_prefix("picture ")?.split_once(' ')?;
    Some((digest, Jid::new(owner).ok()?))
}

/// The picture that a presence announces, by its digest.
pub(super) fn announced(payloads: &[Element]) -> Option<String> {
    let update: VCardUpdate = crate::xep::find(payloads, "x", ns::VCARD_UPDATE)?;
    update.photo?.data.map(|digest| hex(&digest))
}

/// What is known of puppets, for those who ask.
#[derive(Default)]
pub(super) struct Profiles {
    puppets: HashMap<BareJid, Profile>,
    digests: HashMap<MediaRef, [u8; 20]>,
    /// Pictures that were made smaller, which takes its time.
    small: HashMap<MediaRef, Picture>,
    /// Whose published picture was looked for.
    sought: HashSet<PersonId>,
}

/// Bounds how much of pictures is in memory at a time.
pub(super) struct Turns {
    reading: Semaphore,
    shrinking: Semaphore,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            reading: Semaphore::new(READERS),
            shrinking: Semaphore::new(SHRINKERS),
        }
    }
}

/// What is known of a puppet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Profile {
    pub name: String,
    pub avatar: Option<MediaRef>,
}

impl Profiles {
    /// Notes how a person looks now. Says whether that was not known before.
    pub fn note(&mut self, puppet: &BareJid, person: &Person) -> bool {
        let profile = Profile {
            name: person.name.clone(),
            avatar: person.avatar.clone(),
        };
        if self.puppets.get(puppet) == Some(&profile) {
            return false;
        }
        if self.puppets.len() >= MEMORY && !self.puppets.contains_key(puppet) {
            return false;
        }
        self.puppets.insert(puppet.clone(), profile);
        true
    }
}

impl Xmpp {
    fn profiles(&self) -> std::sync::MutexGuard<'_, Profiles> {
        self.profiles.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Notes how a person looks now. Says whether that was not known before.
    pub(super) fn note_profile(&self, puppet: &BareJid, person: &Person) -> bool {
        self.profiles().note(puppet, person)
    }

    pub(super) fn profile(&self, puppet: &BareJid) -> Option<Profile> {
        self.profiles().puppets.get(puppet).cloned()
    }

    /// Opens the picture of somebody on the network.
    pub(super) async fn open_picture(&self, named: &str) -> Option<Result<Media, MediaError>> {
        let (digest, owner) = read_locator(named)?;
        let Some(wire) = self.wire() else {
            return Some(Err(MediaError::Retry("not connected".into())));
        };
        let found = match self.fetch_vcard(&wire, &owner).await {
            Ok(Some(picture)) if hex(&picture.digest()) == digest => Ok(Some(picture)),
            Ok(_) => self.fetch_published(&wire, &owner, digest).await,
            Err(error) => Err(error),
        };
        Some(match found {
            Ok(Some(picture)) => Ok(media_of(picture)),
            Ok(None) | Err(RequestError::Refused(_)) => Err(MediaError::Gone),
            Err(error) => Err(MediaError::Retry(error.to_string())),
        })
    }

    /// The picture in somebody's vCard (XEP-0054).
    pub(super) async fn fetch_vcard(&self, wire: &Wire, owner: &Jid) -> Result<Option<Picture>, RequestError> {
        let ask = Ask {
            from: self.own_address(),
            to: owner.clone(),
            set: false,
            payload: VCardQuery.into(),
        };
        let answer = match wire.request(ask).await {
            Ok(answer) => answer,
            Err(RequestError::Refused(_)) => None,
            Err(error) => return Err(error),
        };
        let photo = answer.and_then(|vcard| Photo::try_from(vcard.get_child("PHOTO", ns::VCARD)?.clone()).ok());
        Ok(photo.map(|photo| Picture {
            mime: Some(photo.type_.data).filter(|mime| mime.starts_with("image/")),
            bytes: photo.binval.data,
        }))
    }

    /// The picture that somebody has published (XEP-0084).
    async fn fetch_published(&self, wire: &Wire, owner: &Jid, digest: &str) -> Result<Option<Picture>, RequestError> {
        let ask = Ask {
            from: self.own_address(),
            to: Jid::from(owner.to_bare()),
            set: false,
            payload: Published::one(ns::AVATAR_DATA, digest, None).into(),
        };
        let answer = wire.request(ask).await?;
        let published = answer.and_then(|answer| Published::try_from(answer).ok());
        let item = published.and_then(|published| published.items.items.into_iter().next()?.payload);
        let data = item.and_then(|item| xmpp_parsers::avatar::Data::try_from(item).ok());
        let picture = data.map(|data| Picture {
            mime: None,
            bytes: data.data,
        });
        Ok(picture.filter(|picture| hex(&picture.digest()) == digest))
    }

    /// Whether a person's published picture is to be looked for: once, until they come anew.
    pub(super) fn is_new(&self, person: &PersonId) -> bool {
        let mut profiles = self.profiles();
        if profiles.sought.contains(person) {
            return false;
        }
        if profiles.sought.len() >= MEMORY {
            profiles.sought.clear();
        }
        profiles.sought.insert(person.clone())
    }

    /// Somebody comes anew, perhaps with another picture.
    pub(super) fn seek_again(&self, person: &PersonId) {
        self.profiles().sought.remove(person);
    }

    /// Looks for a picture that somebody has published (XEP-0084) without announcing it in the room, and notes it for what they
    /// say from now on.
    pub(super) async fn seek_published(self: Arc<Self>, room: Arc<Room>, owner: BareJid, wire: Arc<Wire>) {
        let ask = Ask {
            from: self.own_address(),
            to: Jid::from(owner.clone()),
            set: false,
            payload: Published::all(ns::AVATAR_METADATA).into(),
        };
        let Ok(Some(answer)) = wire.request(ask).await else {
            return;
        };
        let Some(digest) = published_digest(answer) else { return };
        for occupant in room.state().occupants.values_mut() {
            let theirs = occupant
                .address
                .as_ref()
                .is_some_and(|address| address.to_bare() == owner);
            if theirs && occupant.picture.is_none() {
                occupant.picture = Some(digest.clone());
            }
        }
    }

    /// What a puppet's presence announces of its picture, if that can be had in a moment.
    pub(super) async fn announcement(&self, person: &Person) -> Option<Element> {
        if !self.section.avatars {
            return None;
        }
        let avatar = person.avatar.as_ref()?;
        let known = self.profiles().digests.get(avatar).copied();
        let digest = match known {
            Some(digest) => digest,
            None => timeout(PATIENCE, self.read_avatar(avatar)).await.ok()?.ok()?.digest(),
        };
        let photo = Announced { data: Some(digest) };
        Some(VCardUpdate { photo: Some(photo) }.into())
    }

    /// A picture of another side, read from wherever it is, and made as small as servers take it.
    pub(super) async fn read_avatar(&self, avatar: &MediaRef) -> Result<Picture, MediaError> {
        let known = self.profiles().small.get(avatar).cloned();
        if let Some(picture) = known {
            return Ok(picture);
        }
        let stopping = |_| MediaError::Retry("the hub is stopping".into());
        let _turn = self.turns.reading.acquire().await.map_err(stopping)?;
        let mut media = self.context.media.open(avatar).await?;
        media.stream = bounded(media.stream, SOURCE_BOUND as u64);
        let mut bytes = Vec::new();
        while let Some(piece) = media.stream.next().await {
            bytes.extend_from_slice(&piece?);
        }
        let large = bytes.len() > BOUND;
        let picture = if large {
            let _turn = self.turns.shrinking.acquire().await.map_err(stopping)?;
            let shrinking = tokio::task::spawn_blocking(move || shrink(&bytes)).await;
            let small = shrinking.ok().flatten();
            small.map(Picture::from).ok_or(MediaError::TooLarge(BOUND as u64))?
        } else {
            Picture {
                mime: media.mime,
                bytes,
            }
        };
        let mut profiles = self.profiles();
        if profiles.digests.len() < MEMORY {
            profiles.digests.insert(avatar.clone(), picture.digest());
        }
        if large {
            if profiles.small.len() >= SMALL {
                profiles.small.clear();
            }
            profiles.small.insert(avatar.clone(), picture.clone());
        }
        drop(profiles);
        Ok(picture)
    }

    /// A puppet's vCard (XEP-0054).
    pub(super) async fn puppet_vcard(self: Arc<Self>, profile: Profile) -> Element {
        let text = |name: &str, text: &str| {
            let text = crate::convert::outgoing::xml_text(text);
            Element::builder(name, ns::VCARD).append(text).build()
        };
        let picture = match profile.avatar.filter(|_| self.section.avatars) {
            Some(avatar) => self.read_avatar(&avatar).await.ok(),
            None => None,
        };
        VCard {
            photo: picture.map(Photo::from),
            payloads: vec![text("FN", &profile.name), text("NICKNAME", &profile.name)],
        }
        .into()
    }

    /// What a puppet has published: the description of its picture, or the picture itself (XEP-0084).
    pub(super) async fn puppet_published(self: Arc<Self>, profile: Profile, node: String) -> Option<Element> {
        let avatar = profile.avatar.filter(|_| self.section.avatars)?;
        let picture = self.read_avatar(&avatar).await.ok()?;
        let digest = hex(&picture.digest());
        let payload: Element = if node == ns::AVATAR_DATA {
            xmpp_parsers::avatar::Data { data: picture.bytes }.into()
        } else {
            let info = xmpp_parsers::avatar::Info {
                bytes: u32::try_from(picture.bytes.len()).ok()?,
                width: None,
                height: None,
                id: digest.parse().ok()?,
                type_: picture.mime.unwrap_or_else(|| "image/png".to_owned()),
                url: None,
            };
            xmpp_parsers::avatar::Metadata { infos: vec![info] }.into()
        };
        Some(Published::one(&node, &digest, Some(payload)).into())
    }
}

/// Which picture somebody has published: the first that is kept with its description.
fn published_digest(answer: Element) -> Option<String> {
    let published = Published::try_from(answer).ok()?;
    let description = published.items.items.into_iter().next()?.payload?;
    let metadata = xmpp_parsers::avatar::Metadata::try_from(description).ok()?;
    let mut infos = metadata.infos.into_iter().filter(|info| info.url.is_none());
    infos.next().map(|info| info.id.to_hex())
}

fn media_of(picture: Picture) -> Media {
    let size = Some(picture.bytes.len() as u64);
    let bytes = Bytes::from(picture.bytes);
    Media {
        mime: picture.mime,
        size,
        name: None,
        stream: Box::pin(futures_util::stream::once(async move { Ok(bytes) })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locators_lead_back() {
        let owner = Jid::new("r@c.example/Bob B").unwrap();
        let digest = "01b87fcd030b72895ff8e88db57ec525450f000d";
        assert_eq!(read_locator(&locator(&owner, digest)), Some((digest, owner)));
        assert_eq!(read_locator("https://x.example/"), None);
    }

    #[test]
    fn announcements_are_read() {
        let element = |inner: &str| format!("<x xmlns='vcard-temp:x:update'>{inner}</x>").parse().unwrap();
        let digest = "01b87fcd030b72895ff8e88db57ec525450f000d";
        assert_eq!(
            announced(&[element(&format!("<photo>{digest}</photo>"))]).as_deref(),
            Some(digest)
        );
        assert_eq!(announced(&[element("<photo/>")]), None);
        assert_eq!(announced(&[element("")]), None);
        assert_eq!(announced(&[element("<photo>zz</photo>")]), None);
    }
}
