//! Carillon
pub mod hub;
