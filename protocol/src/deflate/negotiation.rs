//! Offers and answers (RFC 7692 §5 and §7.1).

use std::fmt;

use super::{DeflateConfig, EXTENSION_NAME, WINDOW_BITS_MAX, WINDOW_BITS_MIN};
use crate::handshake::header::Extension;

const SERVER_NO_CONTEXT_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_NO_CONTEXT_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_MAX_WINDOW_BITS: &str = "server_max_window_bits";
const CLIENT_MAX_WINDOW_BITS: &str = "client_max_window_bits";

/// What both ends agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeflateAgreement {
    /// The server compresses each message by itself (§7.1.1.1).
    pub server_no_context_takeover: bool,
    /// The client compresses each message by itself (§7.1.1.2).
    pub client_no_context_takeover: bool,
    /// The largest window that the server compresses with, 8 to 15 bits (§7.1.2.1).
    pub server_max_window_bits: u8,
    /// The largest window that the client compresses with, 8 to 15 bits (§7.1.2.2).
    pub client_max_window_bits: u8,
}

impl DeflateAgreement {
    /// The value of `Sec-WebSocket-Extensions` that answers an offer of everything with this agreement: for who makes up the
    /// handshake of a connection that is looked at from its middle.
    #[must_use]
    pub fn to_answer(self) -> String {
        let below_max = |bits: u8| (bits < WINDOW_BITS_MAX).then_some(bits);
        let answer = Parameters {
            server_no_context_takeover: self.server_no_context_takeover,
            client_no_context_takeover: self.client_no_context_takeover,
            server_max_window_bits: below_max(self.server_max_window_bits),
            client_max_window_bits: below_max(self.client_max_window_bits).map(Some),
        };
        answer.write()
    }
}

/// The server's answer is not one to our offer; "the client MUST _Fail the WebSocket Connection_" (§5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadDeflateResponse;

impl fmt::Display for BadDeflateResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the server's permessage-deflate answer does not fit our offer")
    }
}

impl std::error::Error for BadDeflateResponse {}

/// The parameters of one offer or answer.
#[derive(Debug, Default, Clone, Copy)]
struct Parameters {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    /// The inner `None` is the parameter without a value, which only an offer may have.
    client_max_window_bits: Option<Option<u8>>,
}

/// "Unknown parameter, [...] an invalid value, [...] multiple parameters with the same name" (§7.1).
struct Illegal;

