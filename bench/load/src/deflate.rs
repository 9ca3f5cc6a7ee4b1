//! permessage-deflate (RFC 7692) without context takeover, by miniz: another implementation than any server's here.

use anyhow::{Context as _, Result};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

/// RFC 7692 §7.2.1: what a sync flush ends with, and a message does without.
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

pub(crate) fn compressed(content: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(content.len() + 64);
    Compress::new(Compression::default(), false).compress_vec(
        content,
        &mut out,
        FlushCompress::Sync,
    )?;
    let len = out.strip_suffix(&TAIL).context("no sync flush")?.len();
    out.truncate(len);
    Ok(out)
}

/// At most a little more than `bytes_max`.
pub(crate) fn inflated(message: &[u8], bytes_max: usize) -> Result<Vec<u8>> {
    let input = [message, &TAIL].concat();
    let mut out = Vec::with_capacity(bytes_max + 64);
    Decompress::new(false).decompress_vec(&input, &mut out, FlushDecompress::Sync)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compressed_inflates_to_itself() {
        let content = b"tide tide tide tide tide tide".repeat(20);
        let compressed = compressed(&content).unwrap();
        assert!(compressed.len() < content.len() / 4);
        assert_eq!(inflated(&compressed, content.len()).unwrap(), content);
    }
}
