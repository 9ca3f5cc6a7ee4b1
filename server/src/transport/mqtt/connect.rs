//! How a client comes and goes: CONNECT, which the chat decides on, CONNACK and what is resumed with it, and DISCONNECT.

use std::borrow::Cow;
use std::time::Duration;

use super::about::About;
use super::encode::{self, Welcome};
use super::machine::{Asked, Mqtt, Phase, WINDOW_MAX};
use super::packet::{Answer, Connect, Disconnect, Version, Will};
use super::payload::content_of;
use super::publish::{ALIASES_MAX, RECEIVE_MAX};
use super::reason::{Bad, Reason, forbidden};
use super::state::Stage;
use super::store::EXPIRY_MAX;
use super::topic::log_of;
use crate::chat::{Command, Joiner, Testament};
use crate::clock::Now;
use crate::ids::{Session, UserName};
use crate::transport::dialect::Out;
use tidewire_protocol::CloseCode;

/// What a CONNECT said that is needed once the client is let in.
#[derive(Debug)]
pub(super) struct Entering {
    pub(super) clean: bool,
    /// It named itself.
    is_named: bool,
    /// It showed a token.
    has_token: bool,
    /// What it asked for, if that is more than it gets.
    is_expiry_cut: bool,
    will: Option<Testament<'static>>,
}

impl Mqtt {
    /// The client says who it is: the chat is asked to let it in.
    pub(super) fn connect(&mut self, connect: &Connect<'_>, out: &mut Out) -> Result<(), Bad> {
        let Phase::Awaiting(joiner) = &mut self.phase else {
            // "A Client can only send the CONNECT packet once over a Network Connection" (§3.1).
            return Err(forbidden("a second CONNECT came"));
        };
        let mut joiner = std::mem::take(&mut **joiner);
        self.version = connect.version;
        let entering = match introduce(connect, &mut joiner) {
            Ok(entering) => entering,
            Err(Bad { reason, why }) => {
                out.send_binary(encode::refusal(self.version, reason, why));
                self.phase = Phase::Over;
                out.close(CloseCode::POLICY_VIOLATION, why);
                return Ok(());
            }
        };
        let properties = &connect.properties;
        let asked = match self.version {
            Version::Three if connect.clean => 0,
            Version::Three => EXPIRY_MAX.as_secs() as u32,
            Version::Five => properties.session_expiry.unwrap_or(0),
        };
        self.expiry = Duration::from_secs(asked.into()).min(EXPIRY_MAX);
        self.window = properties
            .receive_max
            .map_or(WINDOW_MAX, |max| WINDOW_MAX.min(max.into()));
        if let Some(max) = properties.packet_bytes_max {
            self.packet_bytes_max = max as usize;
        }
        let keep_alive = Duration::from_secs(connect.keep_alive.into());
        self.silence_max = Some(keep_alive * 3 / 2).filter(|silence| !silence.is_zero());
        self.has_will = entering.will.is_some();
        self.phase = Phase::Entering(Box::new(Entering {
            is_expiry_cut: Duration::from_secs(asked.into()) > self.expiry,
            ..entering
        }));
        out.begin(joiner);
        Ok(())
    }

    /// The chat has let it in. What its session is may have to be read first.
    pub(super) fn welcomed(&mut self, user: &UserName, session: &Session, now: Now, out: &mut Out) {
        let Phase::Entering(entering) = std::mem::replace(&mut self.phase, Phase::Open) else {
            return;
        };
        let key = (user.as_str(), session.as_str());
        let claim = self
            .sessions
            .claim(key, entering.clean, self.expiry, now.instant);
        self.user = Some(user.clone());
        let (is_present, is_to_be_read) = (claim.is_present, claim.is_to_be_read);
        self.claim = Some(claim);
        if is_to_be_read {
            return self.recall(*entering, session.clone(), now, out);
        }
        self.admit(*entering, session, is_present, now, out);
    }

    /// It goes on where it was, if that is known, and is told so.
    pub(super) fn admit(
        &mut self,
        entering: Entering,
        session: &Session,
        is_present: bool,
        now: Now,
        out: &mut Out,
    ) {
        self.phase = Phase::Open;
        let welcome = Welcome {
            session_present: is_present,
            session_expiry: entering
                .is_expiry_cut
                .then_some(self.expiry.as_secs() as u32),
            receive_max: RECEIVE_MAX as u16,
            packet_bytes_max: self.limits.packet_bytes_max as u32,
            topic_alias_max: ALIASES_MAX,
            client: (!entering.is_named).then_some(session.as_str()),
        };
        out.send_binary(encode::welcome(self.version, &welcome));
        if let Some(mut will) = entering.will {
            // "The Server publishes ... after the Will Delay Interval has passed or the Session ends, whichever happens first" (§3.1.3.2).
            will.delay = will.delay.min(self.expiry);
            let bytes = will.content.get().len();
            self.ask(Command::Will(Some(will)), bytes, Some(Asked::Will), out);
        }
        if is_present {
            self.release_again(out);
            self.resume(now, out);
            self.note_change();
        }
    }

