//! Messages in the forms that the specifications print, with all that stands around what matters: what each has to be read as.

use viaduct_model::{AttachmentKind, Language, MessageStyle, NetworkName};
use xmpp_parsers::jid::BareJid;
use xmpp_parsers::message::Message as Stanza;
use xmpp_parsers::minidom::Element;
use xmpp_parsers::ns;

use super::incoming::{Reader, Said, Says};

const ROOM: &str = "coven@chat.shakespeare.lit";

/// What a room's message with this inside says; by the room itself where `nick` is none.
fn read(nick: Option<&str>, inner: &str) -> Option<Says> {
    let from = nick.map_or_else(|| ROOM.to_owned(), |nick| format!("{ROOM}/{nick}"));
    let xml = format!(
        "<message xmlns='{}' type='groupchat' from='{from}' id='new-1'>{inner}</message>",
        ns::DEFAULT_NS
    );
    let stanza = Stanza::try_from(xml.parse::<Element>().unwrap()).unwrap();
    let network = NetworkName::new("net").unwrap();
    let reader = Reader {
        network: &network,
        allows_host: &|host| host == "files.shakespeare.lit",
        language: Language::English,
    };
    reader
        .read(&stanza, &BareJid::new(ROOM).unwrap())
        .map(|reading| reading.says)
}

fn said(inner: &str) -> Said {
    match read(Some("firstwitch"), inner) {
        Some(Says::Message(said)) => said,
        other => panic!("{other:?}"),
    }
}

/// XEP-0308: the whole of the new wording, and the id of the first one.
#[test]
fn a_correction_names_the_first_wording() {
    let corrected = read(
        Some("firstwitch"),
        "<body>But soft, what light through yonder window breaks?</body>\
         <replace id='bad1' xmlns='urn:xmpp:message-correct:0'/><thread>e0ffe42b</thread>\
         <origin-id xmlns='urn:xmpp:sid:0' id='good1'/>",
    );
    let Some(Says::Edit(target, said)) = corrected else {
        panic!("{corrected:?}")
    };
    assert_eq!((target.as_str(), said.thread.as_deref()), ("bad1", Some("e0ffe42b")));
    assert_eq!(
        said.message.body.to_plain(),
        "But soft, what light through yonder window breaks?"
    );
}

/// XEP-0424, version 1: the text for those who do not know retractions is not a message. Version 0 said it with XEP-0422.
#[test]
fn a_retraction_is_no_text() {
    let current = "<retract id='old-1' xmlns='urn:xmpp:message-retract:1'/>\
        <fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:message-retract:1'/>\
        <body>/me retracted a previous message, but it is unsupported by your client.</body><store xmlns='urn:xmpp:hints'/>";
    let first = "<apply-to id='old-1' xmlns='urn:xmpp:fasten:0'><retract xmlns='urn:xmpp:message-retract:0'/></apply-to>\
        <fallback xmlns='urn:xmpp:fallback:0'/><body>I retract</body><store xmlns='urn:xmpp:hints'/>";
    for form in [current, first] {
        assert_eq!(
            read(Some("firstwitch"), form),
            Some(Says::Retract("old-1".into())),
            "{form}"
        );
    }
}

/// XEP-0425, both versions: the room says so, with who and why; anybody else who says so is not believed.
#[test]
fn a_moderation_is_the_rooms_word() {
    let current = "<retract id='stanza-7' xmlns='urn:xmpp:message-retract:1'>\
        <moderated by='coven@chat.shakespeare.lit/macbeth' xmlns='urn:xmpp:message-moderate:1'>\
        <occupant-id xmlns='urn:xmpp:occupant-id:0' id='dd72603d'/></moderated>\
        <reason>This message contains inappropriate content for this forum</reason></retract>";
    let first = "<apply-to id='stanza-7' xmlns='urn:xmpp:fasten:0'>\
        <moderated by='coven@chat.shakespeare.lit/macbeth' xmlns='urn:xmpp:message-moderate:0'>\
        <retract xmlns='urn:xmpp:message-retract:0'/>\
        <reason>This message contains inappropriate content for this forum</reason></moderated></apply-to>";
    for form in [current, first] {
        let Some(Says::Moderated(moderated)) = read(None, form) else {
            panic!("{form}")
        };
        assert_eq!(moderated.target, "stanza-7");
        assert_eq!(
            moderated.reason.as_deref(),
            Some("This message contains inappropriate content for this forum")
        );
        assert!(
            !matches!(read(Some("firstwitch"), form), Some(Says::Moderated(_))),
            "{form}"
        );
    }
}

