import Conformance
import Foundation
import PumiceModel
import PumiceWire
import TestBed
import Testing

@testable import PumiceAgent

/// What goes to a guest's QEMU, and what does not.
@Suite(.timeLimit(.minutes(2))) struct QEMUNFSConnectorTests {
  private let volume = VolumeID.random()
  private let other = VolumeID.random()
  private let connector = QEMUNFSConnector(node: "n1", timeout: .seconds(3))

  @Test func onlyTheVolumeItselfIsConnected() async throws {
    try await NFSFixture.with { fixture in
      let backend = try await fixture.open()
      for id in [volume, other] { _ = try await backend.ensured(id, fixture.request(.mebibytes(1))) }
      let before = try await backend.image(of: volume, pool: fixture.pool, inUse: false)
      let path = "\(fixture.path)/volume-\(volume)"
      #expect(
        try await connect(before, as: volume)
          == DiskImage([.init(.nfs(host: fixture.server.address, path: path, user: 0, group: 0), .raw)]))

      // CVE-2023-2088, OSSN-0094: what is another's by now, or always was.
      #expect(await code { try await connect(before, as: other) } == .wrongDevice)
      #expect(await code { try await connect(before, as: .random()) } == .wrongDevice)
      var impostor = before
      impostor.layers = [.init(name: "volume-\(other)", format: .raw)]
      #expect(await code { try await connect(impostor, as: volume) } == .wrongDevice)
      impostor.layers = [.init(name: "volume-\(volume)", format: .qcow2)]
      #expect(await code { try await connect(impostor, as: volume) } == .wrongDevice)

      _ = try await backend.snapshotted(.random(), fixture.snapshotRequest(of: volume))
      #expect(await code { try await connect(before, as: volume) } == .wrongDevice, "it is a snapshot by now")
      let after = try await backend.image(of: volume, pool: fixture.pool, inUse: false)
      #expect(try await connect(after, as: volume).layers.map(\.format) == [.qcow2, .raw])

      // On its way to users, and taken by them.
      _ = try await backend.ensureSnapshot(.random(), fixture.snapshotRequest(of: volume), inUse: true)
      var offered = try await backend.image(of: volume, pool: fixture.pool, inUse: true)
      #expect(try await connect(offered, as: volume).layers.count == 2)
      offered.layers = try #require(offered.next)
      #expect(try await connect(offered, as: volume).layers.count == 3)

      _ = try await backend.ensureSnapshot(.random(), fixture.snapshotRequest(of: other), inUse: false)
      let image = try await backend.image(of: other, pool: fixture.pool, inUse: false)
      try await backend.shares[0].access.folder().remove("volume-\(other).json")
      #expect(
        await code { try await connect(image, as: other) } == .wrongDevice, "nobody says that there is such a volume")
    }
  }

  @Test func filesThatSomebodyHasChangedAreNotConnected() async throws {
    for (script, expected) in [
      ("rm BASE", StorageError.Code.notFound), ("rm BASE && ln -s /etc/passwd BASE", .conflict),
      ("rm BASE && mkfifo BASE", .conflict), ("rm BASE && mkdir BASE", .conflict), ("rm TOP", .notFound),
      ("truncate -s 100 TOP", .conflict),
      ("qemu-img rebase -q -u -f qcow2 -b /etc/passwd -F raw TOP", .conflict),
      ("qemu-img rebase -q -u -f qcow2 -b BASE -F qcow2 TOP", .conflict),
      ("printf '\\004' | dd of=TOP bs=1 seek=79 conv=notrunc status=none", .conflict),
      ("qemu-img create -q -f qcow2 TOP 1M", .conflict),
    ] {
      try await NFSFixture.with { fixture in
        let backend = try await fixture.open()
        _ = try await backend.ensured(volume, fixture.request(.mebibytes(1)))
        _ = try await backend.snapshotted(.random(), fixture.snapshotRequest(of: volume))
        let image = try await backend.image(of: volume, pool: fixture.pool, inUse: false)
        let names = image.layers.map(\.name)
        #expect(names.count == 2)
        // A server that has not seen the files reads them as they are.
        try await fixture.server.kill9()
        try await fixture.bed.run([
          "sh", "-c",
          "cd '\(fixture.path)' && \(script.replacing("TOP", with: names[0]).replacing("BASE", with: names[1]))",
        ])
        try await fixture.server.start()
        let found = await code { try await connect(image, as: volume) }
        #expect(found == expected, "\(script)")
      }
    }
  }

  @Test func aServerThatIsAwayIsWaitedForUntilTheDeadline() async throws {
    try await NFSFixture.with { fixture in
      let backend = try await fixture.open()
      _ = try await backend.ensured(volume, fixture.request(.mebibytes(1)))
      let image = try await backend.image(of: volume, pool: fixture.pool, inUse: false)
      _ = try await connect(image, as: volume)
      try await fixture.server.pause()
      let begin = ContinuousClock.now
      #expect([.timeout, .unavailable].contains(await code { try await connect(image, as: volume) }))
      #expect(ContinuousClock.now - begin < .seconds(8))
      await fixture.server.resume()
      try await eventually("it is back") { try await connect(image, as: volume).layers.count == 1 }
    }
  }

  @Test(arguments: [
    "", ".", "..", "../volume", "a/b", "/etc/passwd", "a\nb", "a\0b", "a\u{7f}b", String(repeating: "a", count: 256),
  ]) func noNameLeadsOutOfTheShare(_ name: String) throws {
    for isNext in [false, true] {
      var image = SharedImage(share: "nas:/a", layers: [.init(name: "volume", format: .raw)], user: 0, group: 0)
      try request(image, volume).check()
      if isNext { image.next = [.init(name: name, format: .raw)] } else { image.layers[0].name = name }
      let error = #expect(throws: StorageError.self) { try request(image, volume).check() }
      #expect(error?.code == .invalid)
    }
  }

  @Test func noShareLeadsElsewhere() throws {
    for share in ["nas:/a/../b", "nas:/a\nb", "nas:/a\0b", "nas:a", "-o:/a", "nas:/a?version=4&x=y", "nas:/a b", ""] {
      let image = SharedImage(share: share, layers: [.init(name: "volume", format: .raw)], user: 0, group: 0)
      let error = #expect(throws: StorageError.self) { try request(image, volume).check() }
      #expect(error?.code == .invalid)
    }
  }

  // MARK: Parts

  private func connect(_ image: SharedImage, as volume: VolumeID) async throws -> DiskImage {
    let source = try await connector.connect(.random(), request(image, volume))
    guard case .image(let disk) = source else { throw TestBedFailure("\(source) is no image.") }
    return disk
  }

  private func code(_ body: () async throws -> DiskImage) async -> StorageError.Code? {
    do { _ = try await body() } catch { return (error as? StorageError)?.code }
    return nil
  }

  private func request(_ image: SharedImage, _ volume: VolumeID) -> ConnectionRequest {
    var target = ExportedTarget(
      protocolName: "nfs", portals: ["nfs"], iqn: "nfs", lun: 0, initiator: "nfs:n1", chapUser: "", chapSecret: "")
    target.image = image
    return ConnectionRequest(
      revision: 1, volume: volume, instance: .random(), size: .mebibytes(1), target: target)
  }
}
