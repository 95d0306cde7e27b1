//! What a message says about itself, in its first bytes: who published it, as which one, and when it was due.

/// Bytes of the head; the shortest payload.
pub(super) const HEAD_BYTES: usize = 28;

/// The head of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// The run that it belongs to.
    pub(super) run: u32,
    /// Its publisher.
    pub(super) publisher: u32,
    /// The channel that it was published to.
    pub(super) channel: u32,
    /// Its number among this publisher's in this channel, from 0.
    pub(super) sequence: u64,
    /// When it was to be published, in nanoseconds of the tool's clock.
    pub(super) intended_ns: u64,
}

impl Head {
    /// Overwrites the first [`HEAD_BYTES`] of `payload`, which has that many.
    pub(super) fn write(&self, payload: &mut [u8]) {
        payload[0..4].copy_from_slice(&self.run.to_le_bytes());
        payload[4..8].copy_from_slice(&self.publisher.to_le_bytes());
        payload[8..12].copy_from_slice(&self.channel.to_le_bytes());
        payload[12..20].copy_from_slice(&self.sequence.to_le_bytes());
        payload[20..28].copy_from_slice(&self.intended_ns.to_le_bytes());
    }

    /// Reads it; `None` when the payload is too short to be ours.
    pub(super) fn read(payload: &[u8]) -> Option<Self> {
        let (run, rest) = payload.split_first_chunk()?;
        let (publisher, rest) = rest.split_first_chunk()?;
        let (channel, rest) = rest.split_first_chunk()?;
        let (sequence, rest) = rest.split_first_chunk()?;
        let (intended_ns, _) = rest.split_first_chunk()?;
        Some(Self {
            run: u32::from_le_bytes(*run),
            publisher: u32::from_le_bytes(*publisher),
            channel: u32::from_le_bytes(*channel),
            sequence: u64::from_le_bytes(*sequence),
            intended_ns: u64::from_le_bytes(*intended_ns),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_as_it_was_written() {
        let head = Head { run: 1, publisher: 2, channel: 3, sequence: u64::MAX - 4, intended_ns: 5 << 40 };
        let mut payload = [0; HEAD_BYTES + 4];
        head.write(&mut payload);
        assert_eq!(Head::read(&payload), Some(head));
        assert_eq!(Head::read(&payload[..HEAD_BYTES - 1]), None);
    }
}
