import Logging
import PumiceModel
import PumiceWire
import ServiceLifecycle
import Synchronization
import Testing

@testable import PumiceAgent

struct BackendInWaitingTests {
  private static let gone = StorageError(.missingPart, "There is no volume group vg.")
  private static let memory = InMemoryBackendConfiguration(name: "disks")

  /// Storage that fails so often before it is there.
  private final class Storage: Sendable {
    private let failures: Mutex<Int>

    init(failures: Int) { self.failures = Mutex(failures) }

    func open() async throws(StorageError) -> any ActivatingBackend {
      let fails = failures.withLock { failures in
        failures -= 1
        return failures >= 0
      }
      if fails { throw gone }
      return InMemoryDevices(memory.makeBackend(on: memory.makeDisk()))
    }
  }

  @Test func whatIsThereIsOpenedAtOnce() async throws {
    let backend = try await BackendInWaiting.open("disks", logger: .silent, Storage(failures: 0).open)
    #expect(backend is InMemoryDevices)
  }

  @Test(arguments: [StorageError.Code.invalid, .conflict, .forbidden, .unsupported])
  func whatOnlyAnotherConfigurationHelpsAgainstIsThrown(_ code: StorageError.Code) async {
    let error = await #expect(throws: StorageError.self) {
      try await BackendInWaiting.open("disks", logger: .silent) { () async throws(StorageError) in
        throw StorageError(code, "So not.")
      }
    }
    #expect(error?.code == code)
  }

  @Test func whatIsGoneIsDownWithTheReasonUntilItIsBack() async throws {
    let backend = BackendInWaiting(
      "disks", reason: Self.gone, every: .milliseconds(20), logger: .silent, open: Storage(failures: 2).open)
    #expect(await backend.pools().map(\.downReason) == [Self.gone.message])
    let refusal = await #expect(throws: StorageError.self) { try await backend.volumes() }
    #expect(refusal?.code == .unavailable && refusal?.message.contains(Self.gone.message) == true)
    await #expect(throws: StorageError.self) { try await backend.snapshots() }
    await #expect(throws: StorageError.self) { try await backend.remove(.random(), pool: "disks") }
    await #expect(throws: StorageError.self) { try await backend.activate(.random(), pool: "disks") }

    let group = ServiceGroup(services: [backend], logger: .silent)
    try await withThrowingTaskGroup { tasks in
      tasks.addTask { try await group.run() }
      try await eventually { await backend.pools().first?.downReason == nil }
      let request = VolumeRequest(
        revision: 1, backend: "disks", pool: "disks", size: .gibibytes(1),
        description: VolumeDescription(name: "db", project: "red", type: "fast"))
      let volume = VolumeID.random()
      guard case .done = try await backend.ensure(volume, request) else {
        throw StorageError(.failed, "Underway?")
      }
      #expect(try await backend.volumes().map(\.id) == [volume])
      // A backend without work of its own does not end the agent.
      try await Task.sleep(for: .milliseconds(50))
      await group.triggerGracefulShutdown()
      try await tasks.waitForAll()
    }
  }
}
