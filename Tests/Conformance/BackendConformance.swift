public import PumiceAgent
public import PumiceModel
import PumiceWire
import Testing

/// Holds a backend to what `VolumeBackend` promises. The backend must be empty before, and is afterwards.
public struct BackendConformance: Sendable {
  /// What a crash leaves behind that was in the middle of making it.
  public enum Leaving: Sendable {
    case volume(VolumeID)
    case copy(VolumeID, of: VolumeSource)
    case snapshot(SnapshotID, of: VolumeID)
    case revert(VolumeID, to: SnapshotID)
  }

  /// What the suite must be told, or can only do through the driver's own back door.
  public struct Hooks: Sendable {
    /// Opens the same storage once more, as an agent does that has crashed.
    public var restart: @Sendable () async throws -> any VolumeBackend
    /// Leaves behind what a crash in the middle would. Volumes and snapshots that it names as sources exist.
    public var plant: @Sendable (Leaving) async throws -> Void
    /// Names of everything on the storage that belongs to the volume or snapshot with this id, leavings included.
    public var traces: @Sendable (_ id: String) async throws -> [String]
    /// A size that can't fit; `nil` where there is none.
    public var excessiveSize: ByteCount?
    /// How many volumes are worked on at once: enough to get into each other's way.
    public var crowd: Int
    /// Whether volumes are copied that somebody may be writing to. Else that may be refused.
    public var copiesVolumesInUse: Bool
    /// Overwrites the whole volume, durably, with what `content` reads as this stamp. The volume is active.
    public var write: @Sendable (_ stamp: Int, StoredVolume) async throws -> Void
    /// Reads the whole volume as it is on the storage. Throws when it is no stamped content. The volume is active.
    public var content: @Sendable (StoredVolume) async throws -> StampedContent

    public init(
      restart: @escaping @Sendable () async throws -> any VolumeBackend,
      plant: @escaping @Sendable (Leaving) async throws -> Void,
      traces: @escaping @Sendable (_ id: String) async throws -> [String], excessiveSize: ByteCount?, crowd: Int = 24,
      copiesVolumesInUse: Bool = false,
      write: @escaping @Sendable (_ stamp: Int, StoredVolume) async throws -> Void = StampedContent.write,
      content: @escaping @Sendable (StoredVolume) async throws -> StampedContent = StampedContent.read
    ) {
      self.restart = restart
      self.plant = plant
      self.traces = traces
      self.excessiveSize = excessiveSize
      self.crowd = crowd
      self.copiesVolumesInUse = copiesVolumesInUse
      self.write = write
      self.content = content
    }
  }

  let backend: any VolumeBackend
  let pool: String
  let hooks: Hooks

  public init(_ backend: any VolumeBackend, pool: String, hooks: Hooks) {
    self.backend = backend
    self.pool = pool
    self.hooks = hooks
  }

  public func check() async throws {
    try await checkVolumes()
    try await checkSnapshots()
    try await checkCopies()
    try await checkReverts()
  }

  // Parts of `check()`, for where all of it takes too long for one test.

  public func checkVolumes() async throws {
    try await reportsItsPools()
    try await makesWhatIsAskedFor()
    try await growsAndNeverShrinks()
    try await removesWhateverIsThere()
    try await refusesWhatCannotBe()
    try await healsLeavings()
    try await worksOnManyVolumesAtOnce()
    try await leavesNothing()
  }

  public func checkSnapshots() async throws {
    try await checkThatSnapshotsHold()
    try await worksOnTheSnapshotsOfManyVolumesAtOnce()
    try await leavesNothing()
  }

  public func checkCopies() async throws {
    try await checkThatCopiesAreVolumes()
    try await leavesNothing()
  }

  public func checkReverts() async throws {
    try await checkThatRevertsAreWhole()
    try await leavesNothing()
  }

  private func leavesNothing() async throws {
    let (volumes, snapshots) = (try await backend.volumes(), try await backend.snapshots())
    #expect(volumes.isEmpty, "the suite left volumes behind")
    #expect(snapshots.isEmpty, "the suite left snapshots behind")
  }

