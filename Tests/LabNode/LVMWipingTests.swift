import Conformance
import Foundation
import PumiceModel
import PumiceWire
import TestBed
import Testing

@testable import PumiceAgent

/// Whose extents were given back must not be told by them.
struct LVMWipingTests {
  @Test func aWipeThatACrashCutOffGoesOnAndLeavesNoByte() async throws {
    try await VolumeGroupOfATest.with("vgt") { group in
      // 64 MiB at 16 MiB/s: it takes some slices of 100 ms.
      let configuration = group.configuration(.thick) { $0.wipeBandwidth = .mebibytes(16) }
      func slowBackend() -> LVMBackend {
        LVMBackend(
          configuration, lvm: LVM(group: "vgt", logger: .silent), devices: KernelBlockDevices(),
          slice: .milliseconds(100), logger: .silent)
      }
      let fast = try await LVMBackend.open(group.configuration(.thick), logger: .silent)
      let (id, snapshot) = (VolumeID.random(), SnapshotID.random())
      let volume = try await fast.ensured(id, group.request(.mebibytes(64)))
      try await fast.activate(id, pool: "lvm")
      try await StampedContent.write(1, volume)
      _ = try await fast.snapshotted(snapshot, group.snapshotRequest(of: id))
      // The snapshot keeps the content of before.
      try await StampedContent.write(3, volume)
      try await fast.deactivate(id, pool: "lvm")
      let extents = try await sh("lvs --noheadings -o seg_pe_ranges vgt").split(whereSeparator: \.isWhitespace)
        .map(String.init)

      let first = slowBackend()
      let ofSnapshot = try await first.removeSnapshot(snapshot, of: id, pool: "lvm")
      #expect(!ofSnapshot.isComplete)
      // A crash: nothing of it is remembered but what LVM says.
      let second = slowBackend()
      let ofVolume = try await second.remove(id, pool: "lvm")
      #expect(!ofVolume.isComplete)
      let names = try await group.names()
      #expect(names.count == 2 && names.allSatisfy { $0.hasPrefix("deleting-") }, "\(names)")
      let (listed, found) = (try await second.volumes(), try await second.volume(id))
      #expect(listed.isEmpty)
      #expect(found == nil)

      // The next life of the agent goes on by itself, whether anybody asks or not.
      let third = try await LVMBackend.open(group.configuration(.thick), logger: .silent)
      var watch = FillWatch()
      await third.keep(&watch)
      let left = try await group.names()
      #expect(left.isEmpty)

      try await sh("lvcreate -qq -y -Zn -Wn -an -l 100%PVS -n all vgt \(extents.joined(separator: " "))")
      try await sh("lvchange -qq -ay vgt/all")
      let size = try await sh("blockdev --getsize64 /dev/vgt/all").trimmingCharacters(in: .whitespacesAndNewlines)
      #expect(Int(size).map { $0 >= 128 << 20 } == true)
      try await sh("cmp -n \(size) /dev/vgt/all /dev/zero")
    }
  }

  /// The position that a copy has noted must not count as that of a wipe.
  @Test func aCopyThatIsGivenUpIsWipedFromItsFirstByte() async throws {
    try await VolumeGroupOfATest.with("vgt") { group in
      let backend = try await LVMBackend.open(group.configuration(.thick), logger: .silent)
      let (id, copy) = (VolumeID.random(), VolumeID.random())
      var tags = LVMTags()
      tags.source = .volume(id)
      tags.position = .mebibytes(6)
      let arguments = tags.texts.map { "--addtag '\($0)'" }.joined(separator: " ")
      try await sh("lvcreate -qq -y -Zn -Wn -L 8m \(arguments) -n making-\(copy) vgt")
      let half = StoredVolume(
        id: copy, pool: "lvm", size: .mebibytes(8), revision: 1, path: "/dev/vgt/making-\(copy)",
        description: VolumeDescription(name: "", project: "", type: ""))
      try await StampedContent.write(1, half)
      let extents = try await sh("lvs --noheadings -o seg_pe_ranges vgt").trimmingCharacters(
        in: .whitespacesAndNewlines)

      try await backend.erase(copy, pool: "lvm")
      let left = try await group.names()
      #expect(left.isEmpty)
      try await sh("lvcreate -qq -y -Zn -Wn -l 8 -n all vgt \(extents)")
      try await sh("cmp -n 8388608 /dev/vgt/all /dev/zero")
    }
  }
}
