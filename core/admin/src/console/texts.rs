//! Everything the console says, in German and English. What the agreement, a rule or another program says is put in as it is.
//!
//! A text is a constant with both wordings: the compiler asks for both, and a test that both are there, differ, and use the same
//! placeholders.

use viaduct_model::Language;

/// A text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Text {
    german: &'static str,
    english: &'static str,
}

impl Text {
    const fn new(german: &'static str, english: &'static str) -> Self {
        Self { german, english }
    }

    /// Its wording in a language.
    pub const fn pick(self, language: Language) -> &'static str {
        language.pick(self.english, self.german)
    }

    /// Its wording with the placeholders filled in. What is filled in is not looked at again.
    pub fn with(self, language: Language, values: &[(&str, &str)]) -> String {
        let mut told = String::new();
        let mut rest = self.pick(language);
        while let Some((before, (name, after))) = rest
            .split_once('{')
            .and_then(|(before, rest)| Some((before, rest.split_once('}')?)))
        {
            told.push_str(before);
            let value = values.iter().find(|(known, _)| *known == name);
            told.push_str(value.map_or(name, |(_, value)| value));
            rest = after;
        }
        told.push_str(rest);
        told
    }
}

#[rustfmt::skip]
mod all {
    use super::Text;

    // What all pages have in common.
    pub const SKIP: Text = Text::new("Zum Inhalt", "Skip to content");
    pub const PAGES: Text = Text::new("Seiten", "Pages");
    pub const BACK: Text = Text::new("Zur Übersicht", "To the overview");
    pub const FORBIDDEN: Text = Text::new("Das dürfen Sie nicht", "You may not do this");
    pub const FAILED: Text = Text::new("Das ging nicht", "That did not work");
    pub const DONE: Text = Text::new("Erledigt.", "Done.");
    pub const BESIDE: Text = Text::new("Sie sind mit einem Token aus der Konfiguration angemeldet, neben dem Identitätsdienst. Das steht im Protokoll, ebenso jeder Auftrag, den Sie so erteilen.", "You came in with a token from the configuration, beside the identity provider. This is in the ledger, as is every order that you give this way.");
    pub const STRANGE_FORM: Text = Text::new("Dieses Formular stammt nicht von dieser Seite, oder Ihre Sitzung ist inzwischen eine andere. Laden Sie die Seite neu und versuchen Sie es noch einmal.", "This form is not from this page, or your session has changed since. Load the page again, and try once more.");
    pub const FIELD_MISSING: Text = Text::new("Das Feld „{field}“ ist leer.", "The field “{field}” is empty.");
    pub const ROLE_OPERATOR: Text = Text::new("Betrieb", "operator");
    pub const ROLE_COMPLIANCE: Text = Text::new("Compliance-Stelle", "compliance");
    pub const ROLE_APPROVER: Text = Text::new("Freigabe", "approver");
    pub const ROLE_AUDITOR: Text = Text::new("Revision", "auditor");
    pub const ROLE_DPO: Text = Text::new("Datenschutz", "data protection");

