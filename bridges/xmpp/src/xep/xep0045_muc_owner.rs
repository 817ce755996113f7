//! XEP-0045 Multi-User Chat: a room's configuration, as its owners see and change it.

use xmpp_parsers::data_forms::{DataForm, DataFormType, Field, FieldType};
use xmpp_parsers::minidom::Element;
use xmpp_parsers::ns;

/// The namespace.
pub const NS: &str = "http://jabber.org/protocol/muc#owner";
/// What the form is.
const CONFIGURATION: &str = "http://jabber.org/protocol/muc#roomconfig";
/// The room's name among its configuration.
const NAME: &str = "muc#roomconfig_roomname";
/// At most so many fields are taken. No server has half as many.
const BOUND: usize = 500;

/// The question for a room's configuration.
pub fn question() -> Element {
    Element::builder("query", NS).build()
}

/// A room's configuration as it is, with another name; none if the answer holds no form, or the room has no name to change.
/// What a form leaves out is kept by some servers and reset by others, so that nothing is left out.
pub fn renamed(answer: &Element, name: &str) -> Option<Element> {
    let form = answer.get_child("x", ns::DATA_FORMS)?;
    let mut fields = Vec::new();
    let mut found = false;
    for given in form
        .children()
        .filter(|child| child.is("field", ns::DATA_FORMS))
        .take(BOUND)
    {
        let variable = given.attr("var").filter(|_| given.attr("type") != Some("fixed"));
        let Some(variable) = variable.filter(|variable| *variable != "FORM_TYPE") else {
            continue;
        };
        // What kind of field it is goes without saying in an answer.
        let mut field = Field::new(variable, FieldType::TextSingle);
        if variable == NAME {
            found = true;
            field.values.push(name.to_owned());
        } else {
            let values = given.children().filter(|child| child.is("value", ns::DATA_FORMS));
            field.values.extend(values.map(Element::text));
        }
        fields.push(field);
    }
    let submission = DataForm::new(DataFormType::Submit, CONFIGURATION, fields);
    found.then(|| Element::builder("query", NS).append(Element::from(submission)).build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_but_the_name_stays() {
        let form = |fields: &str| {
            let form = format!(
                "<query xmlns='{NS}'><x xmlns='jabber:x:data' type='form'><title>t</title>{fields}</x></query>"
            );
            form.parse::<Element>().unwrap()
        };
        let answer = form(
            "<field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/muc#roomconfig</value></field>\
             <field type='fixed'><value>About</value></field>\
             <field var='muc#roomconfig_roomname' type='text-single'><value>old</value></field>\
             <field var='roles' type='list-multi'><value>a</value><value>b</value><option><value>c</value></option></field>\
             <field var='secret' type='text-private'/>",
        );
        insta::assert_snapshot!(String::from(&renamed(&answer, "a <b>").unwrap()), @"<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'><field type='hidden' var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field><field var='muc#roomconfig_roomname'><value>a &lt;b&gt;</value></field><field var='roles'><value>a</value><value>b</value></field><field var='secret'/></x></query>");
        assert_eq!(renamed(&form("<field var='other'/>"), "x"), None);
        assert_eq!(renamed(&question(), "x"), None);
    }
}
