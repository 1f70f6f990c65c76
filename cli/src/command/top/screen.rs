//! `top` on a terminal: keys in, drawings out, and the terminal as it was in the end.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nightshift_core::exit::Exit;
use nightshift_telemetry::failure::colours;
use nightshift_telemetry::signals::Signals;
use nightshift_worker::front::failure::Failure;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tokio::sync::mpsc;

use super::model::{Key, Model, Wish};
use super::source::Source;
use super::view::{self, Palette};
use super::watch::{Focus, News, Watch};

/// News that wait to be drawn: the next look waits for the drawing.
const NEWS_MAX: usize = 2;
/// Keys that wait: more than anybody types while one drawing is made.
const KEYS_MAX: usize = 64;
/// How often the clock on the screen is drawn.
const TICK: Duration = Duration::from_secs(1);
/// How soon the thread that waits for keys sees that nobody wants them.
const GLANCE: Duration = Duration::from_millis(100);

/// A terminal that is taken over. It is given back when this is dropped, whatever the reason; a
/// panic gives it back before it is told.
struct Screen(DefaultTerminal);

/// What comes from the terminal.
enum Input {
    Key(Key),
    /// It has another size now.
    Resized,
    /// It is gone.
    Gone,
}

impl Screen {
    fn take_over() -> Result<Self, Failure> {
        ratatui::try_init().map(Self).map_err(|error| broken(&error))
    }

    fn draw(&mut self, model: &Model, palette: Palette) -> Result<(), Failure> {
        let drawn = self.0.draw(|frame| view::draw(frame, model, palette));
        drawn.map(|_| ()).map_err(|error| broken(&error))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // There is nobody to tell if the terminal is gone.
        let _ = self.0.show_cursor();
        let _ = ratatui::try_restore();
    }
}

fn broken(error: &std::io::Error) -> Failure {
    Failure::new(
        Exit::Io,
        format_args!("the terminal cannot be drawn on: {error}; nightshift top | cat prints lines"),
    )
}

/// Draws until a key or a signal ends it.
///
/// # Errors
/// If nobody answers for too long, or the terminal is not there any more.
pub(super) async fn perform(source: Source, watch: &Watch) -> Result<Exit, Failure> {
    let mut interrupt = Signals::listen()?;
    let model = Model::new(source.name(), Timestamp::now());
    let focus = Focus::default();
    let (news_in, news) = mpsc::channel(NEWS_MAX);
    let (keys_in, keys) = mpsc::channel(KEYS_MAX);
    let screen = Screen::take_over()?;
    std::thread::Builder::new()
        .name("top-keys".to_owned())
        .spawn(move || read_keys(&keys_in))
        .map_err(|error| broken(&error))?;
    tokio::select! {
        ended = watch.look_on(source, &focus, news_in) => ended.map(|()| Exit::Done),
        ended = draw_on(screen, model, &focus, news, keys) => ended.map(|()| Exit::Done),
        () = interrupt.received() => Ok(Exit::Done),
    }
}

/// Draws whenever there is something new.
async fn draw_on(
    mut screen: Screen,
    mut model: Model,
    focus: &Focus,
    mut news: mpsc::Receiver<News>,
    mut keys: mpsc::Receiver<Input>,
) -> Result<(), Failure> {
    let palette = Palette { colours: colours(std::io::stdout().is_terminal()) };
    let begun = Instant::now();
    let mut tick = tokio::time::interval(TICK);
    loop {
        screen.draw(&model, palette)?;
        tokio::select! {
            Some(news) = news.recv() => take_in(&mut model, begun.elapsed(), news),
            Some(input) = keys.recv() => {
                let mut next = Some(input);
                while let Some(input) = next {
                    match input {
                        Input::Gone => return Ok(()),
                        Input::Resized => {}
                        Input::Key(key) => match model.key(key) {
                            Wish::Quit => return Ok(()),
                            Wish::Redraw => screen.0.clear().map_err(|error| broken(&error))?,
                            Wish::Draw => {}
                        },
                    }
                    next = keys.try_recv().ok();
                }
            }
            _ = tick.tick() => model.tick(Timestamp::now()),
        }
        refocus(focus, &model);
    }
}

fn take_in(model: &mut Model, at: Duration, news: News) {
    let now = Timestamp::now();
    match news {
        News::Look(look) => model.looked(at, now, look),
        News::Closely(found) => model.looked_closely(at, found.map(|found| *found)),
        News::Silence { reason, pause } => {
            model.failed(now, reason, now.saturating_add(pause).unwrap_or(now));
        }
    }
}

/// Tells whoever looks what is wanted now.
fn refocus(focus: &Focus, model: &Model) {
    let same_run = *focus.run.borrow() == model.selected().cloned();
    if !same_run {
        *focus.run.borrow_mut() = model.selected().cloned();
    }
    if focus.paused.replace(model.paused) != model.paused || !same_run {
        focus.changed.notify_one();
    }
}

/// Waits for keys until nobody wants them. Reading blocks, so it has a thread of its own, which
/// ends with the process if the terminal is silent.
fn read_keys(keys: &mpsc::Sender<Input>) {
    while !keys.is_closed() {
        let input = match event::poll(GLANCE) {
            Ok(false) => continue,
            Ok(true) => event::read(),
            Err(error) => Err(error),
        };
        let input = match input {
            Ok(Event::Key(key)) if key.kind != KeyEventKind::Release => match key_of(key) {
                Some(key) => Input::Key(key),
                None => continue,
            },
            Ok(Event::Resize(..)) => Input::Resized,
            Ok(_) => continue,
            Err(_) => Input::Gone,
        };
        let is_gone = matches!(input, Input::Gone);
        if keys.blocking_send(input).is_err() || is_gone {
            return;
        }
    }
}

fn key_of(key: KeyEvent) -> Option<Key> {
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return match key.code {
            KeyCode::Char('c' | 'd') => Some(Key::Interrupt),
            KeyCode::Char('l') => Some(Key::Redraw),
            _ => None,
        };
    }
    Some(match key.code {
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Escape,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Char(c) => Key::Character(c),
        _ => return None,
    })
}
