//! The keys that tokens are checked with, and the check. Which algorithm a key is for was decided when it was loaded: a token
//! only says which of them it claims to be signed with, and a secret and a public key never meet (RFC 8725 §3.1).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode, decode_header};

use super::access::Identity;
use super::claims::Claims;
use crate::ids::NameError;

/// The longest token: as long as a header may be.
const TOKEN_BYTES_MAX: usize = 8 << 10;

/// Keys that a token is tried with where its `kid` does not say which, at most: each try costs what a signature costs.
const TRIES_MAX: usize = 4;

/// A key and what it is for.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) algorithm: Algorithm,
    /// Its name in a JWKS file; a key from a file of its own has none, and stands for any.
    pub(super) kid: Option<String>,
    pub(super) key: DecodingKey,
}

/// What is asked of a token beside a good signature.
#[derive(Debug, Clone, Default)]
pub(super) struct Terms {
    pub(super) leeway: Duration,
    pub(super) issuers: Vec<String>,
    pub(super) audiences: Vec<String>,
}

/// Keys, each with what a token that it signed has to say.
#[derive(Debug)]
pub struct Keys {
    /// Shared secrets.
    secrets: Vec<(Key, Validation)>,
    /// Public keys.
    public: Vec<(Key, Validation)>,
    leeway: Duration,
}

/// Why a token is not accepted. It is told to who sent it, and never quotes the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadToken {
    /// Not a JWT at all, or longer than 8 KiB.
    Malformed,
    /// Signed in a way that is not accepted, `none` among them, or it demands what nobody here understands.
    Algorithm,
    /// No key fits its `alg` and `kid`.
    NoKey,
    /// It names no key, and more might have signed it than are tried.
    NoKid,
    /// The signature is wrong.
    Signature,
    /// A claim is missing or of the wrong type.
    Claims,
    /// Another issuer's.
    Issuer,
    /// For another audience.
    Audience,
    /// `sub` is no name of a user.
    Subject(NameError),
    /// More than 128 entries of `rooms`.
    TooManyRooms,
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYet,
}

impl fmt::Display for BadToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sentence = match self {
            Self::Malformed => "The token is no JWT of at most 8 KiB.",
            Self::Algorithm => "The token is signed in a way that this server does not accept.",
            Self::NoKey => "This server has no key for the token's algorithm and key id.",
            Self::NoKid => {
                "The token does not say in \"kid\" which key it is signed with, and it is none of the first four that it may be."
            }
            Self::Signature => "The token's signature is wrong.",
            Self::Claims => "A claim of the token is missing or of the wrong type.",
            Self::Issuer => "The token is from another issuer.",
            Self::Audience => "The token is for another audience.",
            Self::Subject(error) => return write!(f, "\"sub\" in the token {error}."),
            Self::TooManyRooms => "The token names more than 128 patterns of rooms.",
            Self::Expired => "The token has expired.",
            Self::NotYet => "The token is not valid yet.",
        };
        f.write_str(sentence)
    }
}

impl std::error::Error for BadToken {}

impl BadToken {
    /// A word for a log.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Algorithm => "algorithm",
            Self::NoKey => "no_key",
            Self::NoKid => "no_kid",
            Self::Signature => "signature",
            Self::Claims => "claims",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Subject(_) => "subject",
            Self::TooManyRooms => "too_many_rooms",
            Self::Expired => "expired",
            Self::NotYet => "not_yet",
        }
    }
}

impl Terms {
    /// What else has to be there, and times, [`Claims`] judges: on the clock of the turn, not on one that the library reads.
    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.validate_exp = false;
        let mut required = Vec::new();
        if !self.issuers.is_empty() {
            validation.set_issuer(&self.issuers);
            required.push("iss");
        }
        // "If the principal processing the claim does not identify itself with a value in the "aud" claim when this claim is
        // present, then the JWT MUST be rejected" (RFC 7519 §4.1.3): also where no audience is configured.
        if !self.audiences.is_empty() {
            validation.set_audience(&self.audiences);
            required.push("aud");
        }
        validation.set_required_spec_claims(&required);
        validation
    }
}

