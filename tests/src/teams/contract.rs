//! The published description of the connector, and what in a request is not as it says.

use std::sync::OnceLock;

use serde_json::{Value, json};

use super::call::Asked;
use crate::launch::project_root;

/// Operations of Teams that the description of all channels does not know.
const BEYOND: &[&str] = &["connector.team", "connector.team_channels", "connector.react"];

/// Definitions to which every channel adds fields of its own.
const OPEN: &[&str] = &["Entity"];

/// The description.
#[derive(Debug)]
pub struct Contract(Value);

impl Contract {
    /// The description, if this checkout has it beside it.
    pub fn get() -> Option<&'static Self> {
        static CONTRACT: OnceLock<Option<Contract>> = OnceLock::new();
        let read = || {
            let path = project_root().join("../shared/specs/teams/connector.swagger.json");
            serde_json::from_slice(&std::fs::read(path).ok()?).ok().map(Contract)
        };
        CONTRACT.get_or_init(read).as_ref()
    }

    /// What in a request is not as described.
    pub(super) fn check(&self, asked: &Asked) -> Vec<String> {
        if BEYOND.contains(&asked.operation) {
            return Vec::new();
        }
        let path: Vec<&str> = asked.path.iter().skip(1).map(String::as_str).collect();
        let Some(operation) = self.operation(asked.method.as_str(), &path) else {
            return vec![format!("{} {} is not described", asked.method, path.join("/"))];
        };
        let mut wrong = Vec::new();
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        for (name, value) in &asked.query {
            let known = parameters
                .iter()
                .find(|one| one["in"] == "query" && one["name"] == **name);
            match known {
                None if name == "isTargetedActivity" => {}
                None => wrong.push(format!("there is no query parameter {name}")),
                Some(one) if one["type"] == "integer" && value.parse::<i64>().is_err() => {
                    wrong.push(format!("{name} is no number"));
                }
                Some(_) => {}
            }
        }
        let body = parameters.iter().find(|one| one["in"] == "body");
        match body {
            Some(body) => self.value(&body["schema"], &asked.body, "body", &mut wrong),
            None if !asked.raw.is_empty() => wrong.push("there is no body here".to_owned()),
            None => {}
        }
        wrong
    }

    fn operation(&self, method: &str, path: &[&str]) -> Option<&Value> {
        let fits = |pattern: &str| {
            let pattern: Vec<&str> = pattern.trim_matches('/').split('/').collect();
            pattern.len() == path.len()
                && pattern
                    .iter()
                    .zip(path)
                    .all(|(pattern, part)| pattern.starts_with('{') || pattern.eq_ignore_ascii_case(part))
        };
        let mut operations = self.0["paths"].as_object()?.iter().filter(|(pattern, _)| fits(pattern));
        let method = method.to_ascii_lowercase();
        operations.find_map(|(_, operations)| operations.get(&method))
    }

    /// Holds a value against a schema.
    fn value(&self, schema: &Value, value: &Value, path: &str, wrong: &mut Vec<String>) {
        if let Some(name) = schema["$ref"]
            .as_str()
            .and_then(|name| name.strip_prefix("#/definitions/"))
        {
            let target = &self.0["definitions"][name];
            return self.described(target, value, path, OPEN.contains(&name), wrong);
        }
        self.described(schema, value, path, false, wrong);
    }

    fn described(&self, schema: &Value, value: &Value, path: &str, open: bool, wrong: &mut Vec<String>) {
        if value.is_null() {
            if schema["x-nullable"] != true {
                wrong.push(format!("{path} is null"));
            }
            return;
        }
        let is_right = match schema["type"].as_str() {
            Some("string") => value.is_string(),
            Some("integer") => value.is_i64() || value.is_u64(),
            Some("number") => value.is_number(),
            Some("boolean") => value.is_boolean(),
            Some("array") => value.is_array(),
            // Without properties it is what C# calls an object: anything.
            Some("object") => value.is_object() || schema["properties"].is_null(),
            _ => true,
        };
        if !is_right {
            let kind = &schema["type"];
            wrong.push(format!("{path} is not of the type {kind}"));
            return;
        }
        if let Some(words) = schema["enum"].as_array()
            && !words.contains(value)
        {
            wrong.push(format!("{path} is {value}, which is none of the words for it"));
        }
        if schema["format"] == "date-time" && value.as_str().is_some_and(|text| !text.contains('T')) {
            wrong.push(format!("{path} is no time"));
        }
        for required in schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            if value.get(required).is_none() {
                wrong.push(format!("{path}.{required} is missing"));
            }
        }
        for (index, item) in value.as_array().into_iter().flatten().enumerate() {
            self.value(&schema["items"], item, &format!("{path}[{index}]"), wrong);
        }
        let Some(known) = schema["properties"].as_object().filter(|known| !known.is_empty()) else {
            return;
        };
        for (name, field) in value.as_object().into_iter().flatten() {
            // Microsoft does not mind the case, and its own library writes `tenantID`.
            let schema = known.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
            match schema.map(|(_, schema)| schema) {
                Some(schema) => self.value(schema, field, &format!("{path}.{name}"), wrong),
                None if open => {}
                None => wrong.push(format!("{path}.{name} is not described")),
            }
        }
    }

    /// What an activity has that is not described. Fields that Teams adds to all are `beyond`.
    pub fn strays(&self, activity: &Value) -> Vec<String> {
        let mut wrong = Vec::new();
        self.value(
            &json!({ "$ref": "#/definitions/Activity" }),
            activity,
            "activity",
            &mut wrong,
        );
        wrong
    }

    /// The same of an answer with this definition.
    pub fn strays_of(&self, definition: &str, value: &Value) -> Vec<String> {
        let mut wrong = Vec::new();
        self.value(
            &json!({ "$ref": format!("#/definitions/{definition}") }),
            value,
            definition,
            &mut wrong,
        );
        wrong
    }
}
