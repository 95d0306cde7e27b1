//! Any bytes to the decoder of replies: a value is read once it is whole and not before, it does not depend on
//! what follows, and memory follows the bytes that have arrived.
#![no_main]

use carillon_proto::resp::ValueDecoder;
use libfuzzer_sys::fuzz_target;
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Bytes that decoding may take for each byte of input: a short value in a growing array is the dearest.
const BYTES_PER_BYTE: usize = 128;
/// Room made ahead: 64 elements at each of 33 levels, and as many again for pairs.
const BYTES_ALWAYS: usize = 256 * 1024;
/// Prefixes that are tried of one value.
const PREFIXES_MAX: usize = 64;

fuzz_target!(|input: &[u8]| {
    let decoder = ValueDecoder::new(4096);
    let mut rest = input;
    loop {
        ALLOCATOR.reset_peak_usage();
        let before = ALLOCATOR.current_usage();
        let decoded = decoder.decode(rest);
        let taken = ALLOCATOR.peak_usage().saturating_sub(before);
        assert!(
            taken <= BYTES_ALWAYS + BYTES_PER_BYTE * rest.len(),
            "{taken} bytes allocated for {} of input",
            rest.len()
        );
        let Ok(Some((value, used))) = decoded else { return };
        assert!(used > 0 && used <= rest.len(), "{used} of {} bytes used", rest.len());
        // Compared as text: not-a-number equals nothing.
        let alone = decoder.decode(&rest[..used]);
        assert_eq!(format!("{alone:?}"), format!("{:?}", Ok::<_, ()>(Some((value, used)))));
        for end in (0..used).step_by(used.div_ceil(PREFIXES_MAX)) {
            assert_eq!(decoder.decode(&rest[..end]), Ok(None), "{end} of {used} bytes");
        }
        rest = &rest[used..];
    }
});