impl Keys {
    pub(super) fn new(keys: Vec<Key>, terms: &Terms) -> Self {
        let with_validation = |key: Key| {
            let validation = terms.validation(key.algorithm);
            (key, validation)
        };
        let is_secret = |key: &Key| key.algorithm == Algorithm::HS256;
        let (secrets, public): (Vec<_>, Vec<_>) = keys.into_iter().partition(is_secret);
        Self {
            secrets: secrets.into_iter().map(with_validation).collect(),
            public: public.into_iter().map(with_validation).collect(),
            leeway: terms.leeway,
        }
    }

    /// How many there are.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.secrets.len() + self.public.len()
    }

    /// Checks a token at the given time. It costs what a signature costs, 3 µs with a secret and up to 54 µs with a public key: once a handshake, request or `hello`.
    ///
    /// # Errors
    /// Why it is not accepted.
    pub fn verify(&self, token: &str, unix_ms: u64) -> Result<Arc<Identity>, BadToken> {
        let claims = self.claims(token)?;
        claims.into_identity(self.leeway, unix_ms).map(Arc::new)
    }

    fn claims(&self, token: &str) -> Result<Claims, BadToken> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(BadToken::Malformed);
        }
        let header = decode_header(token).map_err(|error| bad_header(error.kind()))?;
        // "If any of the listed extension Header Parameters are not understood and supported by the recipient, then the JWS is
        // invalid" (RFC 7515 §4.1.11); we understand none.
        if header.crit.is_some() {
            return Err(BadToken::Algorithm);
        }
        let mut failure = BadToken::NoKey;
        for (tries, (key, validation)) in self.candidates(&header).enumerate() {
            if tries == TRIES_MAX {
                return Err(BadToken::NoKid);
            }
            match decode::<Claims>(token, &key.key, validation) {
                Ok(data) => return Ok(data.claims),
                Err(error) => failure = bad(error.kind()),
            }
            // A good signature with bad claims is bad under any other key, too.
            if failure != BadToken::Signature {
                break;
            }
        }
        Err(failure)
    }

    /// The keys that may have signed it: those by its `kid`, or if there are none, those without; and for one that names no key
    /// behind them all others.
    fn candidates(&self, header: &Header) -> impl Iterator<Item = &(Key, Validation)> {
        let ring = if header.alg == Algorithm::HS256 {
            &self.secrets
        } else {
            &self.public
        };
        let (algorithm, kid) = (header.alg, header.kid.clone());
        let is_named = kid.is_some() && ring.iter().any(|(key, _)| key.kid == kid);
        let may_be_other = kid.is_none();
        let meant = if is_named { kid } else { None };
        let of_algorithm = ring
            .iter()
            .filter(move |(key, _)| key.algorithm == algorithm);
        let others = of_algorithm.clone();
        let others = others.filter(move |(key, _)| may_be_other && key.kid.is_some());
        of_algorithm
            .filter(move |(key, _)| key.kid == meant)
            .chain(others)
    }
}

/// Why a head cannot be read: its `alg` is one of no library, as `none`, or it is no head.
fn bad_header(kind: &ErrorKind) -> BadToken {
    if matches!(kind, ErrorKind::Json(error) if error.is_data()) {
        BadToken::Algorithm
    } else {
        BadToken::Malformed
    }
}

#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "the library's errors; what is not named is no token"
)]
fn bad(kind: &ErrorKind) -> BadToken {
    match kind {
        ErrorKind::InvalidSignature => BadToken::Signature,
        ErrorKind::InvalidIssuer => BadToken::Issuer,
        ErrorKind::InvalidAudience => BadToken::Audience,
        ErrorKind::MissingRequiredClaim(claim) if claim == "iss" => BadToken::Issuer,
        ErrorKind::MissingRequiredClaim(claim) if claim == "aud" => BadToken::Audience,
        ErrorKind::MissingRequiredClaim(_) | ErrorKind::Json(_) => BadToken::Claims,
        ErrorKind::InvalidAlgorithm => BadToken::Algorithm,
        _ => BadToken::Malformed,
    }
}
