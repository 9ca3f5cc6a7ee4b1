//! The server's own log: what `tracing` events become on standard error. Not the logs that rooms are ([`crate::log`]).
//!
//! One event is one line, whatever bytes are in it. Lines go through a bounded queue to a thread that writes them, so that who
//! reads them slowly, or not at all, costs lines and never a turn of the loop. `docs/OBSERVABILITY.md` lists the events.

mod format;
mod sample;
mod writer;

use std::sync::OnceLock;

use clap::ValueEnum;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::{EnvFilter, Registry, reload};

use self::format::Line;
pub(crate) use self::sample::Samples;
use self::writer::Queue;
pub(crate) use self::writer::dropped;

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people: `2026-11-21T21:13:51.123Z  WARN a sentence event=slow peer=127.0.0.1:4711`.
    Text,
    /// For programs: a JSON object.
    Json,
}

/// Turns events into lines, and hands them over.
struct LineLayer<F> {
    format: LogFormat,
    /// The milliseconds since 1970.
    clock: fn() -> u64,
    write: F,
}

impl<S: Subscriber, F: Fn(String) + 'static> Layer<S> for LineLayer<F> {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let line = Line::of(event, (self.clock)());
        (self.write)(match self.format {
            LogFormat::Text => line.to_text(),
            LogFormat::Json => line.to_json(),
        });
    }
}

type LevelHandle = reload::Handle<EnvFilter, Registry>;

static LEVEL: OnceLock<LevelHandle> = OnceLock::new();

/// Logging that has begun; what is queued is written when this is dropped.
#[derive(Debug)]
pub struct Logging(Queue);

/// Begins to log to standard error. `level` was [checked](check_level); `clock` tells the milliseconds since 1970.
///
/// # Errors
/// The system has no thread left.
pub fn start(format: LogFormat, level: &str, clock: fn() -> u64) -> std::io::Result<Logging> {
    let queue = Queue::start(std::io::stderr())?;
    let lines = queue.clone();
    let (filter, handle) = reload::Layer::new(EnvFilter::new(level));
    let layer = LineLayer {
        format,
        clock,
        write: move |line| lines.push(line),
    };
    // There is one server in a process; a second one logs as the first does.
    if tracing::subscriber::set_global_default(Registry::default().with(filter).with(layer)).is_ok()
    {
        let _ = LEVEL.set(handle);
        std::panic::set_hook(Box::new(log_panic));
    }
    Ok(Logging(queue))
}

impl Drop for Logging {
    fn drop(&mut self) {
        self.0.flush();
    }
}

/// Logs another level from now on.
pub fn set_level(level: &str) {
    if let Some(handle) = LEVEL.get() {
        // It fails when the subscriber is gone, and then nothing is logged.
        let _ = handle.reload(EnvFilter::new(level));
    }
}

/// Checks a level: `info`, or `info,tidewire::net=debug` for parts.
///
/// # Errors
/// A sentence that says what one is.
pub fn check_level(level: &str) -> Result<String, String> {
    EnvFilter::try_new(level)
        .map(|_| level.to_owned())
        .map_err(|error| {
            format!("{error}: write error, warn, info, debug or trace, or info,tidewire::net=debug")
        })
}

/// A thread panicked: one line instead of the several that the standard library writes.
fn log_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let thread = std::thread::current();
    tracing::error!(
        event = "panic",
        thread = thread.name().unwrap_or("?"),
        "panicked at {}: {}",
        panic
            .location()
            .map_or_else(|| "?".to_owned(), ToString::to_string),
        message_of(panic)
    );
}

fn message_of<'p>(panic: &'p std::panic::PanicHookInfo<'_>) -> &'p str {
    let payload = panic.payload();
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// Names that would begin a line, colour a terminal, rewrite what was there, or turn the direction of the text.
    const HOSTILE: [&str; 7] = [
        "a\nERROR forged event=panic",
        "a\r\n{\"level\":\"ERROR\"}",
        "\u{1b}]0;title\u{7}\u{1b}[31m",
        "a\u{2028}b\u{2029}c\u{85}d",
        "\u{9b}31m\u{7f}\u{8}",
        "\u{202e}txt.exe\u{2066}",
        "quote \" back \\ tab \t nul \0",
    ];

    fn logged(format: LogFormat, level: &str, log: impl Fn()) -> Vec<String> {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let layer = LineLayer {
            format,
            clock: || 1_795_295_631_123,
            write: {
                let lines = Arc::clone(&lines);
                move |line| lines.lock().unwrap().push(line)
            },
        };
        let subscriber = Registry::default().with(EnvFilter::new(level)).with(layer);
        tracing::subscriber::with_default(subscriber, log);
        lines.lock().unwrap().clone()
    }

    #[test]
    fn a_line_has_time_level_sentence_and_fields() {
        let log = || {
            tracing::warn!(event = "slow", peer = %"1.2.3.4:5", behind = 7_u64, "a client reads too slowly");
            tracing::debug!(event = "opened", "not wanted");
        };
        assert_eq!(
            logged(LogFormat::Text, "info", log),
            [
                "2026-11-21T21:13:51.123Z  WARN a client reads too slowly event=slow peer=1.2.3.4:5 behind=7\n"
            ]
        );
        let lines = logged(LogFormat::Json, "info", log);
        let json: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
        let expected = serde_json::json!({"time": "2026-11-21T21:13:51.123Z", "level": "WARN", "event": "slow",
            "message": "a client reads too slowly", "peer": "1.2.3.4:5", "behind": 7});
        assert_eq!((json, lines.len()), (expected, 1));
        assert_eq!(logged(LogFormat::Text, "debug", log).len(), 2);
        assert_eq!(logged(LogFormat::Text, "warn,tidewire=debug", log).len(), 2);
    }

    #[test]
    fn whatever_is_in_a_field_is_one_line_without_control_characters() {
        for format in [LogFormat::Text, LogFormat::Json] {
            for hostile in HOSTILE {
                let log = || {
                    tracing::info!(event = "e", user = hostile, debug = ?hostile, shown = %hostile, "{hostile}");
                };
                let lines = logged(format, "info", log);
                let [line] = &lines[..] else {
                    panic!("{lines:?}")
                };
                let line = line.strip_suffix('\n').unwrap();
                let is_bad = |c: char| c.is_control() || format::is_unsafe(c);
                assert_eq!(line.find(is_bad), None, "{line:?}");
                if format == LogFormat::Json {
                    let json: serde_json::Value = serde_json::from_str(line).unwrap();
                    assert_eq!(
                        (&json["user"], &json["level"]),
                        (&hostile.into(), &"INFO".into())
                    );
                } else {
                    // What looks like a field of ours is inside of quotes.
                    assert_eq!(line.split(" event=e user=\"").count(), 2, "{line}");
                }
            }
        }
    }

    #[test]
    fn a_field_is_cut_before_it_fills_the_queue() {
        let long = "ü".repeat(100_000);
        for format in [LogFormat::Text, LogFormat::Json] {
            let lines = logged(format, "info", || {
                tracing::info!(user = long.as_str(), "{long}");
            });
            assert!(lines[0].len() < 5_000, "{}", lines[0].len());
        }
    }

    #[test]
    fn a_level_is_a_word_or_a_list_of_them() {
        for level in ["info", "DEBUG", "off", "warn,tidewire::net=trace"] {
            assert_eq!(check_level(level).as_deref(), Ok(level));
        }
        let told = check_level("tidewire=loud").unwrap_err();
        assert!(told.contains("write error, warn"), "{told}");
    }
}
