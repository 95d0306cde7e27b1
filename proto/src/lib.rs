//! What goes over Carillon's wires: the Redis serialization protocol (RESP), the table of commands, and the
//! limits that bound both.
//!
//! Everything here is pure: bytes in, bytes out, no sockets, no clock, no runtime. That is what lets the same
//! code be fuzzed, checked against a real Redis byte by byte, and run inside a simulation.

pub mod command;
pub mod limits;
pub mod resp;