    // Coming in and leaving.
    pub const LOG_IN: Text = Text::new("Anmelden", "Log in");
    pub const LOG_IN_AGAIN: Text = Text::new("Wieder anmelden", "Log in again");
    pub const LOG_OUT: Text = Text::new("Abmelden", "Log out");
    pub const LOGIN_CENTRAL: Text = Text::new("Über den Identitätsdienst", "At the identity provider");
    pub const LOGIN_CENTRAL_GO: Text = Text::new("Beim Identitätsdienst anmelden", "Log in at the identity provider");
    pub const LOGIN_TOKEN: Text = Text::new("Mit einem eigenen Token", "With a token of your own");
    pub const LOGIN_TOKEN_BESIDE: Text = Text::new("Nur für den Fall, dass der Identitätsdienst ausgefallen ist. Diese Anmeldung wird protokolliert.", "Only for when the identity provider is away. This login is noted in the ledger.");
    pub const LOGIN_TOKEN_ONLY: Text = Text::new("Das Token, das Ihnen in der Konfiguration gegeben wurde. Diese Anmeldung wird protokolliert.", "The token that you were given in the configuration. This login is noted in the ledger.");
    pub const TOKEN: Text = Text::new("Ihr Token", "Your token");
    pub const LOGIN_STRANGE: Text = Text::new("Diese Anmeldung wurde nicht in diesem Browser begonnen, oder vor zu langer Zeit. Beginnen Sie sie neu.", "This login was not begun in this browser, or too long ago. Begin it anew.");
    pub const LOGIN_DENIED: Text = Text::new("Der Identitätsdienst hat Sie nicht angemeldet.", "The identity provider did not log you in.");
    pub const LOGIN_TOO_OFTEN: Text = Text::new("Es gab zu viele falsche Anmeldungen. Versuchen Sie es in einer Minute wieder.", "There were too many wrong logins. Try again in a minute.");
    pub const LOGIN_UNNOTED: Text = Text::new("Die Anmeldung konnte nicht protokolliert werden und wurde deshalb abgelehnt.", "The login could not be noted in the ledger, and was refused therefore.");
    pub const LOGGED_OUT: Text = Text::new("Sie sind hier abgemeldet.", "You are logged out here.");
    pub const STILL_KNOWN: Text = Text::new("Beim Identitätsdienst sind Sie vielleicht noch angemeldet.", "You may still be logged in at the identity provider.");
    pub const LEAVE_PROVIDER: Text = Text::new("Auch beim Identitätsdienst abmelden", "Log out at the identity provider as well");

    // Words of several pages.
    pub const ID: Text = Text::new("Kennung", "ID");
    pub const STATE: Text = Text::new("Zustand", "State");
    pub const REASON: Text = Text::new("Grund", "Reason");
    pub const REASON_GIVEN: Text = Text::new("Begründung", "Reason");
    pub const SINCE: Text = Text::new("Seit", "Since");
    pub const FROM: Text = Text::new("Von", "From");
    pub const TO: Text = Text::new("Nach", "To");
    pub const RULE: Text = Text::new("Regel", "Rule");
    pub const KIND: Text = Text::new("Art", "Kind");
    pub const WRITTEN: Text = Text::new("Geschrieben", "Written");
    pub const PARTNER: Text = Text::new("Partnerunternehmen", "Partner");
    pub const MIRROR: Text = Text::new("Spiegel", "Mirror");
    pub const NETWORK: Text = Text::new("Netz", "Network");
    pub const NETWORKS: Text = Text::new("Netze", "Networks");
    pub const NUMBER: Text = Text::new("Nummer", "Number");
    pub const TIME: Text = Text::new("Zeit", "Time");
    pub const COUNT: Text = Text::new("Anzahl", "Count");
    pub const FINDINGS: Text = Text::new("Funde", "Findings");
    pub const FIRST_DAY: Text = Text::new("Erster Tag", "First day");
    pub const LAST_DAY: Text = Text::new("Letzter Tag", "Last day");
    pub const LABELS: Text = Text::new("Kennzeichen", "Labels");
    pub const CEILING: Text = Text::new("Höchstes Kennzeichen", "Highest label");
    pub const EVENT_ID: Text = Text::new("Kennung der Nachricht", "The message's ID");

    // Overview.
    pub const OVERVIEW: Text = Text::new("Übersicht", "Overview");
    pub const TASKS: Text = Text::new("Zu tun", "To do");
    pub const NO_TASKS: Text = Text::new("Nichts wartet auf Sie.", "Nothing waits for you.");
    pub const TASK_HELD: Text = Text::new("{count} zurückgehaltene Nachrichten warten auf eine zweite Person.", "{count} held messages wait for a second person.");
    pub const TASK_DRAFT: Text = Text::new("Die Vereinbarung mit {partner} ist ein Entwurf: {gaps}", "The agreement with {partner} is a draft: {gaps}");
    pub const TASK_EXPIRES: Text = Text::new("Die Vereinbarung mit {partner} endet in {days} Tagen.", "The agreement with {partner} ends in {days} days.");
    pub const TASK_ENDED: Text = Text::new("Die Vereinbarung mit {partner} hat geendet und sollte abgewickelt werden.", "The agreement with {partner} has ended and should be wound up.");
    pub const TASK_FAILED: Text = Text::new("{count} Nachrichten wurden von ihrem Ziel abgelehnt.", "{count} messages were refused by their destination.");
    pub const TASK_UNKNOWN: Text = Text::new("Von {count} Nachrichten ist unbekannt, ob sie ankamen.", "Of {count} messages it is not known whether they arrived.");
    pub const NETWORKS_CAPTION: Text = Text::new("Wie es um die Netze steht", "How the networks stand");
    pub const UP: Text = Text::new("verbunden", "connected");
    pub const CONNECTING: Text = Text::new("verbindet sich", "connecting");
    pub const DOWN: Text = Text::new("nicht verbunden", "not connected");
    pub const AUTH_LOST: Text = Text::new("Anmeldung abgelehnt", "login refused");
    pub const UNOPENED: Text = Text::new("nicht geöffnet", "not opened");
    pub const LAG: Text = Text::new("Rückstand", "Lag");
    pub const LAG_CAPTION: Text = Text::new("Wie weit jedes Ziel ist", "How far each destination is");
    pub const ACCEPTED: Text = Text::new("Angenommen", "Accepted");
    pub const BEHIND: Text = Text::new("Wartend", "Waiting");
    pub const NO_MIRRORS: Text = Text::new("Es gibt keine Spiegel.", "There are no mirrors.");

