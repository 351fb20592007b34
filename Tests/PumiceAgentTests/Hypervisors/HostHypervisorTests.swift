import Conformance
import Foundation
import PumiceModel
import TestBed
import Testing

@testable import PumiceAgent

struct HostHypervisorTests {
  private let instance = InstanceID.random()

  /// A host whose devices are files.
  private func withHost(
    _ body: (_ host: HostHypervisor, _ folder: TemporaryFolder) async throws -> Void
  ) async throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    try await body(try await start(in: folder), folder)
  }

  private func start(in folder: TemporaryFolder) async throws -> HostHypervisor {
    HostHypervisor(
      id: instance, name: "n1", disks: try await FileRecordStore.open(folder.file("disks"), logger: .silent),
      links: folder.file("links"))
  }

  private func device(_ volume: VolumeID, in folder: TemporaryFolder) throws -> DiskSource {
    let path = try folder.write("", to: "device-\(volume)")
    truncate(path, 8 << 20)
    return .block(path: path)
  }

  @Test func keepsThePromisesOfAHypervisor() async throws {
    try await withHost { host, folder in
      try await HypervisorConformance(hypervisor: host, instance: instance, takesNames: false) {
        try device($0, in: folder)
      }.check()
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder.file("links")).isEmpty)
    }
  }

  @Test func theLinkIsCalledAfterTheVolumeAndLeadsToTheDevice() async throws {
    try await withHost { host, folder in
      let volume = VolumeID.random()
      let source = try device(volume, in: folder)
      _ = try await host.plug(.make(volume: volume, source: source), into: instance)
      let link = folder.file("links/\(volume)")
      #expect(try FileManager.default.destinationOfSymbolicLink(atPath: link) == folder.file("device-\(volume)"))
    }
  }

  @Test func afterARebootTheDiskIsKnownAndNotLiveUntilItIsPluggedAgain() async throws {
    try await withHost { host, folder in
      let volume = VolumeID.random()
      let disk = Disk.make(volume: volume, source: try device(volume, in: folder))
      let before = try await host.plug(disk, into: instance)
      try FileManager.default.removeItem(atPath: folder.file("links"))
      try FileManager.default.removeItem(atPath: folder.file("device-\(volume)"))

      let again = try await start(in: folder)
      #expect(try await again.disks().map { [$0.isLive, $0.isStored] } == [[false, true]])
      _ = try device(volume, in: folder)
      #expect(try await again.plug(disk, into: instance) == before)
    }
  }

  @Test func onlyDevicesOfThisNodeWillDo() async throws {
    try await withHost { host, _ in
      let error = await #expect(throws: StorageError.self) {
        try await host.plug(.make(source: .memory("x")), into: instance)
      }
      #expect(error?.code == .unsupported)
      let disks = try await host.disks()
      #expect(disks.isEmpty)
    }
  }

  @Test func oneVolumeIsNotGivenTwice() async throws {
    try await withHost { host, folder in
      let volume = VolumeID.random()
      let source = try device(volume, in: folder)
      _ = try await host.plug(.make(volume: volume, source: source), into: instance)
      let error = await #expect(throws: StorageError.self) {
        try await host.plug(.make(volume: volume, source: source), into: instance)
      }
      #expect(error?.code == .conflict)
    }
  }

  @Test func aDiskInUseStaysUntilItIsFree() async throws {
    try await Bed.with { bed in
      let file = bed.folder.file("disk")
      try await bed.run(["truncate", "-s", "8M", file])
      let path = try await bed.run(["losetup", "--find", "--show", file]).split(separator: "\n").joined()
      do {
        let host = try await start(in: bed.folder)
        let disk = Disk.make(source: .block(path: path))
        let plugged = try await host.plug(disk, into: instance)
        let reader = try bed.start(["sh", "-c", "exec sleep 600 <\(path)"], name: "reader")
        try await TestBed.eventually("the device is open") {
          do {
            try await host.unplug(disk.attachment, from: instance)
            _ = try await host.plug(disk, into: instance)
            return false
          } catch let error as StorageError {
            return error.code == .inUse && error.message.contains("sleep (process \(reader.id))")
          }
        }
        #expect(try await host.disks() == [plugged])
        try await reader.end(grace: .zero)
        try await host.unplug(disk.attachment, from: instance)
        #expect(try await host.disks().isEmpty)
        try await bed.run(["losetup", "--detach", path])
      } catch {
        _ = try? await bed.run(["losetup", "--detach", path])
        throw error
      }
    }
  }

  @Test func theHostKeepsItsNumber() async throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    let first = try await HostIdentity.settle(in: folder.path)
    #expect(try await HostIdentity.settle(in: folder.path) == first)
    try folder.write("nonsense", to: "identity/host_id")
    // Another number would be another host.
    await #expect(throws: StorageError.self) { try await HostIdentity.settle(in: folder.path) }
  }
}
