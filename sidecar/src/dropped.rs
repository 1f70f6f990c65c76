//! Why something that was sent is not served.

/// Why something was dropped; the label `reason` of `nightshift_sidecar_dropped_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dropped {
    /// The store is full.
    SeriesLimit,
    /// The metric has no usable name.
    Name,
    /// The name is one of the sidecar's own.
    Reserved,
    /// Another metric already has one of the sample names.
    Conflict,
    /// Exponential histograms and summaries are not served.
    Kind,
    /// Neither cumulative nor delta.
    Temporality,
    /// Too many labels.
    LabelCount,
    /// A label without a name, or one that is too long.
    LabelLength,
    /// Not a number that such a metric can have.
    Value,
    /// Bounds and counts that make no histogram.
    Buckets,
    /// Not newer than what is known.
    Stale,
    /// A span that nobody took.
    Spans,
}

impl Dropped {
    /// Every reason, so that each has a series from the start.
    pub const ALL: [Self; 12] = [
        Self::SeriesLimit,
        Self::Name,
        Self::Reserved,
        Self::Conflict,
        Self::Kind,
        Self::Temporality,
        Self::LabelCount,
        Self::LabelLength,
        Self::Value,
        Self::Buckets,
        Self::Stale,
        Self::Spans,
    ];

    /// The label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SeriesLimit => "series_limit",
            Self::Name => "name",
            Self::Reserved => "reserved_name",
            Self::Conflict => "name_conflict",
            Self::Kind => "kind",
            Self::Temporality => "temporality",
            Self::LabelCount => "label_count",
            Self::LabelLength => "label_length",
            Self::Value => "value",
            Self::Buckets => "buckets",
            Self::Stale => "stale",
            Self::Spans => "spans",
        }
    }
}
