//! Acked means kept: on the disk before the ack, across kills, and while the disk is full.

mod ack_after_fdatasync;
mod kill_and_restart;
mod storage_full;
