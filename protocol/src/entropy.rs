//! Where masking keys and nonces come from (RFC 6455 §4.1, §5.3).

use rand::CryptoRng;

/// The thread's generator. That it is a strong one is in its type, so that no other can take its place unseen.
/// [6455-5.3-3, 6455-4.1-26]
pub(crate) fn strong_entropy() -> impl CryptoRng {
    rand::rng()
}
