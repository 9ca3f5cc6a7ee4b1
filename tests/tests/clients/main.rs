//! The JavaScript client: in Node and in Chromium, as a package, with tokens, and with several nodes.

mod guide;
mod in_chromium;
mod javascript;
mod of_nodes;
mod package;
mod tokens;
