import Conformance
import PumiceModel
import PumiceWire
import Synchronization
import Testing

@testable import PumiceAgent

/// The NFS backend through libnfs, against a real server.
struct NFSConformanceTests {
  @Test(.timeLimit(.minutes(5)), arguments: [SharedImage.Format.raw, .qcow2])
  func keepsThePromisesOfABackend(_ format: SharedImage.Format) async throws {
    try await NFSFixture.with(format: format) { try await check($0) }
  }

  @Test(.timeLimit(.minutes(5))) func keepsThemInManySmallSlices() async throws {
    var settings = ShareVolumes.Settings()
    settings.slice = .zero
    settings.window = 256 << 10
    try await NFSFixture.with(settings: settings) { try await check($0) }
  }

  private func check(_ fixture: NFSFixture) async throws {
    let power = PowerSwitch()
    let crashing = try await fixture.open(power)
    let count = Mutex(0)
    let backend = try await fixture.open()
    let hooks = BackendConformance.Hooks(
      restart: { try await fixture.open() },
      plant: { leaving in
        let number = count.withLock { count in
          count += 1
          return count
        }
        // The first rename is the one that says what is to be made, the second that it is.
        if case .copy = leaving, number.isMultiple(of: 2) {
          power.cut(after: 0, of: "copy")
        } else {
          power.cut(after: 1, of: "rename")
        }
        defer { power.restore() }
        do throws(StorageError) {
          switch leaving {
          case .volume(let id): _ = try await crashing.ensured(id, fixture.request(.mebibytes(1)))
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
      traces: { id in try fixture.files(id) }, excessiveSize: ByteCount(1 << 62),
      copiesVolumesInUse: true,
      write: { stamp, volume in try await fixture.write(stamp, volume, by: backend) },
      content: { volume in try await fixture.content(volume, of: backend) })
    try await BackendConformance(backend, pool: fixture.pool, hooks: hooks).check()
    let left = try fixture.files()
    #expect(left.isEmpty, "\(left)")
  }
}
