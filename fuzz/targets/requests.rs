//! Any bytes to the request decoder: cut anywhere they give the same requests and the same error as whole, and
//! memory follows the bytes that have arrived, not the lengths that they declare.
#![no_main]

use std::hash::{DefaultHasher, Hash, Hasher};

use carillon_proto::resp::{ProtocolError, RequestDecoder};
use libfuzzer_sys::fuzz_target;
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Bytes that decoding may take for each byte of input: an inline command of one-letter words is the dearest.
const BYTES_PER_BYTE: usize = 128;
/// Bytes that it may take whatever the input.
const BYTES_ALWAYS: usize = 4096;

type Decoded = (Vec<Vec<Vec<u8>>>, Option<ProtocolError>);

fn decode(input: &[u8], ends: impl Iterator<Item = usize>) -> Decoded {
    let mut decoder = RequestDecoder::new(1024);
    let (mut requests, mut start) = (Vec::new(), 0);
    for end in ends.chain([input.len()]) {
        loop {
            ALLOCATOR.reset_peak_usage();
            let before = ALLOCATOR.current_usage();
            let decoded = decoder.decode(&input[start..end]);
            let taken = ALLOCATOR.peak_usage().saturating_sub(before);
            let bound = BYTES_ALWAYS + BYTES_PER_BYTE * (end - start);
            assert!(taken <= bound, "{taken} bytes allocated for {} of input", end - start);
            match decoded {
                Ok(Some((request, used))) => {
                    assert!(used > 0 && used <= end - start, "{used} of {} bytes used", end - start);
                    requests.push(request.args(0).map(<[u8]>::to_vec).collect());
                    start += used;
                }
                Ok(None) => break,
                Err(error) => return (requests, Some(error)),
            }
        }
    }
    (requests, None)
}

/// Places to cut at that follow from the input, so that a failing input fails again.
fn cuts(input: &[u8]) -> Vec<usize> {
    let mut hasher = DefaultHasher::new();
    input.hash(&mut hasher);
    let mut seed = hasher.finish() | 1;
    let mut cuts: Vec<usize> = (0..seed % 8)
        .map(|_| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            (seed % (input.len() as u64 + 1)) as usize
        })
        .collect();
    cuts.sort_unstable();
    cuts
}

fuzz_target!(|input: &[u8]| {
    let whole = decode(input, std::iter::empty());
    assert_eq!(decode(input, 0..input.len()), whole, "in single bytes and whole");
    let cuts = cuts(input);
    assert_eq!(decode(input, cuts.iter().copied()), whole, "cut at {cuts:?} and whole");
});
