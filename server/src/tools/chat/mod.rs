//! `tidewire chat`: a room in a terminal, or in a pipe.
//!
//! ```text
//!   editor or standard input ──▶ Conversation ──▶ the client (one turn of the loop after the other)
//!                 terminal or stdout ◀── Show ◀──┘
//! ```
//!
//! Exit codes: 0, everything that was sent has its place (on a terminal, where what has none was told: nothing waits for one); 1,
//! something has none, or there is no server; 2, the words make no sense.

mod conversation;
#[cfg(test)]
mod conversation_tests;
mod editor;
mod lines;
mod screen;
mod show;
mod typed;

use std::error::Error;
use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use clap::Args;

use self::conversation::{Ask, Conversation, Order};
use self::editor::Editor;
use self::lines::Input;
use self::show::{Kind, Show, Writer, Written};
use self::typed::{HELP, Typed};
use super::link::{self, Server};
use super::terminal::{LocalTime, Palette};
use crate::client::{Bearer, News, Trust};
use crate::config::values::time;
use crate::ids::{RoomName, UserName};

/// Messages that are shown on entering, on a terminal.
const HISTORY_DEFAULT: u16 = 20;

/// Messages that `/history` shows.
const OLDER_DEFAULT: u16 = 20;

/// How long somebody who leaves waits for messages that are on their way.
const LEAVE_WAIT: Duration = Duration::from_secs(3);

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Talk in a room, from a terminal or a pipe
///
/// On a terminal: a line to edit, with history; `/help` lists the commands; ^D leaves. Otherwise each line of standard input is a
/// message, commands mean nothing, and what others say comes as a line each on standard output until standard input ends.
#[derive(Debug, Clone, Args)]
pub struct Chat {
    /// The server: http://HOST:PORT, ws://HOST:PORT/ws, or HOST:PORT; https:// and wss:// with TLS. Of several nodes who loses one
    /// goes on at the next
    #[arg(required = true, value_name = "URL")]
    urls: Vec<String>,
    #[command(flatten)]
    trust: Trust,
    /// The room to enter
    #[arg(long, value_name = "ROOM", default_value = "lobby", value_parser = room_name)]
    room: String,
    /// Your name [default: that of a guest, which the server gives]
    #[arg(long, value_name = "USER", env = "TIDEWIRE_USER", value_parser = user_name)]
    user: Option<String>,
    #[command(flatten)]
    bearer: Bearer,
    /// Messages to show on entering, or as many as the server sends at once (256 KiB) [default: 20 on a terminal, else 0]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=1000))]
    history: Option<u16>,
    /// Only send: read standard input to its end, wait until every line is acknowledged, print nothing
    #[arg(long)]
    once: bool,
    /// Give up after so long without the server acknowledging what was sent
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time)]
    patience: Duration,
}

pub(super) fn room_name(text: &str) -> Result<String, String> {
    RoomName::new(text)
        .map(|_| text.to_owned())
        .map_err(|error| format!("the name {error}"))
}

fn user_name(text: &str) -> Result<String, String> {
    UserName::new(text)
        .map(|_| text.to_owned())
        .map_err(|error| format!("the name {error}"))
}

impl Chat {
    /// Talks until the person leaves or standard input ends; whether everything that was sent has its place.
    ///
    /// # Errors
    /// There is no server, or it lets nobody in.
    pub fn run(&self) -> Outcome<bool> {
        // A dumb terminal has no line that could be edited: it reads and writes plain lines, as a pipe does.
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| {
            ["dumb", "cons25", "emacs"]
                .iter()
                .any(|dumb| term.eq_ignore_ascii_case(dumb))
        });
        let is_terminal =
            io::stdin().is_terminal() && io::stdout().is_terminal() && !self.once && !is_dumb;
        let history = self
            .history
            .unwrap_or(if is_terminal { HISTORY_DEFAULT } else { 0 });
        let token = self.bearer.token().map(str::to_owned);
        let mut server = link::driver(&self.urls, &self.trust, self.user.clone(), token)?;
        server.driver.chat().mind_broadcasts();
        let palette = if is_terminal {
            Palette::of_stdout()
        } else {
            Palette::plain()
        };
        let mut talk = Talk {
            conversation: Conversation::new(&self.room, history),
            writer: Writer {
                palette,
                time: LocalTime::of_system(),
                host: server.host.clone(),
                is_for_people: is_terminal,
            },
            server,
            shown_to: if self.once {
                Shown::Nowhere
            } else {
                Shown::Out
            },
            unsendable: 0,
            is_stdout_closed: false,
        };
        let outcome = if is_terminal {
            talk.on_terminal()
        } else {
            talk.in_pipe(self.patience)
        };
        talk.server.say_goodbye();
        outcome
    }
}

