import Conformance
import Foundation
import PumiceModel
import PumiceWire
import Testing

@testable import PumiceAgent

/// Thick volumes and their snapshots where room is scarce.
struct LVMFullThickGroupsTests {
  @Test func whatFindsNoRoomInTheGroupLeavesNothing() async throws {
    try await VolumeGroupOfATest.with("vgt") { group in
      let backend = try await LVMBackend.open(group.configuration(.thick), logger: .silent)
      let (id, other, snapshot) = (VolumeID.random(), VolumeID.random(), SnapshotID.random())
      let volume = try await backend.ensured(id, group.request(.mebibytes(8)))
      try await backend.activate(id, pool: "lvm")
      try await StampedContent.write(3, volume)
      let free = try await sh("vgs --noheadings -o vg_free_count vgt").trimmingCharacters(in: .whitespacesAndNewlines)
      let extents = try #require(Int(free))
      try await sh("lvcreate -qq -y -an -Zn -Wn -l \(extents - 6) -n somebodys vgt")

      let requests: [() async throws -> Void] = [
        { _ = try await backend.ensured(other, group.request(.mebibytes(7))) },
        { _ = try await backend.ensured(other, group.request(.mebibytes(8), source: .volume(id))) },
        { _ = try await backend.ensured(id, group.request(.mebibytes(16), revision: 2)) },
        { _ = try await backend.snapshotted(snapshot, group.snapshotRequest(of: id), inUse: true) },
      ]
      for request in requests {
        let error = await refusal(request)
        #expect(error?.code == .noSpace, "\(error?.message ?? "")")
      }
      let names = try await group.names()
      #expect(names == ["somebodys", "volume-\(id)"].sorted())
      let (content, found) = (try await StampedContent.read(volume), try await backend.volume(id))
      #expect(content == StampedContent(3, .mebibytes(8)))
      #expect(found == volume)

      // What fits still goes, down to the last extent; and all of it once there is room.
      try await backend.erase(try await backend.ensured(other, group.request(.mebibytes(6))).id, pool: "lvm")
      try await sh("lvremove -qq -y vgt/somebodys")
      for request in requests { try await request() }
    }
  }

  @Test func aSnapshotIsExtendedBeforeItOverflows() async throws {
    try await VolumeGroupOfATest.with("vgt") { group in
      let backend = try await LVMBackend.open(
        group.configuration(.thick) { $0.snapshotReserve = 25 }, logger: .silent)
      let (id, snapshot, copy) = (VolumeID.random(), SnapshotID.random(), VolumeID.random())
      let volume = try await backend.ensured(id, group.request(.mebibytes(64)))
      try await backend.activate(id, pool: "lvm")
      try await StampedContent.write(1, volume)
      _ = try await backend.snapshotted(snapshot, group.snapshotRequest(of: id), inUse: true)
      // The guest writes all of it anew, four times what the snapshot had room for.
      var watch = FillWatch()
      for step in 0..<16 {
        try await sh("dd if=/dev/urandom of=\(volume.path) bs=1M seek=\(step * 4) count=4 oflag=direct")
        try await Task.sleep(for: .seconds(2))
        await backend.keep(&watch)
      }
      let report = try #require(await backend.pools().first)
      #expect(report.warnings?.contains { $0.contains("ran full") } != true)
      let copied = try await backend.ensured(
        copy, group.request(.mebibytes(64), source: .snapshot(snapshot, of: id)))
      try await backend.activate(copy, pool: "lvm")
      let content = try await StampedContent.read(copied)
      #expect(content == StampedContent(1, .mebibytes(64)))
    }
  }

  @Test func anOverflownSnapshotIsSaidToBeLostAndHarmsNothingElse() async throws {
    try await VolumeGroupOfATest.with("vgt") { group in
      let backend = try await LVMBackend.open(
        group.configuration(.thick) {
          $0.snapshotReserve = 25
          $0.autoExtend = false
        }, logger: .silent)
      let (id, snapshot, copy) = (VolumeID.random(), SnapshotID.random(), VolumeID.random())
      let volume = try await backend.ensured(id, group.request(.mebibytes(32)))
      try await backend.activate(id, pool: "lvm")
      try await StampedContent.write(1, volume)
      _ = try await backend.snapshotted(snapshot, group.snapshotRequest(of: id), inUse: true)
      try await StampedContent.write(2, volume)
      // What was read of the group within the last two seconds counts.
      try await Task.sleep(for: .seconds(2))
      let report = try #require(await backend.pools().first)
      #expect(report.downReason == nil)
      #expect(report.warnings?.contains { $0.contains("\(snapshot)") && $0.contains("lost") } == true)

      let attempts: [() async throws -> Void] = [
        { _ = try await backend.ensured(copy, group.request(.mebibytes(32), source: .snapshot(snapshot, of: id))) },
        {
          _ = try await backend.reverted(
            id, RevertRequest(revision: 2, snapshot: snapshot, backend: "lvm", pool: "lvm"))
        },
      ]
      for attempt in attempts {
        let error = await refusal(attempt)
        #expect(error?.message.contains("lost") == true, "\(error?.message ?? "")")
        try await backend.erase(copy, pool: "lvm")
      }
      try await backend.erase(snapshot, of: id, pool: "lvm")
      let (names, content) = (try await group.names(), try await StampedContent.read(volume))
      #expect(names == ["volume-\(id)"])
      #expect(content == StampedContent(2, .mebibytes(32)))
    }
  }
}
