//! The line that a person edits at the bottom of the terminal, in a thread of its own; what others say is printed above it.

use std::io::{self, Write as _};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use rustyline::{DefaultEditor, ExternalPrinter};
use signal_hook::consts::{SIGHUP, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;

use super::room_name;
use super::typed::Typed;
use crate::client::Wake;
use crate::tools::terminal::{Lines, visible};

/// A line at the bottom of the terminal.
pub(super) struct Editor {
    typed: Receiver<Typed>,
    printer: Box<dyn ExternalPrinter + Send>,
}

impl Editor {
    /// Begins to read lines. The loop is woken for each; the last is [`Typed::Quit`].
    pub(super) fn start(room: &str, wake: Wake) -> io::Result<Self> {
        give_back_on_signals()?;
        let mut editor = DefaultEditor::new().map_err(io::Error::other)?;
        let printer = editor.create_external_printer().map_err(io::Error::other)?;
        // Without a bound: the loop waits for the editor where it prints, so that the editor must never wait for the loop.
        let (sender, typed) = channel();
        let room = room.to_owned();
        thread::Builder::new()
            .name("editor".to_owned())
            .spawn(move || edit(editor, room, &sender, &wake))?;
        Ok(Self {
            typed,
            printer: Box::new(printer),
        })
    }

    /// The next line that was typed, if there is one.
    pub(super) fn poll(&mut self) -> Option<Typed> {
        self.typed.try_recv().ok()
    }

    /// Prints whole lines above the one that is edited.
    pub(super) fn print(&mut self, text: String) {
        // It fails where the terminal is gone, and then the editor ends, too.
        let _ = self.printer.print(text);
    }
}

/// Gives the terminal back before a signal ends the process: as it is while a line is edited, a shell could not be used on it.
fn give_back_on_signals() -> io::Result<()> {
    let before = tcgetattr(io::stdin())?;
    let mut signals = Signals::new([SIGTERM, SIGHUP, SIGQUIT])?;
    let give_back = move || {
        if let Some(signal) = signals.forever().next() {
            // Where the terminal is gone, there is nothing to give back.
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, &before);
            // Pasted text is not to be marked any more.
            let _ = io::stdout().write_all(b"\x1b[?2004l\r\n");
            let _ = io::stdout().flush();
            let _ = signal_hook::low_level::emulate_default_handler(signal);
        }
    };
    let thread = thread::Builder::new().name("signals".to_owned());
    thread.spawn(give_back).map(drop)
}

fn edit(mut editor: DefaultEditor, mut room: String, sender: &Sender<Typed>, wake: &Wake) {
    loop {
        let prompt = format!("{}> ", visible(&room, Lines::One));
        let typed = match editor.readline(&prompt) {
            Ok(line) => {
                // Without a place to keep it, there is only less to go back to.
                let _ = editor.add_history_entry(line.as_str());
                Typed::parse(&line)
            }
            // ^C, ^D, or no terminal any more.
            Err(_) => Typed::Quit,
        };
        // What is no name is refused, and the prompt must not say that what follows goes there.
        if let Typed::Join(other) = &typed
            && room_name(other).is_ok()
        {
            room.clone_from(other);
        }
        let is_end = typed == Typed::Quit;
        if is_end {
            // The terminal is as it was before, before anybody is told of the end.
            drop(editor);
            let _ = sender.send(typed);
            return wake.wake();
        }
        if sender.send(typed).is_err() {
            return;
        }
        wake.wake();
    }
}
