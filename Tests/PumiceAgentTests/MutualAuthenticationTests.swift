import PumiceModel
import PumiceWire
import Testing

@testable import PumiceAgent

/// The account by which a target shows itself, from request to record.
@Suite struct MutualAuthenticationTests {
  private let fixture = NodeFixture()
  private let volume = VolumeID.random()
  private let attachment = AttachmentID.random()

  private func node(with volume: VolumeID) async throws -> NodeService {
    let node = fixture.start()
    _ = try await node.ensureVolume(volume, fixture.volumeRequest())
    return node
  }

  private func account(of node: NodeService) -> TargetAccount? {
    node.exports.record(of: attachment)?.export.targetAccount
  }

  @Test func anInitiatorThatAsksGetsOneWhichStays() async throws {
    let node = try await node(with: volume)
    var request = fixture.exportRequest(volume, attachment)
    _ = try await node.ensureExport(attachment, request)
    #expect(account(of: node) == nil)
    request.authenticatesTarget = true
    _ = try await node.ensureExport(attachment, request)
    let first = try #require(account(of: node))
    _ = try await node.ensureExport(attachment, request)
    #expect(account(of: node) == first)
    let export = try #require(node.exports.record(of: attachment)?.export)
    #expect(first.secret != export.chapSecret && first.user != export.chapUser)
    #expect(first.secret.count == 16)
    #expect(!"\(first)".contains(first.secret))
    request.authenticatesTarget = nil
    _ = try await node.ensureExport(attachment, request)
    #expect(account(of: node) == nil)
  }
}
