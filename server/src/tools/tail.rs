//! `tidewire tail`: prints the entries of rooms as they come, each once and in order, also when connections end.
//!
//! Exit codes: 0, whoever read standard output left, as `head` does; 1, there is no server; 2, the words make no sense. It ends
//! by itself in no other way: ^C is its end, which a shell shows as 130.

use std::collections::HashMap;
use std::error::Error;
use std::io::{self, BufWriter, ErrorKind, Write};

use clap::Args;
use serde::Serialize;
use serde_json::value::RawValue;

use super::Usage;
use super::chat::room_name;
use super::link::{self, Server, is_final};
use super::terminal::{Lines, LocalTime, compact, visible, words};
use crate::client::{Bearer, Begin, Content, End, Entry, Log, News, Trust, is_for_later};
use crate::log::{Epoch, Position, Positions, Since};

/// Entries that are shown before what comes, if nothing is said.
const NEWEST_DEFAULT: u16 = 10;

/// Print the messages of rooms as they come
///
/// Lost connections cost nothing: it goes on behind the last message, and says so on standard error. What the server has let
/// go of meanwhile is named as a gap. It ends with ^C, or when nobody reads what it prints.
#[derive(Debug, Clone, Args)]
pub struct Tail {
    /// The server: http://HOST:PORT, ws://HOST:PORT/ws, or HOST:PORT; https:// and wss:// with TLS. Of several nodes who loses one
    /// goes on at the next
    #[arg(required = true, value_name = "URL")]
    urls: Vec<String>,
    #[command(flatten)]
    trust: Trust,
    /// A room; may be given several times
    #[arg(long = "room", value_name = "ROOM", required = true, value_parser = room_name)]
    rooms: Vec<String>,
    /// Begin behind this position; '' is the oldest message that is kept. For several rooms: room:position,room:position
    #[arg(long, value_name = "POSITION", value_parser = since)]
    since: Option<String>,
    /// Begin with the N newest messages of each room, or as many as the server sends at once (256 KiB) [default: 10]
    #[arg(short = 'n', long, value_name = "N", conflicts_with = "since",
          value_parser = clap::value_parser!(u16).range(0..=1000))]
    newest: Option<u16>,
    #[command(flatten)]
    bearer: Bearer,
    /// One JSON object a line, as the server sends them; gaps, too
    #[arg(long)]
    json: bool,
}

/// Checks a position, or the positions of rooms.
fn since(text: &str) -> Result<String, String> {
    let is_pairs = text.contains(':');
    if !is_pairs && text.parse::<Since>().is_err() {
        return Err("is not a position as this server gives them, nor room:position pairs".into());
    }
    Ok(text.to_owned())
}

impl Tail {
    /// Prints until nobody reads what it prints.
    ///
    /// # Errors
    /// There is no server, it lets nobody in, or standard output fails.
    pub fn run(&self) -> Result<bool, Box<dyn Error>> {
        // The client names rooms by their place in this list.
        let mut rooms = self.rooms.clone();
        rooms.sort();
        rooms.dedup();
        let begins: Vec<_> = rooms
            .iter()
            .map(|room| self.begin(room))
            .collect::<Result<_, _>>()?;
        let token = self.bearer.token().map(str::to_owned);
        let mut server = link::driver(&self.urls, &self.trust, None, token)?;
        server.driver.watch_stdout()?;
        for (room, begin) in rooms.iter().zip(begins) {
            server.driver.chat().follow(room, begin);
        }
        let mut follower = Follower {
            newest: HashMap::new(),
            printer: Printer {
                is_json: self.json,
                names_rooms: rooms.len() > 1,
                time: LocalTime::of_system(),
                host: server.host.clone(),
            },
            rooms,
            was_open: false,
            is_open: false,
            failures: 0,
        };
        let mut out = BufWriter::new(io::stdout().lock());
        let ended = follower.run(&mut server, &mut out);
        server.say_goodbye();
        match ended {
            Err(error) if is_broken_pipe(&*error) => Ok(true),
            ended => ended.map(|()| true),
        }
    }

    fn begin(&self, room: &str) -> Result<Begin, Usage> {
        let Some(since) = &self.since else {
            return Ok(match self.newest.unwrap_or(NEWEST_DEFAULT) {
                0 => Begin::Now,
                count => Begin::Newest(count),
            });
        };
        let usage = |why: &str| Usage(format!("--since {why} for the room {room:?}"));
        let of_room = Positions::new(since).of(room);
        let of_room = of_room.ok_or_else(|| usage("has no position"))?;
        let since = of_room
            .parse()
            .map_err(|_| usage("has no valid position"))?;
        Ok(match since {
            Since::Oldest => Begin::Oldest,
            Since::Now => Begin::Now,
            Since::After(position) => Begin::After(position),
        })
    }
}

fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

struct Follower {
    /// The last entry of each room that was printed.
    newest: HashMap<usize, Position>,
    printer: Printer,
    rooms: Vec<String>,
    was_open: bool,
    is_open: bool,
    /// Connections that ended before any was welcomed.
    failures: usize,
}

