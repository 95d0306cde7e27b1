//! Which names are subscribed to, and for whom.

use std::collections::{HashMap, HashSet};

use super::Name;

/// Where a name stands on the connection that there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Wanted,
    Requested,
    Confirmed,
}

#[derive(Debug)]
struct Entry {
    subs: Vec<u64>,
    stage: Stage,
    /// It was confirmed on the connection before, so that what has come since was missed.
    was_confirmed: bool,
}

/// Which names to subscribe to at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// All that are wanted.
    All,
    /// Those of the connection before.
    Again,
    /// Those of one subscription.
    Of(u64),
}

/// All names of all subscriptions.
#[derive(Debug, Default)]
pub(super) struct Names {
    entries: HashMap<Name, Entry>,
    /// Subscribed to, and wanted by nobody any more.
    unwanted: HashSet<Name>,
    /// Some may be wanted and not requested. While none is, nothing is searched for them.
    may_be_due: bool,
}

impl Names {
    /// A subscription wants these.
    pub(super) fn want(&mut self, sub: u64, names: &[Name]) {
        self.may_be_due = true;
        for name in names {
            let is_there = self.unwanted.remove(name);
            let stage = if is_there { Stage::Confirmed } else { Stage::Wanted };
            let entry = || Entry { subs: Vec::new(), stage, was_confirmed: false };
            self.entries.entry(name.clone()).or_insert_with(entry).subs.push(sub);
        }
    }

    /// A subscription is gone.
    pub(super) fn release(&mut self, sub: u64, names: &[Name]) {
        for name in names {
            let Some(entry) = self.entries.get_mut(name) else { continue };
            entry.subs.retain(|other| *other != sub);
            if !entry.subs.is_empty() {
                continue;
            }
            match entry.stage {
                Stage::Wanted => drop(self.entries.remove(name)),
                // Known when it is answered.
                Stage::Requested => {}
                Stage::Confirmed => {
                    self.entries.remove(name);
                    self.unwanted.insert(name.clone());
                }
            }
        }
    }

    /// Who has subscribed to a name.
    pub(super) fn subs(&self, name: &Name) -> &[u64] {
        self.entries.get(name).map_or(&[], |entry| &entry.subs)
    }

    pub(super) fn are_confirmed(&self, names: &[Name]) -> bool {
        let is_confirmed = |entry: &Entry| entry.stage == Stage::Confirmed;
        names.iter().all(|name| self.entries.get(name).is_some_and(is_confirmed))
    }

    /// The connection is lost. Returns whose new names were being asked for.
    pub(super) fn lost(&mut self) -> Vec<u64> {
        self.may_be_due = true;
        self.unwanted.clear();
        self.entries.retain(|_, entry| !entry.subs.is_empty());
        let mut asked = Vec::new();
        for entry in self.entries.values_mut() {
            if entry.stage == Stage::Requested && !entry.was_confirmed {
                asked.extend(&entry.subs);
            }
            entry.was_confirmed |= entry.stage == Stage::Confirmed;
            entry.stage = Stage::Wanted;
        }
        asked.sort_unstable();
        asked.dedup();
        asked
    }

    /// Takes names that are to be subscribed to.
    pub(super) fn request(&mut self, choice: Choice) -> Vec<Name> {
        if !self.may_be_due {
            return Vec::new();
        }
        self.may_be_due = choice != Choice::All;
        let is_chosen = |entry: &Entry| match choice {
            Choice::All => true,
            Choice::Again => entry.was_confirmed,
            Choice::Of(sub) => entry.subs.contains(&sub),
        };
        let due = self.entries.iter_mut();
        let due = due.filter(|(_, entry)| entry.stage == Stage::Wanted && is_chosen(entry));
        due.map(|(name, entry)| {
            entry.stage = Stage::Requested;
            name.clone()
        })
        .collect()
    }

    /// A subscription of which names are to be subscribed to, if there is one.
    pub(super) fn next_due(&mut self) -> Option<u64> {
        if self.may_be_due {
            let mut due = self.entries.values().filter(|entry| entry.stage == Stage::Wanted);
            let found = due.find_map(|entry| entry.subs.first().copied());
            self.may_be_due = found.is_some();
            return found;
        }
        None
    }

    /// These could not be subscribed to, and are to be tried again.
    pub(super) fn put_back(&mut self, names: &[Name]) {
        self.may_be_due = true;
        for name in names {
            if let Some(entry) = self.entries.get_mut(name) {
                entry.stage = Stage::Wanted;
                if entry.subs.is_empty() {
                    self.entries.remove(name);
                }
            }
        }
    }

    /// These are subscribed to. Returns whose they are.
    pub(super) fn confirmed(&mut self, names: &[Name]) -> Vec<u64> {
        let mut subs = Vec::new();
        for name in names {
            let Some(entry) = self.entries.get_mut(name) else { continue };
            if entry.subs.is_empty() {
                self.entries.remove(name);
                self.unwanted.insert(name.clone());
                continue;
            }
            (entry.stage, entry.was_confirmed) = (Stage::Confirmed, false);
            subs.extend(&entry.subs);
        }
        subs.sort_unstable();
        subs.dedup();
        subs
    }

    /// Takes the names of one kind that nobody wants any more.
    pub(super) fn take_unwanted(&mut self) -> Option<Vec<Name>> {
        let kind = self.unwanted.iter().next()?.0;
        Some(self.unwanted.extract_if(|name| name.0 == kind).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SubscriptionKind;

    fn name(name: &'static str) -> Name {
        (SubscriptionKind::Channel, name.into())
    }

    #[test]
    fn a_name_is_subscribed_to_once_and_given_up_with_the_last_who_wants_it() {
        let mut names = Names::default();
        names.want(1, &[name("a")]);
        names.want(2, &[name("a"), name("b")]);
        assert_eq!(names.request(Choice::All).len(), 2);
        assert!(names.request(Choice::All).is_empty(), "they are under way");
        assert_eq!(names.confirmed(&[name("a"), name("b")]), [1, 2]);
        names.release(2, &[name("a"), name("b")]);
        assert_eq!(names.subs(&name("a")), [1]);
        assert_eq!(names.take_unwanted(), Some(vec![name("b")]));
        assert_eq!(names.take_unwanted(), None);
    }

    #[test]
    fn who_leaves_before_the_confirmation_leaves_nothing_behind() {
        let mut names = Names::default();
        names.want(1, &[name("a")]);
        let requested = names.request(Choice::All);
        names.release(1, &[name("a")]);
        assert!(names.confirmed(&requested).is_empty());
        assert_eq!(names.take_unwanted(), Some(vec![name("a")]));
    }

    #[test]
    fn after_a_loss_those_that_were_confirmed_come_first() {
        let mut names = Names::default();
        names.want(1, &[name("a")]);
        let requested = names.request(Choice::All);
        names.confirmed(&requested);
        names.want(2, &[name("b")]);
        assert!(names.lost().is_empty(), "nothing was being asked for");
        assert!(!names.are_confirmed(&[name("a")]));
        assert_eq!(names.request(Choice::Again), [name("a")]);
        assert_eq!(names.request(Choice::All), [name("b")]);
        assert_eq!(names.lost(), [2]);
        names.put_back(&[name("a"), name("b")]);
        let first = names.next_due().expect("two are");
        assert_eq!(names.request(Choice::Of(first)).len(), 1, "of one subscription");
        let second = names.next_due().expect("the other is");
        assert_eq!((first + second, names.request(Choice::Of(second)).len()), (3, 1));
        assert_eq!(names.next_due(), None);
    }
}
