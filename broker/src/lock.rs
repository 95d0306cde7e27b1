//! Locks whose content is whole at any moment.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks, also after a panic of one who held it: what it protects is never left half changed, and one that panicked is no
/// reason to stop the others.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
