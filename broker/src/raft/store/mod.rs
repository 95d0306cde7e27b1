//! What a node keeps on disk, behind one module: sled 0.34 with checksums of our own.
//!
//! sled's own checksums end where its pages do, its `flush` does not reach the disk by itself, and there are open
//! reports of stores that cannot be read after a kill. So each value carries a checksum over key and value, each
//! batch is followed by `sync_data`, and a number beside the store tells which batch was the last that anyone was
//! told of: a store that has fewer is corrupt, however well it opens.

mod aside;
mod disk;
mod log;
mod machine;
mod writer;

pub use aside::set_aside;
pub use disk::{Disk, DiskError};
pub use log::LogStore;
pub use machine::{MachineBuilder, StateMachine, StateWatch};
