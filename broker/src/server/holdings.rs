//! How much the clients of one shard make it hold outside the hub: requests that are not complete, and queued ones.

use std::{cell::Cell, rc::Rc};

/// The sum over a shard's connections.
#[derive(Clone, Debug, Default)]
pub(crate) struct Holdings(Rc<Cell<usize>>);

impl Holdings {
    /// Bytes now.
    pub(crate) fn bytes(&self) -> usize {
        self.0.get()
    }

    /// A part of the sum that can change, and is gone with what is returned.
    pub(crate) fn part(&self) -> Held {
        Held { sum: self.clone(), bytes: Cell::new(0) }
    }
}

/// What one thing holds.
#[derive(Debug)]
pub(crate) struct Held {
    sum: Holdings,
    bytes: Cell<usize>,
}

impl Held {
    pub(crate) fn get(&self) -> usize {
        self.bytes.get()
    }

    pub(crate) fn set(&self, bytes: usize) {
        let sum = &self.sum.0;
        sum.set(sum.get() + bytes - self.bytes.replace(bytes));
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::Holdings;

    #[test]
    fn parts_add_up_and_leave_nothing() {
        let sum = Holdings::default();
        let (one, other) = (sum.part(), sum.part());
        one.set(100);
        other.set(7);
        one.set(3);
        assert_eq!((sum.bytes(), one.get()), (10, 3));
        drop(one);
        assert_eq!(sum.bytes(), 7);
        drop(other);
        assert_eq!(sum.bytes(), 0);
    }
}
