//! The rules as tables: which paths are not used where, and which layer may not use which.

use anyhow::{Context, Result};

use super::paths_used::{self, Used};
use crate::source::Source;

/// Paths that files under `under` do not use, apart from the folders or files in `except`.
struct Ban {
    under: &'static [&'static str],
    except: &'static [&'static str],
    /// Beginnings of paths; `*::` in front makes them ends of paths, and a dot a method call.
    paths: &'static [&'static str],
    why: &'static str,
}

/// The files that may look at the clock: the one that is for it, and the fuzzing harness, which like a
/// test starts the time of the connections it makes.
const CLOCK: &[&str] = &["server/src/clock.rs", "protocol/src/fuzzing/mod.rs"];

/// The server's sockets, and those of the clients that `tidewire verify` and `tidewire bench` load a server with.
const SOCKETS: &[&str] = &[
    "server/src/net/",
    "server/src/client/",
    "server/src/verify/run.rs",
    "server/src/load/run.rs",
    "server/src/load/run/peers.rs",
    "server/src/load/alarm.rs",
];

/// The loops that read the time where a turn begins, and `main` for commands that have no loop.
const LOOPS: &[&str] = &[
    "server/src/clock.rs",
    "server/src/net/",
    "server/src/client/driver.rs",
    "server/src/verify/run.rs",
    "server/src/load/run.rs",
    "server/src/tools/capture.rs",
    "server/src/main.rs",
];

const BANS: &[Ban] = &[
    Ban {
        under: &["protocol/src/", "server/src/"],
        except: SOCKETS,
        paths: &["mio", "rustls", "socket2"],
        why: "sockets belong to server/src/net",
    },
    Ban {
        under: &["protocol/src/", "server/src/"],
        except: CLOCK,
        paths: &["*::Instant::now", "*::SystemTime::now", ".elapsed"],
        why: "time is an argument; server/src/clock.rs reads the clock",
    },
    Ban {
        under: &["server/src/"],
        except: LOOPS,
        paths: &["*::Now::read"],
        why: "time is read where a turn of the loop begins and handed down",
    },
    Ban {
        under: &["protocol/src/"],
        except: &[],
        paths: &[
            "std::net",
            "std::thread",
            "std::io::Read",
            "std::io::Write",
            "std::io::prelude",
            "std::io::*",
            "io::Read",
            "io::Write",
        ],
        why: "the protocol does no I/O: bytes and time in, bytes and events out",
    },
];

/// A layer of the server and the layers above it.
struct Layer {
    name: &'static str,
    not: &'static [&'static str],
}

/// main → net → transport → {chat, log, files, recorder}: no arrow goes back.
const LAYERS: &[Layer] = &[
    Layer {
        name: "transport",
        not: &["net", "client", "verify", "tools", "load"],
    },
    Layer {
        name: "log",
        not: &[
            "net",
            "transport",
            "chat",
            "client",
            "verify",
            "tools",
            "load",
        ],
    },
    Layer {
        name: "recorder",
        not: &[
            "net",
            "transport",
            "chat",
            "client",
            "verify",
            "tools",
            "load",
        ],
    },
    Layer {
        name: "files",
        not: &["net", "transport", "chat", "log"],
    },
    Layer {
        name: "chat",
        not: &["net", "transport", "client", "verify", "tools", "load"],
    },
    // The client shares no code with the server but positions: a mistake that both made would not be seen.
    Layer {
        name: "client",
        not: &["net", "transport", "chat", "verify", "tools", "load"],
    },
];

/// What `source` uses but should not.
pub(super) fn check(source: &Source) -> Result<Vec<String>> {
    if source.is_test() || !source.path.contains("/src/") {
        return Ok(Vec::new());
    }
    let used = paths_used::find(&source.text).with_context(|| source.path.clone())?;
    let bans = used.iter().filter_map(|used| banned(source, used));
    let layers = used.iter().filter_map(|used| upwards(source, used));
    Ok(bans.chain(layers).collect())
}

