//! What people are told about messages that cannot be read.

use viaduct_model::Language;

use super::rooms::Unfit;

/// Why a message was not passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unread {
    /// Its key did not come in time.
    NoKey,
    /// It cannot be decrypted.
    Broken,
    /// Somebody else than its sender encrypted it.
    Impostor,
    /// It was not encrypted.
    Plain,
    /// It is not there any more.
    Gone,
}

impl Unread {
    /// What its sender is told.
    pub(crate) fn say(self, language: Language) -> &'static str {
        let (german, english) = match self {
            Self::NoKey => (
                "Nicht weitergegeben: Der Schlüssel dieser Nachricht kam nicht bei der Bridge an. Bitte senden Sie sie noch einmal.",
                "Not passed on: the key of this message did not reach the bridge. Please send it again.",
            ),
            Self::Broken => (
                "Nicht weitergegeben: Diese Nachricht lässt sich nicht entschlüsseln.",
                "Not passed on: this message cannot be decrypted.",
            ),
            Self::Impostor => (
                "Nicht weitergegeben: Diese Nachricht wurde nicht von ihrem Absender verschlüsselt.",
                "Not passed on: this message was not encrypted by its sender.",
            ),
            Self::Plain => (
                "Nicht weitergegeben: Diese Nachricht war nicht verschlüsselt; hier geht nur Verschlüsseltes weiter.",
                "Not passed on: this message was not encrypted, and only what is encrypted is passed on here.",
            ),
            Self::Gone => (
                "Nicht weitergegeben: Eine Nachricht, die auf ihren Schlüssel wartete, gibt es nicht mehr.",
                "Not passed on: a message that waited for its key is no longer there.",
            ),
        };
        language.pick(english, german)
    }
}

impl Unfit {
    /// What a room is told.
    pub(crate) fn say(self, language: Language) -> &'static str {
        let (german, english) = match self {
            Self::NotWanted => (
                "Dieser Raum ist verschlüsselt, aber seine Verbindung ist dafür nicht eingerichtet: Nichts wird weitergegeben, bis die Betreiber der Bridge es ausdrücklich erlauben.",
                "This room is encrypted, but its mirror is not set up for that: nothing is passed on until the operators of the bridge allow it explicitly.",
            ),
            Self::NotEncrypted => (
                "Über diese Verbindung geht nur Verschlüsseltes, und dieser Raum ist nicht verschlüsselt: Nichts wird weitergegeben, bis die Verschlüsselung des Raums eingeschaltet ist.",
                "This mirror carries only what is encrypted, and this room is not: nothing is passed on until the room's encryption is turned on.",
            ),
        };
        language.pick(english, german)
    }
}
