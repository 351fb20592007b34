import Foundation
import PumiceModel
import Testing

@testable import PumiceAgent

struct LVMBackendConfigurationTests {
  private func read(_ yaml: String) throws -> BackendConfiguration {
    let lines = yaml.split(separator: "\n").joined(separator: "\n    ")
    let all = try AgentConfiguration.read(yaml: "token_file: /token\nbackends:\n  -\n    \(lines)\n")
    return try #require(all.backends.first)
  }

  @Test func theConfigurationIsReadAsTheOperatorWritesIt() throws {
    let all = """
      name: ssd
      kind: lvm
      volume_group: data-1
      thin_pool: fast
      provisioning: thick
      wipe: discard
      wipe_bandwidth: 104857600
      snapshot_reserve: 30
      max_data_percent: 90
      max_metadata_percent: 70.5
      min_mda_free: 20
      auto_extend: false
      extend_at: 75
      extend_by: 10
      reserved_percentage: 3
      max_over_subscription_ratio: 2.5
      capabilities: {tier: gold, zones: [a, b]}
      """
    let expected = LVMBackendConfiguration(
      name: "ssd", volumeGroup: "data-1", provisioning: .thick, thinPool: "fast", wipe: .discard,
      wipeBandwidth: .mebibytes(100), snapshotReserve: 30, maxDataPercent: 90, maxMetadataPercent: 70.5,
      minMetadataAreaFree: 20, autoExtend: false, extendAt: 75, extendBy: 10, reservedPercentage: 3,
      maxOverSubscriptionRatio: 2.5, capabilities: ["tier": ["gold"], "zones": ["a", "b"]])
    #expect(try read(all) == .lvm(expected))
    let short = LVMBackendConfiguration(name: "a", volumeGroup: "vg")
    #expect(try read("name: a\nkind: lvm\nvolume_group: vg") == .lvm(short))
    #expect(short.thinPool == "vg-pool" && short.provisioning == .thin && short.wipe == .zero)
  }

  @Test(arguments: [
    ("wipe: shred", "wipe"), ("wipe: ''", "wipe"), ("provisioning: sparse", "provisioning"),
    ("volume_group: a/b", "volume_group"),
    ("volume_group: -x", "volume_group"), ("thin_pool: 'a b'", "thin_pool"),
    ("max_data_percent: 101", "max_data_percent"),
    ("snapshot_reserve: 0", "snapshot_reserve"), ("wipe_bandwidth: 5", "wipe_bandwidth"),
    ("min_mda_free: 60", "min_mda_free"),
    ("volume_groups: x", "volume_groups"), ("path: /x", "path"), ("extend_at: nan", "extend_at"),
    ("max_over_subscription_ratio: 0", "max_over_subscription_ratio"),
    ("reserved_percentage: 100", "reserved_percentage"),
  ])
  func whatCannotWorkIsRefusedByName(_ line: String, _ field: String) throws {
    let group = line.hasPrefix("volume_group:") ? "" : "volume_group: vg\n"
    let error = #expect(throws: StorageError.self) { try read("name: a\nkind: lvm\n\(group)\(line)") }
    #expect(error?.code == .invalid)
    #expect(error?.field?.contains(field) == true, "\(error?.field ?? "")")
  }

  @Test func theGroupMustBeNamed() throws {
    let error = #expect(throws: StorageError.self) { try read("name: a\nkind: lvm") }
    #expect(error?.field == "backends[0].volume_group")
  }
}