    // Quarantine.
    pub const QUARANTINE: Text = Text::new("Quarantäne", "Quarantine");
    pub const QUARANTINE_HELP: Text = Text::new("Zurückgehaltenes ohne Inhalt und Namen. Freigeben kann es nur eine zweite Person: nicht, wer es schrieb, und nicht, wer die Regel schrieb.", "What is held, without content and names. Only a second person can release it: not whoever wrote it, and not whoever wrote the rule.");
    pub const QUARANTINE_CAPTION: Text = Text::new("Zurückgehalten", "Held");
    pub const NOTHING_HELD: Text = Text::new("Nichts wird zurückgehalten.", "Nothing is held.");
    pub const REJECTED_AT: Text = Text::new("Wird abgelehnt am", "Rejected at");
    pub const HELD_WAITING: Text = Text::new("wartet", "waiting");
    pub const HELD_FREE: Text = Text::new("hinter einer anderen", "behind another");
    pub const HELD_RELEASED: Text = Text::new("freigegeben", "released");
    pub const HELD_TITLE: Text = Text::new("Zurückgehalten: {id}", "Held: {id}");
    pub const SENDER: Text = Text::new("Absender", "Sender");
    pub const FILES: Text = Text::new("Dateien", "Files");
    pub const CONTENT: Text = Text::new("Inhalt", "Content");
    pub const LOOK: Text = Text::new("Inhalt ansehen", "Look at the content");
    pub const LOOK_HELP: Text = Text::new("Dass Sie ihn ansahen, und warum, steht danach im Protokoll.", "That you looked, and why, is in the ledger afterwards.");
    pub const LOOKED: Text = Text::new("Dass Sie diesen Inhalt sehen, steht im Protokoll.", "That you see this content is in the ledger.");
    pub const RELEASE: Text = Text::new("Freigeben", "Release");
    pub const RELEASE_HELP: Text = Text::new("Als zweite Person: die Nachricht geht dann ihren Weg.", "As a second person: the message then goes its way.");
    pub const RELEASED: Text = Text::new("Freigegeben: die Nachricht geht nun ihren Weg.", "Released: the message goes the rest of its way now.");
    pub const REJECT: Text = Text::new("Ablehnen", "Reject");
    pub const REJECT_HELP: Text = Text::new("Die Nachricht wird gelöscht, wer sie schrieb, erfährt es.", "The message is deleted; whoever wrote it is told.");
    pub const REJECTED: Text = Text::new("Abgelehnt.", "Rejected.");
    pub const ONLY_APPROVERS: Text = Text::new("Inhalte sehen und entscheiden kann, wer die Rolle „Freigabe“ hat.", "Whoever has the role “approver” can see contents and decide.");

