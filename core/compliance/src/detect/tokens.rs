//! A text cut into what numbers are made of.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::places::Places;

/// What a word found near a number says about it. The words are found by the one automaton of the scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cue {
    /// A payment card.
    Card,
    /// Something else that has digits: an order, a parcel, a device.
    OtherNumber,
    /// A German health insurance.
    HealthInsurance,
    /// An identity card.
    IdentityCard,
    /// A passport.
    Passport,
    /// A telephone.
    Telephone,
    /// Value added tax.
    Vat,
    /// A known beginning of an access key; the number is the place in the table of secrets.
    Key(usize),
    /// A word after which a password follows.
    Password,
    /// The first line of a private key.
    PrivateKey,
}

/// The words, in lower case and folded. They count at the beginning of a word, or, with a `*` in front, within one.
pub(crate) const CUE_WORDS: &[(Cue, &[&str])] = &[
    (Cue::Card, &["*karte", "card", "visa", "mastercard", "amex", "pan:"]),
    (
        Cue::OtherNumber,
        &[
            "order",
            "tracking",
            "parcel",
            "shipment",
            "invoice",
            "serial",
            "imei",
            "isbn",
            "ean",
            "gtin",
            "ticket",
            "*bestell",
            "*auftrag",
            "*sendung",
            "*paket",
            "*rechnung",
            "*seriennummer",
            "*artikel",
            "*vorgang",
            "*zahler",
            "*tracking",
            "*telefon",
            "phone",
            "timestamp",
            "batch",
            "chargen",
            "*referenz",
            "reference",
        ],
    ),
    (
        Cue::HealthInsurance,
        &[
            "kvnr",
            "kv-n",
            "*krankenversich",
            "*versichertennummer",
            "*versicherten-n",
            "*versichertennr",
            "*krankenkasse",
            "*gesundheitskarte",
            "egk",
            "health insurance",
            "insurance number",
            "insurance no",
            "insured",
        ],
    ),
    (
        Cue::IdentityCard,
        &[
            // Not those of students, visitors and cars.
            "ausweis",
            "*personalausweis",
            "perso ",
            "perso-",
            "perso:",
            "id card",
            "identity card",
            "id-card",
            "id number",
            "id no",
            "*idd<<",
        ],
    ),
    (
        Cue::Passport,
        &[
            "*reisepass",
            "pass-nr",
            "pass-no",
            "passnummer",
            "pass nr",
            "pass no ",
            "pass no.",
            "pass no:",
            "passport",
        ],
    ),
    (
        Cue::Telephone,
        &[
            "tel", "*telefon", "*phone", "*hotline", "fax", "mobil", "handy", "*anruf", "call ", "dial",
        ],
    ),
    (
        Cue::Vat,
        &[
            "ust",
            "*umsatzsteuer",
            "*steuernummer",
            "vat",
            "uid",
            "tva",
            "iva",
            "btw",
            "nip",
            "tax id",
            "*mwst",
            "p.iva",
            "moms",
        ],
    ),
    (
        Cue::Password,
        &[
            "*password",
            "*passwort",
            "*passwd",
            "*kennwort",
            "*pwd",
            "*secret",
            "*token",
            "*api_key",
            "*apikey",
            "*api-key",
            "*api key",
            "*access_key",
            "*accountkey",
            "*private_key",
            "*zugangscode",
            "pass:",
            "pass=",
            "pw:",
        ],
    ),
    (
        Cue::PrivateKey,
        &["*-----begin", "*putty-user-key-file", "*age-secret-key-1"],
    ),
];

/// Which cues stand where in a text.
#[derive(Debug, Default)]
pub(crate) struct Cues(BTreeMap<Cue, Places>);

impl Cues {
    /// Adds a place. All are added before any is looked for.
    pub(crate) fn push(&mut self, cue: Cue, start: usize, end: usize) {
        self.0.entry(cue).or_default().push(start, end);
    }

    /// Puts the places in order, once all are added.
    pub(crate) fn sort(&mut self) {
        self.0.values_mut().for_each(Places::sort);
    }

    /// Whether a cue stands anywhere.
    pub(crate) fn has(&self, cue: Cue) -> bool {
        self.0.contains_key(&cue)
    }

