import Conformance
import Foundation
import PumiceModel
import PumiceWire
import TestBed
import Testing

@testable import PumiceAgent

/// Others that work on the same volume group: an operator, another program, the boot.
struct LVMNeighboursTests {
  typealias Provisioning = LVMBackendConfiguration.Provisioning

  @Test func whoeverHoldsTheGroupsLockIsNamedAndNothingIsStuckAfterwards() async throws {
    try await VolumeGroupOfATest.with("vgt") { group in
      let lvm = LVM(group: "vgt", patience: LVM.Patience(lock: .seconds(3)), logger: .silent)
      let backend = LVMBackend(
        group.configuration(.thick), lvm: lvm, devices: KernelBlockDevices(), logger: .silent)
      let (first, second) = (VolumeID.random(), VolumeID.random())
      _ = try await backend.ensured(first, group.request(.mebibytes(4)))
      let lock = "/run/lock/lvm/V_vgt"

      try await sh(
        "flock \(lock) sleep 1000 & until fuser -s \(lock) || lslocks 2>/dev/null | grep -q V_vgt; do sleep 0.1; done")
      let start = ContinuousClock.now
      for attempt in [
        { _ = try await backend.ensured(second, group.request(.mebibytes(4))) },
        { try await backend.erase(first, pool: "lvm") },
      ] as [() async throws -> Void] {
        let error = await refusal(attempt)
        #expect(error?.code == .unavailable, "\(error?.message ?? "")")
        #expect(error?.message.contains("(sleep)") == true || error?.message.contains("(flock)") == true)
      }
      #expect(ContinuousClock.now - start < .seconds(30))
      try await sh("pkill -f 'sleep 1000'")

      // Somebody who is done within a moment is only waited for.
      try await sh("flock \(lock) sleep 1 & sleep 0.2")
      _ = try await backend.ensured(second, group.request(.mebibytes(4)))
      try await backend.erase(first, pool: "lvm")
      let names = try await group.names()
      #expect(names == ["volume-\(second)"])
    }
  }

  /// As Cinder's are, which have our names and none of our tags.
  @Test(arguments: [Provisioning.thin, .thick])
  func volumesOfOthersUnderOurNamesAreLeftAlone(_ provisioning: Provisioning) async throws {
    try await VolumeGroupOfATest.with("vgt") { group in
      let backend = try await LVMBackend.open(group.configuration(provisioning), logger: .silent)
      let (id, own, snapshot) = (VolumeID.random(), VolumeID.random(), SnapshotID.random())
      let lvcreate =
        provisioning == .thin ? "lvcreate -qq -y --type thin -V 8m --thinpool vgt-pool" : "lvcreate -qq -y -L 8m"
      try await sh("\(lvcreate) --addtag cinder -n volume-\(id) vgt")
      let foreign = StoredVolume(
        id: id, pool: "lvm", size: .mebibytes(8), revision: 1, path: "/dev/vgt/volume-\(id)",
        description: VolumeDescription(name: "", project: "", type: ""))
      try await StampedContent.write(5, foreign)
      let before = try await sh("lvs --noheadings -o name,uuid,size,tags,attr vgt/volume-\(id)")

      for attempt in [
        { _ = try await backend.ensured(id, group.request(.mebibytes(16))) },
        { _ = try await backend.ensured(own, group.request(.mebibytes(8), source: .volume(id))) },
        { _ = try await backend.snapshotted(snapshot, group.snapshotRequest(of: id)) },
        { try await backend.activate(id, pool: "lvm") },
      ] as [() async throws -> Void] {
        let error = await refusal(attempt)
        #expect(error?.code == .conflict || error?.code == .notFound, "\(error?.message ?? "")")
      }
      // What is not ours is not there to be removed.
      try await backend.erase(id, pool: "lvm")
      let (listed, found) = (try await backend.volumes(), try await backend.volume(id))
      #expect(listed.isEmpty)
      #expect(found == nil)
      _ = try await reopened(group.configuration(provisioning))

      let after = try await sh("lvs --noheadings -o name,uuid,size,tags,attr vgt/volume-\(id)")
      let content = try await StampedContent.read(foreign)
      #expect(after == before)
      #expect(content == StampedContent(5, .mebibytes(8)))
      let report = try #require(await backend.pools().first)
      #expect(report.foreignProvisioned >= .mebibytes(8), "others' promises are counted")
      // A neighbour of ours is made and removed as if nothing were.
      try await backend.erase(try await backend.ensured(own, group.request(.mebibytes(8))).id, pool: "lvm")
    }
  }

