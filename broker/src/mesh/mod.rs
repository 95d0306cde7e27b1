//! The data plane: every message goes straight from the node where it was published to every other node of the
//! view. See `DESIGN.md` beside this file.

mod inbound;
mod outbound;
mod ring;
mod view;

pub use inbound::{Arrival, Inbound};
pub use outbound::{Completion, Nanos, Outbound};
pub use ring::Ring;
pub use view::View;
