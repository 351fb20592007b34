import LabBed
import PumiceModel
import TestBed
import Testing

extension LabTests {
  /// Volumes of one machine that another machine itself uses, without virtual machines: through the kernel's initiator, and
  /// all by the coordinator's API.
  @Suite(.timeLimit(.minutes(10))) struct Hosts {
    @Test func aVolumeOfAHostLivesThroughSnapshotRevertAndExtendAndLeavesNothing() async throws {
      try await HostFleet.with(.thinLVMOverLIO) { fleet in
        let (api, host) = (fleet.api, fleet.host.node)
        let disk = try await fleet.attachDisk()
        let (volume, device) = (disk.volume, disk.device)
        #expect(device == "/dev/disk/by-pumice/\(volume)")
        // Both sides have shown a secret of their own.
        #expect(
          try await host.run("cat /sys/class/iscsi_session/*/username_in") == "pumice-target-\(disk.attachment)\n")
        let written = try await fleet.writeRandom(mebibytes: 16, to: device)

        // Somebody writes all the time elsewhere on the disk.
        try await host.run(
          """
          (while [ ! -e /tmp/enough ]; do
             dd if=/dev/urandom of=\(device) bs=64k count=64 seek=8192 oflag=direct conv=notrunc status=none || exit
             echo >>/tmp/rounds
           done; touch /tmp/ended) >/tmp/writer 2>&1 &
          """)
        func rounds() async throws -> Int {
          Int(try await host.run("cat /tmp/rounds 2>/dev/null | wc -l").prefix(while: \.isNumber)) ?? 0
        }
        try await eventually("the writer writes") { try await rounds() > 2 }
        let snapshot = try await api.takeSnapshot(name: "before", of: volume)
        try await api.waitForSnapshot(snapshot, status: "available")
        let roundsByThen = try await rounds()
        try await eventually("the writer writes on") { try await rounds() > roundsByThen + 2 }
        try await host.run("touch /tmp/enough")
        try await eventually("the writer has ended well") {
          try await host.run("cat /tmp/writer; ls /tmp/ended 2>/dev/null || true") == "/tmp/ended\n"
        }

        let overwritten = try await fleet.writeRandom(mebibytes: 16, to: device)
        #expect(overwritten != written)
        #expect(try await fleet.sum(mebibytes: 16, of: device) == overwritten)
        try await fleet.detach(disk)
        #expect(try await fleet.leavings() == "")
        try await api.revert(volume, to: snapshot)
        try await api.waitForVolume(volume, status: "available")
        try await api.attach(volume, to: disk.instance)
        try await api.waitForVolume(volume, status: "in-use")
        #expect(try await fleet.sum(mebibytes: 16, of: device) == written)

        try await api.extend(volume, toGibibytes: 2)
        try await api.waitForVolume(volume, status: "in-use", gibibytes: 2)
        #expect(try await host.run("blockdev --getsize64 \(device)") == "\(2 << 30)\n")
        let behind = try await fleet.writeRandom(mebibytes: 4, to: device, at: 2000)
        #expect(try await fleet.sum(mebibytes: 4, of: device, at: 2000) == behind)
        #expect(try await fleet.sum(mebibytes: 16, of: device) == written)

        try await fleet.detach(disk)
        try await api.deleteSnapshot(snapshot)
        try await api.waitUntilGone(snapshot)
        try await api.deleteVolume(volume)
        try await api.waitUntilGone(volume)
        #expect(try await fleet.leavings() == "")
        try await fleet.waitUntilNothingIsLeft()
      }
    }

