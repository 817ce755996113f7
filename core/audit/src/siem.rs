//! Records in the forms that security monitoring takes: syslog (RFC 5424), CEF and OCSF. Pure functions; the
//! [`Exporter`](crate::Exporter) sends them.

use serde_json::{Value, json};

use crate::text::rfc3339;
use crate::{Action, Record};

/// How grave a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grade {
    Usual,
    Notable,
    Grave,
}

fn grade(action: Action) -> Grade {
    match action {
        Action::Refused | Action::Failed | Action::Unknown | Action::Unmasked | Action::KeyDestroyed => Grade::Grave,
        Action::Held
        | Action::Released
        | Action::Rejected
        | Action::Disputed
        | Action::Changed
        | Action::Agreement
        | Action::Configured
        | Action::HoldPlaced
        | Action::HoldLifted
        | Action::Exported
        | Action::Erased
        | Action::Access => Grade::Notable,
        _ => Grade::Usual,
    }
}

/// A syslog message (RFC 5424) of the facility "log audit", whose text is the record as JSON. `host` is the hub's host name.
pub fn syslog(record: &Record, host: &str) -> String {
    syslog_with(record, host, &serde_json::to_string(record).unwrap_or_default())
}

/// A syslog message (RFC 5424) of the facility "log audit" with another text, such as [`cef`] or [`ocsf`] give.
pub fn syslog_with(record: &Record, host: &str, text: &str) -> String {
    let severity = match grade(record.entry.action) {
        Grade::Usual => 6,
        Grade::Notable => 5,
        Grade::Grave => 4,
    };
    // Header fields are printable ASCII without spaces.
    let host: String = host.chars().filter(char::is_ascii_graphic).take(255).collect();
    let host = if host.is_empty() { "-" } else { &host };
    let action = record.entry.action.as_str();
    let time = rfc3339(record.entry.at);
    // 32473 is the enterprise number reserved for examples (RFC 5612).
    format!(
        "<{}>1 {time} {host} viaduct - {action} [ledger@32473 seq=\"{}\"] {text}",
        13 * 8 + severity,
        record.seq
    )
}

/// A syslog message in a stream over TLS, counted in bytes (RFC 5425, section 4.3).
pub fn framed(message: &str) -> String {
    format!("{} {message}", message.len())
}

/// A record in the Common Event Format, version 0.
pub fn cef(record: &Record) -> String {
    let entry = &record.entry;
    let severity = match grade(entry.action) {
        Grade::Usual => 1,
        Grade::Notable => 5,
        Grade::Grave => 8,
    };
    let action = entry.action.as_str();
    let mut fields = vec![
        ("rt", entry.at.to_string()),
        ("externalId", record.seq.to_string()),
        ("act", action.to_owned()),
    ];
    let mut add = |key: &'static str, value: Option<String>| fields.extend(value.map(|value| (key, value)));
    add("suser", entry.actor.as_ref().map(ToString::to_string));
    add("reason", entry.reason.clone());
    add("cat", entry.kind.map(|kind| kind.as_str().to_owned()));
    add("cs1Label", entry.partner.as_ref().map(|_| "partner".to_owned()));
    add("cs1", entry.partner.clone());
    add("cs2Label", entry.mirror.as_ref().map(|_| "mirror".to_owned()));
    add("cs2", entry.mirror.as_ref().map(ToString::to_string));
    add("cs3Label", entry.from.as_ref().map(|_| "from".to_owned()));
    add("cs3", entry.from.as_ref().map(ToString::to_string));
    add("cs4Label", entry.to.as_ref().map(|_| "to".to_owned()));
    add("cs4", entry.to.as_ref().map(ToString::to_string));
    add("cs5Label", entry.rule.as_ref().map(|_| "rule".to_owned()));
    add("cs5", entry.rule.clone());
    add("cs6Label", entry.event.as_ref().map(|_| "event".to_owned()));
    add("cs6", entry.event.as_ref().map(ToString::to_string));
    let fields: Vec<String> = fields
        .iter()
        .map(|(key, value)| format!("{key}={}", cef_value(value)))
        .collect();
    format!(
        "CEF:0|viaduct|viaduct|{}|{action}|{action}|{severity}|{}",
        env!("CARGO_PKG_VERSION"),
        fields.join(" ")
    )
}

/// A value of an extension field: backslash, equals sign and line ends are escaped.
fn cef_value(value: &str) -> String {
    let escaped = value
        .replace('\\', "\\\\")
        .replace('=', "\\=")
        .replace('\r', "\\r")
        .replace('\n', "\\n");
    escaped.chars().filter(|c| !c.is_control()).collect()
}