/// Where messages are shown.
enum Shown {
    /// On standard output.
    Out,
    /// Above the line that is edited.
    Above(Editor),
    /// Not at all; what goes wrong is on stderr.
    Nowhere,
}

struct Talk {
    server: Server,
    conversation: Conversation,
    writer: Writer,
    shown_to: Shown,
    /// Lines of standard input that are no messages.
    unsendable: u64,
    is_stdout_closed: bool,
}

impl Talk {
    fn on_terminal(&mut self) -> Outcome<bool> {
        eprintln!(
            "connecting to {}; /help lists the commands",
            self.server.host
        );
        // The way in is not edited over: what goes wrong there is one sentence and the end.
        while !self.conversation.has_entered() {
            self.turn(None)?;
            self.check_way_in()?;
        }
        let wake = self.server.driver.wake();
        let room = self.conversation.room();
        self.shown_to = Shown::Above(Editor::start(room, wake)?);
        let mut is_over = false;
        loop {
            self.turn(None)?;
            if let (Some(end), false) = (self.conversation.end(), is_over) {
                is_over = true;
                // Not the end by itself: the editor has the terminal until then.
                let note = format!("{end}; ^D leaves");
                self.show(&Show::Note(note))?;
            }
            while let Some(typed) = self.typed() {
                if typed == Typed::Quit {
                    return Ok(self.leave()? && !is_over);
                }
                self.handle_typed(typed)?;
            }
        }
    }

    fn typed(&mut self) -> Option<Typed> {
        match &mut self.shown_to {
            Shown::Above(editor) => editor.poll(),
            Shown::Out | Shown::Nowhere => None,
        }
    }

    fn handle_typed(&mut self, typed: Typed) -> Outcome<()> {
        let order = match typed {
            Typed::Say(text) => Order::Say(text),
            Typed::To { user, text } => Order::To { user, text },
            Typed::Who => Order::Who,
            Typed::Join(room) => match room_name(&room) {
                Ok(room) => Order::Enter(room),
                Err(why) => return self.show(&Show::Note(why)),
            },
            Typed::History(count) => Order::History(count.unwrap_or(OLDER_DEFAULT)),
            Typed::Help => return self.show(&Show::Note(HELP.to_owned())),
            Typed::Unclear(why) => return self.show(&Show::Note(why)),
            Typed::Nothing | Typed::Quit => return Ok(()),
        };
        if !self.conversation.has_room() {
            let note = "too many messages wait already: this one was not taken".to_owned();
            return self.show(&Show::Note(note));
        }
        let now = self.server.driver.now().instant;
        self.conversation.order(order, now);
        self.carry_out()
    }

    /// Waits a little for what is on its way.
    fn leave(&mut self) -> Outcome<bool> {
        // The editor has given the terminal back.
        self.shown_to = Shown::Out;
        let until = self.server.driver.now().instant + LEAVE_WAIT;
        while self.conversation.waiting() > 0 && self.server.driver.now().instant < until {
            self.turn(Some(until))?;
        }
        match self.conversation.waiting() {
            0 => Ok(true),
            count => Err(format!("{} before you left", not_acknowledged(count)).into()),
        }
    }

    fn in_pipe(&mut self, patience: Duration) -> Outcome<bool> {
        // Who only sends does not mind that nobody reads.
        if matches!(self.shown_to, Shown::Out) {
            self.server.driver.watch_stdout()?;
        }
        let input = lines::read(self.server.driver.wake())?;
        let mut is_ended = false;
        let mut settled = 0;
        let mut since = self.server.driver.now().instant;
        loop {
            self.turn(Some(since + patience))?;
            self.check_way_in()?;
            is_ended = is_ended || self.take_lines(&input)?;
            if self.is_stdout_closed {
                // Nobody listens any more, as behind `head`; what was not read yet is not sent.
                let is_all = is_ended && self.conversation.is_done();
                if !is_all {
                    return Err("nobody reads what others say: standard input was not sent to its end; --once only sends".into());
                }
            }
            if is_ended && self.conversation.is_done() {
                return Ok(self.is_clean());
            }
            let is_idle = self.conversation.has_entered() && self.conversation.waiting() == 0;
            let now = self.server.driver.now().instant;
            if is_idle || settled != self.settled() {
                (settled, since) = (self.settled(), now);
            }
            if now >= since + patience {
                return Err(self.out_of_patience(patience).into());
            }
        }
    }

    /// Messages of which it is known what became of them.
    fn settled(&self) -> u64 {
        self.conversation.kept() + self.conversation.not_kept()
    }