    @Test(.enabled(if: LabTests.isWhole)) func aHostFindsItsFileSystemAgainAfterPowerCutsOfBothMachines() async throws {
      try await HostFleet.with(.thinLVMOverLIO) { fleet in
        let (api, host) = (fleet.api, fleet.host.node)
        let disk = try await fleet.attachDisk()
        let (volume, device) = (disk.volume, disk.device)
        try await host.run("mkfs.ext4 -q \(device) && mkdir -p /mnt/data && mount \(device) /mnt/data")
        try await host.run("dd if=/dev/urandom of=/mnt/data/file bs=1M count=16 status=none && sync")
        let written = try await host.run("sha256sum </mnt/data/file")

        // The host finds its disk without being told by anybody.
        try await fleet.coordinator.daemon.kill9()
        try await fleet.host.crash()
        try await eventually("the disk is back") {
          try await host.answer(to: "blockdev --getsize64 \(device)").output == "\(1 << 30)\n"
        }
        try await host.run("mount \(device) /mnt/data")
        #expect(try await host.run("sha256sum </mnt/data/file") == written)
        try await fleet.coordinator.daemon.start()

        // What is written while the target is away waits for it.
        try await host.run(
          "dd if=/dev/urandom of=/tmp/later bs=1M count=8 status=none; dmesg --clear")
        async let later = host.run(
          "dd if=/tmp/later of=/mnt/data/later bs=64k oflag=direct conv=fsync && sha256sum </tmp/later | tee /tmp/sum",
          within: .seconds(120))
        try await fleet.storage.crash()
        _ = try await later
        try await host.run("echo 3 >/proc/sys/vm/drop_caches")
        #expect(try await host.run("sha256sum </mnt/data/file") == written)
        #expect(try await host.run("sha256sum </mnt/data/later | cmp - /tmp/sum && echo same") == "same\n")
        #expect(try await host.run("dmesg | grep -i 'i/o error' || true") == "")

        // A disk in use is not taken away, however long that takes.
        try await api.waitForInstance(disk.instance)
        try await api.detach(volume, from: disk.instance)
        try await Task.sleep(for: .seconds(3))
        #expect(try await api.volume(volume)["status"].string == "detaching")
        #expect(try await host.run("sha256sum </mnt/data/file") == written)
        try await host.run("umount /mnt/data")
        try await api.waitForVolume(volume, status: "available")

        try await api.deleteVolume(volume)
        try await api.waitUntilGone(volume)
        #expect(try await fleet.leavings() == "")
        try await fleet.waitUntilNothingIsLeft()
      }
    }

    @Test(.enabled(if: LabTests.isWhole)) func sessionsThatNoRecordAccountsForEndUnlessTheyAreUsedOrSomebodyElses()
      async throws
    {
      try await HostFleet.with(.thinLVMOverLIO) { fleet in
        let host = fleet.host.node
        let (idle, busy) = (try await fleet.attachDisk("idle"), try await fleet.attachDisk("used"))
        try await host.run("mkfs.ext4 -q \(busy.device) && mkdir -p /mnt/used && mount \(busy.device) /mnt/used")
        // An administrator's own target and session, of the same make.
        let foreign = try await host.run(
          """
          set -e
          truncate -s 16M /root/disk && mkdir -p /run/tgtd && tgtd && sleep 1
          tgtadm --lld iscsi --op new --mode target --tid 1 -T iqn.2026-11.org.example:disk
          tgtadm --lld iscsi --op new --mode logicalunit --tid 1 --lun 1 -b /root/disk
          tgtadm --lld iscsi --op bind --mode target --tid 1 -I ALL
          iscsiadm -m discovery -t st -p 127.0.0.1:3260 >/dev/null
          iscsiadm -m node -T iqn.2026-11.org.example:disk --login >/dev/null
          iscsiadm -m session | grep org.example
          """)
        func sessions() async throws -> [String] {
          try await host.run("iscsiadm -m session || true").split(separator: "\n").map(String.init)
        }
        #expect(try await sessions().count == 3)

        // The records are lost.
        try await fleet.host.agent.daemon.kill9()
        try await host.run("rm /var/lib/pumice-agent/connections/*.json /var/lib/pumice-agent/disks/*.json")
        try await fleet.host.agent.daemon.start()
        let told = Set([idle, busy].map { "leakedSession \($0.attachment)" })
        try await eventually("the sessions are named") { told.isSubset(of: try await fleet.findings()) }
        try await eventually("the idle session is ended", within: .seconds(150), every: .seconds(1)) {
          try await sessions().count == 2
        }
        #expect(try await sessions().contains(foreign.replacing("\n", with: "")))
        #expect(try await sessions().contains { $0.contains("\(busy.volume)") })
        try await host.run("dd if=/dev/urandom of=/mnt/used/file bs=1M count=4 oflag=direct status=none")
        let missing = Set([idle, busy].map { "missingConnection \($0.attachment)" })
        #expect(try await Set(fleet.findings()) == missing.union(["leakedSession \(busy.attachment)"]))

        try await host.run("umount /mnt/used")
        for disk in [idle, busy] { try await fleet.detach(disk) }
        #expect(try await sessions() == [foreign.replacing("\n", with: "")])
      }
    }
  }
}
