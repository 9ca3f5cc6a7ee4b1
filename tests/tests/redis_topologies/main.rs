//! Where Redis is changes: Sentinels choose another primary, and a cluster moves its slots and replaces its primaries, with real
//! processes of Debian's redis-server, under load. What was acknowledged is heard by all once and in order, or a gap says that it is
//! not, and all goes on by itself.

mod cluster;
mod load;
mod sentinels;