    // Partners.
    pub const PARTNERS: Text = Text::new("Partner", "Partners");
    pub const PARTNERS_CAPTION: Text = Text::new("Vereinbarungen", "Agreements");
    pub const PARTNER_TITLE: Text = Text::new("Vereinbarung mit {partner}", "Agreement with {partner}");
    pub const NO_PARTNERS: Text = Text::new("Es gibt keine Partner.", "There are no partners.");
    pub const ORGANISATION: Text = Text::new("Unternehmen", "Organisation");
    pub const STANDING: Text = Text::new("Stand", "Standing");
    pub const PURPOSE: Text = Text::new("Zweck", "Purpose");
    pub const CONTROLLER: Text = Text::new("Verantwortlich", "Controller");
    pub const CHANNELS: Text = Text::new("Nur diese Kanäle", "Only these channels");
    pub const REGION: Text = Text::new("Gebiet", "Region");
    pub const BASIS: Text = Text::new("Grundlage der Übermittlung", "Basis of the transfer");
    pub const CONTRACT: Text = Text::new("Auftragsverarbeitung", "Processing contract");
    pub const WRITTEN_DOWN: Text = Text::new("Niedergeschrieben", "Written down");
    pub const IN_CONFIGURATION: Text = Text::new("in der Konfiguration", "in the configuration");
    pub const BY_COMMAND: Text = Text::new("durch Auftrag", "by an order");
    pub const TIMELINE: Text = Text::new("Zeitlicher Ablauf", "Timeline");
    pub const TIME_BEGINS: Text = Text::new("die Vereinbarung beginnt", "the agreement begins");
    pub const TIME_ENDS: Text = Text::new("letzter Tag der Vereinbarung", "last day of the agreement");
    pub const TIME_TODAY: Text = Text::new("heute", "today");
    pub const TIME_WARNING: Text = Text::new("Warnung: noch {days} Tage", "warning: {days} days left");
    pub const TIME_CONTRACT: Text = Text::new("letzter Tag der Auftragsverarbeitung", "last day of the processing contract");
    pub const TIME_SIGNED: Text = Text::new("gezeichnet: {office}", "signed: {office}");
    pub const TIME_RENEWED: Text = Text::new("letzter Tag vor der Verlängerung", "last day before the renewal");
    pub const SIGNATURES: Text = Text::new("Zeichnungen", "Sign-offs");
    pub const OFFICE: Text = Text::new("Stelle", "Office");
    pub const OFFICE_IT: Text = Text::new("Informationstechnik", "information technology");
    pub const OFFICE_DPO: Text = Text::new("Datenschutz", "data protection");
    pub const OFFICE_MANAGEMENT: Text = Text::new("Geschäftsführung", "management");
    pub const SIGNED_BY: Text = Text::new("Gezeichnet von", "Signed by");
    pub const SIGNED_ON: Text = Text::new("Gezeichnet am", "Signed on");
    pub const MISSING: Text = Text::new("fehlt", "missing");
    pub const PERIODS: Text = Text::new("Löschfristen in Tagen", "Retention in days");
    pub const KEPT: Text = Text::new("Was", "What");
    pub const DAYS_IN: Text = Text::new("Vom Partner", "From the partner");
    pub const DAYS_OUT: Text = Text::new("Zum Partner", "To the partner");
    pub const KEPT_MESSAGES: Text = Text::new("Nachrichten", "Messages");
    pub const KEPT_FILES: Text = Text::new("Nachrichten mit Dateien", "Messages with files");
    pub const KEPT_VERSIONS: Text = Text::new("Frühere Fassungen", "Earlier versions");
    pub const KEPT_METADATA: Text = Text::new("Alles andere", "Everything else");
    pub const KEPT_QUARANTINE: Text = Text::new("Zurückgehaltenes", "What is held");
    pub const KEPT_LEDGER: Text = Text::new("Pseudonyme des Protokolls nach dem Ende", "The ledger's pseudonyms after the end");
    pub const CONTACTS: Text = Text::new("Ansprechpersonen", "Contacts");
    pub const CONTACT_BUSINESS: Text = Text::new("die Sache selbst", "the matter itself");
    pub const NAME: Text = Text::new("Wer", "Name");
    pub const ANSWERS_FOR: Text = Text::new("Zuständig für", "Answers for");
    pub const ADDRESS: Text = Text::new("Erreichbar unter", "Address");
    pub const RENEW: Text = Text::new("Verlängern", "Renew");
    pub const NEW_LAST_DAY: Text = Text::new("Neuer letzter Tag", "New last day");
    pub const SUSPEND: Text = Text::new("Aussetzen", "Suspend");
    pub const RESUME: Text = Text::new("Fortsetzen", "Resume");
    pub const SIGN: Text = Text::new("Zeichnen", "Sign");
    pub const OFFBOARD: Text = Text::new("Abwickeln", "Wind up");
    pub const OFFBOARD_PREVIEW: Text = Text::new("Was eine Abwicklung täte", "What winding up would do");
    pub const OFFBOARD_TITLE: Text = Text::new("Abwicklung von {partner}", "Winding up {partner}");
    pub const OFFBOARD_HELP: Text = Text::new("Diese Schritte gehören zur Abwicklung. Bis hierher ist nichts geschehen.", "These are the steps of winding up. Nothing was done so far.");
    pub const OFFBOARD_WARNING: Text = Text::new("Das lässt sich nicht zurücknehmen: Räume werden verlassen, Inhalte gelöscht, Schlüssel vernichtet.", "This cannot be taken back: rooms are left, contents deleted, keys destroyed.");
    pub const OFFBOARD_CONFIRM: Text = Text::new("Zur Bestätigung „{name}“ eingeben", "To confirm, write “{name}”");
    pub const OFFBOARDED: Text = Text::new("Abgewickelt. Bewahren Sie diese Bescheinigung auf.", "Wound up. Keep this certificate.");
    pub const BACK_TO_PARTNER: Text = Text::new("Zurück zur Vereinbarung", "Back to the agreement");