impl Follower {
    fn run(&mut self, server: &mut Server, out: &mut impl Write) -> Result<(), Box<dyn Error>> {
        while !server.driver.is_stdout_closed() {
            server.driver.turn(None)?;
            while let Some(news) = server.driver.chat().poll_news() {
                self.hear(news, server, out)?;
            }
            out.flush()?;
        }
        Ok(())
    }

    fn hear(
        &mut self,
        news: News,
        server: &mut Server,
        out: &mut impl Write,
    ) -> Result<(), Box<dyn Error>> {
        match news {
            News::Opened { .. } => {
                if self.was_open {
                    eprintln!("tidewire: connected again");
                }
                (self.was_open, self.is_open) = (true, true);
            }
            News::Lost(end) => self.lost(&end, server)?,
            News::Entry(room, entry) => self.print(room, &entry, out)?,
            News::History { room, entries, .. } => {
                for entry in &entries {
                    self.print(room, entry, out)?;
                }
            }
            News::Gap {
                room,
                from,
                to,
                reason,
            } => {
                self.newest.insert(room, to);
                let room = self.rooms.get(room).map_or("", String::as_str);
                self.printer.gap(room, &from, to, &reason, out)?;
            }
            // The client asks again.
            News::Denied { code, .. } if is_for_later(&code) => {}
            News::Denied { message, .. } => return Err(message.into()),
            News::Nonsense(what) => {
                let what = visible(&what, Lines::One);
                eprintln!("tidewire: the server said something that is not understood: {what}");
            }
            // It says nothing, and asks nothing.
            News::Following(..)
            | News::Joined { .. }
            | News::Personal(_)
            | News::PersonalGap { .. }
            | News::Came(..)
            | News::Left(..)
            | News::Presence(..)
            | News::Ack { .. }
            | News::Refused { .. } => {}
        }
        Ok(())
    }

    fn lost(&mut self, end: &End, server: &mut Server) -> Result<(), Box<dyn Error>> {
        self.failures += usize::from(!self.was_open);
        if is_final(end) {
            return Err(end.reason.clone().into());
        }
        if self.failures >= server.addresses() && !self.was_open {
            return Err(server.unreachable(&end.reason).into());
        }
        server.move_on();
        if std::mem::replace(&mut self.is_open, false) {
            let reason = visible(&end.reason, Lines::One);
            eprintln!("tidewire: disconnected ({reason}), trying again");
        }
        Ok(())
    }

    /// Prints an entry, unless it was printed.
    fn print(&mut self, room: usize, entry: &Entry, out: &mut impl Write) -> io::Result<()> {
        let at = entry.position;
        let was_printed =
            |newest: &Position| newest.epoch == at.epoch && at.offset <= newest.offset;
        if self.newest.get(&room).is_some_and(was_printed) {
            return Ok(());
        }
        self.newest.insert(room, at);
        self.printer.entry(entry, out)
    }
}

struct Printer {
    is_json: bool,
    names_rooms: bool,
    time: LocalTime,
    host: String,
}

/// An entry as the protocol has it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    r#type: &'a str,
    room_id: &'a str,
    offset: u64,
    epoch: Epoch,
    from: &'a str,
    time: u64,
    content: &'a RawValue,
}

/// A gap as the protocol has it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GapLine<'a> {
    r#type: &'a str,
    room_id: &'a str,
    from: &'a str,
    to: Position,
    reason: &'a str,
}

impl Printer {
    fn entry(&self, entry: &Entry, out: &mut impl Write) -> io::Result<()> {
        let Log::Room(room) = &entry.log else {
            return Ok(());
        };
        if self.is_json {
            return self.entry_as_json(room, entry, out);
        }
        if self.names_rooms {
            write!(out, "{}  ", visible(room, Lines::One))?;
        }
        let time = self.time.date(entry.time);
        let from = visible(&entry.from, Lines::One);
        let text = visible(&words(&entry.content, &self.host), Lines::One);
        writeln!(out, "{}  {time}  {from}: {text}", entry.position.offset)
    }

    fn entry_as_json(&self, room: &str, entry: &Entry, out: &mut impl Write) -> io::Result<()> {
        let content = match &entry.content {
            Content::Text(text) => serde_json::to_string(text)?,
            Content::Json(json) => json.clone(),
        };
        let line = Line {
            r#type: "room_msg",
            room_id: room,
            offset: entry.position.offset,
            epoch: entry.position.epoch,
            from: &entry.from,
            time: entry.time,
            content: &RawValue::from_string(content)?,
        };
        writeln!(out, "{}", compact(&serde_json::to_string(&line)?))
    }

    fn gap(
        &self,
        room: &str,
        from: &str,
        to: Position,
        reason: &str,
        out: &mut impl Write,
    ) -> io::Result<()> {
        if self.is_json {
            let line = GapLine {
                r#type: "gap",
                room_id: room,
                from,
                to,
                reason,
            };
            return writeln!(out, "{}", compact(&serde_json::to_string(&line)?));
        }
        let [room, from, reason] = [room, from, reason].map(|text| visible(text, Lines::One));
        writeln!(
            out,
            "-- {room}: missing behind {from:?} up to {to} ({reason})"
        )
    }
}
