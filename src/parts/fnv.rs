//! FNV-1a, 64 bits (Fowler, Noll and Vo): a checksum against accidents, the same in every version.

/// The checksum of nothing.
pub const EMPTY: u64 = 0xcbf2_9ce4_8422_2325;

/// Goes on with a checksum.
pub fn with(sum: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(sum, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
