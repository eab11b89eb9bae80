//! What one message, ping and join take. Counts are read from the code and kept by its tests; times
//! on AWS are assumed, because nothing here has run there.

/// A figure that a plan rests on, for whoever wants to know why.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figure {
    /// What it is.
    pub(super) what: &'static str,
    /// How much.
    pub(super) value: f64,
    /// Of what.
    pub(super) unit: &'static str,
    /// Where it is from.
    pub(super) source: &'static str,
}

/// Posts that a function makes at the same time.
pub(super) const POSTS_AT_ONCE: f64 = 64.0;
/// Members that one function posts to; in larger rooms they are divided over several.
pub(super) const SHARE_MEMBERS: f64 = 1000.0;
/// Processor time of a post, on a whole processor.
pub(super) const POST_CPU_MS: f64 = 0.018;
/// Memory of each function.
pub(super) const MEMORY_MB: f64 = 256.0;
/// Memory at which a function has one whole processor.
const WHOLE_PROCESSOR_MB: f64 = 1769.0;
/// The share of a processor that a function has.
pub(super) const PROCESSOR_SHARE: f64 = MEMORY_MB / WHOLE_PROCESSOR_MB;

/// A post's answer.
pub(super) const POST_MS: f64 = 10.0;
/// DynamoDB's answer.
pub(super) const DATABASE_MS: f64 = 5.0;
/// From the frame at API Gateway to the function.
pub(super) const INVOKE_MS: f64 = 10.0;
/// To the first receiver: the function, the two reads at once, the claim, the message, a post.
pub(super) const LATENCY_FLOOR_MS: f64 = INVOKE_MS + 3.0 * DATABASE_MS + POST_MS;

/// Bytes of a member in the table.
pub(super) const MEMBER_BYTES: f64 = 100.0;
/// Bytes that one unit reads.
pub(super) const READ_UNIT_BYTES: f64 = 4096.0;
/// Units that a message writes: itself and the claim of its id.
pub(super) const MESSAGE_WRITES: f64 = 2.0;
/// Units that a message reads besides the room: the newest one.
pub(super) const MESSAGE_READS: f64 = 1.0;
/// Units that a ping reads besides the room: the connection and the newest message.
pub(super) const PING_READS: f64 = 2.0;
/// Units that a new connection writes: its own item, twice with its end.
pub(super) const CONNECTION_WRITES: f64 = 2.0;
/// Units that a return reads besides the room: three plain reads and the newest message.
pub(super) const RETURN_READS: f64 = 4.0;
/// Units that a return writes: one, and a transaction of three items, which count twice.
pub(super) const RETURN_WRITES: f64 = 7.0;

/// A page pings after so long without a frame of its own, s.
pub(super) const PING_EVERY_S: f64 = 4.0 * 60.0;
/// A page renews its connection after 110 to 118 minutes, s.
pub(super) const RENEWED_EVERY_S: f64 = 114.0 * 60.0;

/// Bytes of a frame on its way to a member.
pub(super) const FRAME_BYTES: f64 = 300.0;
/// Bytes of a message in the table, with its claim.
pub(super) const STORED_BYTES: f64 = 500.0;
/// Days that messages are kept.
pub(super) const HISTORY_DAYS: f64 = 7.0;
/// Bytes that Lambda logs of each invocation.
pub(super) const LOGGED_BYTES: f64 = 350.0;

/// All of them that are worth a word.
pub(super) fn figures() -> Vec<Figure> {
    let figure = |what, value, unit, source| Figure {
        what,
        value,
        unit,
        source,
    };
    let assumed = "assumed: what AWS's customers report; not measured here";
    vec![
        figure("an answer of DynamoDB", DATABASE_MS, "ms", assumed),
        figure("an answer of `@connections`", POST_MS, "ms", assumed),
        figure(
            "from API Gateway to a warm function",
            INVOKE_MS,
            "ms",
            assumed,
        ),
        figure(
            "a post's processor time, on a whole processor",
            POST_CPU_MS,
            "ms",
            "measured on a machine of two processors: docs/large-rooms.md",
        ),
        figure(
            "a function's share of a processor",
            PROCESSOR_SHARE,
            "",
            "256 MB of the 1,769 MB that AWS documents for a whole one",
        ),
        figure(
            "members that one function posts to",
            SHARE_MEMBERS,
            "",
            "docs/large-rooms.md",
        ),
        figure(
            "posts at the same time",
            POSTS_AT_ONCE,
            "",
            "handlers/src/chat/fan_out.rs",
        ),
        figure(
            "write units of a message",
            MESSAGE_WRITES,
            "",
            "measured: handlers/src/adapters/tests.rs",
        ),
        figure(
            "a member in the table",
            MEMBER_BYTES,
            "bytes",
            "handlers/src/adapters/dynamodb/item.rs",
        ),
        figure("a ping after silence of", PING_EVERY_S, "s", "wwwroot"),
        figure("a new connection every", RENEWED_EVERY_S, "s", "wwwroot"),
        figure("a frame", FRAME_BYTES, "bytes", "assumed"),
    ]
}
