//! One text in a comparable form, and where each of its characters came from.

use unicode_normalization::UnicodeNormalization;

use super::fold::{fold, fold_char, is_invisible, plain_char};
use super::parts::Step;
use super::table::{joins, known};

/// A text as it is looked at.
#[derive(Debug, Default, Clone)]
pub(crate) struct View {
    /// The text.
    pub(crate) text: String,
    runs: Vec<Run>,
}

/// A stretch of a view that came from one stretch of a leaf.
#[derive(Debug, Clone, Copy)]
struct Run {
    /// Where it begins in the view.
    out: usize,
    /// The leaf; none for what stands in no leaf that could be changed.
    leaf: Option<usize>,
    /// Where it begins in the leaf.
    from: usize,
    /// How many bytes it has in the leaf.
    length: usize,
    /// Whether it is there byte for byte.
    verbatim: bool,
}

/// A stretch of one leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span {
    pub(crate) leaf: usize,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl View {
    /// The stretches of leaves that a stretch of the view came from, one for each leaf, in order.
    pub(crate) fn spans(&self, start: usize, end: usize) -> Vec<Span> {
        let mut spans: Vec<Span> = Vec::new();
        let first = self.runs.partition_point(|run| run.out <= start).saturating_sub(1);
        for (number, run) in self.runs.iter().enumerate().skip(first) {
            if run.out >= end {
                break;
            }
            let out_end = self.runs.get(number + 1).map_or(self.text.len(), |next| next.out);
            let (Some(leaf), true) = (run.leaf, out_end > start) else {
                continue;
            };
            let (from, to) = if run.verbatim {
                (
                    run.from + start.saturating_sub(run.out),
                    run.from + end.min(out_end) - run.out,
                )
            } else {
                (run.from, run.from + run.length)
            };
            match spans.last_mut() {
                Some(span) if span.leaf == leaf => span.end = span.end.max(to),
                _ => spans.push(Span {
                    leaf,
                    start: from,
                    end: to,
                }),
            }
        }
        spans
    }

    /// Whether a stretch has characters of leaves and also characters of none (see [`super::read_previous`]).
    pub(crate) fn crosses_seam(&self, start: usize, end: usize) -> bool {
        let first = self.runs.partition_point(|run| run.out <= start).saturating_sub(1);
        let touched = || self.runs.iter().skip(first).take_while(|run| run.out < end);
        touched().any(|run| run.leaf.is_some()) && touched().any(|run| run.leaf.is_none() && run.length > 0)
    }

    fn push(&mut self, leaf: Option<usize>, from: usize, source: &str, put: impl FnOnce(&mut String)) {
        let out = self.text.len();
        put(&mut self.text);
        if self.text.len() > out {
            self.runs.push(Run {
                out,
                leaf,
                from,
                length: source.len(),
                verbatim: false,
            });
        }
    }

    fn push_verbatim(&mut self, leaf: Option<usize>, from: usize, text: &str) {
        if text.is_empty() {
            return;
        }
        match self.runs.last_mut() {
            Some(last) if last.verbatim && last.leaf == leaf && last.from + last.length == from => {
                last.length += text.len();
            }
            _ => self.runs.push(Run {
                out: self.text.len(),
                leaf,
                from,
                length: text.len(),
                verbatim: true,
            }),
        }
        self.text.push_str(text);
    }
}

/// The views of one text under construction.
///
/// The *folded* view has only what a reader cannot mistake for something else: look-alikes, accents, digits of other scripts,
/// dashes and spaces are made plain. Detectors and dictionaries look at it. The *plain* view is only normalised (NFKC) and
/// freed of what is invisible; own patterns look at both. Where the two are equal only one is kept.
#[derive(Debug, Default)]
pub(crate) struct Views {
    folded: View,
    /// Only once it differs from the folded view.
    plain: Option<View>,
}

impl Views {
    /// Whether nothing visible was taken yet.
    pub(super) fn is_empty(&self) -> bool {
        let plain = self.plain.as_ref().unwrap_or(&self.folded);
        self.folded.text.trim().is_empty() && plain.text.trim().is_empty()
    }

    /// Takes the text of a leaf.
    pub(super) fn leaf(&mut self, leaf: usize, text: &str) {
        self.take_text(Some(leaf), text);
    }

    /// Takes what a leaf means or looks like as a whole, where its characters cannot be told apart.
    pub(super) fn whole(&mut self, leaf: usize, text: &str, meaning: &str) {
        self.folded
            .push(Some(leaf), 0, text, |out| out.push_str(&fold(meaning)));
    }

    /// Takes a character that stands in no leaf.
    pub(super) fn gap(&mut self, gap: char) {
        for view in self.both() {
            view.push(None, 0, "", |out| out.push(gap));
        }
    }

    /// Takes a step of a text that cannot be changed.
    pub(super) fn take_old(&mut self, step: Step<'_>) {
        match step {
            Step::Part(_) => {}
            Step::Leaf(text) => self.fixed(text),
            Step::Gap(gap) => self.gap(gap),
        }
    }

    /// Takes a text that cannot be changed.
    pub(super) fn fixed(&mut self, text: &str) {
        self.take_text(None, text);
    }

    /// Drops gaps at the end, so that what follows is joined without one.
    pub(super) fn trim_gaps(&mut self) {
        for view in self.both() {
            while view
                .runs
                .last()
                .is_some_and(|run| run.leaf.is_none() && run.length == 0)
            {
                view.runs.pop();
                view.text.pop();
            }
        }
    }

    /// The views: the folded one, and the plain one where it differs.
    pub(super) fn finish(self) -> Vec<View> {
        std::iter::once(self.folded).chain(self.plain).collect()
    }

