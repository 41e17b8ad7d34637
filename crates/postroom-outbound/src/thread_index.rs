//! Thread-Index, which Outlook goes by: an answer's is that of what it answers and five bytes more.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postroom_core::mail::THREAD_INDEX_BYTES;
use postroom_core::time::Timestamp;

/// The header of a conversation: six bytes of a time, and a GUID.
const HEADER: usize = 22;
/// What each answer adds.
const BLOCK: usize = 5;
/// 1601-01-01, where Windows' time begins, in 100 nanoseconds before 1970.
const EPOCH: i64 = 116_444_736_000_000_000;

/// The Thread-Index of an answer ([MS-OXOMSG] 2.2.1.3); `None` where what it answers has none of this
/// shape. `message_id` gives the bits that tell answers of one moment apart, so that the same mail is
/// always composed the same.
pub(crate) fn child(parent: &str, at: Timestamp, message_id: &str) -> Option<String> {
    let mut bytes = STANDARD.decode(parent).ok()?;
    if bytes.len() < HEADER {
        return None;
    }
    bytes.truncate(THREAD_INDEX_BYTES - BLOCK);
    let begun = bytes[..6].iter().fold(0_u64, |time, byte| (time << 8) | u64::from(*byte)) << 16;
    let now = at.0.checked_mul(10).and_then(|ticks| ticks.checked_add(EPOCH));
    let now = now.and_then(|ticks| u64::try_from(ticks).ok()).unwrap_or_default();
    let passed = now.saturating_sub(begun);
    // up to 1.7 years in steps of 26 milliseconds, beyond that in steps of 0.8 seconds
    let far = passed >> (18 + 31) != 0;
    let delta = if far { (1 << 31) | (passed >> 23 & 0x7FFF_FFFF) } else { passed >> 18 & 0x7FFF_FFFF };
    let random = message_id.bytes().fold(0_u8, |sum, byte| sum.rotate_left(3) ^ byte) & 0xF0;
    bytes.extend_from_slice(&(delta as u32).to_be_bytes());
    bytes.push(random);
    Some(STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-22T08:00:00Z in the six bytes of a header.
    fn header() -> Vec<u8> {
        let ticks = (1_795_334_400_000_000_i64 * 10 + EPOCH) as u64;
        let mut bytes = ticks.to_be_bytes()[..6].to_vec();
        bytes.extend_from_slice(&[7; 16]);
        bytes
    }

    fn after(seconds: i64) -> Vec<u8> {
        let at = Timestamp(1_795_334_400_000_000 + seconds * 1_000_000);
        STANDARD.decode(child(&STANDARD.encode(header()), at, "<a@b>").unwrap()).unwrap()
    }

    #[test]
    fn an_answer_adds_the_time_that_has_passed() {
        let index = after(3600);
        assert_eq!(index[0], 1, "as [MS-OXOMSG] has it: the time's first byte");
        assert_eq!((&index[..22], index.len()), (&header()[..], 27));
        let delta = u32::from_be_bytes(index[22..26].try_into().unwrap());
        assert_eq!(u64::from(delta), (3600 * 10_000_000_u64) >> 18, "26-millisecond steps");
        let years = after(3 * 365 * 86_400);
        let delta = u32::from_be_bytes(years[22..26].try_into().unwrap());
        assert_eq!(u64::from(delta), (1 << 31) | ((3 * 365 * 86_400 * 10_000_000_u64) >> 23));
        assert_eq!(after(-60)[22..26], [0; 4], "a clock that was set back");
    }

    #[test]
    fn answers_to_answers_go_on_up_to_the_limit() {
        let mut index = STANDARD.encode(header());
        for length in [27, 32, 37] {
            index = child(&index, Timestamp(0), "<a@b>").unwrap();
            assert_eq!(STANDARD.decode(&index).unwrap().len(), length);
        }
        let longest = STANDARD.encode(vec![7; THREAD_INDEX_BYTES]);
        assert_eq!(
            STANDARD.decode(child(&longest, Timestamp(0), "").unwrap()).unwrap().len(),
            THREAD_INDEX_BYTES
        );
        for bad in ["", "***", "AAAA", "a\r\nBcc: x"] {
            assert_eq!(child(bad, Timestamp(0), ""), None);
        }
    }
}
