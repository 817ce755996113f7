//! Counting what was lost, doubled and reordered.

/// What became of messages numbered from zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Different messages that arrived.
    pub arrived: u64,
    /// Messages that did not arrive.
    pub lost: u64,
    /// Arrivals beyond the first.
    pub doubled: u64,
    /// First arrivals that came after one with a higher number.
    pub reordered: u64,
}

impl Tally {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            arrived: self.arrived + other.arrived,
            lost: self.lost + other.lost,
            doubled: self.doubled + other.doubled,
            reordered: self.reordered + other.reordered,
        }
    }

    /// Whether everything arrived once and in order.
    pub fn is_clean(self) -> bool {
        self.lost == 0 && self.doubled == 0 && self.reordered == 0
    }
}

/// Counts the arrivals, in their order, of messages `0..sent`. Numbers beyond are ignored.
pub fn tally(sent: usize, arrivals: impl IntoIterator<Item = usize>) -> Tally {
    let mut seen = vec![false; sent];
    let mut highest = None;
    let mut result = Tally::default();
    for number in arrivals {
        let Some(before) = seen.get_mut(number) else { continue };
        if std::mem::replace(before, true) {
            result.doubled += 1;
            continue;
        }
        result.arrived += 1;
        if highest.is_some_and(|highest| highest > number) {
            result.reordered += 1;
        }
        highest = highest.max(Some(number));
    }
    result.lost = seen.iter().filter(|arrived| !**arrived).count() as u64;
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_harm_is_counted() {
        assert!(tally(3, [0, 1, 2]).is_clean());
        assert_eq!(
            tally(3, [0, 2]),
            Tally {
                arrived: 2,
                lost: 1,
                doubled: 0,
                reordered: 0
            }
        );
        assert_eq!(
            tally(3, [0, 1, 1, 2]),
            Tally {
                arrived: 3,
                lost: 0,
                doubled: 1,
                reordered: 0
            }
        );
        assert_eq!(
            tally(3, [0, 2, 1]),
            Tally {
                arrived: 3,
                lost: 0,
                doubled: 0,
                reordered: 1
            }
        );
        assert_eq!(
            tally(3, []),
            Tally {
                arrived: 0,
                lost: 3,
                doubled: 0,
                reordered: 0
            }
        );
    }
}