fn banned(source: &Source, used: &Used) -> Option<String> {
    let here = |folders: &[&str]| folders.iter().any(|folder| source.path.starts_with(folder));
    let applies = |ban: &&Ban| here(ban.under) && !here(ban.except);
    let ban = BANS
        .iter()
        .filter(applies)
        .find(|ban| ban.paths.iter().any(|path| matches(path, used)))?;
    Some(format!(
        "{}:{}: uses {}: {}",
        source.path,
        used.line,
        used.path.join("::"),
        ban.why
    ))
}

fn matches(pattern: &str, used: &Used) -> bool {
    let segments = |pattern: &str| pattern.split("::").map(str::to_owned).collect::<Vec<_>>();
    match pattern.strip_prefix("*::") {
        Some(end) => used.path.ends_with(&segments(end)),
        None => used.path.starts_with(&segments(pattern)),
    }
}

fn upwards(source: &Source, used: &Used) -> Option<String> {
    let module = source.module();
    let server = source.path.starts_with("server/src/");
    let layer = LAYERS
        .iter()
        .find(|layer| server && module.first() == Some(&layer.name))?;
    let target = resolve(&module, &used.path)?;
    let above = layer.not.iter().find(|name| target.first() == Some(name))?;
    Some(format!(
        "{}:{}: uses {above}: {} is below it",
        source.path, used.line, layer.name
    ))
}

/// A path of this crate from its root, or nothing for a path of another crate.
fn resolve<'a>(module: &[&'a str], path: &'a [String]) -> Option<Vec<&'a str>> {
    let mut rest = path.iter().map(String::as_str).peekable();
    let mut base = match rest.next()? {
        "crate" => Vec::new(),
        "self" => module.to_vec(),
        "super" => parent(module),
        _ => return None,
    };
    while rest.next_if_eq(&"super").is_some() {
        base.pop();
    }
    base.extend(rest);
    Some(base)
}

fn parent<'a>(module: &[&'a str]) -> Vec<&'a str> {
    module
        .split_last()
        .map_or(Vec::new(), |(_, above)| above.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> usize {
        let source = Source {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        check(&source).expect("the text is Rust").len()
    }

    #[test]
    fn sockets_stay_under_net() {
        assert_eq!(findings("server/src/chat/hub.rs", "use mio::Token;"), 1);
        assert_eq!(findings("server/src/net/worker.rs", "use mio::Token;"), 0);
        assert_eq!(findings("server/src/chat/hub.rs", "use miodoc::Token;"), 0);
    }

    #[test]
    fn the_clock_is_read_in_one_file() {
        let now = "fn f() { std::time::Instant::now(); }";
        assert_eq!(findings("protocol/src/a.rs", now), 1);
        assert_eq!(findings("server/src/net/worker.rs", now), 1);
        assert_eq!(findings("server/src/clock.rs", now), 0);
        assert_eq!(findings("server/src/chat/tests.rs", now), 0);
        let elapsed = "fn f() { started.elapsed(); }";
        assert_eq!(findings("server/src/net/conn.rs", elapsed), 1);
    }

    #[test]
    fn a_turn_of_the_loop_takes_the_time_and_hands_it_down() {
        let read = "fn f() { Now::read(); }";
        assert_eq!(findings("server/src/net/worker.rs", read), 0);
        assert_eq!(findings("server/src/chat/hub.rs", read), 1);
    }

    #[test]
    fn the_protocol_does_no_io() {
        assert_eq!(
            findings("protocol/src/a.rs", "use std::io::{IoSlice, Write};"),
            1
        );
        assert_eq!(findings("protocol/src/a.rs", "use std::io::IoSlice;"), 0);
        assert_eq!(
            findings("protocol/examples/a.rs", "use std::net::TcpStream;"),
            0
        );
    }

    #[test]
    fn layers_do_not_look_up() {
        assert_eq!(
            findings("server/src/chat/hub.rs", "use crate::{ids, net::worker};"),
            1
        );
        assert_eq!(
            findings("server/src/chat/mod.rs", "use super::transport;"),
            1
        );
        assert_eq!(findings("server/src/chat/hub.rs", "use super::net;"), 0);
        assert_eq!(
            findings("server/src/log/disk/mod.rs", "use super::super::chat::Hub;"),
            1
        );
        assert_eq!(
            findings("server/src/net/conn.rs", "use crate::chat::Hub;"),
            0
        );
    }
}
