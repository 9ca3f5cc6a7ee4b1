//! What somebody typed into the chat: a message, or a command after a slash. Pure.

/// A line of the terminal, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Typed {
    /// Only Enter.
    Nothing,
    /// To the room.
    Say(String),
    /// To one user.
    To {
        /// The user.
        user: String,
        /// The message.
        text: String,
    },
    /// Who is here?
    Who,
    /// Into another room.
    Join(String),
    /// What was said before; so many messages.
    History(Option<u16>),
    /// The end.
    Quit,
    /// Which commands are there?
    Help,
    /// No command; a sentence.
    Unclear(String),
}

/// What `/help` says.
pub(super) const HELP: &str = "\
/who               who is here
/join ROOM         go to another room
/msg USER TEXT     a message that only USER sees
/history [N]       the N messages before those on the screen
/quit              leave; so does ^D
//TEXT             a message that begins with a slash";

impl Typed {
    /// Reads a line.
    pub(super) fn parse(line: &str) -> Self {
        if line.trim().is_empty() {
            return Self::Nothing;
        }
        let Some(command) = line.strip_prefix('/') else {
            return Self::Say(line.to_owned());
        };
        if command.starts_with('/') {
            return Self::Say(command.to_owned());
        }
        let (name, rest) = split_word(command);
        match (name, rest) {
            ("who", "") => Self::Who,
            ("quit" | "exit", "") => Self::Quit,
            ("help", _) => Self::Help,
            ("join", room) if !room.is_empty() => Self::Join(room.to_owned()),
            ("history", "") => Self::History(None),
            ("history", count) => match count.parse() {
                Ok(count @ 1..=1000) => Self::History(Some(count)),
                Ok(_) | Err(_) => Self::unclear("write /history N with N from 1 to 1000"),
            },
            ("msg", rest) => match split_word(rest) {
                (_, "") => Self::unclear("write /msg USER TEXT"),
                (user, text) => Self::To {
                    user: user.to_owned(),
                    text: text.to_owned(),
                },
            },
            ("join", _) => Self::unclear("write /join ROOM"),
            _ => Self::Unclear(format!(
                "there is no /{name}: /help lists what there is, and //{command} says it"
            )),
        }
    }

    fn unclear(sentence: &str) -> Self {
        Self::Unclear(sentence.to_owned())
    }
}

/// The first word, and what is behind it.
fn split_word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_messages_or_commands() {
        let say = |text: &str| Typed::Say(text.to_owned());
        let to = |user: &str, text: &str| {
            let (user, text) = (user.to_owned(), text.to_owned());
            Typed::To { user, text }
        };
        for (line, typed) in [
            ("", Typed::Nothing),
            ("  ", Typed::Nothing),
            ("hello  you", say("hello  you")),
            ("//usr/bin", say("/usr/bin")),
            ("/who", Typed::Who),
            ("/join  a room ", Typed::Join("a room".to_owned())),
            ("/msg bob hi there", to("bob", "hi there")),
            ("/history", Typed::History(None)),
            ("/history 5", Typed::History(Some(5))),
            ("/quit", Typed::Quit),
            ("/help", Typed::Help),
        ] {
            assert_eq!(Typed::parse(line), typed, "{line}");
        }
    }

    #[test]
    fn what_is_no_command_is_not_sent() {
        for line in [
            "/",
            "/hepl",
            "/join",
            "/msg",
            "/msg bob",
            "/history 0",
            "/history x",
        ] {
            let typed = Typed::parse(line);
            assert!(matches!(typed, Typed::Unclear(_)), "{line}: {typed:?}");
        }
    }
}
