//! The bot's commands: what it answers, in words, to what an operator says.

use viaduct_engine::Status;
use viaduct_model::Language;

/// The answer to a command. `text` is what was said, with or without `!viaduct` in front (a room with the bot alone needs
/// none).
pub fn command(text: &str, status: &Status, language: Language) -> String {
    let words = text.trim().strip_prefix("!viaduct").unwrap_or(text).trim();
    match words.to_lowercase().as_str() {
        "" | "help" | "hilfe" => help(language),
        "status" => told(status, language),
        "version" => format!("viaduct {}", env!("CARGO_PKG_VERSION")),
        _ => format!(
            "{}\n{}",
            language.pick("I do not know that command.", "Diesen Befehl kenne ich nicht."),
            help(language)
        ),
    }
}

fn help(language: Language) -> String {
    language
        .pick(
            "!viaduct help – this list\n\
             !viaduct status – how networks and mirrors stand\n\
             !viaduct quarantine – what is held, and releasing it\n\
             !viaduct partner – the agreements\n\
             !viaduct anyway NUMBER REASON – send your own message all the same, where the rule that stopped it lets you\n\
             !viaduct help privacy – what is logged in this room\n\
             !viaduct version – which version this is",
            "!viaduct help – diese Liste\n\
             !viaduct status – wie es um Netze und Spiegel steht\n\
             !viaduct quarantine – was zurückgehalten wird, und es freigeben\n\
             !viaduct partner – die Vereinbarungen\n\
             !viaduct trotzdem NUMMER BEGRÜNDUNG – die eigene Nachricht trotzdem senden, wo die Regel es zulässt\n\
             !viaduct help datenschutz – was in diesem Raum protokolliert wird\n\
             !viaduct version – welche Version das ist",
        )
        .to_owned()
}

fn told(status: &Status, language: Language) -> String {
    let mut lines = vec![if status.ready {
        language.pick("All is well.", "Alles in Ordnung.").to_owned()
    } else {
        language
            .pick("Not everything is well.", "Nicht alles ist in Ordnung.")
            .to_owned()
    }];
    for network in &status.networks {
        let reason = network
            .reason
            .as_ref()
            .map(|reason| format!(" ({reason})"))
            .unwrap_or_default();
        lines.push(format!(
            "{}: {}{reason}",
            network.name,
            connection(&network.connection, language)
        ));
    }
    for mirror in &status.mirrors {
        let behind = mirror
            .lanes
            .iter()
            .map(|lane| mirror.accepted.saturating_sub(lane.settled))
            .max()
            .unwrap_or_default();
        let (events, waiting) = (
            language.pick("events", "Ereignisse"),
            language.pick("waiting", "wartend"),
        );
        let (mirror_word, none) = (
            language.pick("mirror", "Spiegel"),
            language.pick("no room yet", "noch kein Raum"),
        );
        let room = mirror.room.as_deref().unwrap_or(none);
        lines.push(format!(
            "{mirror_word} {} ({room}): {} {events}, {behind} {waiting}",
            mirror.name, mirror.accepted
        ));
    }
    lines.join("\n")
}

fn connection(state: &str, language: Language) -> &str {
    match state {
        "up" => language.pick("connected", "verbunden"),
        "connecting" => language.pick("connecting", "verbindet sich"),
        "down" => language.pick("not connected", "nicht verbunden"),
        "auth_lost" => language.pick("refuses our credentials", "lehnt die Zugangsdaten ab"),
        "unopened" => language.pick("could not be set up", "konnte nicht eingerichtet werden"),
        other => other,
    }
}
