import Logging
import PumiceAgent
import PumiceModel
import PumiceWire
import Synchronization

/// One machine in memory: what survives its agent, and agents on it, one after the other.
final class NodeFixture: Sendable {
  let disk = InMemoryDisk(pools: ["mem": .gibibytes(100)])
  let fabric = InMemoryFabric()
  let instance = InstanceID.random()
  let hypervisorWorld: InMemoryHypervisorWorld
  let exportShelf = InMemoryRecordShelf<ExportRecord>()
  let connectionShelf = InMemoryRecordShelf<ConnectionRecord>()
  let frozenShelf = InMemoryRecordShelf<QuiescenceRecord>()
  let faults = Faults()
  let initiator = "iqn.2026-11.test:n1"
  /// Whether its volumes are devices, which its instances use without a target.
  let isLocal: Bool

  init(isLocal: Bool = false) {
    self.isLocal = isLocal
    hypervisorWorld = InMemoryHypervisorWorld(instances: [Instance(id: instance, name: "vm", status: .active)])
  }

  /// A freshly started agent.
  ///
  /// - Parameters:
  ///   - slices: How many calls it takes to copy, to revert or to wipe.
  ///   - others: What it has beside the backend in memory.
  func start(
    logger: Logger = .silent, slices: Int = 1, beside others: [any VolumeBackend] = []
  ) -> NodeService {
    let faults = faults
    func reach(_ driver: String) -> @Sendable (String) async throws(StorageError) -> Void {
      { step throws(StorageError) in try faults.reach("\(driver).\(step)") }
    }
    let backend = InMemoryBackend(name: "mem", disk: disk, slices: slices, fault: reach("backend"))
    return NodeService(
      NodeIdentity(name: "n1", address: "http://127.0.0.1:1"),
      drivers: NodeDrivers(
        backends: others + [isLocal ? InMemoryDevices(backend) : backend],
        exporter: InMemoryExporter(fabric: fabric, portal: "n1", disks: ["mem": disk], fault: reach("exporter")),
        hypervisor: InMemoryHypervisor(world: hypervisorWorld, fault: reach("hypervisor")),
        connector: InMemoryConnector(fabric: fabric, initiator: initiator, fault: reach("connector")),
        local: isLocal ? .local(on: "n1") : nil),
      exports: InMemoryRecordStore(on: exportShelf, fault: reach("exports")),
      connections: InMemoryRecordStore(on: connectionShelf, fault: reach("connections")),
      quiescence: quiescence(), logger: logger)
  }

