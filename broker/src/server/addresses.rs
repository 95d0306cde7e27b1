//! How many connections each address has.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex},
};

use ahash::{HashMap, HashMapExt as _};

use super::Setting;
use crate::lock::lock;

/// Addresses with connections, and their numbers.
#[derive(Debug)]
pub(crate) struct Addresses(Mutex<HashMap<IpAddr, usize>>);

impl Addresses {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(HashMap::new())))
    }

    /// Counts one more connection of an address, for as long as what is returned lives. `None` when it has as many as
    /// it may have.
    pub(crate) fn take(self: &Arc<Self>, ip: IpAddr, limit: &Setting) -> Option<Place> {
        // The same host by its two names.
        let ip = ip.to_canonical();
        let mut counts = lock(&self.0);
        let count = counts.get(&ip).copied().unwrap_or_default() + 1;
        if limit.is_exceeded_by(count) {
            return None;
        }
        counts.insert(ip, count);
        Some(Place { of: Arc::clone(self), ip })
    }
}

/// One connection of an address.
#[derive(Debug)]
pub(crate) struct Place {
    of: Arc<Addresses>,
    ip: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = lock(&self.of.0);
        if let Some(count) = counts.get_mut(&self.ip) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.ip);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_as_many_as_it_may_and_gets_them_back() {
        let (addresses, limit) = (Addresses::new(), Setting::new(2));
        let [one, mapped, other] =
            ["10.0.0.1", "::ffff:10.0.0.1", "10.0.0.2"].map(|ip| ip.parse::<IpAddr>().unwrap());
        let first = addresses.take(one, &limit).unwrap();
        let _second = addresses.take(mapped, &limit).unwrap();
        assert!(addresses.take(one, &limit).is_none());
        let others = addresses.take(other, &limit).unwrap();
        drop(first);
        let _third = addresses.take(one, &limit).unwrap();
        drop(others);
        assert_eq!(addresses.0.lock().unwrap().len(), 1);
    }

    #[test]
    fn without_a_limit_all_are_counted_and_none_is_refused() {
        let (addresses, limit) = (Addresses::new(), Setting::new(0));
        let ip = "::1".parse().unwrap();
        let places: Vec<_> = (0..100).map(|_| addresses.take(ip, &limit).unwrap()).collect();
        limit.set(100);
        assert!(addresses.take(ip, &limit).is_none());
        drop(places);
        assert!(addresses.take(ip, &limit).is_some());
    }
}
