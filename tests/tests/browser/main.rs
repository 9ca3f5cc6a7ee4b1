//! The chat page and the operator's page in real Chromium.

mod admin;
mod chat;
mod connection;
mod files;
mod history;
mod looks;
mod nodes;
mod rooms;
