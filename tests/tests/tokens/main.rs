//! Tokens: where they stand, what they allow, and how they end.

mod expiry;
mod operators;
mod rights;
mod shown;
