//! Looking through bytes eight at a time.

/// Whether two texts of the same length are the same: their ends, which overlap, then what is between them. The general
/// comparison costs more for texts so short.
#[inline]
pub(super) fn same_bytes(one: &[u8], two: &[u8]) -> bool {
    match (one.split_first_chunk::<8>(), two.split_first_chunk::<8>()) {
        (Some((first, rest)), Some((other, others))) => {
            first == other && one.last_chunk::<8>() == two.last_chunk::<8>() && (rest.len() <= 8 || rest == others)
        }
        _ => match (one.first_chunk::<4>(), two.first_chunk::<4>()) {
            (Some(first), Some(other)) => first == other && one.last_chunk::<4>() == two.last_chunk::<4>(),
            _ => one == two,
        },
    }
}

const ONES: u64 = u64::from_ne_bytes([1; 8]);
const TOPS: u64 = ONES << 7;

/// The classic "does this word have a zero byte": its top bit is set. Exact up to the first, and that is all we use.
const fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & TOPS
}

/// Where `byte` is for the first time: eight bytes at a time.
#[must_use]
#[inline]
pub fn find_byte(bytes: &[u8], byte: u8) -> Option<usize> {
    let pattern = ONES.wrapping_mul(u64::from(byte));
    let (words, _) = bytes.as_chunks::<8>();
    let skipped = words.iter().take_while(|word| zeros(u64::from_le_bytes(**word) ^ pattern) == 0).count();
    let skipped = skipped.wrapping_mul(8);
    let rest = bytes.get(skipped..).unwrap_or_default();
    rest.iter().position(|other| *other == byte).map(|at| at.wrapping_add(skipped))
}

/// Whether there is one of two bytes: eight bytes at a time.
#[inline]
pub(crate) fn has_either(bytes: &[u8], [one, two]: [u8; 2]) -> bool {
    let [ones, twos] = [one, two].map(|byte| ONES.wrapping_mul(u64::from(byte)));
    let (words, rest) = bytes.as_chunks::<8>();
    let hits = words.iter().fold(0, |hits, word| {
        let word = u64::from_le_bytes(*word);
        hits | zeros(word ^ ones) | zeros(word ^ twos)
    });
    hits != 0 || rest.iter().any(|byte| *byte == one || *byte == two)
}

/// The bytes of a word that end what is ordinary: their top bits are set, exactly up to the first. All three tests share
/// the mask: what is looked for is ASCII, so a difference to it has the word's own top bits.
const fn ends(word: u64) -> u64 {
    let control = word.wrapping_sub(ONES.wrapping_mul(0x20));
    let quote = (word ^ ONES.wrapping_mul(0x22)).wrapping_sub(ONES);
    let backslash = (word ^ ONES.wrapping_mul(0x5C)).wrapping_sub(ONES);
    (control | quote | backslash) & !word & TOPS
}

/// How many bytes at the start of `bytes` are neither quote, backslash nor control: eight at a time.
#[inline]
pub(crate) fn ordinary_length(bytes: &[u8]) -> usize {
    let (words, _) = bytes.as_chunks::<8>();
    let mut length = 0_usize;
    for word in words {
        let hits = ends(u64::from_le_bytes(*word));
        if hits != 0 {
            return length.wrapping_add(hits.trailing_zeros() as usize / 8);
        }
        length = length.wrapping_add(8);
    }
    let rest = bytes.get(length..).unwrap_or_default();
    length.wrapping_add(rest.iter().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20)).count())
}
