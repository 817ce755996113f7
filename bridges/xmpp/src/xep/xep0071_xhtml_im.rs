//! XEP-0071 XHTML-IM. Deprecated, and only read.

use xmpp_parsers::minidom::Element;
use xmpp_parsers::ns;

/// The markup of a message, if it has any.
pub fn find(payloads: &[Element]) -> Option<&Element> {
    let html = payloads.iter().find(|element| element.is("html", ns::XHTML_IM))?;
    html.get_child("body", ns::XHTML)
}
