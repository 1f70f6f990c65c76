//! What the keys do.

use super::{Model, Page};

/// Rows that a page key goes.
const PAGE_ROWS: usize = 10;
/// Longest filter in characters: longer than any run's name.
const FILTER_MAX: usize = 100;

/// A key of the keyboard, whatever terminal it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
    Enter,
    Escape,
    Backspace,
    Character(char),
    /// Ctrl-C: in a terminal that is drawn on it is a key.
    Interrupt,
    /// Ctrl-L.
    Redraw,
}

/// What a key asks of the world outside the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Nothing but another drawing.
    Draw,
    /// Another drawing from scratch.
    Redraw,
    /// The end.
    Quit,
}

impl Model {
    /// Takes in a key.
    pub(crate) fn key(&mut self, key: Key) -> Wish {
        if key == Key::Interrupt {
            return Wish::Quit;
        }
        if key == Key::Redraw {
            return Wish::Redraw;
        }
        if self.typing {
            self.type_filter(key);
            return Wish::Draw;
        }
        match key {
            Key::Character('q') => return Wish::Quit,
            Key::Character('?') => {
                self.page = if self.page == Page::Help { Page::Runs } else { Page::Help };
            }
            Key::Escape if self.page == Page::Runs => self.set_filter(String::new()),
            Key::Escape => self.page = Page::Runs,
            Key::Enter => {
                self.page = if self.page == Page::Runs { Page::Details } else { Page::Runs };
            }
            Key::Character('s') => {
                self.order = self.order.next();
                self.settle();
            }
            Key::Character('/') => (self.typing, self.page) = (true, Page::Runs),
            Key::Character('p' | ' ') => self.paused = !self.paused,
            Key::Up | Key::Character('k') => self.select(self.cursor.saturating_sub(1)),
            Key::Down | Key::Character('j') => self.select(self.cursor.saturating_add(1)),
            Key::PageUp => self.select(self.cursor.saturating_sub(PAGE_ROWS)),
            Key::PageDown => self.select(self.cursor.saturating_add(PAGE_ROWS)),
            Key::Home | Key::Character('g') => self.select(0),
            Key::End | Key::Character('G') => self.select(usize::MAX),
            Key::Character(_) | Key::Backspace | Key::Interrupt | Key::Redraw => {}
        }
        Wish::Draw
    }

    fn type_filter(&mut self, key: Key) {
        let mut filter = self.filter.clone();
        match key {
            Key::Enter => self.typing = false,
            Key::Escape => {
                self.typing = false;
                filter.clear();
            }
            Key::Backspace => {
                filter.pop();
            }
            Key::Character(c) if !c.is_control() && filter.chars().count() < FILTER_MAX => {
                filter.push(c);
            }
            _ => {}
        }
        self.set_filter(filter);
    }

    fn set_filter(&mut self, filter: String) {
        self.filter = filter;
        self.settle();
    }
}