    // How agreements stand, and what they lack.
    pub const STANDING_DRAFT: Text = Text::new("Entwurf: {gaps}", "draft: {gaps}");
    pub const STANDING_NOT_YET: Text = Text::new("hat noch nicht begonnen", "has not begun yet");
    pub const STANDING_ACTIVE: Text = Text::new("in Kraft", "in force");
    pub const STANDING_EXPIRES: Text = Text::new("in Kraft, endet in {days} Tagen", "in force, ends in {days} days");
    pub const STANDING_SUSPENDED: Text = Text::new("ausgesetzt: {reason}", "suspended: {reason}");
    pub const STANDING_ENDED: Text = Text::new("beendet", "ended");
    pub const STANDING_OFFBOARDED: Text = Text::new("beendet und abgewickelt", "ended and wound up");
    pub const GAP_EMPTY: Text = Text::new("„{what}“ ist leer", "“{what}” is empty");
    pub const GAP_DATES: Text = Text::new("der letzte Tag liegt vor dem ersten", "the last day is before the first");
    pub const GAP_NO_NETWORK: Text = Text::new("kein Netz ist genannt", "no network is named");
    pub const GAP_UNKNOWN_NETWORK: Text = Text::new("ein Netz {what} gibt es nicht", "there is no network {what}");
    pub const GAP_OWN_NETWORK: Text = Text::new("das Netz {what} gehört zur eigenen Organisation", "the network {what} belongs to the own organisation");
    pub const GAP_NOBODY: Text = Text::new("niemand darf sprechen", "nobody may speak");
    pub const GAP_BASIS: Text = Text::new("Daten verlassen den Europäischen Wirtschaftsraum ohne festgehaltene Grundlage", "data leaves the European Economic Area without a recorded basis");
    pub const GAP_CONTRACT: Text = Text::new("der Vertrag zur Auftragsverarbeitung fehlt", "there is no processing contract");
    pub const GAP_CONTRACT_HASH: Text = Text::new("die Prüfsumme des Vertrags ist keine", "the contract's hash is not one");
    pub const GAP_CONTACT: Text = Text::new("niemand ist als Ansprechperson genannt", "there is nobody to ask");
    pub const GAP_CEILING: Text = Text::new("das höchste Kennzeichen ist keines der Kennzeichen", "the highest label is not one of the labels");
    pub const GAP_ENCRYPTED_FROM: Text = Text::new("das Kennzeichen, ab dem verschlüsselt sein muss, ist keines der Kennzeichen", "the label from which encryption is asked for is not one of the labels");
    pub const GAP_SIGN_OFF: Text = Text::new("Zeichnung fehlt: {what}", "sign-off is missing: {what}");

