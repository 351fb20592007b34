import Testing

/// Real coordinator, agent, tgtd, libvirtd and guest: one fleet for all suites, one test after the other.
@Suite(.serialized, .oneFleet) struct EndToEndTests {}
