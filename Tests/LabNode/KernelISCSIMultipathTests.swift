import Foundation
import PumiceModel
import PumiceWire
import TestBed
import Testing

@testable import PumiceAgent

/// Two ways to one disk, joined by a real multipathd.
@Suite(.serialized) struct KernelISCSIMultipathTests {
  @Test(.timeLimit(.minutes(2))) func severalPortalsMakeOneMapThatLosesAPathWithoutItsUsersNoticing() async throws {
    try await withMultipathd { targets in
      let connector = targets.connector()
      let volume = try await targets.export(to: connector)
      let path = try devicePath(of: try await connector.connect(volume.attachment, volume.request))
      let view = KernelView(reading: Sysfs(), of: volume.attachment)
      #expect(view.sessions.count == 2)
      let map = try #require(view.maps.first)
      #expect(Set(map.parts) == Set(view.disks.map(\.name)))
      #expect(await Multipath().waits(map))
      #expect(try FileManager.default.destinationOfSymbolicLink(atPath: path) == "/dev/\(map.name)")
      #expect(try path == devicePath(of: try await connector.connect(volume.attachment, volume.request)))

      try await targets.bed.run(["dd", "if=/dev/urandom", "of=\(path)", "bs=1M", "count=4", "oflag=direct"])
      let lost = try #require(view.sessions.first)
      try await connector.logOut(lost)
      try await targets.bed.run(["dd", "if=\(path)", "of=/dev/null", "bs=1M", "count=4", "iflag=direct"])

      // The repeat brings the path back.
      _ = try await connector.connect(volume.attachment, volume.request)
      #expect(KernelView(reading: Sysfs(), of: volume.attachment).maps.first?.parts.count == 2)
      try await connector.disconnect(volume.attachment)
      #expect(leavings() == [])
    }
  }

  @Test(.timeLimit(.minutes(2))) func aMapGrowsWithItsVolume() async throws {
    try await withMultipathd { targets in
      let connector = targets.connector()
      var volume = try await targets.export(to: connector)
      let path = try devicePath(of: try await connector.connect(volume.attachment, volume.request))
      try await targets.grow(volume, to: .mebibytes(16))
      volume.request.size = .mebibytes(16)
      _ = try await connector.connect(volume.attachment, volume.request)
      #expect(try BlockDevice(path: path).size() == .mebibytes(16))
      try await connector.disconnect(volume.attachment)
      #expect(leavings() == [])
    }
  }

  @Test(.timeLimit(.minutes(2))) func aMapInUseIsNotTakenApart() async throws {
    try await withMultipathd { targets in
      let connector = targets.connector()
      let volume = try await targets.export(to: connector)
      let path = try devicePath(of: try await connector.connect(volume.attachment, volume.request))
      try await targets.bed.run(["mkfs.ext4", "-q", path])
      let folder = try targets.bed.folder.folder("mount")
      try await targets.bed.run(["mount", path, folder])
      await expect(.inUse) { try await connector.disconnect(volume.attachment) }
      #expect(KernelView(reading: Sysfs(), of: volume.attachment).maps.first?.parts.count == 2)
      try await targets.bed.run(["umount", folder])
      try await connector.disconnect(volume.attachment)
      #expect(leavings() == [])
    }
  }

  @Test(.timeLimit(.minutes(2))) func partitionsOfAMapGoWithItUnlessTheyAreUsed() async throws {
    try await withMultipathd { targets in
      let connector = targets.connector()
      let volume = try await targets.export(to: connector)
      let path = try devicePath(of: try await connector.connect(volume.attachment, volume.request))
      // A guest's partition table: one partition of Linux from the second sector on.
      var table = Data(count: 512)
      table.replaceSubrange(446..<462, with: [0, 0, 0, 0, 0x83, 0, 0, 0, 1, 0, 0, 0, 0, 0x20, 0, 0])
      table.replaceSubrange(510..<512, with: [0x55, 0xAA])
      let file = targets.bed.folder.file("table")
      try table.write(to: URL(fileURLWithPath: file))
      try await targets.bed.run(["dd", "if=\(file)", "of=\(path)", "oflag=direct", "conv=notrunc"])
      let map = try #require(KernelView(reading: Sysfs(), of: volume.attachment).maps.first)
      try await targets.bed.run(["kpartx", "-a", "-s", "/dev/\(map.name)"])
      let name = try #require(DeviceMap(map.name, Sysfs())?.holders.first)
      let partition = try #require(DeviceMap(name, Sysfs()))
      try await targets.bed.run(["mkfs.ext4", "-q", "/dev/\(name)"])
      let folder = try targets.bed.folder.folder("mount")
      try await targets.bed.run(["mount", "/dev/\(name)", folder])
      await expect(.inUse) { try await connector.disconnect(volume.attachment) }
      #expect(KernelView(reading: Sysfs(), of: volume.attachment).sessions.count == 2)
      try await targets.bed.run(["umount", folder])
      try await connector.disconnect(volume.attachment)
      #expect(DeviceMap(name, Sysfs())?.uuid != partition.uuid)
      #expect(leavings() == [])
    }
  }