    // Mirrors.
    pub const MIRRORS: Text = Text::new("Kanalplan", "Channel map");
    pub const MIRROR_CAPTION: Text = Text::new("Kanäle von {mirror}", "Channels of {mirror}");
    pub const ROOM: Text = Text::new("Raum", "Room");
    pub const CHANNEL: Text = Text::new("Kanal", "Channel");
    pub const DIRECTION: Text = Text::new("Richtung", "Direction");
    pub const FLOW_BOTH: Text = Text::new("beide Richtungen", "both ways");
    pub const FLOW_IN: Text = Text::new("nur herein", "inward only");
    pub const FLOW_OUT: Text = Text::new("nur hinaus", "outward only");
    pub const FLOW_PAUSED: Text = Text::new("ruht", "paused");
    pub const AGREEMENT: Text = Text::new("Vereinbarung", "Agreement");
    pub const NO_AGREEMENT: Text = Text::new("keine: nichts geht hinüber", "none: nothing crosses");
    pub const OWN: Text = Text::new("eigene Organisation", "own organisation");
    pub const NO_LABELS: Text = Text::new("keine", "none");
    pub const POLICIES_IN: Text = Text::new("Richtlinien herein (Regeln)", "Policies inward (rules)");
    pub const POLICIES_OUT: Text = Text::new("Richtlinien hinaus (Regeln)", "Policies outward (rules)");

    // Deliveries.
    pub const DELIVERIES: Text = Text::new("Zustellung", "Deliveries");
    pub const DELIVERIES_HELP: Text = Text::new("Was nicht einfach ankam, das Älteste zuerst.", "What did not simply arrive, the oldest first.");
    pub const DELIVERIES_CAPTION: Text = Text::new("Nicht angekommen", "Not arrived");
    pub const ALL_ARRIVED: Text = Text::new("Alles ist angekommen.", "Everything has arrived.");
    pub const DELIVERY_HELD: Text = Text::new("zurückgehalten", "held");
    pub const DELIVERY_REFUSED: Text = Text::new("von einer Richtlinie abgelehnt", "refused by a policy");
    pub const DELIVERY_FAILED: Text = Text::new("vom Netz abgelehnt", "refused by the network");
    pub const DELIVERY_UNKNOWN: Text = Text::new("unbekannt, ob angekommen", "unknown whether it arrived");
    pub const WHAT_TO_DO: Text = Text::new("Was tun", "What to do");
    pub const RETRY: Text = Text::new("Noch einmal", "Try again");
    pub const GIVE_UP: Text = Text::new("Aufgeben", "Give up");
    pub const RETRIED: Text = Text::new("Noch einmal versucht: {outcome}", "Tried again: {outcome}");
    pub const GIVEN_UP: Text = Text::new("Aufgegeben.", "Given up.");

    // Policies.
    pub const POLICIES: Text = Text::new("Richtlinien", "Policies");
    pub const POLICIES_CAPTION: Text = Text::new("Richtlinien in Gebrauch", "Policies in use");
    pub const NO_POLICIES: Text = Text::new("Keine Richtlinie ist in Gebrauch.", "No policy is in use.");
    pub const POLICY: Text = Text::new("Richtlinie", "Policy");
    pub const MODE: Text = Text::new("Wirkung", "Mode");
    pub const MODE_ENFORCE: Text = Text::new("greift ein", "enforced");
    pub const MODE_MONITOR: Text = Text::new("beobachtet nur", "monitors only");
    pub const RULES: Text = Text::new("Regeln", "Rules");
    pub const EXPLAIN: Text = Text::new("Nachricht erklären", "Explain a message");
    pub const EXPLAIN_HELP: Text = Text::new("Was die geltenden Richtlinien und Vereinbarungen aus einer Nachricht machen, ohne ihren Inhalt.", "What the policies and agreements in force make of a message, without its content.");
    pub const EXPLAIN_TITLE: Text = Text::new("Erklärung von {event}", "Explanation of {event}");
    pub const EVENT_UNKNOWN: Text = Text::new("Diese Nachricht ist nicht (mehr) aufbewahrt.", "This message is not kept (any more).");
    pub const DECISION: Text = Text::new("Entscheidung", "Decision");
    pub const DECISION_PASS: Text = Text::new("geht durch", "passes");
    pub const DECISION_CHANGE: Text = Text::new("geht verändert durch", "passes in another form");
    pub const DECISION_HOLD: Text = Text::new("wird zurückgehalten", "is held");
    pub const DECISION_REFUSE: Text = Text::new("wird abgelehnt", "is refused");
    pub const POLICY_VERSIONS: Text = Text::new("Gefragte Richtlinien und ihre Fassungen", "Policies asked, and their versions");
    pub const FOUND_BY: Text = Text::new("Gefunden durch", "Found by");
    pub const NO_FINDINGS: Text = Text::new("Keine Regel fand etwas.", "No rule found anything.");
    pub const TRY: Text = Text::new("Text erproben", "Try a text");
    pub const TRY_HELP: Text = Text::new("Was eine Richtlinie aus einem Text machte. Nichts wird gesendet oder aufbewahrt.", "What a policy would make of a text. Nothing is sent or kept.");
    pub const TEXT: Text = Text::new("Zu erprobender Text", "Text");
    pub const NO_SUCH_POLICY: Text = Text::new("Diese Richtlinie ist nicht in Gebrauch.", "This policy is not in use.");
    pub const DISPUTED: Text = Text::new("Als Fehlalarm gemeldet", "Called a false alarm");
    pub const DISPUTED_CAPTION: Text = Text::new("Regeln, die Absender für falsch halten", "Rules that senders call wrong");
    pub const NOTHING_DISPUTED: Text = Text::new("Niemand hat einen Fehlalarm gemeldet.", "Nobody has reported a false alarm.");
    pub const LAST_TIME: Text = Text::new("Zuletzt", "Last");
    pub const EVENTS: Text = Text::new("Nachrichten", "Messages");

