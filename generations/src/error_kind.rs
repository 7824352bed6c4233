//! What went wrong between this client and a node, as callers and the metric `redis_errors_total` tell it apart.

/// Kind of a failed command or connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Another node owns the slot.
    Moved,
    /// The slot is moving and this name is already at its new node.
    Ask,
    /// The slot is moving and the command's names are at two nodes.
    TryAgain,
    /// The cluster misses slots or its majority.
    ClusterDown,
    /// The node is reading its data set.
    Loading,
    /// Too few replicas to accept a write.
    NoReplicas,
    /// The node is at its maxmemory.
    OutOfMemory,
    /// The node refused in any other way: permissions, a read-only node, a disk it cannot write.
    Refused,
    /// No connection could be opened, so nothing was sent.
    Unreachable,
    /// A connection was cut, or sent what is no answer, with commands on it that had none.
    Disconnected,
    /// No answer in time.
    Timeout,
}

impl ErrorKind {
    /// Every kind.
    pub const ALL: [Self; 11] = [
        Self::Moved,
        Self::Ask,
        Self::TryAgain,
        Self::ClusterDown,
        Self::Loading,
        Self::NoReplicas,
        Self::OutOfMemory,
        Self::Refused,
        Self::Unreachable,
        Self::Disconnected,
        Self::Timeout,
    ];

    /// The kind of an error that a node answered, by its first word.
    #[must_use]
    pub fn of_code(code: &[u8]) -> Self {
        match code {
            b"MOVED" => Self::Moved,
            b"ASK" => Self::Ask,
            b"TRYAGAIN" => Self::TryAgain,
            b"CLUSTERDOWN" => Self::ClusterDown,
            b"LOADING" => Self::Loading,
            b"NOREPLICAS" => Self::NoReplicas,
            b"OOM" => Self::OutOfMemory,
            _ => Self::Refused,
        }
    }

    /// Value of the metric label `kind`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Moved => "moved",
            Self::Ask => "ask",
            Self::TryAgain => "tryagain",
            Self::ClusterDown => "clusterdown",
            Self::Loading => "loading",
            Self::NoReplicas => "noreplicas",
            Self::OutOfMemory => "oom",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Disconnected => "disconnected",
            Self::Timeout => "timeout",
        }
    }
}