  /// A node that somebody's deactivation has left behind leads to whatever the kernel gives its number to next.
  @Test(arguments: [Provisioning.thin, .thick])
  func aNodeThatLeadsToAnotherVolumeIsNotBelieved(_ provisioning: Provisioning) async throws {
    try await VolumeGroupOfATest.with("vgt") { group in
      let backend = try await LVMBackend.open(group.configuration(provisioning), logger: .silent)
      let request = group.request(.mebibytes(4))
      let (first, other) = (
        try await backend.ensured(.random(), request), try await backend.ensured(.random(), request)
      )
      for (stamp, volume) in [(1, first), (2, other)] {
        try await backend.activate(volume.id, pool: "lvm")
        try await StampedContent.write(stamp, volume)
      }
      try await backend.deactivate(first.id, pool: "lvm")

      let leave = "rm -f '\(first.path)' && cp -a \"$(realpath '\(other.path)')\" '\(first.path)'"
      try await sh(leave)
      let mistaken = try await StampedContent.read(first)
      #expect(mistaken == StampedContent(2, .mebibytes(4)))
      try await backend.activate(first.id, pool: "lvm")
      #expect(try await StampedContent.read(first) == StampedContent(1, .mebibytes(4)))

      // Of an active volume, too; and what is wiped is the volume itself.
      try await sh(leave)
      try await backend.activate(first.id, pool: "lvm")
      #expect(try await StampedContent.read(first) == StampedContent(1, .mebibytes(4)))
      try await backend.deactivate(first.id, pool: "lvm")
      try await sh(leave)
      try await backend.erase(first.id, pool: "lvm")
      #expect(try await StampedContent.read(other) == StampedContent(2, .mebibytes(4)))
    }
  }

  /// The boot activates what it finds; ours only the agent does, and only what is used.
  @Test(arguments: [Provisioning.thin, .thick])
  func theBootLeavesVolumesInactive(_ provisioning: Provisioning) async throws {
    try await VolumeGroupOfATest.with("vgt") { group in
      let configuration = group.configuration(provisioning)
      var backend = try await LVMBackend.open(configuration, logger: .silent)
      let (used, unused, snapshot) = (VolumeID.random(), VolumeID.random(), SnapshotID.random())
      let volume = try await backend.ensured(used, group.request(.mebibytes(4)))
      _ = try await backend.ensured(unused, group.request(.mebibytes(4)))
      _ = try await backend.snapshotted(snapshot, group.snapshotRequest(of: used))
      try await sh("lvcreate -qq -y -L 4m -n somebodys vgt")
      try await backend.activate(used, pool: "lvm")
      try await StampedContent.write(6, volume)

      // As the boot does it: without the agent's settings.
      try await sh("vgchange -qq -an vgt && vgchange -qq -aay vgt && udevadm settle")
      func active() async throws -> [String] {
        try await sh("lvs --noheadings -S lv_active=active -o name vgt").split(whereSeparator: \.isWhitespace)
          .map(String.init).filter { $0 != "vgt-pool" }.sorted()
      }
      let booted = try await active()
      #expect(booted == ["somebodys"])

      backend = try await reopened(configuration)
      let begun = try await active()
      #expect(begun == ["somebodys"])
      try await backend.activate(used, pool: "lvm")
      let served = try await active().filter { !$0.contains("\(snapshot)") }
      #expect(served == ["somebodys", "volume-\(used)"])
      let content = try await StampedContent.read(volume)
      #expect(content == StampedContent(6, .mebibytes(4)))
    }
  }
}
