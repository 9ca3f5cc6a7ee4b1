//! The line that a person edits at the bottom of the terminal, in a thread of its own; what others say is printed above it.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use rustyline::{DefaultEditor, ExternalPrinter};

use super::typed::Typed;
use crate::client::Wake;
use crate::tools::terminal::{Lines, visible};

/// Lines that were typed and not yet taken.
const TYPED_MAX: usize = 64;

/// A line at the bottom of the terminal.
pub(super) struct Editor {
    typed: Receiver<Typed>,
    printer: Box<dyn ExternalPrinter + Send>,
}

impl Editor {
    /// Begins to read lines. The loop is woken for each; the last is [`Typed::Quit`].
    pub(super) fn start(room: &str, wake: Wake) -> io::Result<Self> {
        let mut editor = DefaultEditor::new().map_err(io::Error::other)?;
        let printer = editor.create_external_printer().map_err(io::Error::other)?;
        let (sender, typed) = sync_channel(TYPED_MAX);
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

fn edit(mut editor: DefaultEditor, mut room: String, sender: &SyncSender<Typed>, wake: &Wake) {
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
        if let Typed::Join(other) = &typed {
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
