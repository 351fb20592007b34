import Glibc
import Hummingbird
import HummingbirdTesting
import NIOCore
import PumiceModel
import PumiceWire
import Testing

@testable import PumiceAgent

/// The client against the real routes, over a real socket.
@Suite struct NodeClientTests {
  private static let token = "token-0123456789abcdef"
  private let fixture = NodeFixture()
  private let volume = VolumeID.random()
  private let attachment = AttachmentID.random()

  private func withNode(
    token: String = token, slices: Int = 1, _ body: @escaping @Sendable (any NodeAPI) async throws -> Void
  ) async throws {
    let application = Application(
      router: NodeRoutes(node: fixture.start(slices: slices), token: Self.token).router(),
      configuration: ApplicationConfiguration(address: .hostname("127.0.0.1", port: 0)), logger: .silent)
    try await application.test(.live) { client in
      let transport = HTTPTransport()
      let address = "http://127.0.0.1:\(try #require(client.port))/"
      do {
        try await body(HTTPNodeDirectory(token: token, transport: transport).node("n1", at: address))
        await transport.shutdown()
      } catch {
        await transport.shutdown()
        throw error
      }
    }
  }

  @Test func theWholeWayOfAnAttachmentWorksOverTheWire() async throws {
    let (fixture, volume, attachment) = (fixture, volume, attachment)
    try await withNode { node in
      #expect(try await node.ensureVolume(volume, fixture.volumeRequest()).isComplete)
      let target = try await node.ensureExport(attachment, fixture.exportRequest(volume, attachment))
      #expect(target.chapSecret == fixture.exportRecords[0].export.chapSecret)
      let disk = try await node.ensureConnection(attachment, fixture.connectionRequest(volume, target))
      #expect(disk.device == "vda")
      #expect(try await node.inventory().connections.map(\.attachment) == [attachment])
      let report = try await node.report()
      #expect(report.name == "n1")
      #expect(report.inventoryDigest == (try await fixture.start().report().inventoryDigest))
      try await node.removeConnection(attachment, ConnectionRemoval(revision: 2, instance: fixture.instance))
      try await node.removeExport(attachment, ExportRemoval(revision: 2))
      #expect(try await node.removeVolume(volume, fixture.removal(2)).isComplete)
      #expect(try await node.inventory() == Inventory())
    }
  }

