import Testing

/// Nodes of the lab, one test after the other: they want the machine for themselves.
@Suite(.serialized) struct LabTests {}