    /// The places of all cues of a sort: beginning, end and the cue itself.
    pub(crate) fn of(&self, wanted: impl Fn(Cue) -> bool) -> impl Iterator<Item = (usize, usize, Cue)> {
        let of_sort = self.0.iter().filter(move |(cue, _)| wanted(**cue));
        of_sort.flat_map(|(cue, places)| places.iter().map(|(start, end)| (start, end, *cue)))
    }

    /// How many bytes lie between a stretch and the nearest word of a cue before it; none if more than `bound` do.
    pub(crate) fn before(&self, cue: Cue, start: usize, bound: usize) -> Option<usize> {
        self.0.get(&cue)?.before(start).filter(|distance| *distance <= bound)
    }

    /// How many bytes lie between a stretch and the nearest word of a cue after it; none if more than `bound` do.
    pub(crate) fn after(&self, cue: Cue, end: usize, bound: usize) -> Option<usize> {
        self.0.get(&cue)?.after(end).filter(|distance| *distance <= bound)
    }

    /// Whether a word of a cue stands up to 80 bytes before a stretch or up to 30 after it.
    pub(crate) fn near(&self, cue: Cue, place: &Range<usize>) -> bool {
        self.before(cue, place.start, 80).is_some() || self.after(cue, place.end, 30).is_some()
    }
}

/// A run of ASCII letters and digits. Kept small, because a text may have thousands: texts of an event have a bound far below
/// 4 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Atom {
    start: u32,
    end: u32,
    /// How many of its characters are digits.
    digits: u32,
    /// Where it begins in [`Tokens::compact`].
    at: u32,
    /// Whether no more than a separator stands between it and the atom after it.
    joined: bool,
}

impl Atom {
    /// Where it begins in the text.
    pub(crate) fn start(&self) -> usize {
        self.start as usize
    }

    fn end(&self) -> usize {
        self.end as usize
    }

    /// How many bytes it has.
    pub(crate) fn length(&self) -> usize {
        self.end() - self.start()
    }

    /// Whether any of its characters is a digit.
    pub(crate) fn has_digits(&self) -> bool {
        self.digits > 0
    }

    fn is_number(&self) -> bool {
        self.digits == self.end - self.start
    }
}

/// A folded text, cut into atoms.
#[derive(Debug)]
pub(crate) struct Tokens<'a> {
    pub(crate) text: &'a str,
    pub(crate) cues: &'a Cues,
    pub(crate) atoms: Vec<Atom>,
    /// The characters of all atoms without what separates them, in capitals.
    compact: Vec<u8>,
    /// For each place in `compact`, the end in the text of the atom that ends there; 0 where none does.
    ends: Vec<u32>,
    /// For each atom, what it begins.
    reach: Vec<Reach>,
    digits: usize,
}

/// How far a run of joined atoms goes.
#[derive(Debug, Clone, Copy, Default)]
struct Reach {
    /// Characters until the first gap.
    characters: u32,
    /// Digits until the first gap or letter.
    digits: u32,
}

fn reach(atoms: &[Atom]) -> Vec<Reach> {
    let mut all = vec![Reach::default(); atoms.len()];
    let mut next = Reach::default();
    for (atom, reach) in atoms.iter().zip(&mut all).rev() {
        let follows = if atom.joined { next } else { Reach::default() };
        let digits = if atom.is_number() {
            atom.digits + follows.digits
        } else {
            0
        };
        next = Reach {
            characters: atom.end - atom.start + follows.characters,
            digits,
        };
        *reach = next;
    }
    all
}

