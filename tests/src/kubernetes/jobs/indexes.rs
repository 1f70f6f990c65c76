//! Sets of completion indexes, written as `1,3-5,7`.

use std::collections::BTreeSet;

/// Indexes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Indexes(BTreeSet<i64>);

impl Indexes {
    /// Reads them; those from `limit` on are left out.
    pub fn parse(text: &str, limit: i64) -> Self {
        let mut found = BTreeSet::new();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last): (i64, i64) = (first.parse().unwrap(), last.parse().unwrap());
            found.extend(first..=last.min(limit - 1));
        }
        Self(found)
    }

    /// Adds one.
    pub fn extend(&mut self, index: Option<i64>) {
        self.0.extend(index);
    }

    /// Whether it is one of them.
    pub fn has(&self, index: i64) -> bool {
        self.0.contains(&index)
    }

    /// How many there are.
    pub fn len(&self) -> i64 {
        self.0.len() as i64
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many are in `others` too.
    pub fn shared_with(&self, others: &Self) -> i64 {
        self.0.intersection(&others.0).count() as i64
    }
}

impl std::fmt::Display for Indexes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut ranges: Vec<(i64, i64)> = Vec::new();
        for index in &self.0 {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == *index => *last = *index,
                _ => ranges.push((*index, *index)),
            }
        }
        let said: Vec<String> = ranges
            .into_iter()
            .map(|(first, last)| match last - first {
                0 => first.to_string(),
                1 => format!("{first},{last}"),
                _ => format!("{first}-{last}"),
            })
            .collect();
        f.write_str(&said.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::Indexes;

    #[test]
    fn they_are_written_as_the_real_controller_does() {
        let text = "0,2,3,5-7";
        assert_eq!(Indexes::parse(text, 10).to_string(), text);
        assert_eq!(Indexes::parse(text, 6).to_string(), "0,2,3,5");
        assert_eq!(Indexes::parse("", 6).to_string(), "");
    }
}
