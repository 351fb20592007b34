import Conformance
import PumiceModel
import PumiceWire
import Testing

@testable import PumiceAgent

struct InMemoryBackendTests {
  @Test(arguments: [true, false])
  func keepsThePromisesOfABackend(_ isThin: Bool) async throws {
    let disk = InMemoryDisk(pools: ["fast": .gibibytes(1), "slow": .gibibytes(2)])
    let crashing = InMemoryBackend(name: "memory", disk: disk, isThin: isThin) { step throws(StorageError) in
      if step == "ensure.begun" { throw StorageError(.failed, "crash") }
    }
    let hooks = BackendConformance.Hooks(
      restart: { InMemoryBackend(name: "memory", disk: disk, isThin: isThin) },
      plantLeaving: { id in _ = try? await crashing.ensured(id, Self.request(.mebibytes(1))) },
      traces: { id in disk.contents.filter { $0 == id }.map { "\($0)" } }, isZero: { _ in true },
      excessiveSize: isThin ? nil : .gibibytes(3))
    let backend = InMemoryBackend(name: "memory", disk: disk, isThin: isThin)
    try await BackendConformance(backend, pool: "fast", hooks: hooks).check()
    let free = await backend.pools().map(\.free)
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

  private static func request(_ size: ByteCount) -> VolumeRequest {
    VolumeRequest(
      revision: 1, backend: "memory", pool: "fast", size: size,
      description: VolumeDescription(name: "", project: "project", type: "__DEFAULT__"))
  }
}
