//! Bytes that two programs can produce independently of each other: test-app writes them, and a test compares them.

/// Returns the bytes of a stream from `offset` on, which depend on the key only. Each byte depends on its offset, so
/// that lost, repeated and moved bytes are found.
pub fn bytes(key: u64, offset: u64, count: usize) -> Vec<u8> {
    (offset..).take(count).map(|at| byte(key, at)).collect()
}

/// Returns how many of the first bytes are those of the stream from `offset` on.
pub fn count_right(key: u64, offset: u64, bytes: &[u8]) -> usize {
    (offset..).zip(bytes).take_while(|(at, found)| byte(key, *at) == **found).count()
}

/// Returns one of the eight bytes that splitmix64 makes of the key and the offset.
fn byte(key: u64, at: u64) -> u8 {
    let mut word = key.wrapping_add((at / 8 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (word ^ (word >> 31)).to_le_bytes()[(at % 8) as usize]
}
