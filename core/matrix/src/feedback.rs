//! What senders are told about their events.

use serde_json::json;
use viaduct_bridge::{Feedback, Outcome};
use viaduct_model::{DeliveryKey, Language};

use crate::Homeserver;

/// How a message status event words an outcome: its status, and its reason if it failed.
struct Status {
    word: &'static str,
    reason: Option<&'static str>,
    name: &'static str,
}

fn status(outcome: &Outcome) -> Status {
    let (word, reason, name) = match outcome {
        // Silence means that it arrived: this is said only of what was something else before.
        Outcome::Delivered => ("SUCCESS", None, "delivered"),
        Outcome::Delayed(_) => ("PENDING", None, "delayed"),
        Outcome::Held(_) => ("PENDING", None, "held"),
        Outcome::Refused(_) => ("FAIL_PERMANENT", Some("com.beeper.no_permission"), "refused"),
        Outcome::Failed(_) => ("FAIL_PERMANENT", Some("m.event_not_handled"), "failed"),
        Outcome::Unknown(_) => ("FAIL_RETRIABLE", Some("m.foreign_network_error"), "unknown"),
    };
    Status { word, reason, name }
}

/// The sentence for the sender; never repeats what they wrote. None where nothing needs saying.
fn sentence(outcome: &Outcome, destination: &str, language: Language) -> Option<String> {
    let text = match (outcome, language) {
        (Outcome::Delivered | Outcome::Delayed(_), _) => return None,
        (Outcome::Held(reason), Language::English) => {
            format!("Waits for approval before it goes to {destination}: {reason}")
        }
        (Outcome::Held(reason), Language::German) => format!("Wartet auf Freigabe für {destination}: {reason}"),
        (Outcome::Refused(reason), Language::English) => format!("Not sent to {destination}: {reason}"),
        (Outcome::Refused(reason), Language::German) => format!("Nicht an {destination} gesendet: {reason}"),
        (Outcome::Failed(reason), Language::English) => format!("Could not be delivered to {destination}: {reason}"),
        (Outcome::Failed(reason), Language::German) => {
            format!("Konnte nicht an {destination} zugestellt werden: {reason}")
        }
        (Outcome::Unknown(reason), Language::English) => {
            format!("Nobody can say whether this arrived at {destination}: {reason}")
        }
        (Outcome::Unknown(reason), Language::German) => {
            format!("Es ist nicht bekannt, ob dies bei {destination} ankam: {reason}")
        }
    };
    Some(text)
}

impl Homeserver {
    /// Tells the sender of an event what became of it, in the client's own way and, where that is not enough, in words.
    pub(crate) async fn give_feedback(&self, feedback: &Feedback) {
        let status = status(&feedback.outcome);
        let room = feedback.place.channel.as_str();
        let key = DeliveryKey::derive(&feedback.place, &feedback.id, &feedback.destination);
        let transaction = format!("status-{key}-{}", status.name);
        let said = sentence(
            &feedback.outcome,
            feedback.destination.to_string().as_str(),
            self.context.language,
        );
        let mut content = json!({
            "network": feedback.destination.network.as_str(),
            "m.relates_to": { "rel_type": "m.reference", "event_id": feedback.id.as_str() },
            "status": status.word,
            "still_working": status.word == "PENDING",
        });
        if let Some(content) = content.as_object_mut() {
            content.extend(status.reason.map(|reason| ("reason".to_owned(), reason.into())));
            content.extend(said.as_deref().map(|said| ("message".to_owned(), said.into())));
        }
        if let Err(error) = self
            .bot_event(room, "com.beeper.message_send_status", &transaction, &content)
            .await
        {
            tracing::warn!(room, %error, "The status of a message could not be shown.");
        }
        if let Some(said) = said {
            let key = format!("{key}-{}", status.name);
            if let Err(error) = self.notice(room, &said, Some(feedback.id.as_str()), &key).await {
                tracing::warn!(room, %error, "The sender of a message could not be told about it.");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_is_shown_and_every_failure_told() {
        let outcomes = [
            Outcome::Delivered,
            Outcome::Delayed("r".into()),
            Outcome::Held("r".into()),
            Outcome::Refused("r".into()),
            Outcome::Failed("r".into()),
            Outcome::Unknown("r".into()),
        ];
        for outcome in &outcomes {
            let arrived = *outcome == Outcome::Delivered;
            assert_eq!(status(outcome).word == "SUCCESS", arrived);
            for language in [Language::English, Language::German] {
                let told = sentence(outcome, "x/y", language);
                let silent = arrived || matches!(outcome, Outcome::Delayed(_));
                assert_eq!(told.is_none(), silent, "{outcome:?}");
            }
        }
    }
}