  private func reportsItsPools() async throws {
    let reports = await backend.pools()
    let report = try #require(reports.first { $0.pool == pool })
    #expect(reports.allSatisfy { $0.backend == backend.name })
    #expect(report.downReason == nil)
    #expect(report.total > .zero)
    #expect(report.free >= .zero && report.free <= report.total)
    #expect(report.capabilities["volume_backend_name"] == [backend.name])
    #expect(report.capabilities["storage_protocol"]?.count == 1)
  }

  private func makesWhatIsAskedFor() async throws {
    let id = VolumeID.random()
    let absent = try await backend.volume(id)
    #expect(absent == nil)
    let request = self.request(.mebibytes(8), name: "database \"1\"\n", metadata: ["a": "1", "b": ""])
    let made = try await backend.ensured(id, request)
    #expect(made.id == id)
    #expect(made.pool == pool)
    #expect(made.size == .mebibytes(8))
    #expect(made.revision == request.revision)
    #expect(made.description == request.description)
    let content = try await content(of: made)
    #expect(content == .zeros)

    let repeated = try await backend.ensured(id, request)
    let found = try await backend.volume(id)
    let listed = try await backend.volumes()
    #expect(repeated == made)
    #expect(found == made)
    #expect(listed == [made])

    let reopened = try await hooks.restart().volumes()
    #expect(reopened == [made], "a volume must outlive the agent")
    try await backend.erase(id, pool: pool)
  }

  private func growsAndNeverShrinks() async throws {
    let id = VolumeID.random()
    _ = try await backend.ensured(id, request(.mebibytes(8)))
    var larger = request(.mebibytes(24), revision: 2, name: "renamed")
    let grown = try await backend.ensured(id, larger)
    #expect(grown.size == .mebibytes(24))
    #expect(grown.revision == 2)
    #expect(grown.description.name == "renamed")
    let content = try await content(of: grown)
    #expect(content == .zeros)

    larger.size = .mebibytes(4)
    larger.revision = 3
    let kept = try await backend.ensured(id, larger)
    #expect(kept.size == .mebibytes(24), "a volume must never shrink")
    #expect(kept.revision == 3)
    let found = try await backend.volume(id)
    #expect(found == kept)
    try await backend.erase(id, pool: pool)
  }

  private func removesWhateverIsThere() async throws {
    let (id, other) = (VolumeID.random(), VolumeID.random())
    try await backend.erase(id, pool: pool)
    _ = try await backend.ensured(id, request(.mebibytes(1)))
    let bystander = try await backend.ensured(other, request(.mebibytes(1)))
    for _ in 0..<2 {
      try await backend.erase(id, pool: pool)
      let gone = try await backend.volume(id)
      let traces = try await traces(of: id)
      let left = try await backend.volumes()
      #expect(gone == nil)
      #expect(traces.isEmpty)
      #expect(left == [bystander])
    }
    let again = try await backend.ensured(id, request(.mebibytes(2), revision: 9))
    let content = try await content(of: again)
    #expect(content == .zeros)
    try await backend.erase(id, pool: pool)
    try await backend.erase(other, pool: pool)
  }

  private func refusesWhatCannotBe() async throws {
    let id = VolumeID.random()
    var elsewhere = request(.mebibytes(1))
    elsewhere.pool = "no-such-pool"
    await expect(.notFound) { () throws(StorageError) in _ = try await backend.ensured(id, elsewhere) }
    for size in [ByteCount.zero, ByteCount(-512)] {
      await expect(.invalid) { () throws(StorageError) in _ = try await backend.ensured(id, request(size)) }
    }
    if let size = hooks.excessiveSize {
      await expect(.noSpace) { () throws(StorageError) in _ = try await backend.ensured(id, request(size)) }
      let refused = try await traces(of: id)
      #expect(refused.isEmpty, "a refused volume must leave nothing")

      let small = try await backend.ensured(id, request(.mebibytes(1)))
      await expect(.noSpace) { () throws(StorageError) in
        _ = try await backend.ensured(id, request(size, revision: 2))
      }
      let kept = try await backend.volume(id)
      #expect(kept?.size == small.size, "a refused growth must leave the old size")
      try await backend.erase(id, pool: pool)
    }
    let traces = try await traces(of: id)
    #expect(traces.isEmpty)
  }

