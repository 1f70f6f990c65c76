//! The table of runs.

use nightshift_proto::runs::status::{RunState, RunStatus};
use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Cell, Row, Table, TableState};

use super::Palette;
use crate::command::top::model::Model;
use crate::command::top::words;
use crate::prose;
use crate::view::state_name;

/// Narrowest that the names of specs get before a column is left out.
const NAME_MIN: u16 = 10;
/// Characters of a progress bar.
const BAR: usize = 6;

/// A column; the first ones stay longest when there is little room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Name,
    State,
    Date,
    Progress,
    Generation,
    Trouble,
    Rate,
    TimeLeft,
    Rows,
}

/// In the order in which they are kept.
const BY_WORTH: [Column; 9] = [
    Column::Name,
    Column::State,
    Column::Progress,
    Column::Date,
    Column::Rate,
    Column::TimeLeft,
    Column::Trouble,
    Column::Rows,
    Column::Generation,
];

/// In the order in which they are shown.
const IN_PLACE: [Column; 9] = [
    Column::Name,
    Column::Date,
    Column::Generation,
    Column::State,
    Column::Progress,
    Column::Rows,
    Column::Rate,
    Column::TimeLeft,
    Column::Trouble,
];

impl Column {
    fn title(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Date => "date",
            Self::Generation => "gen",
            Self::State => "state",
            Self::Progress => "done",
            Self::Rows => "rows",
            Self::Rate => "rows/s",
            Self::TimeLeft => "ETA",
            Self::Trouble => "fail",
        }
    }

    fn width(self) -> u16 {
        match self {
            Self::Name => NAME_MIN,
            Self::Date | Self::State => 10,
            Self::Generation => 3,
            Self::Progress => 11,
            Self::Rows => 11,
            Self::Rate => 6,
            Self::TimeLeft => 4,
            Self::Trouble => 5,
        }
    }

    fn alignment(self) -> Alignment {
        match self {
            Self::Name | Self::Date | Self::State | Self::Progress => Alignment::Left,
            Self::Generation | Self::Rows | Self::Rate | Self::TimeLeft | Self::Trouble => {
                Alignment::Right
            }
        }
    }

    fn text(self, model: &Model, run: &RunStatus) -> String {
        match self {
            Self::Name => prose::harmless(run.run.name.as_str()),
            Self::Date => run.run.partition.to_string(),
            Self::Generation => run.run.generation.to_string(),
            Self::State => state_name(run.state).to_owned(),
            Self::Progress => progress(words::part_done(run)),
            Self::Rows => words::rows(run),
            Self::Rate => words::rate(model.rate(run)),
            Self::TimeLeft => words::time_left(model, run),
            Self::Trouble => words::trouble(run),
        }
    }
}

/// The columns that have room in `width`, in their places.
fn columns(width: u16) -> Vec<Column> {
    // A mark in front of each row.
    let mut left = width.saturating_sub(2);
    let mut kept = Vec::new();
    for column in BY_WORTH {
        let needed = column.width() + u16::from(!kept.is_empty());
        if needed > left && !kept.is_empty() {
            break;
        }
        left = left.saturating_sub(needed);
        kept.push(column);
    }
    IN_PLACE.into_iter().filter(|column| kept.contains(column)).collect()
}

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model, palette: Palette) {
    if area.height == 0 {
        return;
    }
    let shown = model.shown();
    if shown.is_empty() {
        let text = match (model.looked_at, model.runs().is_empty()) {
            (None, _) => "",
            (Some(_), true) => "no runs yet; nightshift submit or nightshift run starts one",
            (Some(_), false) => "no run matches the filter; esc shows all",
        };
        frame.render_widget(Line::styled(text, palette.dim()), area);
        return;
    }
    let columns = columns(area.width);
    let cell =
        |text: String, column: Column| Cell::new(Text::from(text).alignment(column.alignment()));
    let titles = columns.iter().map(|column| cell(column.title().to_owned(), *column));
    let header = Row::new(titles).style(palette.bold());
    let whole = if model.is_old() { palette.dim() } else { Style::new() };
    // Rows that are scrolled away are not made: there may be thousands.
    let height = usize::from(area.height.saturating_sub(1)).max(1);
    let first = (model.cursor() + 1).saturating_sub(height);
    let rows = shown.iter().skip(first).take(height).map(|run| {
        let cells = columns.iter().map(|column| {
            let cell = cell(column.text(model, run), *column);
            match column {
                Column::State => cell.style(state_style(run, palette)),
                Column::Trouble if run.shards.quarantined > 0 => cell.style(palette.bad()),
                _ => cell,
            }
        });
        Row::new(cells.collect::<Vec<_>>()).style(whole)
    });
    let widths = columns.iter().map(|column| match column {
        Column::Name => Constraint::Fill(1),
        column => Constraint::Length(column.width()),
    });
    let table = Table::new(rows.collect::<Vec<_>>(), widths)
        .header(header)
        .column_spacing(1)
        .highlight_symbol("> ")
        .row_highlight_style(Style::new().add_modifier(Modifier::BOLD));
    let mut state = TableState::new().with_selected(Some(model.cursor().saturating_sub(first)));
    frame.render_stateful_widget(table, area, &mut state);
}

fn state_style(run: &RunStatus, palette: Palette) -> Style {
    match run.state {
        RunState::Succeeded => palette.good(),
        RunState::Partial | RunState::Failed => palette.bad(),
        RunState::Paused | RunState::Recovering => palette.doubtful(),
        RunState::Planning | RunState::Running | RunState::Concluding => Style::new(),
    }
}

/// `━━━╸── 58%`: whole until every row is done.
fn progress(part: f64) -> String {
    // In halves of a character, rounded down, so that only what is done looks done.
    let halves = (part * (2 * BAR) as f64).floor() as usize;
    let mut bar = "━".repeat(halves / 2);
    if halves % 2 == 1 {
        bar.push('╸');
    }
    let drawn = bar.chars().count();
    bar.push_str(&"─".repeat(BAR.saturating_sub(drawn)));
    // A part such as 0.58 is a little less in binary.
    format!("{bar} {:>3}%", (part * 100.0 + 1e-9).floor() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_full_only_when_everything_is_done() {
        assert_eq!(progress(0.0), "──────   0%");
        assert_eq!(progress(0.58), "━━━───  58%");
        assert_eq!(progress(0.999), "━━━━━╸  99%");
        assert_eq!(progress(1.0), "━━━━━━ 100%");
    }

    #[test]
    fn columns_go_when_there_is_no_room() {
        assert_eq!(columns(80).len(), 9);
        for width in 0..200 {
            let kept = columns(width);
            let needed: u16 = kept.iter().map(|column| column.width() + 1).sum();
            assert!(needed < width.max(12) + 2, "{width}: {kept:?}");
            assert_eq!(kept.first(), Some(&Column::Name), "{width}");
        }
    }
}
