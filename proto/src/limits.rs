//! Every bound on what a client may make a node hold, with its unit and its reason.

/// Longest line that is not a bulk string, in bytes: an inline command, or the digits after `*` or `$`.
///
/// Redis's `PROTO_INLINE_MAX_SIZE`; the texts of the errors beyond it are Redis's own.
pub const LINE_BYTES_MAX: usize = 64 * 1024;

/// Most arguments of one request.
///
/// Redis allowed 1,048,576 until 7.0 and `INT_MAX` since. No pub/sub client comes near either, and each
/// argument costs bookkeeping, so the older bound stays.
pub const ARGUMENTS_MAX: usize = 1024 * 1024;

/// Default bound on one argument of a request, in bytes; a payload is such an argument.
///
/// Well above what a Socket.IO server accepts from a browser (`maxHttpBufferSize`, 1 MB) and below the
/// outbox limit, so that one message alone never closes its subscribers. Refusing a payload means closing the
/// publisher's connection, and ioredis sends the same payload again when it is back: the bound has to be one
/// that an application does not meet by accident.
pub const ARGUMENT_BYTES_MAX_DEFAULT: usize = 16 * 1024 * 1024;

/// Highest value that the argument bound can be set to, in bytes.
pub const ARGUMENT_BYTES_MAX_CEILING: usize = 64 * 1024 * 1024;

/// Longest frame between nodes, in bytes: the largest payload with its channel, and room for the fields around
/// them. Peers have proved the cluster's secret before a frame of theirs is read.
pub const PEER_FRAME_BYTES_MAX: usize = 2 * ARGUMENT_BYTES_MAX_CEILING + 4096;

/// Longest frame before a peer's handshake is accepted, in bytes.
pub const HANDSHAKE_BYTES_MAX: usize = 4096;