  private func healsLeavings() async throws {
    let ids = (0..<3).map { _ in VolumeID.random() }
    for id in ids {
      try await hooks.plant(.volume(id))
      let traces = try await traces(of: id)
      #expect(!traces.isEmpty)
      let found = try await backend.volume(id)
      #expect(found == nil, "a half-made volume must not be seen as one")
    }
    let listed = try await backend.volumes()
    #expect(listed.isEmpty)

    let whole = try await backend.ensured(ids[0], request(.mebibytes(1)))
    let content = try await content(of: whole)
    #expect(content == .zeros)
    try await backend.erase(ids[0], pool: pool)
    try await backend.erase(ids[1], pool: pool)
    _ = try await hooks.restart()
    for id in ids {
      let traces = try await traces(of: id)
      #expect(traces.isEmpty, "leavings of \(id) are still there")
    }
  }

  private func worksOnManyVolumesAtOnce() async throws {
    let ids = (0..<hooks.crowd).map { _ in VolumeID.random() }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for (number, id) in ids.enumerated() {
        group.addTask {
          _ = try await backend.ensured(id, request(.mebibytes(1)))
          if number % 3 == 1 { _ = try await backend.ensured(id, request(.mebibytes(2), revision: 2)) }
          if number % 3 == 2 { try await backend.erase(id, pool: pool) }
        }
      }
      try await group.waitForAll()
    }
    let sizes = Dictionary(uniqueKeysWithValues: try await backend.volumes().map { ($0.id, $0.size) })
    for (number, id) in ids.enumerated() {
      #expect(sizes[id] == [.mebibytes(1), .mebibytes(2), nil][number % 3])
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for id in ids { group.addTask { try await backend.erase(id, pool: pool) } }
      try await group.waitForAll()
    }
  }

  func request(
    _ size: ByteCount, revision: Revision = 1, name: String = "a volume", metadata: [String: String] = [:],
    source: VolumeSource? = nil
  ) -> VolumeRequest {
    VolumeRequest(
      revision: revision, backend: backend.name, pool: pool, size: size, source: source,
      description: VolumeDescription(name: name, project: "project", type: "__DEFAULT__", metadata: metadata))
  }

  func traces<Kind>(of id: Identifier<Kind>) async throws -> [String] { try await hooks.traces("\(id)").sorted() }

  func content(of volume: StoredVolume) async throws -> StampedContent {
    try await whileActive(volume) { try await hooks.content(volume) }
  }

  func write(_ stamp: Int, to volume: StoredVolume) async throws {
    try await whileActive(volume) { try await hooks.write(stamp, volume) }
  }

  private func whileActive<Value>(_ volume: StoredVolume, _ body: () async throws -> Value) async throws -> Value {
    guard let backend = backend as? any ActivatingBackend else { return try await body() }
    try await backend.activate(volume.id, pool: volume.pool)
    let value = try await body()
    try await backend.deactivate(volume.id, pool: volume.pool)
    return value
  }
}

/// Expects a failure of one of these kinds, with a message worth reading.
func expect(
  _ codes: StorageError.Code..., sourceLocation: SourceLocation = #_sourceLocation,
  _ body: () async throws(StorageError) -> Void
) async {
  do throws(StorageError) {
    try await body()
    Issue.record("expected \(codes), but nothing was thrown", sourceLocation: sourceLocation)
  } catch {
    #expect(codes.contains(error.code), "\(error)", sourceLocation: sourceLocation)
    #expect(error.message.hasSuffix("."), "\(error.message)", sourceLocation: sourceLocation)
  }
}