/// XEP-0444: all reactions of one person to one message, each once; none takes all back.
#[test]
fn reactions_are_the_whole_set() {
    let reactions = |inner: &str| {
        read(
            Some("firstwitch"),
            &format!(
                "<reactions id='stanza-7' xmlns='urn:xmpp:reactions:0'>{inner}</reactions><store xmlns='urn:xmpp:hints'/>"
            ),
        )
    };
    let both = ["👋".to_owned(), "🐢".to_owned()].to_vec();
    assert_eq!(
        reactions("<reaction>👋</reaction><reaction>🐢</reaction>"),
        Some(Says::Reactions("stanza-7".into(), both))
    );
    assert_eq!(reactions(""), Some(Says::Reactions("stanza-7".into(), Vec::new())));
}

/// XEP-0461 with XEP-0428: the quotation for those who do not know answers goes, counted in characters and not in bytes.
#[test]
fn an_answer_is_without_its_quotation() {
    let answer = said(
        "<body>&gt; 🧙‍♀ wrote:\n&gt; Grüße!\nSame here</body>\
         <reply to='coven@chat.shakespeare.lit/thirdwitch' id='stanza-7' xmlns='urn:xmpp:reply:0'/>\
         <fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reply:0'><body start='0' end='22'/></fallback>",
    );
    assert_eq!(answer.reply_to.as_deref(), Some("stanza-7"));
    assert_eq!(answer.message.body.to_plain(), "Same here");
    // A fallback that is for something else is part of the text.
    let other = said(
        "<body>see this</body><fallback xmlns='urn:xmpp:fallback:0' for='urn:example:else'><body start='0' end='4'/></fallback>",
    );
    assert_eq!(other.message.body.to_plain(), "see this");
}

/// XEP-0245: an action is what stands behind `/me `, and only at the very beginning.
#[test]
fn an_action_begins_with_me() {
    let action = said("<body>/me shrugs in disgust</body>");
    assert_eq!(
        (action.message.style, action.message.body.to_plain().as_str()),
        (MessageStyle::Action, "shrugs in disgust")
    );
    for none in ["/meshrugs", " /me shrugs", "//me shrugs"] {
        assert_eq!(
            said(&format!("<body>{none}</body>")).message.style,
            MessageStyle::Text,
            "{none}"
        );
    }
}

/// XEP-0447 with XEP-0446: a file with its name, size and kind; its address only where files may be fetched from.
#[test]
fn a_shared_file_has_name_and_size() {
    let shared = |host: &str| {
        said(&format!(
            "<file-sharing xmlns='urn:xmpp:sfs:0' disposition='inline'><file xmlns='urn:xmpp:file:metadata:0'>\
             <media-type>image/jpeg</media-type><name>summit.jpg</name><size>3032449</size>\
             <dimensions>4096x2160</dimensions><hash xmlns='urn:xmpp:hashes:2' algo='sha3-256'>2XarmwTlNxDAMkvymloX3S5+Vbyl</hash>\
             <desc>Photo from the summit.</desc></file>\
             <sources><url-data xmlns='http://jabber.org/protocol/url-data' target='https://{host}/4a771ac1/summit.jpg'/></sources>\
             </file-sharing><fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:sfs:0'><body/></fallback>\
             <body>https://{host}/4a771ac1/summit.jpg</body>"
        ))
    };
    let allowed = shared("files.shakespeare.lit");
    let [file] = allowed.message.attachments.as_slice() else {
        panic!("{allowed:?}")
    };
    assert_eq!(
        (file.name.as_str(), file.kind, file.size),
        ("summit.jpg", AttachmentKind::Image, Some(3_032_449))
    );
    assert!(!allowed.message.body.to_plain().contains("https://"), "{allowed:?}");
    let refused = shared("169.254.169.254");
    assert!(refused.message.attachments.is_empty());
    assert_eq!(
        refused.message.body.to_plain(),
        "https://169.254.169.254/4a771ac1/summit.jpg",
        "its address is not lost"
    );
}