    // Ledger.
    pub const LEDGER: Text = Text::new("Protokoll", "Ledger");
    pub const NO_LEDGER: Text = Text::new("Es wird kein Protokoll geführt (audit in der Konfiguration).", "No ledger is kept (audit in the configuration).");
    pub const SIGNED_ENTRIES: Text = Text::new("Unterschriebene Einträge", "Signed entries");
    pub const VERIFY: Text = Text::new("Protokoll prüfen", "Verify the ledger");
    pub const VERIFY_HELP: Text = Text::new("Jedes Byte gegen das, was unterschrieben wurde. Das kann eine Weile dauern.", "Every byte against what was signed. This may take a while.");
    pub const VERIFY_RUNNING: Text = Text::new("Es wird gerade geprüft.", "It is being verified already.");
    pub const VERIFIED: Text = Text::new("{count} Einträge, jedes Byte wie unterschrieben.", "{count} entries, every byte as it was signed.");
    pub const NOT_VERIFIED: Text = Text::new("Das Protokoll ist NICHT, wie es unterschrieben wurde:", "The ledger is NOT as it was signed:");
    pub const TRACE: Text = Text::new("Nachricht verfolgen", "Trace a message");
    pub const TRACE_HELP: Text = Text::new("Der Weg einer Nachricht, nach ihrer Kennung an der Quelle oder am Ziel, ohne ihren Inhalt.", "A message's way, by its ID at its source or at a destination, without its content.");
    pub const TRACE_TITLE: Text = Text::new("Weg von {event}", "The way of {event}");
    pub const NEWEST: Text = Text::new("Neueste Einträge", "Newest entries");
    pub const ENTRIES: Text = Text::new("Einträge", "Entries");
    pub const NO_ENTRIES: Text = Text::new("Es gibt keine Einträge.", "There are no entries.");
    pub const ACTION: Text = Text::new("Vorgang", "Action");
    pub const EXPORT_HELP: Text = Text::new("Auszüge mit unterschriebenem Verzeichnis gibt die Kommandozeile aus:", "Extracts with a signed manifest are made on the command line:");

