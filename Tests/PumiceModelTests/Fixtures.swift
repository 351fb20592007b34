import PumiceModel

/// Swift Testing has an `Attachment` too.
typealias Attachment = PumiceModel.Attachment

extension Timestamp {
  static let start = Timestamp(milliseconds: 1_700_000_000_000)
}

extension PoolName {
  static let vg1 = PoolName(node: "node1", backend: "lvm", pool: "vg")
  static let vg2 = PoolName(node: "node2", backend: "lvm", pool: "vg")
}

extension Volume {
  static func make(
    name: String = "db", size: ByteCount = .gibibytes(10), type: VolumeTypeID = .random(), zone: String? = nil
  ) -> Volume {
    Volume(
      id: .random(), project: "p", name: name, size: size, type: type, availabilityZone: zone, createdAt: .start)
  }
}

extension Attachment {
  static func make(device: String? = nil) -> Attachment {
    Attachment(
      id: .random(), volume: .random(), project: "p", instance: .random(), node: "compute1", device: device,
      createdAt: .start)
  }
}

extension PoolState {
  /// A thick pool of 100 GiB with 100 GiB free, unless said otherwise.
  static func make(
    _ node: String = "node1", zone: String = "nova", total: Int = 100, free: Int = 100, foreign: Int = 0,
    thin: Bool = false, reserved: Int = 0, ratio: Double = 1, capabilities: [String: [String]] = [:],
    promised: Int = 0, unconfirmed: Int = 0, volumes: Int = 0
  ) -> PoolState {
    PoolState(
      name: PoolName(node: node, backend: "lvm", pool: "vg"), availabilityZone: zone,
      report: PoolReport(
        backend: "lvm", pool: "vg", total: .gibibytes(total), free: .gibibytes(free),
        foreignProvisioned: .gibibytes(foreign), isThin: thin, reservedPercentage: reserved,
        maxOverSubscriptionRatio: ratio, capabilities: capabilities),
      promised: .gibibytes(promised), unconfirmed: .gibibytes(unconfirmed), volumeCount: volumes)
  }
}

extension Placement {
  var pool: PoolName? {
    if case .placed(let pool, _) = self { pool } else { nil }
  }

  var refusals: [PoolRefusal] {
    if case .refused(let refusals) = self { refusals } else { [] }
  }
}
