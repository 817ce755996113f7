//! The JSON schema of the whole configuration: this crate's types, and each kind's section.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::{Config, Kinds};

/// The schema of the whole configuration, with the sections of these kinds. `viaduct schema` prints it; editors use it.
pub fn schema(kinds: &dyn Kinds) -> Value {
    let settings = SchemaSettings::draft2020_12().for_deserialize();
    let mut root = settings.into_generator().into_root_schema_for::<Config>().to_value();
    if let Some(root) = root.as_object_mut() {
        root.insert("title".into(), json!("viaduct"));
    }
    let Some(definitions) = root.get_mut("$defs").and_then(Value::as_object_mut) else {
        return root;
    };
    let base = definitions.remove("Network").unwrap_or_default();
    let mut branches = Vec::new();
    for kind in kinds.names() {
        let definition = format!("network-{kind}");
        let section = kinds.schema(&kind).unwrap_or_else(|| json!({"type": "object"}));
        definitions.insert(definition.clone(), with_kind(section, &kind, &definition, &base));
        branches.push(json!({"$ref": format!("#/$defs/{definition}")}));
    }
    definitions.insert(
        "Network".into(),
        json!({"description": base.get("description"), "oneOf": branches}),
    );
    root
}

/// A kind's section as it stands in the file: with `kind`, `own` and `policy`, and its definitions within itself.
fn with_kind(mut section: Value, kind: &str, definition: &str, base: &Value) -> Value {
    relocate(&mut section, &format!("#/$defs/{definition}/$defs/"));
    let Some(object) = section.as_object_mut() else {
        return section;
    };
    object.remove("$schema");
    let properties = object.entry("properties").or_insert_with(|| Value::Object(Map::new()));
    if let Some(properties) = properties.as_object_mut() {
        let of = |key: &str| base.pointer(&format!("/properties/{key}")).cloned().unwrap_or_default();
        let mut tag = of("kind");
        if let Some(tag) = tag.as_object_mut() {
            tag.insert("const".into(), json!(kind));
        }
        properties.insert("kind".into(), tag);
        properties.insert("own".into(), of("own"));
        properties.insert("policy".into(), of("policy"));
    }
    match object.entry("required").or_insert_with(|| json!([])) {
        Value::Array(required) => required.insert(0, json!("kind")),
        other => *other = json!(["kind"]),
    }
    section
}

/// Points references to a schema's own definitions to where these stand in the whole.
fn relocate(value: &mut Value, to: &str) {
    match value {
        Value::Object(object) => {
            for (key, inner) in object {
                match inner {
                    Value::String(reference) if key == "$ref" => *reference = reference.replace("#/$defs/", to),
                    other => relocate(other, to),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| relocate(item, to)),
        _ => {}
    }
}
