import Conformance
import Foundation
import PumiceModel
import PumiceWire
import Testing

@testable import PumiceAgent

/// The promises of a backend, held to on real device-mapper: the hooks that the suites of this folder share.
enum LVMConformance {
  typealias Provisioning = LVMBackendConfiguration.Provisioning

  static func check(
    _ provisioning: Provisioning, _ part: (BackendConformance) async throws -> Void
  ) async throws {
    try await VolumeGroupOfATest.with("vgt") { group in
      let (conformance, backend) = try await conformance(group, provisioning)
      try await part(conformance)
      // What copies and reverts leave to the background.
      var watch = FillWatch()
      await backend.keep(&watch, grace: .zero)
      let left = try await group.names()
      #expect(left.isEmpty)
    }
  }

  static func conformance(
    _ group: VolumeGroupOfATest, _ provisioning: Provisioning
  ) async throws -> (BackendConformance, LVMBackend) {
    let configuration = group.configuration(provisioning)
    let backend = try await LVMBackend.open(configuration, logger: .silent)
    let hooks = BackendConformance.Hooks(
      restart: { try await reopened(configuration) },
      plant: { try await plant($0, group, configuration) },
      traces: { id in try await group.names().filter { $0.contains(id) } },
      excessiveSize: provisioning == .thin ? ByteCount(1 << 62) : .gibibytes(5), crowd: 9)
    return (BackendConformance(backend, pool: "lvm", hooks: hooks), backend)
  }

  private static func plant(
    _ leaving: BackendConformance.Leaving, _ group: VolumeGroupOfATest, _ configuration: LVMBackendConfiguration
  ) async throws {
    let (vg, isThin) = (group.name, configuration.provisioning == .thin)
    let lvcreate =
      isThin
      ? "lvcreate -qq -y -an -ky --type thin -V 8m --thinpool \(vg)-pool" : "lvcreate -qq -y -an -ky -Zn -Wn -L 8m"
    switch leaving {
    case .volume(let id): try await sh("\(lvcreate) --addtag pumice -n making-\(id) \(vg)")
    case .snapshot(let id, _):
      try await sh("\(lvcreate) --addtag pumice -n \(isThin ? "deleting-snapshot-\(id)-0" : "_snapshot-\(id)") \(vg)")
    case .copy(let id, let source):
      let origin: LVMName =
        switch source {
        case .snapshot(let snapshot, _): .snapshot(snapshot)
        case .volume(let volume): .volume(volume)
        }
      if isThin {
        try await sh("lvcreate -qq -y -s -an -ky --addtag pumice -n making-\(id) \(vg)/\(origin)")
      } else {
        var tags = LVMTags()
        tags.source = source
        let arguments = tags.texts.map { "--addtag '\($0)'" }.joined(separator: " ")
        try await sh("\(lvcreate) \(arguments) -n making-\(id) \(vg)")
        if case .volume = source {
          try await sh("lvcreate -qq -y -s -ky -l 100%ORIGIN --addtag pumice -n source-\(id) \(vg)/\(origin)")
        }
      }
    case .revert(let id, let snapshot):
      if isThin {
        // Between its two renamings.
        let tags = try await sh("lvs --noheadings -o tags \(vg)/volume-\(id)").trimmingCharacters(
          in: .whitespacesAndNewlines)
        let arguments = tags.split(separator: ",").map { "--addtag '\($0)'" }.joined(separator: " ")
        try await sh(
          """
          lvcreate -qq -y -s -an -ky -prw \(arguments) -n reverted-\(id) \(vg)/_snapshot-\(snapshot) &&
          lvrename -qq \(vg) volume-\(id) deleting-volume-\(id)-0
          """)
      } else {
        let backend = try await LVMBackend.open(configuration, logger: .silent)
        let request = RevertRequest(revision: 999, snapshot: snapshot, backend: "lvm", pool: "lvm")
        let volume = try #require(try await backend.catalog().volume(id))
        let entry = try #require(try await backend.catalog().snapshot(snapshot))
        try await backend.beginMerge(id, volume, entry, request, "Planting")
      }
    }
  }
}
