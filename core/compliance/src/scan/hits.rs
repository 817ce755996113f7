//! What was found, and where.

use std::ops::Range;

use crate::policy::TextPart;
use crate::text::{Part, Span, View};

/// At most so many findings of one matcher are counted in one text; with more, masking is not possible.
pub(super) const HIT_BOUND: usize = 256;

/// One finding.
#[derive(Debug, Clone)]
pub(crate) struct Hit {
    /// In what text.
    pub(crate) kind: TextPart,
    /// The original characters.
    pub(crate) spans: Vec<Span>,
    pub(super) part: usize,
}

impl Hit {
    /// A finding that is in a text, and in several perhaps, as a whole.
    pub(super) fn whole(kind: TextPart) -> Self {
        Self {
            kind,
            spans: Vec::new(),
            part: 0,
        }
    }
}

/// The findings of each matcher.
pub(crate) type Hits = Vec<Vec<Hit>>;

/// Notes a finding, unless it is noted already: what may be found `twice` (own patterns are looked for in both views, and terms
/// in several spellings) is compared with what was found before.
pub(super) fn take(own: &mut Vec<Hit>, number: usize, part: &Part, view: &View, place: Range<usize>, twice: bool) {
    if part.seam && !view.crosses_seam(place.start, place.end) {
        return;
    }
    let first = own.partition_point(|hit| hit.part < number);
    let here = own.get(first..).unwrap_or_default();
    let spans = view.spans(place.start, place.end);
    let again = |hit: &Hit| {
        hit.spans
            .iter()
            .any(|one| spans.iter().any(|other| overlap(one, other)))
    };
    if here.len() < HIT_BOUND && !(twice && here.iter().any(again)) {
        own.push(Hit {
            kind: part.kind,
            spans,
            part: number,
        });
    }
}

fn overlap(one: &Span, other: &Span) -> bool {
    one.leaf == other.leaf && one.start < other.end && other.start < one.end
}