    /// The views that there are so far, for what is the same in both.
    fn both(&mut self) -> impl Iterator<Item = &mut View> {
        std::iter::once(&mut self.folded).chain(&mut self.plain)
    }

    /// The folded and the plain view, for what is not the same in both.
    fn apart(&mut self) -> (&mut View, &mut View) {
        let Self { folded, plain } = self;
        let plain = plain.get_or_insert_with(|| folded.clone());
        (folded, plain)
    }

    fn take_text(&mut self, leaf: Option<usize>, text: &str) {
        self.folded.text.reserve(text.len());
        let mut at = 0;
        let mut rest = text;
        while !rest.is_empty() {
            let same = verbatim_length(rest);
            let length = if same > 0 {
                let (head, _) = rest.split_at(same);
                self.both().for_each(|view| view.push_verbatim(leaf, at, head));
                same
            } else {
                self.single(leaf, at, rest)
                    .unwrap_or_else(|| self.cluster(leaf, at, rest))
            };
            at += length;
            rest = rest.split_at(length).1;
        }
    }

    /// Takes the first character, if it is known what each view shows for it and no mark follows it: its length.
    fn single(&mut self, leaf: Option<usize>, at: usize, text: &str) -> Option<usize> {
        let mut characters = text.chars();
        let first = characters.next()?;
        let known = known(first)?;
        let (plain, look) = (known.plain?, known.look()?);
        if characters.next().is_some_and(joins) {
            return None;
        }
        let (own, _) = text.split_at(first.len_utf8());
        let (folded_view, plain_view) = self.apart();
        folded_view.push(leaf, at, own, |out| out.push_str(look));
        if plain == first {
            plain_view.push_verbatim(leaf, at, own);
        } else {
            plain_view.push(leaf, at, own, |out| out.push(plain));
        }
        Some(own.len())
    }

    /// Takes the first character with the marks that follow it: their length.
    fn cluster(&mut self, leaf: Option<usize>, at: usize, text: &str) -> usize {
        let (cluster, _) = text.split_at(cluster_length(text));
        let (folded, plain) = self.apart();
        let visible = || cluster.chars().filter(|character| !is_invisible(*character));
        folded.push(leaf, at, cluster, |out| {
            visible().nfkd().for_each(|character| fold_char(character, out));
        });
        plain.push(leaf, at, cluster, |out| out.extend(visible().map(plain_char).nfkc()));
        cluster.len()
    }
}

/// How many bytes at the beginning are the same in every view: characters that look like nothing else, that no mark follows.
fn verbatim_length(text: &str) -> usize {
    let mut rest = text;
    let mut last = 0;
    loop {
        let same = |byte: &u8| matches!(byte, b' '..=b'~' | b'\n');
        let bytes = rest.as_bytes();
        let plain = bytes.iter().position(|byte| !same(byte)).unwrap_or(bytes.len());
        if plain > 0 {
            last = 1;
            rest = rest.split_at(plain).1;
        }
        let Some(next) = rest.chars().next() else { break };
        if joins(next) {
            // What it belongs to is not the same any more.
            return text.len() - rest.len() - last;
        }
        if !known(next).is_some_and(|known| known.verbatim) {
            break;
        }
        last = next.len_utf8();
        rest = rest.split_at(last).1;
    }
    text.len() - rest.len()
}

/// How many bytes the first character has together with the marks and invisible characters that follow it.
fn cluster_length(text: &str) -> usize {
    let mut characters = text.char_indices();
    characters.next();
    characters
        .find(|(_, character)| !joins(*character))
        .map_or(text.len(), |(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn views(text: &str) -> Vec<View> {
        let mut views = Views::default();
        views.leaf(0, text);
        views.finish()
    }

    fn folded(text: &str) -> String {
        views(text).swap_remove(0).text
    }

    #[test]
    fn tricks_are_undone() {
        assert_eq!(folded("plain text\n"), "plain text\n");
        assert_eq!(folded("p\u{200b}a\u{ad}s\u{2060}s"), "pass");
        assert_eq!(folded("ｐａｓｓ ４１１１"), "pass 4111");
        assert_eq!(folded("раѕѕ"), "pass", "Cyrillic");
        assert_eq!(folded("ΙΒΑΝ"), "IBAN", "Greek");
        assert_eq!(folded("𝐈𝐁𝐀𝐍 ①"), "IBAN 1");
        assert_eq!(folded("I\u{336}B\u{336}A\u{301}N"), "IBAN");
        assert_eq!(folded("٤١١١"), "4111");
        assert_eq!(folded("Größe"), "Grosse");
        assert_eq!(folded("a\u{202e}b\0c\u{7f}d"), "abcd");
        assert_eq!(folded("a–b\u{a0}c"), "a-b c");
    }

    #[test]
    fn the_plain_view_keeps_letters() {
        let views = views("Gro\u{308}ße\u{200b} Москва");
        assert_eq!(views[1].text, "Größe Москва");
    }

    #[test]
    fn every_stretch_leads_back() {
        let text = "x D\u{200b}Е\u{301}89 y";
        let view = views(text).swap_remove(0);
        assert_eq!(view.text, "x DE89 y");
        let spans = view.spans(2, 6);
        assert_eq!(spans.len(), 1);
        assert_eq!(text.get(spans[0].start..spans[0].end).unwrap(), "D\u{200b}Е\u{301}89");
        assert_eq!(
            view.spans(0, 1),
            [Span {
                leaf: 0,
                start: 0,
                end: 1
            }]
        );
        let end = view.text.len();
        assert_eq!(
            view.spans(end - 1, end),
            [Span {
                leaf: 0,
                start: text.len() - 1,
                end: text.len()
            }]
        );
    }
}
