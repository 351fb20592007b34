import HashTreeCollections
import PumiceModel
import PumiceWire

@testable import PumiceCoordinator

/// Tables with one node that has reported, and ways to bring them into a state.
struct TablesFixture {
  static let instance = Instance(id: InstanceID(high: 7, low: 7), name: "vm", status: .active)

  var tables = Tables()
  let policy: Policy
  let surroundings = Surroundings(
    now: { .start }, sleep: { try await Task.sleep(for: $0) }, dice: SystemRandomNumberGenerator())

  init(poolSize: ByteCount = .gibibytes(1000), isThin: Bool = false) throws {
    policy = Policy(startedAt: Timestamp(milliseconds: 0))
    tables.put(VolumeType.make())
    try report(poolSize: poolSize, isThin: isThin)
  }

  mutating func report(
    _ node: NodeName = "n1", zone: String = "nova", poolSize: ByteCount = .gibibytes(1000), isThin: Bool = false,
    at now: Timestamp = .start
  ) throws {
    var report = NodeReport(
      name: node, version: "1", address: "http://\(node):9776", availabilityZone: zone, instances: [Self.instance])
    report.pools = [
      PoolReport(
        backend: "ssd", pool: "ssd", total: poolSize, free: poolSize, isThin: isThin, maxOverSubscriptionRatio: 1,
        capabilities: ["media": ["ssd"]])
    ]
    try tables.observe(report, policy: policy, at: now)
  }

  /// A volume that is there.
  mutating func volume(_ name: String = "db", size: Int = 10, project: ProjectID = "demo") throws -> Volume {
    var order = VolumeOrder(project: project, size: .gibibytes(size))
    order.name = name
    let volume = try create(order)
    try tables.confirm(volume, at: .start)
    return try row(volume)
  }

  mutating func create(_ order: VolumeOrder) throws -> Volume {
    try tables.createVolume(order, policy: policy, at: .start, in: surroundings)
  }

  /// A volume that is being made from something.
  mutating func copy(_ source: VolumeOrder.Source, size: Int? = nil) throws -> Volume {
    var order = VolumeOrder(project: "demo", size: size.map { .gibibytes($0) })
    order.source = source
    return try create(order)
  }

  /// A snapshot that is being taken, later than all before it.
  mutating func order(snapshotOf volume: Volume, force: Bool = false) throws -> Snapshot {
    var order = SnapshotOrder(of: volume.id)
    order.mayBeAttached = force
    let later = Timestamp.start + .seconds(Int64(tables.snapshots.count))
    return try tables.createSnapshot(order, of: "demo", at: later, in: surroundings)
  }

  /// A snapshot that is there.
  mutating func snapshot(of volume: Volume) throws -> Snapshot {
    let snapshot = try order(snapshotOf: volume)
    try tables.confirm(snapshot, at: .start)
    return try row(snapshot)
  }

  /// The volume is attached, or, short of that, in this state of an attachment.
  mutating func attach(_ volume: Volume, upTo state: PumiceModel.Attachment.State = .attached) throws {
    var attachment = try tables.attach(
      volume.id, to: Self.instance.id, device: nil, of: nil, at: .start, in: surroundings)
    if state != .attaching { try attachment.confirm(device: "vdb", at: .start) }
    if state == .detaching || state == .withdrawing { try attachment.beginDetaching(at: .start) }
    if state == .withdrawing { try attachment.confirmDisconnected(at: .start) }
    tables.put(attachment)
  }

  func row(_ volume: Volume) throws -> Volume { try tables.volume(volume.id, of: nil) }
  func row(_ snapshot: Snapshot) throws -> Snapshot { try tables.snapshot(snapshot.id, of: nil) }
}
