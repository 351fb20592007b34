import Foundation
import TestBed
import Testing

extension LoopbackFleet {
  /// With no volume left, no part of the fleet may have anything left of one.
  func expectNothingLeft(sourceLocation: SourceLocation = #_sourceLocation) async throws {
    let files = try FileManager.default.contentsOfDirectory(atPath: agent.volumes)
    #expect(files.isEmpty, "files of volumes", sourceLocation: sourceLocation)
    for folder in ["exports", "connections"] {
      let records = try FileManager.default.contentsOfDirectory(atPath: "\(agent.state)/\(folder)")
      #expect(records.isEmpty, "records of \(folder)", sourceLocation: sourceLocation)
    }
    let targets = try await target.tgtadm("--op", "show", "--mode", "target")
    #expect(!targets.contains("Target "), "targets: \(targets)", sourceLocation: sourceLocation)
    // The exporter keeps one account that nobody knows the secret of, so that no target is ever open.
    let accounts = try await target.tgtadm("--op", "show", "--mode", "account").split(separator: "\n").dropFirst()
      .filter { !$0.contains("pumice-guard") }
    #expect(accounts.isEmpty, "CHAP accounts: \(accounts)", sourceLocation: sourceLocation)
    let secrets = try await libvirt.virsh("secret-list").filter { !$0.isWhitespace }
    #expect(secrets.isEmpty, "secrets: \(secrets)", sourceLocation: sourceLocation)
    let disks = try await guest.disks()
    #expect(disks.isEmpty, "disks in the guest", sourceLocation: sourceLocation)
    let xml = try await guest.xml(stored: true)
    #expect(!xml.contains("<disk"), "disks in the stored XML", sourceLocation: sourceLocation)
  }
}
