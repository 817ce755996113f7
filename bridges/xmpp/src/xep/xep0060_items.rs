//! XEP-0060 Publish-Subscribe: as much of it as published avatars and bookmarks need.

use xmpp_parsers::minidom::Element;
use xmpp_parsers::ns;
use xso::{AsXml, FromXml};

/// Something published.
#[derive(FromXml, AsXml, Debug, Clone, PartialEq, Default)]
#[xml(namespace = ns::PUBSUB, name = "item")]
pub struct Item {
    /// Its name.
    #[xml(attribute(default))]
    pub id: Option<String>,
    /// What it is.
    #[xml(element(default))]
    pub payload: Option<Element>,
}

/// Things published under one node.
#[derive(FromXml, AsXml, Debug, Clone, PartialEq)]
#[xml(namespace = ns::PUBSUB, name = "items")]
pub struct Items {
    /// The node.
    #[xml(attribute)]
    pub node: String,
    /// The things, or the names of those wanted.
    #[xml(child(n = ..))]
    pub items: Vec<Item>,
}

/// A question for things published, and its answer.
#[derive(FromXml, AsXml, Debug, Clone, PartialEq)]
#[xml(namespace = ns::PUBSUB, name = "pubsub")]
pub struct Published {
    /// What is asked for, or found.
    #[xml(child)]
    pub items: Items,
}

impl Published {
    /// Everything under a node; a question for it.
    pub fn all(node: &str) -> Self {
        Self {
            items: Items {
                node: node.to_owned(),
                items: Vec::new(),
            },
        }
    }

    /// One thing.
    pub fn one(node: &str, id: &str, payload: Option<Element>) -> Self {
        let item = Item {
            id: Some(id.to_owned()),
            payload,
        };
        Self {
            items: Items {
                node: node.to_owned(),
                items: vec![item],
            },
        }
    }
}

/// Something to be published.
#[derive(FromXml, AsXml, Debug, Clone, PartialEq)]
#[xml(namespace = ns::PUBSUB, name = "publish")]
struct Publish {
    #[xml(attribute)]
    node: String,
    #[xml(child)]
    item: Item,
}

/// How it is to be kept.
#[derive(FromXml, AsXml, Debug, Clone, PartialEq)]
#[xml(namespace = ns::PUBSUB, name = "publish-options")]
struct Options {
    #[xml(child)]
    form: xmpp_parsers::data_forms::DataForm,
}

/// The request to publish.
#[derive(FromXml, AsXml, Debug, Clone, PartialEq)]
#[xml(namespace = ns::PUBSUB, name = "pubsub")]
struct Publication {
    #[xml(child)]
    publish: Publish,
    #[xml(child)]
    options: Options,
}

/// The request to publish something for oneself only, and to keep whatever else is there.
pub fn publish_privately(node: &str, id: &str, payload: Element) -> Element {
    use xmpp_parsers::data_forms::{DataForm, DataFormType, Field};
    let fields = [
        ("pubsub#persist_items", "true"),
        ("pubsub#max_items", "max"),
        ("pubsub#send_last_published_item", "never"),
        ("pubsub#access_model", "whitelist"),
    ];
    let fields = fields.map(|(name, value)| Field::text_single(name, value)).to_vec();
    let form = DataForm::new(
        DataFormType::Submit,
        "http://jabber.org/protocol/pubsub#publish-options",
        fields,
    );
    let item = Item {
        id: Some(id.to_owned()),
        payload: Some(payload),
    };
    Publication {
        publish: Publish {
            node: node.to_owned(),
            item,
        },
        options: Options { form },
    }
    .into()
}

/// What is to be no longer published.
#[derive(FromXml, AsXml, Debug, Clone, PartialEq)]
#[xml(namespace = ns::PUBSUB, name = "retract")]
struct Retract {
    #[xml(attribute)]
    node: String,
    /// Whether those who watch the node are told.
    #[xml(attribute)]
    notify: bool,
    #[xml(child)]
    item: Item,
}

/// The request to take something back.
#[derive(FromXml, AsXml, Debug, Clone, PartialEq)]
#[xml(namespace = ns::PUBSUB, name = "pubsub")]
struct Retraction {
    #[xml(child)]
    retract: Retract,
}

/// The request to take something back that was published.
pub fn retract(node: &str, id: &str) -> Element {
    let item = Item {
        id: Some(id.to_owned()),
        payload: None,
    };
    Retraction {
        retract: Retract {
            node: node.to_owned(),
            notify: true,
            item,
        },
    }
    .into()
}