  /// What a freshly started agent holds guests still with.
  func quiescence(
    sleep: @escaping @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }
  ) -> Quiescence {
    let faults = faults
    return Quiescence(
      hypervisor: InMemoryHypervisor(world: hypervisorWorld) { step throws(StorageError) in
        try faults.reach("hypervisor.\(step)")
      },
      records: InMemoryRecordStore(on: frozenShelf) { step throws(StorageError) in try faults.reach("frozen.\(step)") },
      logger: .silent, sleep: sleep)
  }

  var exportRecords: [ExportRecord] { InMemoryRecordStore(on: exportShelf).all }
  var connectionRecords: [ConnectionRecord] { InMemoryRecordStore(on: connectionShelf).all }
  var pluggedAttachments: [AttachmentID] { hypervisorWorld.slots.map(\.disk.attachment) }

  // MARK: Requests

  func volumeRequest(
    _ revision: Revision = 1, size: ByteCount = .gibibytes(1), source: VolumeSource? = nil, multiattach: Bool? = nil
  ) -> VolumeRequest {
    var request = VolumeRequest(
      revision: revision, backend: "mem", pool: "mem", size: size, source: source,
      description: VolumeDescription(name: "db", project: "red", type: "fast"))
    request.multiattach = multiattach
    return request
  }

  func snapshotRequest(_ volume: VolumeID, _ revision: Revision = 1) -> SnapshotRequest {
    SnapshotRequest(
      revision: revision, volume: volume, backend: "mem", pool: "mem",
      description: VolumeDescription(name: "before", project: "red", type: "fast"))
  }

  func snapshotRemoval(_ volume: VolumeID, _ revision: Revision) -> SnapshotRemoval {
    SnapshotRemoval(revision: revision, volume: volume, backend: "mem", pool: "mem")
  }

  func revertRequest(_ revision: Revision, to snapshot: SnapshotID) -> RevertRequest {
    RevertRequest(revision: revision, snapshot: snapshot, backend: "mem", pool: "mem")
  }

  func exportRequest(_ volume: VolumeID, _ attachment: AttachmentID, _ revision: Revision = 1) -> ExportRequest {
    ExportRequest(
      revision: revision, volume: volume, backend: "mem", pool: "mem",
      initiator: isLocal ? "local:n1" : "\(initiator):\(attachment)")
  }

  func connectionRequest(
    _ volume: VolumeID, _ target: ExportedTarget, _ revision: Revision = 1, size: ByteCount = .gibibytes(1)
  ) -> ConnectionRequest {
    ConnectionRequest(revision: revision, volume: volume, instance: instance, size: size, target: target)
  }

  func removal(_ revision: Revision) -> VolumeRemoval {
    VolumeRemoval(revision: revision, backend: "mem", pool: "mem")
  }

  /// A volume, exported, connected and plugged.
  func attach(_ volume: VolumeID, _ attachment: AttachmentID, by node: NodeService) async throws {
    _ = try await node.ensureVolume(volume, volumeRequest())
    let target = try await node.ensureExport(attachment, exportRequest(volume, attachment))
    _ = try await node.ensureConnection(attachment, connectionRequest(volume, target))
  }
}

/// Decides at which of a driver's steps it fails. Nothing after such a step is done, as if the process had died there.
final class Faults: Sendable {
  private struct State {
    var names: Set<String> = []
    var countdown: Int?
    var reached: [String] = []
  }

  private let state = Mutex(State())

  /// Fails at every step with this name, such as `exporter.remove`, until `clear`.
  func fail(at name: String) { state.withLock { _ = $0.names.insert(name) } }

  /// Fails once, after that many steps.
  func fail(afterSteps count: Int) { state.withLock { $0.countdown = count } }

  func clear() { state.withLock { $0 = State() } }

  /// Whether a `fail(afterSteps:)` has not come to its turn.
  var isPending: Bool { state.withLock { $0.countdown != nil } }

  /// The steps so far.
  var reached: [String] { state.withLock(\.reached) }

  func reach(_ step: String) throws(StorageError) {
    let fails = state.withLock { state in
      state.reached.append(step)
      if let countdown = state.countdown {
        state.countdown = countdown == 0 ? nil : countdown - 1
        if countdown == 0 { return true }
      }
      return state.names.contains(step)
    }
    if fails { throw StorageError(.unavailable, "A planted failure of \(step).") }
  }
}

/// Remembers every line, metadata and all.
struct RecordingLogHandler: LogHandler {
  final class Lines: Sendable {
    private let lines = Mutex<[String]>([])

    var all: [String] { lines.withLock { $0 } }
    func append(_ line: String) { lines.withLock { $0.append(line) } }
  }

  let lines: Lines
  var metadata: Logger.Metadata = [:]
  var logLevel: Logger.Level = .trace

  init(_ lines: Lines) { self.lines = lines }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    lines.append(
      "\(event.level) \(event.message) \(metadata) \(event.metadata ?? [:]) \(event.error.map { "\($0)" } ?? "")")
  }

  static func logger(_ lines: Lines) -> Logger { Logger(label: "test") { _ in RecordingLogHandler(lines) } }
}

/// A value that several tasks of a test change.
final class Shared<Value: Sendable>: Sendable {
  private let value: Mutex<Value>

  init(_ value: Value) { self.value = Mutex(value) }

  func withLock<Result: Sendable>(_ body: (inout Value) -> Result) -> Result {
    value.withLock { value in
      var copy = value
      defer { value = copy }
      return body(&copy)
    }
  }
}
