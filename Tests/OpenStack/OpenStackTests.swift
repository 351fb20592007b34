import Testing

/// OpenStack's own clients, unmodified, against a real fleet whose coordinator has users: one test after the other.
@Suite(.serialized, .timeLimit(.minutes(10))) struct OpenStackTests {}