  @Test func aGuestHoldsStillAndGoesOnOverTheWire() async throws {
    let (fixture, snapshot) = (fixture, SnapshotID.random())
    try await withNode { node in
      let answer = try await node.freezeInstance(fixture.instance, FreezeRequest(holder: snapshot, seconds: 10))
      #expect(answer == FreezeAnswer(frozen: true))
      #expect(fixture.hypervisorWorld.frozen == [fixture.instance])
      #expect(try await node.thawInstance(fixture.instance, ThawRequest(holder: snapshot)).stillFrozen)
      #expect(fixture.hypervisorWorld.frozen.isEmpty)
      #expect(try await !node.thawInstance(fixture.instance, ThawRequest(holder: snapshot)).stillFrozen)
      for seconds in [0, 61, -1] {
        let error = await #expect(throws: StorageError.self) {
          try await node.freezeInstance(fixture.instance, FreezeRequest(holder: .random(), seconds: seconds))
        }
        #expect(error?.code == .invalid && error?.field == "seconds")
      }
      var stale = FreezeRequest(holder: .random(), seconds: 10)
      stale.incarnation = try await node.report().incarnation &+ 1
      let meantForAnotherLife = stale
      let refused = await #expect(throws: StorageError.self) {
        try await node.freezeInstance(fixture.instance, meantForAnotherLife)
      }
      #expect(refused?.code == .unavailable)
      #expect(fixture.hypervisorWorld.frozen.isEmpty)
    }
  }

  @Test func snapshotsCopiesAndRevertsWorkOverTheWire() async throws {
    let (fixture, volume) = (fixture, volume)
    let (snapshot, copy) = (SnapshotID.random(), VolumeID.random())
    try await withNode(slices: 2) { node in
      /// The shares that the answers say.
      func shares(_ body: () async throws -> Progress) async throws -> [Double] {
        [try await body().done, try await body().done]
      }
      _ = try await node.ensureVolume(volume, fixture.volumeRequest())
      fixture.disk.write(1, to: volume)
      let inTwo = [0.5, 1]
      #expect(try await shares { try await node.ensureSnapshot(snapshot, fixture.snapshotRequest(volume)) } == inTwo)
      fixture.disk.write(2, to: volume)
      let request = fixture.volumeRequest(source: .snapshot(snapshot, of: volume))
      #expect(try await shares { try await node.ensureVolume(copy, request) } == inTwo)
      #expect(fixture.disk.content(of: copy)?.stamp == 1)
      #expect(
        try await shares { try await node.revertVolume(volume, fixture.revertRequest(2, to: snapshot)) } == inTwo)
      #expect(fixture.disk.content(of: volume)?.stamp == 1)
      #expect(try await node.inventory().snapshots.map(\.volume) == [volume])
      let used = await #expect(throws: StorageError.self) {
        _ = try await node.removeVolume(volume, fixture.removal(3))
      }
      #expect(used?.code == .inUse)
      #expect(
        try await shares { try await node.removeSnapshot(snapshot, fixture.snapshotRemoval(volume, 2)) } == inTwo)
      #expect(try await node.inventory().snapshots.isEmpty)
    }
  }

  @Test func errorsArriveAsTheyWereThrown() async throws {
    let (fixture, volume) = (fixture, volume)
    try await withNode { node in
      _ = try await node.ensureVolume(volume, fixture.volumeRequest(3))
      let stale = await #expect(throws: StorageError.self) {
        _ = try await node.ensureVolume(volume, fixture.volumeRequest(2))
      }
      #expect(stale?.code == .stale)
      let bad = await #expect(throws: StorageError.self) {
        _ = try await node.ensureVolume(volume, fixture.volumeRequest(3, size: .zero))
      }
      #expect(bad?.code == .invalid)
      #expect(bad?.field == "size")
    }
  }

  @Test func aWrongTokenIsSaidWithoutTheToken() async throws {
    try await withNode(token: "wrong-0123456789abcdef") { node in
      let error = await #expect(throws: StorageError.self) { _ = try await node.report() }
      #expect(error?.code == .failed)
      #expect(error?.message.contains("token") == true)
      #expect(error?.description.contains("wrong-0123") == false)
    }
  }

  @Test func aNodeThatIsAwayIsUnavailableByNameAndAddress() async throws {
    let transport = HTTPTransport()
    let node = NodeClient("n9", at: "http://127.0.0.1:1", token: Self.token, transport: transport)
    let error = await #expect(throws: StorageError.self) { _ = try await node.report() }
    await transport.shutdown()
    #expect(error?.code == .unavailable)
    #expect(error?.message.contains("n9") == true)
    #expect(error?.message.contains("http://127.0.0.1:1/v1/node") == true)
    #expect(error?.description.contains(Self.token) == false)
  }

  @Test func aNodeThatDoesNotAnswerTimesOut() async throws {
    let router = Router()
    router.get("/v1/node") { _, _ in
      try await Task.sleep(for: .seconds(2))
      return "late"
    }
    let application = Application(
      router: router, configuration: ApplicationConfiguration(address: .hostname("127.0.0.1", port: 0)), logger: .silent
    )
    try await application.test(.live) { client in
      let transport = HTTPTransport()
      let address = "http://127.0.0.1:\(try #require(client.port))"
      let node = NodeClient("n9", at: address, token: Self.token, transport: transport, deadline: .milliseconds(100))
      let error = await #expect(throws: StorageError.self) { _ = try await node.report() }
      await transport.shutdown()
      #expect(error?.code == .timeout)
      #expect(error?.message.contains(address) == true)
    }
  }

  @Test func anAnswerThatIsNoneOfOursIsAnError() async throws {
    let router = Router()
    router.get("/v1/node") { _, _ in "<html>" }
    router.get("/v1/inventory") { _, _ -> HTTPResponse.Status in .badGateway }
    let application = Application(
      router: router, configuration: ApplicationConfiguration(address: .hostname("127.0.0.1", port: 0)), logger: .silent
    )
    try await application.test(.live) { client in
      let transport = HTTPTransport()
      let node = NodeClient(
        "n9", at: "http://127.0.0.1:\(try #require(client.port))", token: Self.token, transport: transport)
      let nonsense = await #expect(throws: StorageError.self) { _ = try await node.report() }
      #expect(nonsense?.code == .failed)
      let gateway = await #expect(throws: StorageError.self) { _ = try await node.inventory() }
      await transport.shutdown()
      #expect(gateway?.code == .unavailable)
    }
  }
}
