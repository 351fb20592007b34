import Conformance
import Foundation
import PumiceModel
import PumiceWire
import Synchronization
import TestBed
import Testing

@testable import PumiceAgent

struct DirectoryConformanceTests {
  @Test(
    arguments: [DirectoryFixture.Storage.plain, .xfs, .btrfs],
    [DirectoryBackendConfiguration.Provisioning.thin, .thick])
  func keepsThePromisesOfABackend(
    _ storage: DirectoryFixture.Storage, _ provisioning: DirectoryBackendConfiguration.Provisioning
  ) async throws {
    try await DirectoryFixture.with(storage, provisioning) { fixture in
      try await check(fixture, copies: storage == .plain || provisioning == .thick)
    }
  }

  @Test(arguments: [DirectoryBackendConfiguration.Provisioning.thin, .thick])
  func keepsThemInManySmallSlices(_ provisioning: DirectoryBackendConfiguration.Provisioning) async throws {
    try await DirectoryFixture.with(.tmpfs, provisioning, slice: .tiny) { fixture in
      try await check(fixture, copies: true)
    }
  }

  /// - Parameter copies: Whether bytes are really copied, so that the power can be cut while they are.
  private func check(_ fixture: DirectoryFixture, copies: Bool) async throws {
    let power = PowerSwitch()
    let crashing = try await fixture.open(power)
    let count = Mutex(0)
    let hooks = BackendConformance.Hooks(
      restart: { try await fixture.open() },
      plant: { leaving in
        let number = count.withLock { count in
          count += 1
          return count
        }
        // The second rename is the one that puts new bytes in place.
        if copies, number.isMultiple(of: 2) {
          power.cut(after: 0, of: "copy")
        } else {
          power.cut(after: 1, of: "rename")
        }
        defer { power.restore() }
        do throws(StorageError) {
          switch leaving {
          case .volume(let id):
            power.cut(after: 1, of: "rename")
            _ = try await crashing.ensured(id, fixture.request(.mebibytes(1)))
          case .copy(let id, let source):
            _ = try await crashing.ensured(id, fixture.request(.mebibytes(8), source: source))
          case .snapshot(let id, let volume):
            _ = try await crashing.snapshotted(id, fixture.snapshotRequest(of: volume))
          case .revert(let id, let snapshot):
            _ = try await crashing.reverted(id, fixture.revertRequest(2, to: snapshot))
          }
          Issue.record("\(leaving) was made in spite of the power cut")
        } catch {
          #expect(power.isCut, "\(error)")
        }
      },
      traces: { id in try fixture.files(id) }, excessiveSize: excessiveSize(fixture))
    try await BackendConformance(try await fixture.open(), pool: "files", hooks: hooks).check()
    let left = try fixture.files()
    #expect(left.isEmpty, "\(left)")
  }

  /// ext4 takes files of up to 16 TiB, the others sparse ones of any size.
  private func excessiveSize(_ fixture: DirectoryFixture) -> ByteCount? {
    fixture.provisioning == .thick ? ByteCount(1 << 50) : fixture.path.hasPrefix("/proc") ? nil : ByteCount(1 << 62)
  }
}
