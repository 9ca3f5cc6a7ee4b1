//! Who somebody is and what they may do: a token (RFC 7519) is checked here and becomes an [`Identity`], which the hub and the
//! API ask. Pure: keys come from [`load`], once; the time is an argument; what a token says decides about nothing but its own
//! claims. It makes no tokens (`tools/token.rs` does) and knows neither sockets nor rooms.

mod access;
mod claims;
mod expiry;
mod keys;
mod load;

pub use access::{Access, Forbidden, Identity, Right};
pub use expiry::{Due, Expiries};
pub use keys::{BadToken, Keys};
pub use load::{AuthError, load};

#[cfg(test)]
mod tests;
