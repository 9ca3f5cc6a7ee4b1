//! What the fuzz target `engine_io` calls: any bytes as what a client of Engine.IO and Socket.IO says, as messages of a WebSocket and
//! as payloads. Whatever they are, nothing panics, and what is attached to a packet comes back as it was.

use super::engine;
use super::socket;

/// Reads `data` as a payload, each of its packets as one of Socket.IO, and what follows them as attachments.
///
/// # Panics
/// What must hold does not.
pub fn engine_io(data: &[u8]) {
    if let Ok(text) = str::from_utf8(data) {
        engine::fuzz_payload(text);
        socket::fuzz_content(text);
    }
    socket::fuzz_packets(data);
}

#[cfg(test)]
mod tests {
    use super::engine_io;

    #[test]
    fn whatever_comes_is_read_or_refused() {
        let seeds: [&[u8]; 8] = [
            b"",
            b"4hello\x1ebAQIDBA==\x1e3",
            br#"0{"pid":"a.1","offset":"r:00000001-7"}"#,
            br#"212["msg","r",1]"#,
            b"51-[\"msg\",\"r\",{\"_placeholder\":true,\"num\":0}]\n\xff\x00",
            br#"{"$binary":"AQI="},{"$binary":"A"},{"$binary":""#,
            b"a%2Cb:00000001-7,*:00000002-1,@ada:00000005-1",
            b"\xff\x1e\n5",
        ];
        for seed in seeds {
            engine_io(seed);
            // Cut anywhere, and with any byte changed.
            for at in 0..seed.len() {
                engine_io(&seed[..at]);
                let mut changed = seed.to_vec();
                changed[at] ^= 1;
                engine_io(&changed);
            }
        }
    }
}
