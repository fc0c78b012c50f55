//! No licence makes the reader panic, whether its signature is good or not, nor does what it grants.

#![no_main]

use bootstrapd_core::license;
use bootstrapd_core::time::Timestamp;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((first, text)) = input.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let _ = license::is_trial(text);
    if let Ok(terms) = license::open(text, |_, _| first & 1 == 0) {
        assert_eq!(first & 1, 0, "a bad signature grants nothing");
        let _ = terms.permit(Timestamp::from_seconds(1_700_000_000), "a.cluster", u32::from(*first), first & 2 == 0);
    }
});
