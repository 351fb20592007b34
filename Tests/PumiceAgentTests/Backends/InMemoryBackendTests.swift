import Conformance
import PumiceModel
import PumiceWire
import Testing

@testable import PumiceAgent

struct InMemoryBackendTests {
  @Test(arguments: [(true, 1), (true, 4), (false, 1), (false, 3)])
  func keepsThePromisesOfABackend(_ isThin: Bool, slices: Int) async throws {
    let disk = InMemoryDisk(pools: ["fast": .gibibytes(1), "slow": .gibibytes(2)])
    @Sendable func open() -> InMemoryBackend {
      InMemoryBackend(name: "memory", disk: disk, isThin: isThin, slices: slices)
    }
    let crashing = InMemoryBackend(name: "memory", disk: disk, isThin: isThin, slices: slices) {
      step throws(StorageError) in
      if step.hasSuffix(".begun") { throw StorageError(.failed, "A crash.") }
    }
    let hooks = BackendConformance.Hooks(
      restart: { open() },
      plant: { leaving in
        switch leaving {
        case .volume(let id): _ = try? await crashing.ensured(id, Self.request(.mebibytes(1)))
        case .copy(let id, let source): _ = try? await crashing.ensured(id, Self.request(.mebibytes(8), source: source))
        case .snapshot(let id, let volume): _ = try? await crashing.snapshotted(id, Self.snapshotRequest(of: volume))
        case .revert(let id, let snapshot):
          let request = RevertRequest(revision: 2, snapshot: snapshot, backend: "memory", pool: "fast")
          _ = try? await crashing.reverted(id, request)
        }
      },
      traces: { id in
        disk.contents.map { "\($0)" }.filter { $0 == id } + disk.snapshotContents.map { "\($0)" }.filter { $0 == id }
      },
      excessiveSize: isThin ? nil : .gibibytes(3), write: { stamp, volume in disk.write(stamp, to: volume.id) },
      content: { volume in
        let content = try #require(disk.content(of: volume.id))
        return StampedContent(content.stamp, content.length)
      })
    try await BackendConformance(open(), pool: "fast", hooks: hooks).check()
    let free = await open().pools().map(\.free)
    #expect(free == [.gibibytes(1), .gibibytes(2)], "space must come back")
  }

  @Test func aFullPoolHasNoSpaceForThickVolumesAndNoneForThinOnesWhenItIsPhysicallyFull() async throws {
    let disk = InMemoryDisk(pools: ["fast": .gibibytes(1)])
    let thick = InMemoryBackend(name: "memory", disk: disk, isThin: false)
    _ = try await thick.ensured(.random(), Self.request(.mebibytes(1000)))
    let error = await #expect(throws: StorageError.self) {
      try await thick.ensured(.random(), Self.request(.mebibytes(25)))
    }
    #expect(error?.code == .noSpace)

    let thinDisk = InMemoryDisk(pools: ["fast": .gibibytes(1)])
    let thin = InMemoryBackend(name: "memory", disk: thinDisk)
    _ = try await thin.ensured(.random(), Self.request(.gibibytes(8)))
    thinDisk.occupy(.gibibytes(1), of: "fast")
    let full = await #expect(throws: StorageError.self) {
      try await thin.ensured(.random(), Self.request(.mebibytes(1)))
    }
    #expect(full?.code == .noSpace)
  }

  @Test func eachStepIsAnnouncedSoThatASimulationCanFailIt() async throws {
    for step in ["ensure", "ensure.begun", "ensure.done", "remove", "remove.begun", "remove.done"] {
      let disk = InMemoryDisk(pools: ["fast": .gibibytes(1)])
      let id = VolumeID.random()
      let failing = InMemoryBackend(name: "memory", disk: disk) { reached throws(StorageError) in
        if reached == step { throw StorageError(.unavailable, "crash at \(step)") }
      }
      do throws(StorageError) {
        _ = try await failing.ensured(id, Self.request(.mebibytes(1)))
        try await failing.erase(id, pool: "fast")
        Issue.record("\(step) was not reached")
      } catch {
        #expect(error.message == "crash at \(step)")
      }
      let healed = InMemoryBackend(name: "memory", disk: disk)
      _ = try await healed.ensured(id, Self.request(.mebibytes(1)))
      try await healed.erase(id, pool: "fast")
      #expect(disk.contents.isEmpty)
    }
  }

  private static func snapshotRequest(of volume: VolumeID) -> SnapshotRequest {
    SnapshotRequest(
      revision: 1, volume: volume, backend: "memory", pool: "fast",
      description: VolumeDescription(name: "", project: "project", type: "__DEFAULT__"))
  }

  private static func request(_ size: ByteCount, source: VolumeSource? = nil) -> VolumeRequest {
    VolumeRequest(
      revision: 1, backend: "memory", pool: "fast", size: size, source: source,
      description: VolumeDescription(name: "", project: "project", type: "__DEFAULT__"))
  }
}
