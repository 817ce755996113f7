//! What can be read in files, and that a filter finds there what it protects.

mod common;

use common::{Network, gzip, inspector, look, png_with_place, seven_zip, tar, with_files, zip};
use viaduct_compliance::protect::{Key, list_documents, list_values};
use viaduct_compliance::{Context, Decision, Filter, Fingerprints, Policy, Rule, RuleAction, Values, decide_all};
use viaduct_inspect::Files;

/// A document of a word processor with this text, every letter formatted on its own.
fn document(text: &str) -> Vec<u8> {
    let run = |letter| format!("<w:r><w:rPr><w:b/></w:rPr><w:t xml:space=\"preserve\">{letter}</w:t></w:r>");
    let runs = text.chars().map(run).collect::<Vec<_>>().concat();
    let body = format!("<?xml version=\"1.0\"?><w:document><w:body><w:p>{runs}</w:p></w:body></w:document>");
    zip(&[
        ("[Content_Types].xml", b"<Types/>"),
        ("word/document.xml", body.as_bytes()),
        ("word/fonts/font1.odttf", b"\x01\x02\x03\x04"),
    ])
}

#[tokio::test]
async fn texts_are_read_wherever_they_are() {
    for (bytes, wanted) in [
        (b"Projekt Falke".to_vec(), "Projekt Falke"),
        (b"<html><p>Pro<b>jekt</b> Falke".to_vec(), "Projekt Falke"),
        (document("Projekt Falke"), "Projekt Falke"),
        (zip(&[("a.docx", &document("Projekt Falke"))]), "Projekt Falke"),
        (gzip(&tar(&[("a.txt", b"Projekt Falke")])), "Projekt Falke"),
        (seven_zip(&[("a.txt", b"Projekt Falke")]), "Projekt Falke"),
        (zip(&[("Projekt Falke.txt", b"x")]), "Projekt Falke"),
    ] {
        let text = look(&bytes).await.text;
        assert!(text.read.contains(wanted) && text.whole, "{text:?}");
    }
    let picture = look(&png_with_place()).await.text;
    assert!(picture.read.is_empty() && picture.whole);
}

#[tokio::test]
async fn what_was_not_read_is_told() {
    let behind = [b"Projekt Falke ".as_slice(), &zip(&[("a.txt", b"x")])].concat();
    let bomb = zip(&[("zeros", &vec![b'x'; 2 * 1024 * 1024])]);
    for bytes in [
        b"\x00\x01\x02\x03".to_vec(),
        b"Rar!\x1a\x07\x00 and more".to_vec(),
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 old".to_vec(),
        zip(&[("a.bin", b"\x00\x01\x02\x03")]),
        behind,
        bomb,
        b"%PDF-1.7 and nothing else".to_vec(),
    ] {
        assert!(!look(&bytes).await.text.whole, "{:?}", bytes.get(..20));
    }
}

#[tokio::test]
async fn s45_protected_values_and_passages_are_found_in_files() {
    let secret = "0123456789abcdef0123456789abcdef";
    let key = Key::new(secret).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("key"), secret).unwrap();
    std::fs::set_permissions(at("key"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::write(at("values"), list_values(&key, "KD-4711 0815").unwrap()).unwrap();
    let plan = "Die äußere Dichtung wird vor dem Einbau um elf Grad erwärmt, damit die Welle nicht reißt. ";
    std::fs::write(at("plan"), list_documents(&key, &[plan.to_owned()], &[]).unwrap()).unwrap();
    let rule = |name: &str| Rule {
        name: name.to_owned(),
        action: RuleAction::Refuse,
        ..Rule::default()
    };
    let values = Rule {
        values: Some(Values {
            list_file: at("values"),
            key_file: at("key"),
        }),
        ..rule("values")
    };
    let documents = Rule {
        fingerprints: Some(Fingerprints {
            list_file: at("plan"),
            key_file: at("key"),
            share: 0.5,
            passage: 0,
        }),
        ..rule("documents")
    };
    let filter = Filter::compile(Policy {
        rules: vec![values, documents],
        ..Policy::default()
    })
    .unwrap();
    assert!(filter.looks_at_files());
    let decide = async |bytes: &[u8]| {
        let network = Network::default();
        network.put("1", bytes);
        let (inspector, _folder) = inspector(Files::default());
        let mut outbound = with_files(&[("1", "a")]);
        let evidence = inspector.examine(&network, &mut outbound).await.unwrap();
        let context = Context {
            evidence: &evidence,
            ..Context::default()
        };
        match decide_all([&filter], &context, outbound) {
            Decision::Refuse(verdict) => Some(verdict.rule),
            Decision::Pass { .. } => None,
            Decision::Hold(verdict) => panic!("{verdict:?}"),
        }
    };
    assert_eq!(decide(b"nothing of interest").await, None);
    assert_eq!(decide(&png_with_place()).await, None);
    assert_eq!(decide(&document("Kunde KD 4711/0815")).await.as_deref(), Some("values"));
    assert_eq!(decide(&document(plan)).await.as_deref(), Some("documents"));
    assert_eq!(decide(&zip(&[("kd47110815", b"x")])).await.as_deref(), Some("values"));
    assert_eq!(
        decide(b"\x00\x01").await.as_deref(),
        Some("values"),
        "what cannot be read"
    );
}
