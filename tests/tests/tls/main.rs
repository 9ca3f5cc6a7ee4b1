//! TLS: versions, ciphers, certificates that change, broken peers, and the commands that are clients.

mod broken_peers;
mod command_line;
mod commands;
mod keylog;
mod rotation;
mod serves_what_plain_does;
mod versions_and_ciphers;
