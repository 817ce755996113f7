//! What all pages have in common, and the pieces they are made of.

use maud::{DOCTYPE, Markup, html};
use viaduct_governance::second;
use viaduct_model::{Language, Timestamp};

use super::menu;
use super::session::Notice;
use super::texts;
use super::visitor::Visitor;
use crate::access::Means;
use crate::role::Role;

/// The tag of a language, as HTML has it.
pub(crate) fn tag(language: Language) -> &'static str {
    language.pick("en", "de")
}

fn head(title: &str) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            title { (title) " – viaduct" }
            link rel="stylesheet" href="/console/style.css";
        }
    }
}

/// Leads past header and menu.
fn skip(language: Language) -> Markup {
    html! { a.skip href="#main" { (texts::SKIP.pick(language)) } }
}

/// The link to the same in the other language. It is named in that language, and says so.
fn other(language: Language) -> Markup {
    let (tag, name) = match language {
        Language::German => ("en", "English"),
        Language::English => ("de", "Deutsch"),
    };
    html! { a href={ "/console/language/" (tag) } lang=(tag) hreflang=(tag) { (name) } }
}

/// A page of somebody who came in.
pub(crate) fn page(visitor: &Visitor, title: &str, notice: Option<&Notice>, content: &Markup) -> Markup {
    let language = visitor.language;
    let beside = visitor.caller.means == Means::Token && visitor.site.desk.access().is_central();
    let roles: Vec<&str> = visitor
        .caller
        .roles
        .iter()
        .map(|role| role_name(*role, language))
        .collect();
    html! {
        (DOCTYPE)
        html lang=(tag(language)) {
            (head(title))
            body {
                (skip(language))
                header {
                    p.product { a href="/console" { "viaduct" } }
                    div.who {
                        span { (visitor.caller.person.as_deref().unwrap_or_default()) }
                        span.roles { (roles.join(", ")) }
                        (other(language))
                        (visitor.form("/console/logout", &html! { button.plain type="submit" { (visitor.say(texts::LOG_OUT)) } }))
                    }
                }
                nav aria-label=(visitor.say(texts::PAGES)) {
                    ul {
                        @for entry in menu::entries(&visitor.caller) {
                            li {
                                a href=(entry.path) aria-current=[menu::is_current(&entry, &visitor.path).then_some("page")] {
                                    (visitor.say(entry.title))
                                }
                            }
                        }
                    }
                }
                main #main tabindex="-1" {
                    h1 { (title) }
                    @if beside { p.warning role="note" { (visitor.say(texts::BESIDE)) } }
                    @if let Some(Notice(told)) = notice { p.good role="status" { (told) } }
                    (content)
                }
                footer { p { "viaduct " (env!("CARGO_PKG_VERSION")) } }
            }
        }
    }
}

/// A page of somebody who has not come in.
pub(crate) fn outside(language: Language, title: &str, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang=(tag(language)) {
            (head(title))
            body {
                (skip(language))
                header {
                    p.product { "viaduct" }
                    div.who { (other(language)) }
                }
                main #main tabindex="-1" {
                    h1 { (title) }
                    (content)
                }
                footer { p { "viaduct " (env!("CARGO_PKG_VERSION")) } }
            }
        }
    }
}

/// What a role is called.
pub(crate) fn role_name(role: Role, language: Language) -> &'static str {
    let text = match role {
        Role::Operator => texts::ROLE_OPERATOR,
        Role::Compliance => texts::ROLE_COMPLIANCE,
        Role::Approver => texts::ROLE_APPROVER,
        Role::Auditor => texts::ROLE_AUDITOR,
        Role::Dpo => texts::ROLE_DPO,
    };
    text.pick(language)
}

/// A time.
pub(crate) fn at(time: Timestamp) -> Markup {
    let told = second(time);
    html! { time datetime={ (told.replace(' ', "T")) "Z" } { (told) " UTC" } }
}

/// A table. The first cell of a row says what the row is about.
pub(crate) fn table(caption: &str, heads: &[&str], rows: &[Vec<Markup>]) -> Markup {
    html! {
        div.scroll role="region" aria-label=(caption) tabindex="0" {
            table {
                caption { (caption) }
                thead { tr { @for head in heads { th scope="col" { (head) } } } }
                tbody {
                    @for row in rows {
                        tr {
                            @for (number, cell) in row.iter().enumerate() {
                                @if number == 0 { th scope="row" { (cell) } } @else { td { (cell) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Facts, each with its name.
pub(crate) fn facts(all: &[(&str, Markup)]) -> Markup {
    html! {
        dl {
            @for (name, value) in all { div { dt { (name) } dd { (value) } } }
        }
    }
}

/// A text as it is.
pub(crate) fn plain(text: impl AsRef<str>) -> Markup {
    html! { (text.as_ref()) }
}

/// One line to fill in. `id` is unique on its page.
pub(crate) fn line(id: &str, name: &str, label: &str, kind: &str, required: bool) -> Markup {
    html! {
        div.field {
            label for=(id) { (label) }
            input id=(id) name=(name) type=(kind) required[required] autocomplete="off";
        }
    }
}

/// One of several to choose from.
pub(crate) fn choice(id: &str, name: &str, label: &str, all: &[(String, String)]) -> Markup {
    html! {
        div.field {
            label for=(id) { (label) }
            select id=(id) name=(name) {
                @for (value, shown) in all { option value=(value) { (shown) } }
            }
        }
    }
}

/// The button that sends a form.
pub(crate) fn send(label: &str) -> Markup {
    html! { button type="submit" { (label) } }
}

/// The button that sends a form which does something that cannot be taken back.
pub(crate) fn send_for_good(label: &str) -> Markup {
    html! { button.grave type="submit" { (label) } }
}
