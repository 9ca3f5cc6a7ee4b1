//! There is no Rust here: `cargo xtask bench servers` compiles `server.cpp` beside the sources that the manifest names.