impl DeflateConfig {
    /// Answers the first offer that this server can keep (§5): what was agreed, and the value of
    /// `Sec-WebSocket-Extensions`. `None` declines all of them.
    #[must_use]
    pub fn accept(&self, offers: &[Extension<'_>]) -> Option<(DeflateAgreement, String)> {
        // Only what was offered is answered, with its name, and nothing beside it (RFC 6455 §4.2.2, §9; RFC 7692 §5).
        // [6455-4.2.2-8, 6455-4.2.2-9, 6455-9-1, 7692-5-3, 7692-5-5, 7692-5-7, 7692-5-9]
        let ours = offers.iter().filter(|offer| offer.name == EXTENSION_NAME);
        ours.filter_map(|offer| self.accept_one(offer)).next()
    }

    fn accept_one(&self, offer: &Extension<'_>) -> Option<(DeflateAgreement, String)> {
        // "A server MUST decline an extension negotiation offer" with an illegal parameter (§7). [7692-7-1]
        let offer = Parameters::read(offer).ok()?;
        let server_bits = offer.server_max_window_bits.unwrap_or(WINDOW_BITS_MAX);
        if server_bits < WINDOW_BITS_MIN {
            // 8 bits are legal, and nothing that we could compress with. [7692-5-4]
            return None;
        }
        let answer = Parameters {
            // [7692-7.1.1.1-1]
            server_no_context_takeover: offer.server_no_context_takeover
                || !self.server_context_takeover,
            client_no_context_takeover: !self.client_context_takeover,
            server_max_window_bits: offer
                .server_max_window_bits
                .map(|bits| bits.min(self.server_window_bits())),
            // "If a received extension negotiation offer doesn't have the "client_max_window_bits" extension parameter, the
            // corresponding extension negotiation response to the offer MUST NOT include" it (§7.1.2.2).
            // [7692-7.1.2.2-3]
            client_max_window_bits: offer.client_max_window_bits.and_then(|offered| {
                let bits = offered
                    .unwrap_or(WINDOW_BITS_MAX)
                    .min(self.client_window_bits());
                (WINDOW_BITS_MIN..WINDOW_BITS_MAX)
                    .contains(&bits)
                    .then_some(Some(bits))
            }),
        };
        let agreement = DeflateAgreement {
            server_max_window_bits: server_bits.min(self.server_window_bits()),
            ..answer.agreement()
        };
        Some((agreement, answer.write()))
    }

    /// The value of `Sec-WebSocket-Extensions` that a client asks with.
    #[must_use]
    pub fn offer(&self) -> String {
        self.offered().write()
    }

    /// Checks a server's answer against [`offer`](Self::offer); `None` if it declined.
    ///
    /// # Errors
    /// The answer has another extension, two of ours, an illegal parameter, or is not one to our offer.
    pub fn check_response(
        &self,
        answers: &[Extension<'_>],
    ) -> Result<Option<DeflateAgreement>, BadDeflateResponse> {
        // An answer beside ours is an extension that we did not offer (§5). [7692-5-6, 7692-5-8, 7692-5-10, 7692-7-2]
        let answer = match answers {
            [] => return Ok(None),
            [answer] if answer.name == EXTENSION_NAME => answer,
            _ => return Err(BadDeflateResponse),
        };
        let answer = Parameters::read(answer).map_err(|Illegal| BadDeflateResponse)?;
        let offered = self.offered();
        let keeps_window = match (
            offered.server_max_window_bits,
            answer.server_max_window_bits,
        ) {
            // "A server accepts [...] by including [...] the same or smaller value as the offer" (§7.1.2.1).
            (Some(offered), Some(answered)) => answered <= offered,
            (Some(_), None) => false,
            (None, _) => true,
        };
        let keeps_takeover =
            answer.server_no_context_takeover || !offered.server_no_context_takeover;
        let names_window = !matches!(answer.client_max_window_bits, Some(None));
        if keeps_window && keeps_takeover && names_window {
            Ok(Some(DeflateAgreement {
                client_max_window_bits: answer
                    .agreement()
                    .client_max_window_bits
                    .min(self.client_window_bits()),
                // [7692-7.1.1.2-1]
                client_no_context_takeover: answer.client_no_context_takeover
                    || !self.client_context_takeover,
                ..answer.agreement()
            }))
        } else {
            Err(BadDeflateResponse)
        }
    }

    /// "The client MUST inform the server of its LZ77 window size" (§5): without the parameter it is the largest.
    /// [7692-5-2, 6455-9-2, 6455-9.1-4]
    fn offered(&self) -> Parameters {
        let below_max = |bits: u8| (bits < WINDOW_BITS_MAX).then_some(bits);
        Parameters {
            server_no_context_takeover: !self.server_context_takeover,
            client_no_context_takeover: !self.client_context_takeover,
            server_max_window_bits: below_max(self.server_window_bits()),
            client_max_window_bits: Some(below_max(self.client_window_bits())),
        }
    }

    fn server_window_bits(&self) -> u8 {
        self.server_window_bits
            .clamp(WINDOW_BITS_MIN, WINDOW_BITS_MAX)
    }

    fn client_window_bits(&self) -> u8 {
        self.client_window_bits
            .clamp(WINDOW_BITS_MIN, WINDOW_BITS_MAX)
    }
}

impl Parameters {
    fn read(extension: &Extension<'_>) -> Result<Self, Illegal> {
        let mut parameters = Self::default();
        for parameter in &extension.parameters {
            let value = parameter.value.as_deref();
            match parameter.name {
                SERVER_NO_CONTEXT_TAKEOVER => {
                    set_flag(&mut parameters.server_no_context_takeover, value)?
                }
                CLIENT_NO_CONTEXT_TAKEOVER => {
                    set_flag(&mut parameters.client_no_context_takeover, value)?
                }
                SERVER_MAX_WINDOW_BITS => {
                    let bits = window_bits(value.ok_or(Illegal)?)?;
                    set_once(&mut parameters.server_max_window_bits, bits)?;
                }
                CLIENT_MAX_WINDOW_BITS => {
                    let bits = value.map(window_bits).transpose()?;
                    set_once(&mut parameters.client_max_window_bits, bits)?;
                }
                _ => return Err(Illegal),
            }
        }
        Ok(parameters)
    }

    fn write(&self) -> String {
        let mut text = EXTENSION_NAME.to_owned();
        for (name, there) in [
            (SERVER_NO_CONTEXT_TAKEOVER, self.server_no_context_takeover),
            (CLIENT_NO_CONTEXT_TAKEOVER, self.client_no_context_takeover),
        ] {
            if there {
                text.push_str("; ");
                text.push_str(name);
            }
        }
        for (name, value) in [
            (
                SERVER_MAX_WINDOW_BITS,
                self.server_max_window_bits.map(Some),
            ),
            (CLIENT_MAX_WINDOW_BITS, self.client_max_window_bits),
        ] {
            match value {
                Some(Some(bits)) => text.push_str(&format!("; {name}={bits}")),
                Some(None) => text.push_str(&format!("; {name}")),
                None => {}
            }
        }
        text
    }

    fn agreement(&self) -> DeflateAgreement {
        DeflateAgreement {
            server_no_context_takeover: self.server_no_context_takeover,
            client_no_context_takeover: self.client_no_context_takeover,
            server_max_window_bits: self.server_max_window_bits.unwrap_or(WINDOW_BITS_MAX),
            client_max_window_bits: self
                .client_max_window_bits
                .flatten()
                .unwrap_or(WINDOW_BITS_MAX),
        }
    }
}

fn set_flag(flag: &mut bool, value: Option<&str>) -> Result<(), Illegal> {
    if value.is_some() || std::mem::replace(flag, true) {
        Err(Illegal)
    } else {
        Ok(())
    }
}

fn set_once<T>(slot: &mut Option<T>, value: T) -> Result<(), Illegal> {
    if slot.replace(value).is_some() {
        Err(Illegal)
    } else {
        Ok(())
    }
}

/// "A decimal integer value without leading zeroes between 8 to 15, inclusive" (§7.1.2.1), in offers and answers.
/// [7692-7.1.2.1-1, 7692-7.1.2.1-2, 7692-7.1.2.2-1, 7692-7.1.2.2-2]
fn window_bits(value: &str) -> Result<u8, Illegal> {
    match value {
        "8" => Ok(8),
        "9" => Ok(9),
        "10" => Ok(10),
        "11" => Ok(11),
        "12" => Ok(12),
        "13" => Ok(13),
        "14" => Ok(14),
        "15" => Ok(15),
        _ => Err(Illegal),
    }
}