    /// "When a Client reconnects with Clean Start set to 0 and a session is present, both the Client and Server MUST resend any
    /// unacknowledged PUBLISH packets (where QoS > 0) and PUBREL packets using their original Packet Identifiers" (§4.4): the
    /// PUBRELs here, the messages when their logs are read.
    fn release_again(&mut self, out: &mut Out) {
        let Some(mut state) = self.claim.as_ref().and_then(|claim| claim.state()) else {
            return;
        };
        let records = state.records.iter_mut();
        for record in records.filter(|record| record.stage == Stage::Completion) {
            record.is_out = true;
            let (id, reason) = (record.id, Reason::Success);
            let release = encode::answer(self.version, Answer::Release, id, reason, "");
            out.send_binary(release);
        }
    }

    /// The chat has not.
    pub(super) fn not_welcomed(&mut self, code: &str, message: &str, out: &mut Out) {
        let Phase::Entering(entering) = &self.phase else {
            return;
        };
        let is_bad_token = entering.has_token && code == "unauthorized";
        let reason = if is_bad_token {
            Reason::BadUserNameOrPassword
        } else {
            Reason::of_error(code)
        };
        self.end(reason, message, out);
    }

    /// The client takes its leave.
    pub(super) fn disconnect(&mut self, said: &Disconnect, out: &mut Out) -> Result<(), Bad> {
        if let Some(seconds) = said.session_expiry {
            // "If the Session Expiry Interval in the CONNECT packet was zero, then it is a Protocol Error to set a non-zero
            // Session Expiry Interval in the DISCONNECT packet" (§3.14.2.2.2).
            if self.expiry.is_zero() && seconds > 0 {
                return Err(forbidden("a session that was not to last cannot last now"));
            }
            self.expiry = Duration::from_secs(seconds.into()).min(EXPIRY_MAX);
        }
        if self.has_will && !said.with_will {
            self.ask(Command::Will(None), 0, None, out);
        }
        self.phase = Phase::Over;
        out.close(CloseCode::NORMAL, "");
        Ok(())
    }
}

/// Makes of a CONNECT who comes.
fn introduce(connect: &Connect<'_>, joiner: &mut Joiner) -> Result<Entering, Bad> {
    let bad = |reason, why| Bad { reason, why };
    if connect.properties.has_authentication {
        let why = "there is no other authentication than user name and password";
        return Err(bad(Reason::BadAuthenticationMethod, why));
    }
    let is_named = !connect.client.is_empty();
    // "If the Client supplies a zero-byte ClientId, the Client MUST also set CleanSession to 1" (3.1.1 §3.1.3.1).
    if connect.version == Version::Three && !is_named && !connect.clean {
        let why = "a client without an identifier cannot go on with a session";
        return Err(bad(Reason::ClientIdentifierNotValid, why));
    }
    if is_named {
        let session = Session::new(connect.client).map_err(|_| {
            let why = "a client identifier has 128 bytes at most, and no control character";
            bad(Reason::ClientIdentifierNotValid, why)
        })?;
        joiner.session = Some(session);
    }
    if let Some(name) = connect.user.filter(|name| !name.is_empty()) {
        let user = UserName::new(name).map_err(|_| {
            let why = "a user name has 128 bytes at most, and no control character";
            bad(Reason::BadUserNameOrPassword, why)
        })?;
        let is_another = joiner.user.as_ref().is_some_and(|known| *known != user);
        if is_another && joiner.access.identity().is_some() {
            let why = "the token of the address is another user's";
            return Err(bad(Reason::NotAuthorized, why));
        }
        joiner.user = Some(user);
    }
    let password = connect.password.filter(|password| !password.is_empty());
    if let Some(password) = password {
        let token = str::from_utf8(password)
            .map_err(|_| bad(Reason::BadUserNameOrPassword, "the password is no token"))?;
        joiner.token = Some(token.into());
    }
    joiner.chooses = true;
    let will = connect.will.as_ref().map(testament).transpose()?;
    Ok(Entering {
        clean: connect.clean,
        is_named,
        has_token: password.is_some(),
        is_expiry_cut: false,
        will,
    })
}

fn testament(will: &Will<'_>) -> Result<Testament<'static>, Bad> {
    let Some(log) = log_of(will.topic) else {
        return Err(Bad {
            reason: Reason::TopicNameInvalid,
            why: "the topic of the will is no room",
        });
    };
    if will.properties.is_text && str::from_utf8(will.payload).is_err() {
        return Err(Bad {
            reason: Reason::PayloadFormatInvalid,
            why: "the will is not the text that it says",
        });
    }
    Ok(Testament {
        log: Cow::Owned(log.as_str().to_owned()),
        content: Cow::Owned(content_of(will.payload, About::of(&will.properties))),
        delay: Duration::from_secs(will.properties.will_delay.unwrap_or(0).into()),
    })
}
