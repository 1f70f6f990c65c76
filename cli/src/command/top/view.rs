//! What is drawn: a pure function of the model. No text of others gets here with anything in it
//! but characters.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::model::{Model, Page};
use super::words;
use crate::prose;

mod details;
mod runs;

/// Fewest lines in which the runs and the selected one both have room.
const BOTH_MIN_LINES: u16 = 14;

/// How things are told apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Palette {
    /// Colours are used; weight alone otherwise.
    pub(super) colours: bool,
}

impl Palette {
    fn of(self, colour: Color) -> Style {
        if self.colours { Style::new().fg(colour) } else { Style::new() }
    }

    fn good(self) -> Style {
        self.of(Color::Green)
    }

    fn doubtful(self) -> Style {
        self.of(Color::Yellow)
    }

    fn bad(self) -> Style {
        self.of(Color::Red).add_modifier(Modifier::BOLD)
    }

    fn dim(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    fn bold(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }
}

/// Draws the whole screen.
pub(super) fn draw(frame: &mut Frame<'_>, model: &Model, palette: Palette) {
    let area = frame.area();
    if area.width == 0 || area.height == 0 {
        return;
    }
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(2), Constraint::Fill(1), Constraint::Length(1)])
            .areas(area);
    frame.render_widget(header(model, palette, head.width), head);
    match model.page {
        Page::Help => help(frame, body, palette),
        Page::Details => details::draw(frame, body, model, palette),
        Page::Runs if body.height < BOTH_MIN_LINES => runs::draw(frame, body, model, palette),
        Page::Runs => {
            // As many lines as there are runs, and at most half.
            let wanted = u16::try_from(model.shown().len()).unwrap_or(u16::MAX).saturating_add(1);
            let table = wanted.clamp(3, body.height / 2);
            let [above, rule, below] = Layout::vertical([
                Constraint::Length(table),
                Constraint::Length(1),
                Constraint::Fill(1),
            ])
            .areas(body);
            runs::draw(frame, above, model, palette);
            frame.render_widget(Line::styled("─".repeat(rule.width.into()), palette.dim()), rule);
            details::draw(frame, below, model, palette);
        }
    }
    frame.render_widget(footer(model, palette), foot);
}

/// Two lines: whom is asked and the time; then how many runs, or that nobody answers.
fn header(model: &Model, palette: Palette, width: u16) -> Paragraph<'static> {
    let time = model.now.strftime("%H:%M:%SZ").to_string();
    let left = format!("nightshift top  {}", words::source(model));
    let room = usize::from(width).saturating_sub(time.len() + 1);
    let left = prose::cut(&left, room);
    let gap = usize::from(width).saturating_sub(left.chars().count() + time.len());
    let first = Line::from(vec![
        Span::styled(left, palette.bold()),
        Span::raw(" ".repeat(gap)),
        Span::raw(time),
    ]);
    let second = match words::silence(model) {
        Some(silence) => Line::styled(silence, palette.bad()),
        None => Line::raw(summary(model)),
    };
    Paragraph::new(vec![first, second])
}

fn summary(model: &Model) -> String {
    if model.looked_at.is_none() {
        return "looking for the first time".to_owned();
    }
    let (all, shown) = (model.runs().len(), model.shown().len());
    let open = model.runs().iter().filter(|run| run.state.verdict().is_none()).count();
    let more = if model.more { " or more" } else { "" };
    let mut text = format!("runs {all}{more}, under way {open}, {}", model.order.name());
    if !model.filter.is_empty() && !model.typing {
        text.push_str(&format!(", {shown} with `{}`", prose::harmless(&model.filter)));
    }
    if model.paused {
        text.insert_str(0, "PAUSED  ");
    }
    text
}

fn footer(model: &Model, palette: Palette) -> Line<'static> {
    if model.typing {
        return Line::raw(format!("/{}_   enter keeps, esc drops", prose::harmless(&model.filter)));
    }
    let text = match model.page {
        Page::Runs => "q quit  ? help  ↑↓ select  enter details  s sort  / filter  p pause",
        Page::Details => "q quit  ? help  ↑↓ other run  enter back  p pause",
        Page::Help => "q quit  esc back",
    };
    Line::styled(text, palette.dim())
}

const HELP: [(&str, &str); 12] = [
    ("up down j k", "select a run"),
    ("home end g G", "the first run, the last run"),
    ("page keys", "ten runs up or down"),
    ("enter", "the selected run alone, and back"),
    ("s", "sort: as listed, name, rows/s, ETA, failed shards"),
    ("/", "show runs whose name or state has this text; esc shows all"),
    ("p space", "pause: look no more, until pressed again"),
    ("ctrl-l", "draw everything anew"),
    ("?", "this page, and back"),
    ("q ctrl-c", "end; runs go on"),
    ("rows/s", "of the last looks, the newest weighs the most"),
    ("ETA", "rows left at that rate"),
];

fn help(frame: &mut Frame<'_>, area: Rect, palette: Palette) {
    let line = |(keys, what): &(&'static str, &'static str)| {
        Line::from(vec![Span::styled(format!("{keys:<14}"), palette.bold()), Span::raw(*what)])
    };
    frame.render_widget(Paragraph::new(HELP.iter().map(line).collect::<Vec<_>>()), area);
}