  @Test(.timeLimit(.minutes(3))) func aMapWithoutALivingPathIsTakenAwayToo() async throws {
    try await withMultipathd { targets in
      let connector = targets.connector()
      let volume = try await targets.export(to: connector)
      _ = try await connector.connect(volume.attachment, volume.request)
      try await targets.daemon.kill9()
      try await eventually("the sessions are down") {
        KernelView(reading: Sysfs(), of: volume.attachment).sessions.allSatisfy { !$0.isLoggedIn }
      }
      try await connector.disconnect(volume.attachment)
      #expect(leavings() == [])
    }
  }

  @Test(.timeLimit(.minutes(2))) func aMapIsMadeOfTheOnePathThatIsThereAndTheOtherJoinsLater() async throws {
    try await withMultipathd { targets in
      let connector = targets.connector()
      let volume = try await targets.export(to: connector)
      var poor = volume.request
      poor.target.portals = [targets.daemon.portal, "127.0.0.1:\(try freePort())"]
      let path = try devicePath(of: try await connector.connect(volume.attachment, poor))
      let map = try #require(KernelView(reading: Sysfs(), of: volume.attachment).maps.first)
      #expect(map.parts.count == 1)
      let attachment = volume.attachment
      #expect(try await connector.leftovers { $0 == attachment } == [])
      let reader = try targets.bed.start(["sh", "-c", "exec sleep 600 <\(path)"], name: "reader")
      try await eventually("the map is open") { !DeviceUsers.processes(using: [map.number]).isEmpty }
      _ = try await connector.connect(attachment, volume.request)
      #expect(KernelView(reading: Sysfs(), of: attachment).map(named: map.name)?.parts.count == 2)
      try await reader.end(grace: .zero)
      try await connector.disconnect(attachment)
      #expect(leavings() == [])
    }
  }

  @Test(.timeLimit(.minutes(2))) func aDiskWithOnePathThatMultipathdTakesIsUsedThroughItsMapAndTold() async throws {
    try await withMultipathd(settings: "find_multipaths no", isMultipath: false) { targets in
      let connector = targets.connector()
      let volume = try await targets.export(to: connector)
      _ = try await connector.connect(volume.attachment, volume.request)
      try await eventually("multipathd has taken the disk") {
        !KernelView(reading: Sysfs(), of: volume.attachment).maps.isEmpty
      }
      let attachment = volume.attachment
      let path = try devicePath(of: try await connector.connect(attachment, volume.request))
      #expect(try FileManager.default.destinationOfSymbolicLink(atPath: path).hasPrefix("/dev/dm-"))
      #expect(try await connector.leftovers { $0 == attachment }.map(\.kind) == [.seizedDisk])
      try await connector.disconnect(attachment)
      #expect(leavings() == [])
    }
  }

  @Test(.timeLimit(.minutes(2))) func withoutMultipathdOnePathIsUsed() async throws {
    try await NodeTargets.with(isMultipath: true) { targets in
      let connector = targets.connector()
      let volume = try await targets.export(to: connector)
      let path = try devicePath(of: try await connector.connect(volume.attachment, volume.request))
      #expect(KernelView(reading: Sysfs(), of: volume.attachment).sessions.count == 1)
      #expect(try FileManager.default.destinationOfSymbolicLink(atPath: path).hasPrefix("/dev/sd"))
      let recovery = try await targets.bed.run(["sh", "-c", "cat /sys/class/iscsi_session/*/recovery_tmo"])
      #expect(recovery == "\(NodeRecord.Recovery.waits.seconds)\n")
      try await connector.disconnect(volume.attachment)
      #expect(leavings() == [])
    }
  }

  private static let configuration = (#filePath as NSString).deletingLastPathComponent + "/../../Config/multipath.conf"

  private func withMultipathd(
    settings: String = "find_multipaths strict", isMultipath: Bool = true,
    _ work: (NodeTargets) async throws -> Void
  ) async throws {
    try await NodeTargets.with(isMultipath: isMultipath) { targets in
      let bed = targets.bed
      try await bed.run(["modprobe", "dm-multipath"])
      try "defaults {\n  \(settings)\n}\n".write(toFile: "/etc/multipath.conf", atomically: true, encoding: .utf8)
      try await bed.run(["install", "-D", "-m", "644", Self.configuration, "/etc/multipath/conf.d/pumice.conf"])
      let daemon = try bed.start(["multipathd", "-d", "-s"])
      try await eventually("multipathd runs") { await Multipath().isRunning() }
      try await work(targets)
      try await daemon.end(grace: .seconds(5))
    }
  }
}
