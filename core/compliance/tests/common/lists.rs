//! Lists of what is protected, in files, as an operator has them.

use std::path::{Path, PathBuf};

use viaduct_compliance::protect::{Key, list_documents, list_values};
use viaduct_compliance::{Evidence, FileText, Filter, Fingerprints, Policy, Rule, RuleAction, Values};
use viaduct_model::{Attachment, AttachmentKind, Content, MediaRef, Message, NetworkName, Outbound};

use super::outbound;

const KEY: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";

/// A folder with lists and their key.
pub struct Lists(tempfile::TempDir);

impl Lists {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("key");
        std::fs::write(&key, KEY).unwrap();
        #[cfg(unix)]
        std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        Self(folder)
    }

    pub fn folder(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, list: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, list).unwrap();
        path
    }

    /// The condition that one of these values occurs.
    pub fn values(&self, values: &str) -> Values {
        let list = list_values(&Key::new(KEY).unwrap(), values).unwrap();
        Values {
            list_file: self.write("values", &list),
            key_file: self.0.path().join("key"),
        }
    }

    /// The condition that much of one of these texts occurs.
    pub fn documents(&self, texts: &[String], share: f64, passage: u32) -> Fingerprints {
        let list = list_documents(&Key::new(KEY).unwrap(), texts, &[]).unwrap();
        Fingerprints {
            list_file: self.write("fingerprints", &list),
            key_file: self.0.path().join("key"),
            share,
            passage,
        }
    }
}

/// A rule that refuses.
pub fn refusing(name: &str) -> Rule {
    Rule {
        name: name.to_owned(),
        action: RuleAction::Refuse,
        ..Rule::default()
    }
}

/// A filter of these rules.
pub fn filter_of(rules: Vec<Rule>) -> Filter {
    let policy = Policy {
        rules,
        ..Policy::default()
    };
    Filter::compile(policy).unwrap()
}

/// A message with one file of this name.
pub fn with_file(name: &str) -> Outbound {
    let attachment = Attachment {
        media: MediaRef {
            network: NetworkName::matrix(),
            locator: "mxc://x/y".to_owned(),
        },
        name: name.to_owned(),
        mime: None,
        size: None,
        kind: AttachmentKind::File,
        dimensions: None,
        duration: None,
        spoiler: false,
    };
    outbound(Content::Message(Message {
        attachments: vec![attachment],
        ..Message::default()
    }))
}

/// What was read in a file, and whether that is all.
pub fn evidence(read: &str, whole: bool) -> [Evidence; 1] {
    [Evidence {
        text: FileText {
            read: read.into(),
            whole,
        },
        ..Evidence::default()
    }]
}
