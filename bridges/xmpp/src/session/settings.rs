//! What the hub writes of a room as its owner: its name (XEP-0045), and its picture (XEP-0486).

use viaduct_bridge::DeliveryError;
use viaduct_model::{MediaRef, Receipt};
use xmpp_parsers::jid::Jid;
use xmpp_parsers::vcard::{Photo, VCard};

use super::outbound::refusal;
use super::room::Room;
use super::{Xmpp, unsupported};
use crate::client::wire::{Ask, RequestError, Wire};
use crate::convert::outgoing::xml_text;
use crate::xep::xep0045_muc_owner as muc_owner;

impl Xmpp {
    /// Gives the room a name. What it shows then is known here already, and not told as news.
    pub(super) async fn name_out(&self, room: &Room, wire: &Wire, name: &str) -> Result<Receipt, DeliveryError> {
        self.may_write()?;
        let _turn = room.describing.lock().await;
        let ask = Ask {
            from: self.own_address(),
            to: room.address.clone().into(),
            set: false,
            payload: muc_owner::question(),
        };
        let form = match wire.request(ask).await {
            Ok(form) => form,
            Err(RequestError::Refused(error)) => return Err(refusal(&error)),
            Err(error) => return Err(DeliveryError::retry(error.to_string())),
        };
        let name = xml_text(name);
        let renamed = form.and_then(|form| muc_owner::renamed(&form, &name));
        let renamed = renamed.ok_or_else(|| unsupported("the room cannot be given a name"))?;
        self.ask_room(room, wire, renamed).await?;
        self.told_name(room, &name).await;
        Ok(Receipt::default())
    }

    /// Gives the room a picture, or takes it away. What it shows then is known here already, and not told as news.
    pub(super) async fn picture_out(
        &self,
        room: &Room,
        wire: &Wire,
        picture: Option<&MediaRef>,
    ) -> Result<Receipt, DeliveryError> {
        self.may_write()?;
        let picture = match picture {
            Some(picture) => Some(self.read_avatar(picture).await?),
            None => None,
        };
        let _turn = room.describing.lock().await;
        let locator = picture
            .as_ref()
            .map(|picture| picture.locator(&Jid::from(room.address.clone())));
        let vcard = VCard {
            photo: picture.map(Photo::from),
            payloads: Vec::new(),
        };
        self.ask_room(room, wire, vcard.into()).await?;
        self.told_picture(room, locator).await;
        Ok(Receipt::default())
    }

    fn may_write(&self) -> Result<(), DeliveryError> {
        if self.section.rename_rooms {
            return Ok(());
        }
        Err(unsupported(
            "names and pictures of rooms are not written; see rename_rooms",
        ))
    }
}
