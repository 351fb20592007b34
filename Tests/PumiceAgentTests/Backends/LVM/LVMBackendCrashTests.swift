import Conformance
import PumiceModel
import PumiceWire
import Testing

@testable import PumiceAgent

/// The backend over a volume group in memory: the port's promises, and the power cut at every single step of each operation.
struct LVMBackendCrashTests {
  typealias Provisioning = LVMBackendConfiguration.Provisioning

  @Test(arguments: [Provisioning.thin, .thick])
  func keepsThePromisesOfABackend(_ provisioning: Provisioning) async throws {
    let lvm = InMemoryLVM(size: .gibibytes(1), thinPool: provisioning == .thin ? .mebibytes(512) : nil)
    let backend = Self.backend(lvm, provisioning)
    let hooks = BackendConformance.Hooks(
      restart: {
        let backend = Self.backend(lvm, provisioning)
        try await backend.prepare()
        var watch = FillWatch()
        await backend.keep(&watch, grace: .zero)
        return backend
      },
      plant: { try await Self.plant($0, lvm, provisioning) },
      traces: { id in lvm.names.filter { $0.contains(id) } },
      excessiveSize: provisioning == .thin ? ByteCount(1 << 62) : .gibibytes(2),
      write: { stamp, volume in
        lvm.change { world in
          let name = "volume-\(volume.id)"
          world.cells[name] = Array(repeating: UInt8(stamp), count: world.cells[name]?.count ?? 0)
        }
      },
      content: { volume in
        let cells = try #require(lvm.cells("volume-\(volume.id)"))
        let stamp = cells[0]
        let length = cells.prefix { $0 == stamp && stamp != 0 }.count
        guard cells[length...].allSatisfy({ $0 == 0 }) else {
          throw StorageError(.failed, "Torn: \(cells).")
        }
        return StampedContent(Int(stamp), .mebibytes(length))
      })
    let conformance = BackendConformance(backend, pool: "lvm", hooks: hooks)
    try await conformance.check()
    try await backend.finishWiping()
    #expect(lvm.names.isEmpty)
    #expect(lvm.group.free == lvm.group.size - (provisioning == .thin ? .mebibytes(512) : .zero))
  }

  /// Leaves what the last of the crashes would that can be told from before and after.
  private static func plant(
    _ leaving: BackendConformance.Leaving, _ lvm: InMemoryLVM, _ provisioning: Provisioning
  ) async throws {
    let isThin = provisioning == .thin
    switch leaving {
    case .volume(let id):
      let name = LVMName.making(id).description
      try await lvm.run(
        isThin
          ? .createThin(name: name, pool: "vg-pool", size: .mebibytes(1), tags: [LVMTags.mark])
          : .createThick(name: name, size: .mebibytes(1), tags: [LVMTags.mark]))
    case .snapshot(let id, _):
      // A thin one is whole or not there, so that only the end of one can be cut off.
      try await lvm.run(
        isThin
          ? .createThin(
            name: LVMName.deletingSnapshot(id, 0).description, pool: "vg-pool", size: .mebibytes(1),
            tags: [LVMTags.mark])
          : .createThick(name: LVMName.snapshot(id).description, size: .mebibytes(1), tags: [LVMTags.mark]))
    case .copy(let id, let source):
      try await cutOff(lvm, provisioning) { backend in
        _ = try await backend.ensured(id, request(.mebibytes(8), source: source))
      } when: {
        lvm.names.contains("making-\(id)") && (isThin || lvm.cells("making-\(id)")?.first != InMemoryLVM.old)
      }
    case .revert(let id, let snapshot):
      try await cutOff(lvm, provisioning) { backend in
        _ = try await backend.reverted(
          id, RevertRequest(revision: 999, snapshot: snapshot, backend: "lvm", pool: "lvm"))
      } when: {
        isThin ? lvm.names.contains("reverted-\(id)") : lvm.group["volume-\(id)"]?.isMerging == true
      }
    }
  }

  /// Cuts the power at the first step after which this is so.
  private static func cutOff(
    _ lvm: InMemoryLVM, _ provisioning: Provisioning, _ perform: (LVMBackend) async throws -> Void,
    when isSo: () -> Bool
  ) async throws {
    let before = lvm.snapshotOfWorld
    for step in 1... {
      lvm.snapshotOfWorld = before
      lvm.crash(at: step)
      try? await perform(backend(lvm, provisioning))
      let hasCrashed = lvm.hasCrashed
      lvm.powerCycle()
      if isSo() { return }
      try #require(hasCrashed, "no step leaves that")
    }
  }

