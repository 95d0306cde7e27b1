//! A pattern and a name, one on each line: compiled patterns match what Redis's `stringmatchlen` (util.c)
//! matches. The reference is that function step by step, except that it remembers what has failed already,
//! without which it takes exponential time.
#![no_main]

use std::collections::HashSet;

use carillon_broker::hub::Glob;
use libfuzzer_sys::fuzz_target;

/// Longest pattern and name that are given to the reference.
const REFERENCE_BYTES_MAX: usize = 256;

struct Reference<'a> {
    pattern: &'a [u8],
    name: &'a [u8],
    failed: HashSet<(usize, usize)>,
}

impl Reference<'_> {
    /// The byte of the pattern at `at`, or the zero behind its end, which C reads there.
    fn pattern_byte(&self, at: usize) -> u8 {
        self.pattern.get(at).copied().unwrap_or(0)
    }

    fn matches(&mut self, pattern_at: usize, name_at: usize) -> bool {
        if self.failed.contains(&(pattern_at, name_at)) {
            return false;
        }
        let matches = self.matches_afresh(pattern_at, name_at);
        if !matches {
            self.failed.insert((pattern_at, name_at));
        }
        matches
    }

    fn matches_afresh(&mut self, mut at: usize, mut name_at: usize) -> bool {
        let (end, name_end) = (self.pattern.len(), self.name.len());
        while at < end && name_at < name_end {
            let byte = self.name[name_at];
            match self.pattern[at] {
                b'*' => {
                    while self.pattern_byte(at + 1) == b'*' {
                        at += 1;
                    }
                    return at + 1 == end || (name_at..name_end).any(|from| self.matches(at + 1, from));
                }
                b'?' => {}
                b'[' => {
                    let (is_in_class, last) = self.class(at + 1, byte);
                    if !is_in_class {
                        return false;
                    }
                    at = last;
                }
                _ => {
                    if self.pattern[at] == b'\\' && at + 1 < end {
                        at += 1;
                    }
                    if self.pattern[at] != byte {
                        return false;
                    }
                }
            }
            at += 1;
            name_at += 1;
            if name_at == name_end {
                while self.pattern_byte(at) == b'*' {
                    at += 1;
                }
                break;
            }
        }
        at == end && name_at == name_end
    }

    /// Whether `byte` is in the class that starts at `at`, and where the last byte of the class is.
    fn class(&self, mut at: usize, byte: u8) -> (bool, usize) {
        let end = self.pattern.len();
        let is_negated = self.pattern_byte(at) == b'^';
        at += usize::from(is_negated);
        let mut is_in_class = false;
        loop {
            if at + 2 <= end && self.pattern[at] == b'\\' {
                at += 1;
                is_in_class |= self.pattern[at] == byte;
            } else if self.pattern_byte(at) == b']' {
                break;
            } else if at == end {
                at -= 1;
                break;
            } else if at + 3 <= end && self.pattern[at + 1] == b'-' {
                let (from, to) = (self.pattern[at], self.pattern[at + 2]);
                is_in_class |= (from.min(to)..=from.max(to)).contains(&byte);
                at += 2;
            } else {
                is_in_class |= self.pattern[at] == byte;
            }
            at += 1;
        }
        (is_in_class != is_negated, at)
    }
}

fuzz_target!(|input: &[u8]| {
    let (pattern, name) = match input.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&input[..end], &input[end + 1..]),
        None => (input, &[][..]),
    };
    // Whatever its length, it ends: libFuzzer's -timeout watches.
    let matches = Glob::new(pattern).matches(name);
    if pattern.len() <= REFERENCE_BYTES_MAX && name.len() <= REFERENCE_BYTES_MAX {
        let expected = Reference { pattern, name, failed: HashSet::new() }.matches(0, 0);
        assert_eq!(matches, expected, "'{}' and '{}'", pattern.escape_ascii(), name.escape_ascii());
    }
});
