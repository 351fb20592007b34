import Glibc
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import NIOCore
import PumiceModel
import PumiceWire
import Testing

@testable import PumiceAgent

@Suite struct NodeRoutesTests {
  private static let token = "token-0123456789abcdef"
  private let fixture = NodeFixture()
  private let volume = VolumeID.random()
  private let attachment = AttachmentID.random()

  private func withClient(
    node: (any NodeAPI)? = nil, _ body: @escaping @Sendable (any TestClientProtocol) async throws -> Void
  ) async throws {
    let router = NodeRoutes(node: node ?? fixture.start(), token: Self.token).router()
    try await Application(router: router, logger: .silent).test(.router) { try await body($0) }
  }

  private static let authorized: HTTPFields = [.authorization: "Bearer \(token)"]

  private func body(_ value: some Encodable) throws -> ByteBuffer { ByteBuffer(bytes: try WireJSON.encode(value)) }

  private static func error(_ response: TestResponse) -> ErrorBody.Details? {
    try? WireJSON.decode(ErrorBody.self, from: response.body.readableBytesView).error
  }

  private static func progress(_ response: TestResponse) -> Progress? {
    try? WireJSON.decode(Progress.self, from: response.body.readableBytesView)
  }

  @Test(arguments: [#"{"level": "loud"}"#, #"{"level": 3}"#, "{}", "debug"])
  func aLevelThatThereIsNotIsRefused(body: String) async throws {
    try await withClient { client in
      try await client.execute(
        uri: "/v1/log", method: .put, headers: Self.authorized, body: ByteBuffer(string: body)
      ) { response in
        #expect(response.status == .badRequest)
        #expect(Self.error(response)?.code == "invalid")
      }
    }
  }

  // MARK: Who may

  @Test(arguments: [
    nil, "", "Bearer", "Bearer ", "Bearer token-0123456789abcdeF", "Bearer token-0123456789abcdef0", "Bearer token",
    "Basic token-0123456789abcdef", "token-0123456789abcdef",
  ])
  func nobodyGetsInWithoutTheToken(header: String?) async throws {
    try await withClient { client in
      for (method, path) in [
        (HTTPRequest.Method.get, "/v1/node"), (.get, "/v1/pools"), (.get, "/v1/inventory"),
        (.put, "/v1/volumes/\(VolumeID.random())"), (.put, "/v1/volumes/\(VolumeID.random())/revert"),
        (.put, "/v1/snapshots/\(SnapshotID.random())"), (.delete, "/v1/snapshots/\(SnapshotID.random())"),
        (.delete, "/v1/exports/\(AttachmentID.random())"),
        (.put, "/v1/connections/nonsense"), (.get, "/v1/log"), (.put, "/v1/log"),
      ] {
        let headers = header.map { HTTPFields([HTTPField(name: .authorization, value: $0)]) } ?? [:]
        try await client.execute(uri: path, method: method, headers: headers) { response in
          #expect(response.status == .unauthorized, "\(method) \(path)")
          #expect(Self.error(response)?.code == "unauthenticated")
        }
      }
    }
  }

  @Test func healthNeedsNoToken() async throws {
    try await withClient { client in
      try await client.execute(uri: "/healthz", method: .get) { #expect($0.status == .ok) }
    }
  }

  // MARK: What they say

  @Test func aVolumeIsMadeAndRemovedOverHTTP() async throws {
    let (create, remove) = (try body(fixture.volumeRequest()), try body(fixture.removal(2)))
    try await withClient { [volume] client in
      try await client.execute(
        uri: "/v1/volumes/\(volume)", method: .put, headers: Self.authorized, body: create
      ) { response in
        #expect(response.status == .ok)
        #expect(Self.progress(response) == .complete)
      }
      try await client.execute(uri: "/v1/inventory", method: .get, headers: Self.authorized) { response in
        let inventory = try WireJSON.decode(Inventory.self, from: response.body.readableBytesView)
        #expect(inventory.volumes.map(\.id) == [volume])
      }
      try await client.execute(
        uri: "/v1/volumes/\(volume)", method: .delete, headers: Self.authorized, body: remove
      ) { #expect($0.status == .ok) }
    }
    #expect(fixture.disk.contents.isEmpty)
  }

  @Test func aSnapshotIsTakenRevertedToAndRemovedOverHTTP() async throws {
    let snapshot = SnapshotID.random()
    let calls: [(HTTPRequest.Method, String, ByteBuffer)] = [
      (.put, "volumes/\(volume)", try body(fixture.volumeRequest())),
      (.put, "snapshots/\(snapshot)", try body(fixture.snapshotRequest(volume))),
      (.put, "volumes/\(volume)/revert", try body(fixture.revertRequest(2, to: snapshot))),
      (.delete, "snapshots/\(snapshot)", try body(fixture.snapshotRemoval(volume, 2))),
    ]
    try await withClient { [fixture] client in
      for (number, (method, path, body)) in calls.enumerated() {
        try await client.execute(uri: "/v1/\(path)", method: method, headers: Self.authorized, body: body) { response in
          #expect(response.status == .ok, "\(path)")
          #expect(Self.progress(response) == .complete)
        }
        try await client.execute(uri: "/v1/inventory", method: .get, headers: Self.authorized) { response in
          let inventory = try WireJSON.decode(Inventory.self, from: response.body.readableBytesView)
          #expect(inventory.snapshots.map(\.id) == (number == 1 || number == 2 ? [snapshot] : []))
        }
      }
      #expect(fixture.disk.snapshotContents.isEmpty)
    }
  }

  @Test func longWorkAnswersAccepted() async throws {
    let snapshot = SnapshotID.random()
    let calls: [(HTTPRequest.Method, String, ByteBuffer)] = [
      (.put, "volumes/\(volume)", try body(fixture.volumeRequest())),
      (.delete, "volumes/\(volume)", try body(fixture.removal(2))),
      (.put, "volumes/\(volume)/revert", try body(fixture.revertRequest(2, to: snapshot))),
      (.put, "snapshots/\(snapshot)", try body(fixture.snapshotRequest(volume))),
      (.delete, "snapshots/\(snapshot)", try body(fixture.snapshotRemoval(volume, 2))),
    ]
    try await withClient(node: SlowNode()) { client in
      for (method, path, body) in calls {
        try await client.execute(uri: "/v1/\(path)", method: method, headers: Self.authorized, body: body) { response in
          #expect(response.status == .accepted, "\(method) \(path)")
          #expect(Self.progress(response)?.done == 0.25)
        }
      }
    }
  }

  @Test(arguments: [
    ("snapshots", #"{"revision": 1, "backend": "b", "pool": "p"}"#, "volume"),
    ("snapshots", #"{"revision": 1, "volume": "7", "backend": "b", "pool": "p"}"#, "volume"),
    (
      "snapshots",
      #"{"revision": 0, "volume": "00000000-0000-4000-8000-000000000000", "backend": "b", "pool": "p", "description": {"name": "", "project": "", "type": "", "metadata": {}}}"#,
      "revision"
    ),
    ("revert", #"{"revision": 1, "backend": "b", "pool": "p"}"#, "snapshot"),
    (
      "revert", #"{"revision": 0, "snapshot": "00000000-0000-4000-8000-000000000000", "backend": "b", "pool": "p"}"#,
      "revision"
    ),
    (
      "revert", #"{"revision": 1, "snapshot": "00000000-0000-4000-8000-000000000000", "backend": "", "pool": "p"}"#,
      "backend"
    ),
  ])
  func badBodiesAboutSnapshotsAreRefusedWithTheFieldsName(kind: String, text: String, field: String) async throws {
    let path = kind == "revert" ? "volumes/\(volume)/revert" : "snapshots/\(SnapshotID.random())"
    try await withClient { client in
      try await client.execute(
        uri: "/v1/\(path)", method: .put, headers: Self.authorized, body: ByteBuffer(string: text)
      ) { response in
        #expect(response.status == .badRequest)
        #expect(Self.error(response)?.field == field)
      }
    }
  }

  @Test(arguments: [
    ("", "body"), ("{", "body"), ("[]", "body"), ("{}", "revision"),
    (#"{"revision": "1"}"#, "revision"), (#"{"revision": 1.5}"#, "body"),
    (#"{"revision": 1, "backend": 5}"#, "backend"), (#"{"revision": 1, "backend": null}"#, "backend"),
    (#"{"revision": 1, "backend": "b", "pool": "p", "size": "1"}"#, "size"),
    (#"{"revision": 1, "backend": "b", "pool": "p", "size": 99999999999999999999}"#, "body"),
    (
      #"{"revision": 1, "backend": "b", "pool": "p", "size": 0, "description": {"name": "", "project": "", "type": "", "metadata": {}}}"#,
      "size"
    ),
    (
      #"{"revision": 0, "backend": "b", "pool": "p", "size": 1, "description": {"name": "", "project": "", "type": "", "metadata": {}}}"#,
      "revision"
    ),
    (#"{"revision": 1, "backend": "b", "pool": "p", "size": 1, "description": {"name": 1}}"#, "description.name"),
  ])
  func badBodiesAreRefusedWithTheFieldsName(text: String, field: String) async throws {
    try await withClient { client in
      try await client.execute(
        uri: "/v1/volumes/\(VolumeID.random())", method: .put, headers: Self.authorized, body: ByteBuffer(string: text)
      ) { response in
        #expect(response.status == .badRequest)
        #expect(Self.error(response)?.field == field)
      }
    }
    #expect(fixture.disk.contents.isEmpty)
  }

  @Test func deepJSONIsRefused() async throws {
    let text = String(repeating: "[", count: 100_000)
    try await withClient { client in
      try await client.execute(
        uri: "/v1/volumes/\(VolumeID.random())", method: .put, headers: Self.authorized, body: ByteBuffer(string: text)
      ) { #expect($0.status == .badRequest) }
    }
  }

  @Test func bodiesOverTheLimitAreRefused() async throws {
    let text = String(repeating: " ", count: NodeRoutes.bodyLimit + 1)
    try await withClient { client in
      try await client.execute(
        uri: "/v1/volumes/\(VolumeID.random())", method: .put, headers: Self.authorized, body: ByteBuffer(string: text)
      ) { response in
        #expect(response.status == .contentTooLarge)
        #expect(Self.error(response)?.code == "invalid")
      }
    }
  }

  @Test func badPathsAreRefused() async throws {
    try await withClient { client in
      for path in ["volumes/seven", "volumes/seven/revert", "snapshots/seven"] {
        try await client.execute(uri: "/v1/\(path)", method: .put, headers: Self.authorized) { response in
          #expect(response.status == .badRequest)
          #expect(Self.error(response)?.field == "id")
        }
      }
      try await client.execute(uri: "/v1/nonsense", method: .get, headers: Self.authorized) { response in
        #expect(response.status == .notFound)
        #expect(Self.error(response)?.code == "notFound")
      }
    }
  }

  @Test func errorsOfTheNodeKeepTheirCode() async throws {
    let export = try body(fixture.exportRequest(volume, attachment))
    try await withClient { [attachment] client in
      try await client.execute(
        uri: "/v1/exports/\(attachment)", method: .put, headers: Self.authorized, body: export
      ) { response in
        #expect(response.status == .notFound)
        #expect(Self.error(response)?.code == "notFound")
      }
    }
  }

  @Test func theRequestsIdIsTakenOverAndReturned() async throws {
    try await withClient { client in
      try await client.execute(uri: "/healthz", method: .get, headers: [.requestID: "req-123"]) {
        #expect($0.headers[.requestID] == "req-123")
      }
      for bad in ["a b", String(repeating: "a", count: 65), ""] {
        try await client.execute(uri: "/healthz", method: .get, headers: [.requestID: bad]) { response in
          #expect(response.headers[.requestID] != bad)
          #expect(response.headers[.requestID]?.isEmpty == false)
        }
      }
    }
  }
}

/// A node whose volumes and snapshots take their time.
private struct SlowNode: NodeAPI {
  private var no: StorageError { StorageError(.unsupported, "Not in this test.") }

  private var part: Progress { Progress(done: 0.25) }

  func ensureVolume(_ id: VolumeID, _ request: VolumeRequest) async throws(StorageError) -> Progress { part }
  func removeVolume(_ id: VolumeID, _ request: VolumeRemoval) async throws(StorageError) -> Progress { part }
  func revertVolume(_ id: VolumeID, _ request: RevertRequest) async throws(StorageError) -> Progress { part }
  func ensureSnapshot(_ id: SnapshotID, _ request: SnapshotRequest) async throws(StorageError) -> Progress { part }
  func removeSnapshot(_ id: SnapshotID, _ request: SnapshotRemoval) async throws(StorageError) -> Progress { part }
  func report() async throws(StorageError) -> NodeReport { throw no }
  func inventory() async throws(StorageError) -> Inventory { throw no }
  func ensureExport(_ id: AttachmentID, _ request: ExportRequest) async throws(StorageError) -> ExportedTarget {
    throw no
  }
  func removeExport(_ id: AttachmentID, _ request: ExportRemoval) async throws(StorageError) { throw no }
  func ensureConnection(
    _ id: AttachmentID, _ request: ConnectionRequest
  ) async throws(StorageError) -> ConnectedDisk { throw no }
  func removeConnection(_ id: AttachmentID, _ request: ConnectionRemoval) async throws(StorageError) { throw no }
  func freezeInstance(_ id: InstanceID, _ request: FreezeRequest) async throws(StorageError) -> FreezeAnswer {
    throw no
  }
  func thawInstance(_ id: InstanceID, _ request: ThawRequest) async throws(StorageError) -> ThawAnswer { throw no }
}
