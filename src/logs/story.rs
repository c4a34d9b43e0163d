//! pidone's own story: what is said through `tracing` waits here until the router takes it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt::{Debug, Write};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

/// What may wait for a slow reader; more is counted and dropped.
const WAITING_BYTES_MAX: usize = 64 << 10;

/// The longest message; a path or an environment could be of any length.
const MESSAGE_BYTES_MAX: usize = 4 << 10;

/// Something pidone says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// The service it is about; `None`: pidone itself.
    pub service: Option<String>,
    /// One or more lines, without control characters.
    pub text: String,
}

#[derive(Default)]
struct Story {
    waiting: VecDeque<Message>,
    bytes: usize,
    dropped: u64,
}

thread_local! {
    /// `Some` on the thread that called `install`, which is the one that runs the loop. What other
    /// threads say is dropped: nobody would come to take it.
    static STORY: RefCell<Option<Story>> = const { RefCell::new(None) };
}

/// From now on what this thread says at `level` or above is kept for `take`.
///
/// # Errors
/// The process has a `tracing` subscriber already; then only this thread's `take` is prepared.
pub fn install(level: LevelFilter) -> Result<(), String> {
    STORY.set(Some(Story::default()));
    let subscriber = Teller { level }.with_subscriber(NoSpans);
    tracing::subscriber::set_global_default(subscriber).map_err(|error| error.to_string())
}

/// The next message, oldest first. After messages were dropped, one says how many.
pub fn take() -> Option<Message> {
    STORY.with_borrow_mut(|story| {
        let story = story.as_mut()?;
        if let Some(message) = story.waiting.pop_front() {
            story.bytes = story.bytes.saturating_sub(weight(&message));
            return Some(message);
        }
        let dropped = std::mem::take(&mut story.dropped);
        (dropped > 0).then(|| Message {
            service: None,
            text: format!("{dropped} of pidone's own messages dropped: the reader is too slow"),
        })
    })
}

/// Whether `take` has something to give.
pub fn is_waiting() -> bool {
    STORY.with_borrow(|story| {
        story
            .as_ref()
            .is_some_and(|story| !story.waiting.is_empty() || story.dropped > 0)
    })
}

/// Adds a message, as an event of `tracing` does.
pub fn tell(message: Message) {
    // An event from inside this function could only come from a bug; it is not worth a panic.
    let _ = STORY.try_with(|story| {
        let Ok(mut story) = story.try_borrow_mut() else {
            return;
        };
        let Some(story) = story.as_mut() else {
            return;
        };
        if story.bytes + weight(&message) > WAITING_BYTES_MAX {
            story.dropped += 1;
        } else {
            story.bytes += weight(&message);
            story.waiting.push_back(message);
        }
    });
}

/// What a message takes in memory; even an empty one takes something.
fn weight(message: &Message) -> usize {
    size_of::<Message>() + message.text.len() + message.service.as_ref().map_or(0, String::len)
}

/// The layer that turns events into messages.
struct Teller {
    level: LevelFilter,
}

impl<S: Subscriber> Layer<S> for Teller {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        *metadata.level() <= self.level
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level)
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut words = Words::default();
        event.record(&mut words);
        words.message.push_str(&words.others);
        tell(Message {
            service: words.service,
            text: printable(&words.message),
        });
    }
}

/// What stays below the layer: no spans. `Registry` keeps a slab of 32 KiB for them, a tenth of
/// what PID 1 may use, and this program has none.
struct NoSpans;

impl Subscriber for NoSpans {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// An event's fields: `message`, `service`, and the others as ` name=value`.
#[derive(Default)]
struct Words {
    message: String,
    service: Option<String>,
    others: String,
}

impl Visit for Words {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "service" => self.service = Some(value.to_owned()),
            "message" => self.message.push_str(value),
            name => {
                let _ = write!(self.others, " {name}={value}");
            }
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

/// Messages carry paths and words of users' files: nothing in them may move a cursor.
fn printable(text: &str) -> String {
    let plain = |c: char| {
        if c.is_control() && c != '\n' {
            '\u{fffd}'
        } else {
            c
        }
    };
    let mut text: String = text.chars().map(plain).collect();
    if text.len() > MESSAGE_BYTES_MAX {
        let end = (0..=MESSAGE_BYTES_MAX)
            .rev()
            .find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or(0));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs `tell` on a thread that installed the story, and returns what can be taken.
    fn told(level: LevelFilter, tell: impl FnOnce()) -> Vec<Message> {
        STORY.set(Some(Story::default()));
        tracing::subscriber::with_default(Teller { level }.with_subscriber(NoSpans), tell);
        std::iter::from_fn(take).collect()
    }

    fn message(service: Option<&str>, text: &str) -> Message {
        Message {
            service: service.map(str::to_owned),
            text: text.to_owned(),
        }
    }

    #[test]
    fn events_become_messages() {
        let name: crate::values::Name = "web".parse().expect("a name");
        let found = told(LevelFilter::INFO, || {
            tracing::info!("3 services, pid {}", 1);
            tracing::warn!(service = "web", "died");
            tracing::info!(service = %name, tries = 3, "restarts");
            tracing::debug!("not now");
            tracing::error!("a\tb\x1b[2J\nc");
        });
        let expected = [
            message(None, "3 services, pid 1"),
            message(Some("web"), "died"),
            message(Some("web"), "restarts tries=3"),
            message(None, "a\u{fffd}b\u{fffd}[2J\nc"),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let found = told(LevelFilter::TRACE, || {
            for _ in 0..100 {
                tracing::info!("{}", "é".repeat(MESSAGE_BYTES_MAX));
            }
            for _ in 0..10_000 {
                tracing::info!("");
            }
        });
        let (last, kept) = found.split_last().expect("something was kept");
        assert!(kept.iter().all(|m| m.text.len() <= MESSAGE_BYTES_MAX + 3));
        let dropped = 10_100 - kept.len();
        assert!(dropped > 9_000 && last.text.starts_with(&format!("{dropped} of")));
    }

    #[test]
    fn other_threads_say_nothing() {
        STORY.set(Some(Story::default()));
        std::thread::spawn(|| tell(message(None, "lost")))
            .join()
            .expect("it does not panic");
        assert!(!is_waiting() && take().is_none());
    }
}
