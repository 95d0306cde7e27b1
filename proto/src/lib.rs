//! Internal to Carillon, and changes with it: programs use `carillon-client`, which exports what they need of this.
//!
//! What goes over Carillon's wires: the Redis serialization protocol (RESP) and the table of commands for
//! clients, the messages between nodes, what takes the place of a socket inside one process, and the limits that bound
//! them.
//!
//! Everything here is pure: bytes in, bytes out, no sockets, no clock, no runtime. That is what lets the same
//! code be fuzzed, checked against a real Redis byte by byte, and run inside a simulation.

pub mod command;
pub mod limits;
pub mod peer;
pub mod pipe;
pub mod position;
pub mod resp;
