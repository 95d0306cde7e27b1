//! Patterns of PSUBSCRIBE, PUBSUB CHANNELS and CONFIG GET, matched as Redis matches them.
//!
//! Redis's `stringmatchlen` recurses at every star, which a pattern of many stars turns into exponential work
//! (CVE-2022-36021). Here a pattern is compiled once, and matched by going back to the latest star only: what
//! lies behind a star has a fixed length up to the next one, so its earliest place is as good as any. The work
//! is at most pattern × name steps.

/// A compiled pattern.
///
/// `*` any bytes, `?` one byte, `[a-c]` one of, `[^a]` none of, `\` the next byte as it is. As in Redis, a
/// class that is not closed ends with the pattern, and the empty name is matched by the empty pattern only.
#[derive(Clone, Debug)]
pub struct Glob {
    /// Bytes before the first step that is not a literal: most patterns are a prefix and a star.
    prefix: Box<[u8]>,
    steps: Box<[Step]>,
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Byte(u8),
    AnyByte,
    Class(Box<Class>),
    Star,
}

/// One bit for each byte value.
#[derive(Clone, Debug, Default, PartialEq)]
struct Class([u64; 4]);

impl Class {
    fn insert(&mut self, byte: u8) {
        self.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    fn contains(&self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] & (1 << (byte & 63)) != 0
    }

    fn invert(&mut self) {
        self.0 = self.0.map(|bits| !bits);
    }
}

impl Glob {
    /// Compiles `pattern`. Every byte string is a valid pattern.
    pub fn new(pattern: &[u8]) -> Self {
        let (mut steps, mut rest) = (Vec::new(), pattern);
        while let [first, tail @ ..] = rest {
            rest = tail;
            match (first, tail) {
                (b'*', _) if steps.last() == Some(&Step::Star) => {}
                (b'*', _) => steps.push(Step::Star),
                (b'?', _) => steps.push(Step::AnyByte),
                (b'[', _) => {
                    let (class, after) = parse_class(tail);
                    steps.push(Step::Class(Box::new(class)));
                    rest = after;
                }
                (b'\\', [escaped, after @ ..]) => {
                    steps.push(Step::Byte(*escaped));
                    rest = after;
                }
                (byte, _) => steps.push(Step::Byte(*byte)),
            }
        }
        let literals =
            steps.iter().map_while(|step| if let Step::Byte(byte) = step { Some(*byte) } else { None });
        let prefix: Box<[u8]> = literals.collect();
        steps.drain(..prefix.len());
        Self { prefix, steps: steps.into() }
    }

    /// The literal bytes with which every name that matches begins.
    pub(super) fn prefix(&self) -> &[u8] {
        &self.prefix
    }

    /// Whether `name` matches.
    pub fn matches(&self, name: &[u8]) -> bool {
        let Some(mut name) = name.strip_prefix(&*self.prefix) else { return false };
        match &*self.steps {
            [] => return name.is_empty(),
            // The star of Redis does not match the empty name, but it does match nothing behind a prefix.
            [Step::Star] => return !name.is_empty() || !self.prefix.is_empty(),
            _ => {}
        }
        let mut steps = &*self.steps;
        // Where to go on after the latest star, should what follows it not fit here.
        let mut retry: Option<(&[Step], &[u8])> = None;
        loop {
            match (steps, name) {
                ([Step::Star], _) | ([], []) => return true,
                ([Step::Star, after @ ..], _) => {
                    steps = after;
                    retry = Some((after, name));
                }
                ([step, after @ ..], [byte, tail @ ..]) if step.accepts(*byte) => {
                    (steps, name) = (after, tail);
                }
                _ => {
                    let Some((after, [_, tail @ ..])) = retry else { return false };
                    (steps, name) = (after, tail);
                    retry = Some((after, tail));
                }
            }
        }
    }
}

impl Step {
    fn accepts(&self, byte: u8) -> bool {
        match self {
            Self::Byte(own) => *own == byte,
            Self::AnyByte => true,
            Self::Class(class) => class.contains(byte),
            Self::Star => false,
        }
    }
}

/// Reads a class behind its `[` and returns it with what follows its `]`.
fn parse_class(mut rest: &[u8]) -> (Class, &[u8]) {
    let mut class = Class::default();
    let negated = rest.first() == Some(&b'^');
    if negated {
        rest = &rest[1..];
    }
    loop {
        match rest {
            [b'\\', escaped, tail @ ..] => {
                class.insert(*escaped);
                rest = tail;
            }
            [b']', tail @ ..] => {
                rest = tail;
                break;
            }
            [] => break,
            // Redis takes any byte for the end of a range, `]` too.
            [from, b'-', to, tail @ ..] => {
                (*from.min(to)..=*from.max(to)).for_each(|byte| class.insert(byte));
                rest = tail;
            }
            [byte, tail @ ..] => {
                class.insert(*byte);
                rest = tail;
            }
        }
    }
    if negated {
        class.invert();
    }
    (class, rest)
}

#[cfg(test)]
mod tests {
    use super::Glob;

    #[test]
    fn patterns_match_as_in_redis() {
        for (pattern, name, matches) in [
            ("*", "", false),
            ("*", "a", true),
            ("", "", true),
            ("a*", "a", true),
            ("socket.io#/#*", "socket.io#/#room#", true),
            ("socket.io#/#*", "socket.io#/admin#", false),
            ("h?llo", "hello", true),
            ("h[ae]llo", "hillo", false),
            ("h[^e]llo", "hallo", true),
            ("h[a-b]llo", "hbllo", true),
            ("h[b-a]llo", "hallo", true),
            (r"a\*c", "a*c", true),
            (r"a\*c", "abc", false),
            ("a\\", "a\\", true),
            ("[abc", "c", true),
            ("[a-]", "]", true),
            ("[]", "a", false),
            ("[^]", "a", true),
            (r"[\]]", "]", true),
            ("*a*b*c", "xxaxxbxxc", true),
            ("*a*b*c", "xxaxxcxxb", false),
            ("a**b", "ab", true),
        ] {
            assert_eq!(Glob::new(pattern.as_bytes()).matches(name.as_bytes()), matches, "{pattern} {name}");
        }
    }

    /// CVE-2022-36021: the same pattern keeps Redis 7.0.8 busy for years.
    #[test]
    fn many_stars_are_not_exponential() {
        let pattern = b"a*".repeat(500);
        assert!(!Glob::new(&[&pattern[..], b"b"].concat()).matches(&[b'a'; 1000]));
    }
}