    // Holds, retention, what people may demand.
    pub const RIGHTS: Text = Text::new("Aufbewahrung und Auskunft", "Retention and requests");
    pub const HOLDS: Text = Text::new("Sperren gegen Löschung", "Legal holds");
    pub const NO_HOLDS: Text = Text::new("Nichts ist gegen Löschung gesperrt.", "There are no holds.");
    pub const COVERS: Text = Text::new("Umfasst", "Covers");
    pub const PLACED_BY: Text = Text::new("Gesetzt von", "Placed by");
    pub const PLACE_HOLD: Text = Text::new("Sperre setzen", "Place a hold");
    pub const LIFT_HOLD: Text = Text::new("Sperre aufheben", "Lift the hold");
    pub const PERSON_ID: Text = Text::new("Person, als netz/kennung", "Person, as network/id");
    pub const PERSON_IDS: Text = Text::new("Kennungen der Person, je Zeile eine als netz/kennung", "The person's ids, one a line as network/id");
    pub const RETAIN: Text = Text::new("Fälliges löschen", "Delete what is due");
    pub const RETAIN_HELP: Text = Text::new("Das geschieht auch von selbst, jede Stunde.", "This also happens by itself, every hour.");
    pub const SUBJECT_EXPORT: Text = Text::new("Auskunft über eine Person", "Export a person's data");
    pub const SUBJECT_ERASE: Text = Text::new("Daten einer Person löschen", "Erase a person's data");
    pub const PSEUDONYM: Text = Text::new("Deckname, wie im Protokoll", "Pseudonym, as in the ledger");
    pub const GRANT: Text = Text::new("Aufdecken erlauben", "Allow to lift a pseudonym");
    pub const GRANT_TO: Text = Text::new("Wem, als @name:domain", "To whom, as @name:domain");
    pub const GRANTED: Text = Text::new("Erlaubt: einmal, innerhalb eines Tages.", "Allowed: once, within a day.");
    pub const UNMASK: Text = Text::new("Decknamen aufdecken", "Lift a pseudonym");
    pub const UNMASK_HELP: Text = Text::new("Nur, wenn der Datenschutz es Ihnen erlaubt hat. Es steht danach im Protokoll.", "Only if data protection allowed it to you. It is in the ledger afterwards.");
    pub const NOBODY_KNOWN: Text = Text::new("Niemand, der hier bekannt ist.", "Nobody who is known here.");

    // Reports.
    pub const REPORTS: Text = Text::new("Berichte", "Reports");
    pub const REPORT: Text = Text::new("Monatsbericht", "Monthly report");
    pub const MONTH: Text = Text::new("Monat, wie 2026-11", "Month, such as 2026-11");
    pub const INCIDENT: Text = Text::new("Vorfall bei einem Partner", "Incident at a partner");
    pub const PROCESSING: Text = Text::new("Verzeichnis der Verarbeitungen", "Record of processing");
    pub const PROCESSING_HELP: Text = Text::new("Aus dem, was heute gilt (Art. 30 DSGVO).", "From what is in force today (Art. 30 GDPR).");
}

pub(crate) use all::*;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every text of this file: its name and both wordings, as they are written.
    fn written() -> Vec<(&'static str, &'static str, &'static str)> {
        let lines = include_str!("texts.rs").lines();
        let consts = lines.filter_map(|line| {
            line.trim()
                .strip_prefix("pub const ")?
                .split_once(": Text = Text::new(\"")
        });
        consts
            .map(|(name, rest)| {
                let (german, english) = rest.strip_suffix("\");").unwrap().split_once("\", \"").unwrap();
                (name, german, english)
            })
            .collect()
    }

    fn placeholders(text: &str) -> BTreeSet<&str> {
        text.split('{')
            .skip(1)
            .map(|rest| rest.split('}').next().unwrap())
            .collect()
    }

    #[test]
    fn s27_every_text_is_there_in_german_and_english() {
        let all = written();
        assert!(all.len() > 200, "{}", all.len());
        let lines = include_str!("texts.rs").lines();
        let declared = lines
            .filter(|line| line.starts_with("    pub const ") && !line.contains(" fn "))
            .count();
        assert_eq!(all.len(), declared, "every text is one line");
        for (name, german, english) in all {
            assert!(!german.trim().is_empty() && !english.trim().is_empty(), "{name}");
            assert_ne!(german, english, "{name} was not translated");
            assert_eq!(placeholders(german), placeholders(english), "{name}");
        }
    }

    #[test]
    fn what_is_filled_in_is_not_looked_at_again() {
        let told = TASK_DRAFT.with(Language::English, &[("partner", "{gaps}"), ("gaps", "{partner}")]);
        assert_eq!(told, "The agreement with {gaps} is a draft: {partner}");
        assert_eq!(MISSING.with(Language::German, &[]), "fehlt");
    }
}