/// A place in a text as it is kept here.
fn narrow(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

impl<'a> Tokens<'a> {
    /// Cuts a text. Atoms without a digit that are longer than four letters are left out: no number has such.
    pub(crate) fn new(text: &'a str, cues: &'a Cues) -> Self {
        let mut tokens = Self {
            text,
            cues,
            atoms: Vec::new(),
            compact: Vec::new(),
            ends: Vec::new(),
            reach: Vec::new(),
            digits: 0,
        };
        let bytes = text.as_bytes();
        let digits = bytes.iter().filter(|byte| byte.is_ascii_digit()).count();
        if digits >= 2 {
            tokens.atoms.reserve(digits);
            tokens.compact.reserve(2 * digits);
            tokens.ends.reserve(2 * digits);
            tokens.cut(bytes);
            tokens.reach = reach(&tokens.atoms);
        }
        tokens
    }

    fn cut(&mut self, bytes: &[u8]) {
        self.ends.push(0);
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            if !byte.is_ascii_alphanumeric() {
                at += 1;
                continue;
            }
            let start = at;
            let mut count = 0;
            while let Some(byte) = bytes.get(at).filter(|byte| byte.is_ascii_alphanumeric()) {
                count += usize::from(byte.is_ascii_digit());
                at += 1;
            }
            if count == 0 && at - start > 4 {
                continue;
            }
            self.digits += count;
            if let Some(last) = self.atoms.last_mut() {
                last.joined = is_separator(bytes.get(last.end()..start).unwrap_or_default());
            }
            self.atoms.push(Atom {
                start: narrow(start),
                end: narrow(at),
                digits: narrow(count),
                at: narrow(self.compact.len()),
                joined: false,
            });
            let characters = bytes.get(start..at).unwrap_or_default();
            self.compact.extend(characters.iter().map(u8::to_ascii_uppercase));
            self.ends.resize(self.compact.len() + 1, 0);
            if let Some(end) = self.ends.last_mut() {
                *end = narrow(at);
            }
        }
    }

    /// Whether the text has so few digits that no number of `least` digits can be in it.
    pub(crate) fn fewer_digits_than(&self, least: usize) -> bool {
        self.digits < least
    }

    /// The first of the characters that a number that begins with this atom can have, in capitals and without what separates
    /// them; none if it cannot have so many.
    pub(crate) fn front<const N: usize>(&self, first: usize) -> Option<&[u8; N]> {
        self.reach.get(first).filter(|reach| reach.characters as usize >= N)?;
        self.compact.get(self.atoms.get(first)?.at as usize..)?.first_chunk()
    }

    /// The characters of as many joined atoms from the one at `first` on as make `length` characters, and the stretch they
    /// have; none if the atoms do not end there.
    pub(crate) fn gather(&self, first: usize, length: usize) -> Option<(&[u8], Range<usize>)> {
        self.reach
            .get(first)
            .filter(|reach| reach.characters as usize >= length)?;
        let atom = self.atoms.get(first)?;
        let start = atom.at as usize;
        let end = start + length;
        let place = self.ends.get(end).filter(|place| **place > 0)?;
        Some((self.compact.get(start..end)?, atom.start()..*place as usize))
    }

    /// How many digits a number that begins with this atom can have.
    pub(crate) fn digits_from(&self, first: usize) -> usize {
        self.reach.get(first).map_or(0, |reach| reach.digits as usize)
    }

    /// Whether a number may begin with this atom although it need not have a digit itself: one of the two after it has.
    pub(crate) fn leads(&self, first: usize) -> bool {
        let mut following = self.atoms.iter().skip(first).take(3);
        let Some(atom) = following.next() else { return false };
        atom.has_digits() || (atom.length() <= 3 && atom.joined && following.any(Atom::has_digits))
    }

    /// The sizes of the groups in which the number is written that begins with this atom and has this stretch.
    pub(crate) fn groups(&self, first: usize, place: &Range<usize>) -> impl Iterator<Item = usize> + Clone {
        let end = place.end;
        self.atoms
            .iter()
            .skip(first)
            .take_while(move |atom| atom.end() <= end)
            .map(Atom::length)
    }

    /// Whether the number that begins at the atom `first` is only the rest of a longer one written without a gap.
    pub(crate) fn glued_before(&self, start: usize) -> bool {
        let before = self.text.as_bytes().get(..start).and_then(<[u8]>::last);
        matches!(before, Some(b'_' | b'=' | b'%' | b'\\'))
    }
}

/// Whether groups have one size, of which the last may fall short.
pub(crate) fn are_even(mut groups: impl Iterator<Item = usize>) -> bool {
    let Some(size) = groups.next() else { return true };
    let mut last = size;
    for group in groups {
        if last != size {
            return false;
        }
        last = group;
    }
    last <= size
}

/// What may stand between the groups of one number.
fn is_separator(gap: &[u8]) -> bool {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\n');
    match gap {
        [one] => is_space(one) || one.is_ascii_punctuation(),
        [one, two] => is_space(one) || is_space(two),
        [one, two, three] => is_space(one) && is_space(three) && (two.is_ascii_punctuation() || is_space(two)),
        _ => false,
    }
}