    fn is_clean(&self) -> bool {
        self.conversation.not_kept() == 0 && self.unsendable == 0
    }

    fn out_of_patience(&self, patience: Duration) -> String {
        let why = self.conversation.problem();
        let why = why.unwrap_or("the server does not answer");
        let seconds = patience.as_secs_f64();
        match self.conversation.waiting() {
            0 => format!("could not enter the room within {seconds} s: {why}"),
            count => format!("{} within {seconds} s: {why}", not_acknowledged(count)),
        }
    }

    /// Gives what was read to the conversation, as much as it takes; whether that was all.
    fn take_lines(&mut self, input: &Receiver<Input>) -> Outcome<bool> {
        let now = self.server.driver.now().instant;
        while self.conversation.has_room() {
            match input.try_recv() {
                Ok(Input::Line(line)) => self.conversation.order(Order::Say(line), now),
                Ok(Input::Bad(number)) => {
                    self.unsendable += 1;
                    let note = "is no UTF-8, or longer than a message may be: it was not sent";
                    eprintln!("tidewire: line {number} {note}");
                }
                Ok(Input::End(None)) | Err(TryRecvError::Disconnected) => return Ok(true),
                Ok(Input::End(Some(error))) => {
                    return Err(format!("cannot read standard input: {error}").into());
                }
                Err(TryRecvError::Empty) => break,
            }
        }
        self.carry_out()?;
        Ok(false)
    }

    // ---- both ----

    /// One turn of the loop, until something happens or it is `until`.
    fn turn(&mut self, until: Option<Instant>) -> Outcome<()> {
        let until = [until, self.conversation.poll_timeout()];
        self.server.driver.turn(until.into_iter().flatten().min())?;
        self.is_stdout_closed |= self.server.driver.is_stdout_closed();
        let now = self.server.driver.now().instant;
        self.conversation.handle_timeout(now);
        while let Some(news) = self.server.driver.chat().poll_news() {
            if matches!(news, News::Lost(_)) {
                self.server.move_on();
            }
            self.conversation.hear(news, now);
        }
        self.carry_out()
    }

    /// At the start, a server that is not there or lets nobody in is the end, and so is a session that is taken later.
    fn check_way_in(&self) -> Outcome<()> {
        if let Some(end) = self.conversation.end() {
            return Err(end.to_owned().into());
        }
        let is_tried = self.conversation.failures() >= self.server.addresses();
        match self.conversation.problem().filter(|_| is_tried) {
            Some(why) if !self.conversation.has_entered() => {
                Err(self.server.unreachable(why).into())
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Does what the conversation asks for, and shows what it has to show.
    fn carry_out(&mut self) -> Outcome<()> {
        while let Some(ask) = self.conversation.poll_ask() {
            let chat = self.server.driver.chat();
            match ask {
                Ask::Enter { leave, room, begin } => {
                    if let Some(leave) = leave {
                        chat.leave(leave);
                    }
                    self.conversation.entered(chat.follow(&room, begin));
                }
                Ask::Say { room, seq, text } => chat.say(room, seq, &text),
                Ask::SayTo { user, seq, text } => chat.say_to(&user, seq, &text),
                Ask::Resend(seq) => chat.resend(seq),
                Ask::Forget(seq) => chat.forget(seq),
                Ask::Presence(room) => chat.ask_presence(room),
                Ask::HistoryBefore {
                    room,
                    before,
                    count,
                } => chat.ask_history_before(room, before, count),
            }
        }
        while let Some(show) = self.conversation.poll_show() {
            self.show(&show)?;
        }
        Ok(())
    }

    fn show(&mut self, show: &Show) -> Outcome<()> {
        let now_ms = self.server.driver.now().unix_ms;
        let Written { text, kind } = self.writer.write(show, now_ms);
        let written = match (&mut self.shown_to, kind) {
            (Shown::Above(editor), _) => {
                editor.print(text);
                Ok(())
            }
            // A private message arrives once: it must not get lost where nothing else is shown.
            (Shown::Nowhere, Kind::Message | Kind::About) => Ok(()),
            (Shown::Out, Kind::Message | Kind::Private) => io::stdout().write_all(text.as_bytes()),
            // Who does not read what goes wrong does not want to know.
            (Shown::Out | Shown::Nowhere, _) => {
                let _ = io::stderr().write_all(text.as_bytes());
                Ok(())
            }
        };
        match written.and_then(|()| io::stdout().flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => self.is_stdout_closed = true,
            written => written?,
        }
        Ok(())
    }
}

fn not_acknowledged(count: usize) -> String {
    match count {
        1 => "a message was not acknowledged".to_owned(),
        count => format!("{count} messages were not acknowledged"),
    }
}
