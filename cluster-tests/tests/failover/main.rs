//! The client while servers die, stop, forget and refuse: nothing is lost, doubled or out of order as long as what the
//! nodes keep reaches back, and beyond that every loss is covered by a gap.

#![allow(clippy::missing_panics_doc, reason = "a failed expectation is a failed test")]

mod carillon;
mod redis;
mod refusals;
mod turned_away;
mod wire;
