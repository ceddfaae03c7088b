public import Conductor

/// What one of a pair's nodes is to those who use it.
public enum NodeRole: Sendable {
    /// Follows a leader, or nobody: it answers reads that may be stale, and forwards the rest.
    case standby
    /// Leads: its conductor takes commands until the role changes.
    case leading(Conductor)
}
