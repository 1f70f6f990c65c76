//! `List`: runs, newest first, page by page.

use nightshift_core::ids::{InvalidId, Partition, SpecName};

use super::status::{InvalidRunStatus, RunStatus};
use crate::field::{self, InvalidList, InvalidText, OutOfRange, invalid_message};
use crate::limits::PAGE_MAX;
use crate::names::PageToken;
use crate::wire;

/// A question about runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListRuns {
    /// Runs of this spec alone.
    pub name: Option<SpecName>,
    /// Runs of this partition alone.
    pub partition: Option<Partition>,
    /// Only runs without a verdict.
    pub unfinished: bool,
    /// Most runs to return, 1 to [`PAGE_MAX`].
    pub page_size: u32,
    /// Where the page begins; none for the first.
    pub page: Option<PageToken>,
}

/// One page of runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunPage {
    /// The runs, newest first.
    pub runs: Vec<RunStatus>,
    /// Where the next page begins, if there is one.
    pub next: Option<PageToken>,
}

invalid_message!(InvalidListRuns of "the list request" {
    Name: InvalidId = "name",
    Partition: InvalidId = "partition",
    PageSize: OutOfRange = "page_size",
    PageToken: InvalidText = "page_token",
});

invalid_message!(InvalidRunPage of "the list response" {
    Runs: InvalidList<InvalidRunStatus> = "runs",
    NextPageToken: InvalidText = "next_page_token",
});

// === impl ListRuns ===

impl From<ListRuns> for wire::ListRequest {
    fn from(list: ListRuns) -> Self {
        Self {
            name: field::text_of(list.name),
            partition: field::text_of(list.partition),
            unfinished: list.unfinished,
            page_size: list.page_size,
            page_token: field::text_of(list.page),
        }
    }
}

impl TryFrom<wire::ListRequest> for ListRuns {
    type Error = InvalidListRuns;

    fn try_from(wire: wire::ListRequest) -> Result<Self, InvalidListRuns> {
        use InvalidListRuns as Invalid;
        Ok(Self {
            name: field::optional(&wire.name).map_err(|source| Invalid::Name { source })?,
            partition: field::optional(&wire.partition)
                .map_err(|source| Invalid::Partition { source })?,
            unfinished: wire.unfinished,
            page_size: field::within(wire.page_size, 1, PAGE_MAX)
                .map_err(|source| Invalid::PageSize { source })?,
            page: field::optional(&wire.page_token)
                .map_err(|source| Invalid::PageToken { source })?,
        })
    }
}

// === impl RunPage ===

impl From<RunPage> for wire::ListResponse {
    fn from(page: RunPage) -> Self {
        Self { runs: field::out(page.runs), next_page_token: field::text_of(page.next) }
    }
}

impl TryFrom<wire::ListResponse> for RunPage {
    type Error = InvalidRunPage;

    fn try_from(wire: wire::ListResponse) -> Result<Self, InvalidRunPage> {
        use InvalidRunPage as Invalid;
        Ok(Self {
            runs: field::list(wire.runs, PAGE_MAX as usize)
                .map_err(|source| Invalid::Runs { source })?,
            next: field::optional(&wire.next_page_token)
                .map_err(|source| Invalid::NextPageToken { source })?,
        })
    }
}
