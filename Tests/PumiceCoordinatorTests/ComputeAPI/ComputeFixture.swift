import HTTPTypes
import PumiceModel

@testable import PumiceCoordinator

/// A coordinator with two servers on a node of their own.
enum ComputeFixture {
  static let vm = Instance(
    id: InstanceID(high: 0x1111_2222_3333_4444, low: 0x8555_6666_7777_8888), name: "vm-1", status: .active, vcpus: 2,
    memory: .mebibytes(512))
  static let other = Instance(id: .random(), name: "vm-2", status: .shutOff)
  static let attachments = "/compute/v2.1/servers/\(vm.id)/os-volume_attachments"

  static func with(_ body: @escaping @Sendable (CoordinatorFixture) async throws -> Void) async throws {
    try await withCoordinator(
      nodes: [FakeNode("n1"), FakeNode("c1", poolSize: .zero, instances: [vm, other])], body)
  }
}

extension CoordinatorFixture {
  /// A request to the Compute API, in one of its microversions.
  func compute(
    _ method: HTTPRequest.Method, _ path: String, _ body: String? = nil, version: String = "2.89"
  ) async throws -> Answer {
    try await send(
      method, path.hasPrefix("/") ? path : "/compute/v2.1/\(path)", body,
      headers: ["OpenStack-API-Version": "compute \(version)"])
  }

  /// Attaches a volume to the first server.
  func attach(_ volume: VolumeID, more: String = "", version: String = "2.89") async throws -> Answer {
    try await compute(
      .post, ComputeFixture.attachments, #"{"volumeAttachment": {"volumeId": "\#(volume)"\#(more)}}"#, version: version)
  }
}
