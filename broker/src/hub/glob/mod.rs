//! Patterns of PSUBSCRIBE, PUBSUB CHANNELS and CONFIG GET, matched as Redis matches them.
//!
//! Redis's `stringmatchlen` recurses at every star, which a pattern of many stars turns into exponential work
//! (CVE-2022-36021). Here a pattern is compiled once, into what lies between its stars. Each of these segments has a
//! fixed length, so its earliest place behind the one before is as good as any: nothing is ever tried twice, and the
//! work is in proportion to the name.

mod segment;

use self::segment::Segment;

/// A compiled pattern.
///
/// `*` any bytes, `?` one byte, `[a-c]` one of, `[^a]` none of, `\` the next byte as it is. As in Redis, a
/// class that is not closed ends with the pattern, and the empty name is matched by the empty pattern only.
#[derive(Clone, Debug)]
pub struct Glob {
    /// Bytes before the first step that is not a literal: most patterns are a prefix and a star.
    prefix: Box<[u8]>,
    rest: Rest,
}

/// What follows the prefix.
#[derive(Clone, Debug)]
enum Rest {
    /// No star: so many bytes, each as it must be.
    Fixed(Box<[Step]>),
    /// A star and nothing else.
    Anything,
    Starred(Box<Starred>),
}

/// What lies before, between and behind the stars.
#[derive(Clone, Debug)]
struct Starred {
    head: Box<[Step]>,
    segments: Box<[Segment]>,
    tail: Box<[Step]>,
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
        let prefix: Box<[u8]> = steps.iter().map_while(Step::literal).collect();
        steps.drain(..prefix.len());
        Self { prefix, rest: Rest::new(&steps) }
    }

    /// The literal bytes with which every name that matches begins.
    pub(super) fn prefix(&self) -> &[u8] {
        &self.prefix
    }

    /// Whether `name` matches.
    pub fn matches(&self, name: &[u8]) -> bool {
        let Some(name) = name.strip_prefix(&*self.prefix) else { return false };
        match &self.rest {
            Rest::Fixed(steps) => accept(steps, name),
            // The star of Redis does not match the empty name, but it does match nothing behind a prefix.
            Rest::Anything => !name.is_empty() || !self.prefix.is_empty(),
            Rest::Starred(starred) => starred.matches(name),
        }
    }
}

impl Rest {
    fn new(steps: &[Step]) -> Self {
        let parts: Vec<&[Step]> = steps.split(|step| *step == Step::Star).collect();
        match &parts[..] {
            [] => Self::Fixed(Box::default()),
            [steps] => Self::Fixed((*steps).into()),
            [[], []] => Self::Anything,
            [head, segments @ .., tail] => Self::Starred(Box::new(Starred {
                head: (*head).into(),
                segments: segments.iter().map(|steps| Segment::new(steps)).collect(),
                tail: (*tail).into(),
            })),
        }
    }
}

impl Starred {
    fn matches(&self, name: &[u8]) -> bool {
        let Some((head, name)) = name.split_at_checked(self.head.len()) else { return false };
        let Some(between) = name.len().checked_sub(self.tail.len()) else { return false };
        let (mut name, tail) = name.split_at(between);
        if !accept(&self.head, head) || !accept(&self.tail, tail) {
            return false;
        }
        for segment in &self.segments {
            let Some(behind) = segment.find(name) else { return false };
            name = behind;
        }
        true
    }
}

/// Whether a name is as long as the steps and each accepts its byte.
fn accept(steps: &[Step], name: &[u8]) -> bool {
    steps.len() == name.len() && steps.iter().zip(name).all(|(step, byte)| step.accepts(*byte))
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

    /// The byte, if it accepts no other.
    fn literal(&self) -> Option<u8> {
        if let Self::Byte(byte) = self { Some(*byte) } else { None }
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
            ("?*", "", false),
            ("?*", "x", true),
            ("a*a", "a", false),
            ("*aa*aa", "aaa", false),
            ("*a?c*", "xabxabc", true),
            ("*[ab]", "xxb", true),
        ] {
            assert_eq!(Glob::new(pattern.as_bytes()).matches(name.as_bytes()), matches, "{pattern} {name}");
        }
    }

    /// Trying a long segment at every place would take the product of the lengths: 17 billion steps, for minutes.
    #[test]
    fn long_segments_are_found_in_one_pass() {
        let name = vec![b'a'; 8 * 1024 * 1024];
        for middle in [b"a".as_slice(), b"?"] {
            let pattern = [b"*", middle.repeat(1000).as_slice(), b"b*"].concat();
            assert!(!Glob::new(&pattern).matches(&name));
        }
    }

    /// CVE-2022-36021: the same pattern keeps Redis 7.0.8 busy for years.
    #[test]
    fn many_stars_are_not_exponential() {
        let pattern = b"a*".repeat(500);
        assert!(!Glob::new(&[&pattern[..], b"b"].concat()).matches(&[b'a'; 1000]));
    }
}
