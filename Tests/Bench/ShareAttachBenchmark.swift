import Foundation
import PumiceModel
import TestBed

/// Attach of a volume on a share until the guest sees the disk, against the same by hand: a sparse file that the server keeps, and
/// `virsh attach-device`.
enum ShareAttachBenchmark {
  private static let rounds = 5

  static func run(_ report: inout Report) async throws {
    let (ours, byHand) = try await Bed.with { bed in
      let share = try await ShareFleet(in: bed)
      try await share.start()
      var ours: [Double] = []
      var byHand: [Double] = []
      for round in 0..<rounds {
        byHand.append(try await manual(round, share))
        ours.append(try await AttachBenchmark.pumice(round, share.fleet))
      }
      return (ours.percentile(0.5), byHand.percentile(0.5))
    }
    report.note("attach from a share by hand (virsh), guest sees it", "\(format(byHand, 0)) ms")
    report.add(
      "attach from a share through the API, guest sees it", "\(format(ours, 0)) ms = \(format(ours / byHand, 2)) x",
      promise: "<= 2 x by hand", holds: ours <= 2 * byHand)
  }

  private static func manual(_ round: Int, _ share: ShareFleet) async throws -> Double {
    let fleet = share.fleet
    let clock = ContinuousClock()
    let serial = "byhand\(round)"
    let file = "\(share.folder)/\(serial).raw"
    guard FileManager.default.createFile(atPath: file, contents: nil), truncate(file, 1 << 30) == 0 else {
      throw TestBedFailure("\(file) could not be made.")
    }
    let xml = try fleet.bed.folder.write(
      """
      <disk type='network' device='disk'>
        <driver name='qemu' type='raw' cache='none' discard='unmap'/>
        <source protocol='nfs' name='\(file)'><host name='\(share.server.address)'/><identity user='+0' group='+0'/></source>
        <target dev='vdz' bus='virtio'/>
        <serial>\(serial)</serial>
      </disk>
      """, to: "\(serial).xml")
    let start = clock.now
    _ = try await fleet.libvirt.virsh("attach-device", "\(fleet.guest.id)", xml, "--live")
    try await eventually("the guest sees \(serial)") {
      try await fleet.guest.disks().contains { $0.serial == serial }
    }
    let time = clock.now - start
    _ = try await fleet.libvirt.virsh("detach-device", "\(fleet.guest.id)", xml, "--live")
    try await eventually("the guest has lost \(serial)") {
      try await !fleet.guest.disks().contains { $0.serial == serial }
    }
    try FileManager.default.removeItem(atPath: file)
    return time.milliseconds
  }
}
