//! The last value of every series, never more of them than allowed.

use std::collections::{BTreeMap, HashMap};

pub use nightshift_telemetry::exposition::{Kind, Value};
use nightshift_telemetry::exposition::{Labels, Page};

use crate::dropped::Dropped;

/// One point of one series, as it was sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// The series.
    pub labels: Labels,
    /// When counting began, in nanoseconds since 1970; 0 where it is not known.
    pub start_ns: u64,
    /// When it was measured, in nanoseconds since 1970; 0 where it is not known.
    pub time_ns: u64,
    /// Whether the value is what was added since the last point.
    pub is_delta: bool,
    /// The value; none says that the series has ended.
    pub value: Option<Value>,
}

/// A family as a message describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Its name, without `_total`.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// One sentence for people.
    pub help: String,
}

#[derive(Debug)]
struct Family {
    kind: Kind,
    help: String,
    series: BTreeMap<Labels, Series>,
}

#[derive(Debug)]
struct Series {
    start_ns: u64,
    time_ns: u64,
    value: Value,
}

/// All series.
#[derive(Debug)]
pub struct Store {
    families: BTreeMap<String, Family>,
    /// Sample names, each with the family that has it: two families must not share a line.
    owners: HashMap<String, String>,
    lines: usize,
    max_lines: usize,
    dropped: BTreeMap<Dropped, u64>,
}

impl Store {
    /// A store whose samples take at most `max_lines` lines of a page.
    pub fn new(max_lines: usize) -> Self {
        let dropped = Dropped::ALL.into_iter().map(|reason| (reason, 0)).collect();
        Self { families: BTreeMap::new(), owners: HashMap::new(), lines: 0, max_lines, dropped }
    }

    /// Counts what is not kept.
    pub fn drop_points(&mut self, reason: Dropped, points: u64) {
        let count = self.dropped.entry(reason).or_default();
        *count = count.saturating_add(points);
    }

    /// What was dropped, by reason.
    pub fn dropped(&self) -> &BTreeMap<Dropped, u64> {
        &self.dropped
    }

    /// Lines in use.
    pub fn lines(&self) -> usize {
        self.lines
    }

    /// The most lines.
    pub fn max_lines(&self) -> usize {
        self.max_lines
    }

    /// Takes a point in.
    ///
    /// # Errors
    /// The reason for which it changes nothing; the caller counts it.
    pub fn put(&mut self, about: &Description, point: Point) -> Result<(), Dropped> {
        let Some(value) = point.value else {
            self.end(&about.name, &point.labels);
            return Ok(());
        };
        let lines = value.lines();
        let known = self.families.get_mut(&about.name);
        if let Some(family) = known {
            if family.kind != about.kind {
                return Err(Dropped::Conflict);
            }
            if let Some(series) = family.series.get_mut(&point.labels) {
                let before = series.value.lines();
                if lines > before && self.lines + lines - before > self.max_lines {
                    return Err(Dropped::SeriesLimit);
                }
                let moment = (point.start_ns, point.time_ns);
                series.update(moment, point.is_delta, about.kind, value)?;
                self.lines = self.lines + series.value.lines() - before;
                return Ok(());
            }
        } else if self.samples(about).any(|name| self.owners.contains_key(&name)) {
            return Err(Dropped::Conflict);
        }
        if self.lines + lines > self.max_lines {
            return Err(Dropped::SeriesLimit);
        }
        if !self.families.contains_key(&about.name) {
            for name in self.samples(about).collect::<Vec<_>>() {
                self.owners.insert(name, about.name.clone());
            }
        }
        let family = self.families.entry(about.name.clone()).or_insert_with(|| Family {
            kind: about.kind,
            help: about.help.clone(),
            series: BTreeMap::new(),
        });
        let series = Series { start_ns: point.start_ns, time_ns: point.time_ns, value };
        family.series.insert(point.labels, series);
        self.lines += lines;
        Ok(())
    }

    fn samples(&self, about: &Description) -> impl Iterator<Item = String> + use<> {
        let suffixes: &[&str] = match about.kind {
            Kind::Gauge => &[""],
            Kind::Counter => &["", "_total", "_created"],
            Kind::Histogram => &["", "_bucket", "_sum", "_count", "_created"],
        };
        let name = about.name.clone();
        suffixes.iter().map(move |suffix| format!("{name}{suffix}"))
    }

    fn end(&mut self, name: &str, labels: &Labels) {
        let Some(family) = self.families.get_mut(name) else { return };
        if let Some(series) = family.series.remove(labels) {
            self.lines -= series.value.lines();
        }
        if family.series.is_empty() {
            self.families.remove(name);
            self.owners.retain(|_, owner| owner != name);
        }
    }

    /// The series of a family, if it is of this kind.
    pub fn series(&self, family: &str, kind: Kind) -> impl Iterator<Item = (&Labels, &Value)> {
        let family = self.families.get(family).filter(|family| family.kind == kind);
        let series = family.into_iter().flat_map(|family| &family.series);
        series.map(|(labels, series)| (labels, &series.value))
    }

    /// Writes every series.
    pub fn write(&self, page: &mut Page) {
        for (name, family) in &self.families {
            page.family(name, family.kind, &family.help);
            for (labels, series) in &family.series {
                page.sample(labels, &series.value);
            }
        }
    }
}

impl Series {
    fn update(
        &mut self,
        (start_ns, time_ns): (u64, u64),
        is_delta: bool,
        kind: Kind,
        value: Value,
    ) -> Result<(), Dropped> {
        // A worker that started again counts from 0: a later start outranks any time.
        let is_restarted = !is_delta && start_ns > self.start_ns;
        let is_older = time_ns != 0 && time_ns < self.time_ns;
        // A repeated delta would be added twice; a repeated level changes nothing.
        let is_repeated =
            time_ns != 0 && time_ns == self.time_ns && (is_delta || kind != Kind::Gauge);
        let is_before = !is_delta && start_ns != 0 && start_ns < self.start_ns;
        if !is_restarted && (is_older || is_repeated || is_before) {
            return Err(Dropped::Stale);
        }
        if is_delta {
            self.value.add(value);
        } else {
            self.start_ns = start_ns;
            self.value = value;
        }
        self.time_ns = time_ns;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
