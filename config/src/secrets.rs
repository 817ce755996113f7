//! Checks secrets wherever a schema has them: three keys `X`, `X_file`, `X_env`. Each is for one purpose: whoever learns one must
//! not have another.

use std::cell::RefCell;
use std::path::Path;

use serde_json::{Map, Value};
use viaduct_model::Secret;

use crate::is_world_readable;
use crate::problem::Report;
use crate::secret::SecretSource;
use crate::tree::Node;

/// The secrets of a configuration that were seen, each with its key.
#[derive(Default)]
pub(crate) struct Secrets(RefCell<Vec<(Secret, String)>>);

impl Secrets {
    /// Checks the secrets of one map, whose keys are `properties`.
    pub fn check(&self, node: &Node, properties: &Map<String, Value>, key: &str, folder: &Path, report: &mut Report) {
        for name in properties.keys() {
            let (file, env) = (format!("{name}_file"), format!("{name}_env"));
            if properties.contains_key(&file) && properties.contains_key(&env) {
                check_one(node, [name, &file, &env], key, folder, report);
                for name in [name, &file, &env] {
                    self.once(node, name, &place(key, name), folder, report);
                }
            }
        }
    }

    /// A secret has one purpose. Two people with the same token would be one, so that is an error.
    fn once(&self, node: &Node, name: &str, key: &str, folder: &Path, report: &mut Report) {
        let Some((text, at)) = node.text_of(name) else { return };
        let source = match name {
            _ if name.ends_with("_file") => SecretSource::File(folder.join(text)),
            _ if name.ends_with("_env") => SecretSource::Env(text.to_owned()),
            _ => SecretSource::Literal(Secret::new(text)),
        };
        let Ok(secret) = source.read() else { return };
        let mut seen = self.0.borrow_mut();
        match seen.iter().find(|(other, _)| *other == secret) {
            // A value is looked at more than once where a schema has alternatives.
            Some((_, first)) if first == key => {}
            Some((_, first)) => {
                let what = format!("this is the secret of `{first}` as well");
                if key.starts_with("admin.") && first.starts_with("admin.") {
                    report.error(at, key, what, "give each person a token of their own");
                } else {
                    report.warning(at, key, what, "use another, so that whoever learns one has not both");
                }
            }
            None => seen.push((secret, key.to_owned())),
        }
    }
}

/// The key of one of a map's values.
fn place(key: &str, name: &str) -> String {
    if key.is_empty() {
        name.to_owned()
    } else {
        format!("{key}.{name}")
    }
}

fn check_one(node: &Node, names: [&str; 3], key: &str, folder: &Path, report: &mut Report) {
    let place = |name: &str| place(key, name);
    let [literal, file, env] = names;
    let given: Vec<_> = node
        .entries()
        .iter()
        .filter(|entry| names.contains(&entry.key.as_str()))
        .collect();
    if let [first, second, ..] = given.as_slice() {
        let what = format!("this secret is given twice, as `{}` and as `{}`", first.key, second.key);
        report.error(second.key_at, &place(&second.key), what, "keep one of the two");
    }
    for entry in given {
        let at = entry.node.at;
        let Some(text) = entry.node.text() else { continue };
        if entry.key == literal {
            let fix = format!("put it into a file of its own (mode 0600) and name that as `{file}`, or use `{env}`");
            report.warning(
                entry.key_at,
                &place(literal),
                "a secret stands in the configuration itself",
                fix,
            );
        } else if entry.key == file {
            let path = folder.join(text);
            if let Err(error) = SecretSource::File(path.clone()).read() {
                let fix = "write the secret into this file, with mode 0600 and readable by viaduct's user";
                report.error(at, &place(file), error.to_string(), fix);
            } else if is_world_readable(&path) {
                let fix = format!("chmod 0600 {}", path.display());
                report.error(at, &place(file), "everybody on this machine can read the secret", fix);
            }
        } else if SecretSource::Env(text.to_owned()).read().is_err() {
            let what = format!("the environment variable {text} is not set here");
            report.warning(at, &place(env), what, "set it where viaduct runs");
        }
    }
}
