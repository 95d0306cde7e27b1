//! The data plane: every message goes straight from the node where it was published to every other node of the
//! view. See `DESIGN.md` beside this file.

mod age;
mod inbound;
mod links;
mod outbound;
mod plane;
pub mod quic;
mod ring;
mod view;

use age::Age;
pub use age::RecentBounds;
pub use inbound::{Arrival, Inbound};
pub use links::Links;
pub use outbound::{Completion, Nanos, Outbound};
pub use plane::{Local, Plane, PlaneCommand, PlaneEvent, PlaneProgress, PlaneReport, PlaneSettings};
pub use ring::Ring;
pub use view::View;
