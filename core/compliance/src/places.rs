//! Stretches of a text, and what is near them.

/// Stretches in order of their beginnings.
#[derive(Debug, Default)]
pub(crate) struct Places(Vec<(usize, usize)>);

impl Places {
    /// Adds a stretch. All are added before any is looked for.
    pub(crate) fn push(&mut self, start: usize, end: usize) {
        self.0.push((start, end));
    }

    /// Puts them in order, once all are added.
    pub(crate) fn sort(&mut self) {
        self.0.sort_unstable();
    }

    /// Beginnings and ends.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, usize)> {
        self.0.iter().copied()
    }

    /// How many bytes lie between this place and the nearest stretch that begins before it.
    pub(crate) fn before(&self, start: usize) -> Option<usize> {
        let (before, _) = self.0.split_at(self.0.partition_point(|(at, _)| *at < start));
        // Stretches overlap now and then, so the nearest end need not belong to the last beginning.
        let nearest = before.iter().rev().take(4).map(|(_, end)| *end).max()?;
        Some(start.saturating_sub(nearest))
    }

    /// How many bytes lie between this place and the nearest stretch that begins at it or after.
    pub(crate) fn after(&self, end: usize) -> Option<usize> {
        let (at, _) = self.0.get(self.0.partition_point(|(at, _)| *at < end))?;
        Some(at - end)
    }
}

#[cfg(test)]
mod tests {
    use super::Places;

    #[test]
    fn distances() {
        let mut places = Places::default();
        places.push(10, 12);
        places.push(0, 4);
        places.sort();
        assert_eq!(
            (places.before(0), places.before(6), places.before(11)),
            (None, Some(2), Some(0))
        );
        assert_eq!(
            (places.after(4), places.after(10), places.after(11)),
            (Some(6), Some(0), None)
        );
    }
}