  /// What is done after a preparation, and what must be true once it has been repeated to its end.
  struct Operation: Sendable, CustomTestStringConvertible {
    let testDescription: String
    var prepare: @Sendable (LVMBackend, InMemoryLVM) async throws -> Void = { _, _ in }
    let perform: @Sendable (LVMBackend) async throws -> Void
    /// At each moment, whatever was cut off.
    var always: @Sendable (LVMBackend, InMemoryLVM) async throws -> Void = { _, _ in }
    let afterwards: @Sendable (LVMBackend, InMemoryLVM) async throws -> Void
  }

  static let volume = VolumeID(high: 1, low: 0x8000_0000_0000_0001)
  static let copy = VolumeID(high: 2, low: 0x8000_0000_0000_0002)
  static let snapshot = SnapshotID(high: 3, low: 0x8000_0000_0000_0003)
  static let later = SnapshotID(high: 4, low: 0x8000_0000_0000_0004)

  static let operations: [Operation] = [
    Operation(testDescription: "create") {
      try await make($0)
    } afterwards: { backend, lvm in
      let stored = try #require(try await backend.volume(volume))
      #expect(stored.size == .mebibytes(8) && stored.revision == 1)
      #expect(cells(lvm) == zeros(8))
    },
    Operation(testDescription: "extend") { backend, lvm in
      try await make(backend)
      fill(lvm, 5)
    } perform: { backend in
      _ = try await backend.ensured(volume, request(.mebibytes(12), revision: 2))
    } always: { _, lvm in
      let cells = try #require(Self.cells(lvm))
      #expect(cells[..<8].allSatisfy { $0 == 5 } && cells[8...].allSatisfy { $0 == 0 }, "old bytes: \(cells)")
    } afterwards: { backend, lvm in
      let stored = try await backend.volume(volume)
      #expect(stored?.size == .mebibytes(12) && stored?.revision == 2)
    },
    Operation(testDescription: "remove") { backend, lvm in
      try await make(backend)
      fill(lvm, 5)
    } perform: { backend in
      try await backend.erase(volume, pool: "lvm")
    } afterwards: { backend, lvm in
      #expect(lvm.names.isEmpty)
      #expect(lvm.freed.allSatisfy { $0.allSatisfy { $0 != 5 } }, "freed with its bytes")
    },
    Operation(testDescription: "snapshot") { backend, lvm in
      try await make(backend)
      fill(lvm, 5)
    } perform: { backend in
      _ = try await backend.snapshotted(snapshot, snapshotRequest())
    } afterwards: { backend, lvm in
      let all = try await backend.snapshots()
      #expect(all.map(\.id) == [snapshot] && all.first?.volume == volume && all.first?.size == .mebibytes(8))
      #expect(lvm.cells("_snapshot-\(snapshot)") == Array(repeating: 5, count: 8))
      #expect(cells(lvm) == Array(repeating: 5, count: 8))
    },
    Operation(testDescription: "removeSnapshot") { backend, lvm in
      try await make(backend)
      _ = try await backend.snapshotted(snapshot, snapshotRequest())
      fill(lvm, 7)
    } perform: { backend in
      try await backend.erase(snapshot, of: volume, pool: "lvm")
    } always: { _, lvm in
      #expect(cells(lvm) == Array(repeating: 7, count: 8))
    } afterwards: { backend, lvm in
      #expect(lvm.names == ["volume-\(volume)"])
      #expect(lvm.freed.allSatisfy { $0.allSatisfy { $0 != InMemoryLVM.kept } })
    },
    Operation(testDescription: "clone") { backend, lvm in
      try await make(backend)
      fill(lvm, 5)
    } perform: { backend in
      _ = try await backend.ensured(copy, request(.mebibytes(12), source: .volume(volume)))
    } always: { backend, lvm in
      if let cells = lvm.cells("volume-\(copy)") { #expect(cells == Array(repeating: 5, count: 8) + zeros(4)) }
      #expect(cells(lvm) == Array(repeating: 5, count: 8))
    } afterwards: { backend, lvm in
      try await backend.finishWiping()
      #expect(lvm.names == ["volume-\(volume)", "volume-\(copy)"].sorted())
      let copied = try await backend.volume(copy)
      #expect(copied?.size == .mebibytes(12))
      #expect(lvm.names.allSatisfy { lvm.group[$0]?.isActive == false }, "left active")
    },
    Operation(testDescription: "createFromSnapshot") { backend, lvm in
      try await make(backend)
      fill(lvm, 5)
      _ = try await backend.snapshotted(snapshot, snapshotRequest())
      fill(lvm, 6)
    } perform: { backend in
      _ = try await backend.ensured(copy, request(.mebibytes(8), source: .snapshot(snapshot, of: volume)))
    } always: { backend, lvm in
      if let cells = lvm.cells("volume-\(copy)") { #expect(cells == Array(repeating: 5, count: 8)) }
    } afterwards: { backend, lvm in
      try await backend.finishWiping()
      #expect(lvm.cells("volume-\(copy)") == Array(repeating: 5, count: 8))
      #expect(lvm.names == ["_snapshot-\(snapshot)", "volume-\(volume)", "volume-\(copy)"].sorted())
    },
    Operation(testDescription: "revert") { backend, lvm in
      try await make(backend)
      fill(lvm, 5)
      _ = try await backend.snapshotted(snapshot, snapshotRequest())
      fill(lvm, 6)
      _ = try await backend.snapshotted(later, snapshotRequest())
      _ = try await backend.ensured(volume, request(.mebibytes(12), revision: 2))
      fill(lvm, 7)
    } perform: { backend in
      _ = try await backend.reverted(
        volume, RevertRequest(revision: 3, snapshot: snapshot, backend: "lvm", pool: "lvm"))
    } always: { backend, lvm in
      // All or nothing: what can be activated is either wholly the old or wholly the new.
      try await backend.activate(volume, pool: "lvm")
      let cells = try #require(Self.cells(lvm))
      #expect(
        cells == Array(repeating: 7, count: 12) || cells == Array(repeating: 5, count: 8) + zeros(4),
        "neither old nor new: \(cells)")
      try await backend.deactivate(volume, pool: "lvm")
      let snapshots = try await backend.snapshots()
      #expect(snapshots.count == 2)
    } afterwards: { backend, lvm in
      try await backend.finishWiping()
      let stored = try await backend.volume(volume)
      #expect(stored?.revision == 3 && stored?.size == .mebibytes(12) && stored?.description.name == "a volume")
      #expect(cells(lvm) == Array(repeating: 5, count: 8) + zeros(4))
      let snapshots = try await backend.snapshots()
      #expect(Set(snapshots.map(\.id)) == [snapshot, later])
      #expect(snapshots.allSatisfy { $0.size == .mebibytes(8) && $0.volume == volume })
      #expect(lvm.cells("_snapshot-\(snapshot)")?.prefix(8) == Array(repeating: 5, count: 8)[...])
      #expect(lvm.cells("_snapshot-\(later)") == Array(repeating: 6, count: 8))
      // Once more changes nothing.
      fill(lvm, 9)
      _ = try await backend.reverted(
        volume, RevertRequest(revision: 3, snapshot: snapshot, backend: "lvm", pool: "lvm"))
      #expect(cells(lvm) == Array(repeating: 9, count: 12))
    },
  ]

  @Test(arguments: operations, [Provisioning.thin, .thick])
  func aPowerCutAtAnyStepIsHealedByARepeat(_ operation: Operation, _ provisioning: Provisioning) async throws {
    var steps = 0
    for crash in 0... {
      let lvm = InMemoryLVM(thinPool: provisioning == .thin ? .mebibytes(256) : nil)
      let first = Self.backend(lvm, provisioning)
      try await operation.prepare(first, lvm)
      lvm.crash(at: crash)
      do {
        try await operation.perform(first)
      } catch {
        #expect(lvm.hasCrashed, "\(error)")
      }
      let hasCrashed = lvm.hasCrashed
      lvm.powerCycle()

      // With and without a restart of the agent that sweeps.
      let second = Self.backend(lvm, provisioning)
      if crash % 2 == 0 { try await second.prepare() }
      do {
        try await operation.always(second, lvm)
      } catch let error as StorageError where error.code == .unavailable {
        // A volume in the middle of a merge can't be used, which is as good as nothing.
      }
      if provisioning == .thin {
        // What is shown as there can be used.
        for volume in try await second.volumes() {
          try await second.activate(volume.id, pool: "lvm")
          try await second.deactivate(volume.id, pool: "lvm")
        }
      }
      try await operation.perform(second)
      try await operation.always(second, lvm)
      try await operation.afterwards(second, lvm)
      #expect(lvm.orphans.isEmpty, "bytes for the next volume, after a cut at step \(crash)")

      // Nothing stands in the way of the end, and nothing stays.
      for id in [Self.snapshot, Self.later] { try await second.erase(id, of: Self.volume, pool: "lvm") }
      for id in [Self.volume, Self.copy] { try await second.erase(id, pool: "lvm") }
      try await second.finishWiping()
      #expect(lvm.names.isEmpty && lvm.orphans.isEmpty, "after a cut at step \(crash)")
      steps = crash
      if !hasCrashed { break }
    }
    #expect(steps > 0)
  }

  @Test(arguments: operations, [Provisioning.thin, .thick])
  func whatIsCutOffAndNotWantedAnyMoreIsTakenAwayByItsRemoval(
    _ operation: Operation, _ provisioning: Provisioning
  ) async throws {
    for crash in 0... {
      let lvm = InMemoryLVM(thinPool: provisioning == .thin ? .mebibytes(256) : nil)
      let first = Self.backend(lvm, provisioning)
      try await operation.prepare(first, lvm)
      lvm.crash(at: crash)
      try? await operation.perform(first)
      let hasCrashed = lvm.hasCrashed
      lvm.powerCycle()

      let second = Self.backend(lvm, provisioning)
      // A merge can't be taken back: it is ended first, as its caller must.
      if operation.testDescription == "revert" { try await operation.perform(second) }
      try await second.erase(Self.copy, pool: "lvm")
      for id in [Self.snapshot, Self.later] { try await second.erase(id, of: Self.volume, pool: "lvm") }
      try await second.erase(Self.volume, pool: "lvm")
      try await second.finishWiping()
      #expect(lvm.names.isEmpty && lvm.orphans.isEmpty, "after a cut at step \(crash)")
      if !hasCrashed { break }
    }
  }

  @Test func aSnapshotThatIsDeletedAfterARevertWasCutOffStaysDeleted() async throws {
    for crash in 0... {
      let lvm = InMemoryLVM()
      let first = Self.backend(lvm, .thick)
      try await Self.make(first)
      _ = try await first.snapshotted(Self.snapshot, Self.snapshotRequest())
      Self.fill(lvm, 7)
      lvm.crash(at: crash)
      let request = RevertRequest(revision: 3, snapshot: Self.snapshot, backend: "lvm", pool: "lvm")
      _ = try? await first.reverted(Self.volume, request)
      let hasCrashed = lvm.hasCrashed
      lvm.powerCycle()

      let second = Self.backend(lvm, .thick)
      try await second.erase(Self.snapshot, of: Self.volume, pool: "lvm")

      #expect(try await second.snapshots().isEmpty, "after a cut at step \(crash)")
      try await second.activate(Self.volume, pool: "lvm")
      try await second.deactivate(Self.volume, pool: "lvm")
      try await second.prepare()
      #expect(try await second.snapshots().isEmpty, "after a cut at step \(crash)")
      try await second.erase(Self.volume, pool: "lvm")
      #expect(lvm.names.isEmpty)
      if !hasCrashed { break }
    }
  }

  @Test(arguments: [Provisioning.thin, .thick])
  func disksThatCantDiscardAreZeroedInstead(_ provisioning: Provisioning) async throws {
    let lvm = InMemoryLVM(thinPool: provisioning == .thin ? .mebibytes(256) : nil)
    lvm.change { $0.canDiscard = false }
    let backend = Self.backend(lvm, provisioning, wipe: .discard)
    try await Self.make(backend)
    Self.fill(lvm, 5)
    try await backend.erase(Self.volume, pool: "lvm")
    #expect(lvm.names.isEmpty)
    #expect(lvm.freed == (provisioning == .thin ? [] : [Self.zeros(8)]))
  }

  // MARK: Parts

  private static func backend(
    _ lvm: InMemoryLVM, _ provisioning: Provisioning, wipe: LVMBackendConfiguration.Wipe = .zero
  ) -> LVMBackend {
    LVMBackend(
      LVMBackendConfiguration(name: "lvm", volumeGroup: "vg", provisioning: provisioning, wipe: wipe), lvm: lvm,
      devices: lvm, slice: .zero, logger: .silent)
  }

  private static func make(_ backend: LVMBackend) async throws {
    _ = try await backend.ensured(volume, request(.mebibytes(8)))
  }

  static func request(
    _ size: ByteCount, revision: Revision = 1, source: VolumeSource? = nil
  ) -> VolumeRequest {
    VolumeRequest(
      revision: revision, backend: "lvm", pool: "lvm", size: size, source: source,
      description: VolumeDescription(name: "a volume", project: "project", type: "fast", metadata: ["a": "1"]))
  }

  static func snapshotRequest() -> SnapshotRequest {
    SnapshotRequest(
      revision: 1, volume: volume, backend: "lvm", pool: "lvm",
      description: VolumeDescription(name: "a snapshot", project: "project", type: "fast"))
  }

  private static func zeros(_ count: Int) -> [UInt8] { Array(repeating: 0, count: count) }
  private static func cells(_ lvm: InMemoryLVM) -> [UInt8]? {
    lvm.cells("volume-\(volume)") ?? lvm.cells("reverted-\(volume)")
  }

  /// As a guest would write to it; what snapshots keep is theirs.
  private static func fill(_ lvm: InMemoryLVM, _ value: UInt8) {
    lvm.change { world in
      let name = "volume-\(volume)"
      world.cells[name] = Array(repeating: value, count: world.cells[name]?.count ?? 0)
    }
  }
}

extension LVMBackend {
  /// What the background would do.
  func finishWiping() async throws(StorageError) {
    for volume in try await catalog().condemned() {
      guard let name = LVMName(volume.name) else { continue }
      while try await !wipe({ $0 == name }).isComplete {}
    }
  }
}
