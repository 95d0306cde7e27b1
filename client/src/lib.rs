//! The async client for Carillon. Nothing is in it yet: see the README beside this crate.