/// A record as an OCSF event: decisions of filters as data security findings (class 2006), all else as base events.
pub fn ocsf(record: &Record) -> Value {
    let entry = &record.entry;
    let (severity, severity_name) = match grade(entry.action) {
        Grade::Usual => (1, "Informational"),
        Grade::Notable => (2, "Low"),
        Grade::Grave => (3, "Medium"),
    };
    let finding = matches!(entry.action, Action::Changed | Action::Held | Action::Refused);
    let (category, class, activity) = if finding { (2, 2006, 1) } else { (0, 0, 99) };
    let mut event = json!({
        "activity_id": activity,
        "category_uid": category,
        "class_uid": class,
        "type_uid": class * 100 + activity,
        "severity_id": severity,
        "severity": severity_name,
        "time": entry.at,
        "message": entry.action.as_str(),
        "metadata": {
            "version": "1.3.0",
            "uid": record.seq.to_string(),
            "product": { "name": "viaduct", "vendor_name": "viaduct", "version": env!("CARGO_PKG_VERSION") },
        },
        "unmapped": entry,
    });
    if let (true, Some(event)) = (finding, event.as_object_mut()) {
        let rule = entry.rule.clone().unwrap_or_default();
        let disposition = match entry.action {
            Action::Refused => 2,
            Action::Held => 3,
            _ => 11,
        };
        event.insert(
            "finding_info".to_owned(),
            json!({ "uid": record.seq.to_string(), "title": rule }),
        );
        event.insert("disposition_id".to_owned(), json!(disposition));
    }
    event
}

#[cfg(test)]
mod tests {
    use viaduct_model::Timestamp;

    use super::*;
    use crate::Entry;
    use crate::testing::delivered;

    fn refused() -> Record {
        let mut entry = Entry {
            action: Action::Refused,
            ..delivered(9)
        };
        entry.rule = Some("no=secrets\nplease".to_owned());
        entry.findings.insert("iban".to_owned(), 1);
        Record {
            seq: 9,
            number: 9,
            entry,
        }
    }

    #[test]
    fn syslog_messages() {
        insta::assert_snapshot!(syslog(&refused(), "hub.example.org"), @r##"<108>1 2026-07-02T00:00:00.132Z hub.example.org viaduct - refused [ledger@32473 seq="9"] {"seq":9,"number":9,"at":1782950400132,"action":"refused","partner":"acme","mirror":"project","from":{"network":"matrix","channel":"!room:example.org"},"to":{"network":"acme-irc","channel":"#project"},"event":"$event9","ids":["m9"],"kind":"message","rule":"no=secrets\nplease","findings":{"iban":1}}"##);
        let started = Record {
            seq: 0,
            number: 0,
            entry: Entry::new(Timestamp(0), Action::Started),
        };
        insta::assert_snapshot!(framed(&syslog(&started, "a b\n")), @r##"122 <110>1 1970-01-01T00:00:00.000Z ab viaduct - started [ledger@32473 seq="0"] {"seq":0,"number":0,"at":0,"action":"started"}"##);
    }

    #[test]
    fn cef_messages() {
        insta::assert_snapshot!(cef(&refused()), @r##"CEF:0|viaduct|viaduct|0.1.0|refused|refused|8|rt=1782950400132 externalId=9 act=refused cat=message cs1Label=partner cs1=acme cs2Label=mirror cs2=project cs3Label=from cs3=matrix/!room:example.org cs4Label=to cs4=acme-irc/#project cs5Label=rule cs5=no\=secrets\nplease cs6Label=event cs6=$event9"##);
        assert!(!cef(&refused()).contains('\n'));
    }

    #[test]
    fn ocsf_events() {
        insta::assert_snapshot!(ocsf(&refused()), @r##"{"activity_id":1,"category_uid":2,"class_uid":2006,"disposition_id":2,"finding_info":{"title":"no=secrets\nplease","uid":"9"},"message":"refused","metadata":{"product":{"name":"viaduct","vendor_name":"viaduct","version":"0.1.0"},"uid":"9","version":"1.3.0"},"severity":"Medium","severity_id":3,"time":1782950400132,"type_uid":200601,"unmapped":{"action":"refused","at":1782950400132,"event":"$event9","findings":{"iban":1},"from":{"channel":"!room:example.org","network":"matrix"},"ids":["m9"],"kind":"message","mirror":"project","partner":"acme","rule":"no=secrets\nplease","to":{"channel":"#project","network":"acme-irc"}}}"##);
        let delivered = ocsf(&Record {
            seq: 1,
            number: 1,
            entry: delivered(1),
        });
        assert_eq!(delivered["type_uid"], 99);
        assert!(delivered.get("finding_info").is_none());
    }
}
