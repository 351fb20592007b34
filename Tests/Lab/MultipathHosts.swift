import Foundation
import LabBed
import PumiceModel
import TestBed
import Testing

extension LabTests {
  /// A target with two portals, and a host that joins the ways to it by multipathd.
  @Suite(.enabled(if: LabTests.isWhole), .timeLimit(.minutes(10))) struct MultipathHosts {
    private static let preparation = """
      install -D -m 644 '\((#filePath as NSString).deletingLastPathComponent)/../../Config/multipath.conf' \
        /etc/multipath/conf.d/pumice.conf
      modprobe dm-multipath && multipathd
      """

    @Test func readsAndWritesGoOnWhenAWayIsLostAndTheDiskGrowsOnTwoWays() async throws {
      try await HostFleet.with(.twoPortals, hostPreparation: Self.preparation) { fleet in
        let (api, host) = (fleet.api, fleet.host.node)
        let disk = try await fleet.attachDisk()
        let (volume, device) = (disk.volume, disk.device)
        let name = try await host.run("basename $(readlink -f \(device))").trimmingSuffix(while: \.isNewline)
        #expect(name.hasPrefix("dm-"))
        #expect(try await host.run("ls /sys/block/\(name)/slaves | wc -l") == "2\n")
        #expect(
          try await host.run("cat /sys/class/iscsi_connection/*/persistent_address | sort")
            == "\(fleet.storage.node.address)\n\(LabStorage.secondAddress)\n")

        let written = try await fleet.writeRandom(mebibytes: 16, to: device)
        for address in [LabStorage.secondAddress, fleet.storage.node.address] {
          // The host alone loses sight of it: the agents still hear of the coordinator.
          try await fleet.host.node.run(
            "ip route replace blackhole \(address) && dmesg --clear; rm -f /tmp/random")
          #expect(try await fleet.sum(mebibytes: 16, of: device) == written)
          let other = try await fleet.writeRandom(mebibytes: 8, to: device, at: 256)
          #expect(try await fleet.sum(mebibytes: 8, of: device, at: 256) == other)
          #expect(try await host.run("dmesg | grep -i 'i/o error.*\(name)' || true") == "")
          try await fleet.host.node.run("ip route delete blackhole \(address)")
          try await eventually("both ways are back", within: .seconds(60), every: .milliseconds(500)) {
            try await host.run("multipathd show paths format '%t %o' | grep -c 'active.*running' || true") == "2\n"
          }
        }

        // No way at all: what is written waits, for longer than any of multipathd's and open-iscsi's patience.
        try await host.run(
          """
          for address in \(LabStorage.secondAddress) \(fleet.storage.node.address); do ip route replace blackhole $address; done
          dmesg --clear
          """)
        async let late = fleet.writeRandom(mebibytes: 8, to: device, at: 512, within: .seconds(180))
        try await Task.sleep(for: .seconds(30))
        #expect(try await host.run("dmesg | grep -i 'i/o error.*\(name)' || true") == "")
        try await host.run(
          "for address in \(LabStorage.secondAddress) \(fleet.storage.node.address); do ip route delete blackhole $address; done"
        )
        let lateSum = try await late
        #expect(try await fleet.sum(mebibytes: 8, of: device, at: 512) == lateSum)

        try await api.extend(volume, toGibibytes: 2)
        try await api.waitForVolume(volume, status: "in-use", gibibytes: 2)
        #expect(try await host.run("blockdev --getsize64 \(device)") == "\(2 << 30)\n")

        #expect(try await fleet.findings() == [])

        // After a reboot the same, without the coordinator's help.
        try await fleet.host.crash()
        try await eventually("the disk is back") {
          try await host.answer(to: "blockdev --getsize64 \(device)").output == "\(2 << 30)\n"
        }
        #expect(try await fleet.sum(mebibytes: 16, of: device) == written)

        try await api.waitForInstance(disk.instance)
        try await fleet.detach(disk)
        #expect(try await fleet.leavings() == "")
        #expect(try await host.run("grep -v ^# /etc/multipath/wwids || true") == "")
        try await api.deleteVolume(volume)
        try await api.waitUntilGone(volume)
        try await fleet.waitUntilNothingIsLeft()
      }
    }

    @Test func aDiskThatMultipathdTakesUnaskedIsNamedAndGivenBackAllTheSame() async throws {
      let greedy = """
        printf 'defaults {\\n  find_multipaths no\\n}\\n' >/etc/multipath.conf
        \(Self.preparation)
        """
      try await HostFleet.with(.thinLVMOverLIO, hostPreparation: greedy) { fleet in
        let disk = try await fleet.attachDisk()
        try await eventually("it is told") { try await fleet.findings() == ["seizedDisk \(disk.attachment)"] }
        try await fleet.host.agent.daemon.kill9()
        try await fleet.host.agent.daemon.start()
        try await eventually("the name leads to the map") {
          try await fleet.host.node.run("readlink -f \(disk.device)").hasPrefix("/dev/dm-")
        }
        let written = try await fleet.writeRandom(mebibytes: 8, to: disk.device)
        #expect(try await fleet.sum(mebibytes: 8, of: disk.device) == written)
        try await fleet.api.waitForInstance(disk.instance)
        try await fleet.detach(disk)
        #expect(try await fleet.leavings() == "")
        #expect(try await fleet.findings() == [])
      }
    }
  }
}

extension LabStorage {
  static let secondAddress = "192.168.77.21"

  /// `thinLVMOverLIO`, with another address of the node.
  fileprivate static let twoPortals = LabStorage(
    "thin LVM over LIO with two portals", disks: thinLVMOverLIO.disks,
    preparation: "ip address add \(secondAddress)/24 dev eth0; \(thinLVMOverLIO.preparation)",
    leftovers: thinLVMOverLIO.leftovers
  ) { address in
    thinLVMOverLIO.drivers(address).replacing(
      "[\"\(address):3260\"]", with: "[\"\(address):3260\", \"\(secondAddress):3260\"]")
  }
}

extension String {
  fileprivate func trimmingSuffix(while isDropped: (Character) -> Bool) -> String {
    String(reversed().drop(while: isDropped).reversed())
  }
}
