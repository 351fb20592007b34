import Foundation
import PumiceModel
import TestBed

/// Attach until the guest sees the disk, against the same by hand: `tgtadm` for the target, `virsh attach-device` for the disk.
enum AttachBenchmark {
  private static let rounds = 4

  static func run(_ report: inout Report) async throws {
    let (ours, byHand) = try await Bed.with { bed in
      let fleet = try await LoopbackFleet(in: bed)
      try await fleet.start()
      var ours: [Double] = []
      var byHand: [Double] = []
      for round in 0..<rounds {
        byHand.append(try await manual(round, fleet))
        ours.append(try await pumice(round, fleet))
      }
      return (ours.percentile(0.5), byHand.percentile(0.5))
    }
    report.note("attach by hand (tgtadm + virsh), guest sees it", "\(format(byHand, 0)) ms")
    report.add(
      "attach through the API, guest sees it", "\(format(ours, 0)) ms = \(format(ours / byHand, 2)) x",
      promise: "<= 2 x by hand", holds: ours <= 2 * byHand)
  }

  static func pumice(_ round: Int, _ fleet: LoopbackFleet) async throws -> Double {
    let (api, clock) = (fleet.api, ContinuousClock())
    let id = try await api.createVolume(name: "bench\(round)", gibibytes: 1)
    _ = try await api.waitForVolume(id, status: "available")
    let start = clock.now
    try await api.attach(id, to: fleet.guest.id)
    try await eventually("the guest sees volume \(id)") { try await fleet.guest.disk(of: id) != nil }
    let time = clock.now - start
    try await api.detach(id, from: fleet.guest.id)
    _ = try await api.waitForVolume(id, status: "available")
    try await api.deleteVolume(id)
    try await api.waitUntilGone(id)
    return time.milliseconds
  }

  private static func manual(_ round: Int, _ fleet: LoopbackFleet) async throws -> Double {
    let (target, clock) = (fleet.target, ContinuousClock())
    let id = "\(900 + round)"
    let serial = "byhand\(round)"
    let iqn = "iqn.2026-11.bench:\(serial)"
    let file = fleet.bed.folder.file("\(serial).raw")
    guard FileManager.default.createFile(atPath: file, contents: nil), truncate(file, 1 << 30) == 0 else {
      throw TestBedFailure("\(file) could not be made.")
    }
    let portal = target.portal.split(separator: ":")
    let xml = try fleet.bed.folder.write(
      """
      <disk type='network' device='disk'>
        <driver name='qemu' type='raw' cache='none' discard='unmap'/>
        <source protocol='iscsi' name='\(iqn)/1'><host name='\(portal[0])' port='\(portal[1])'/></source>
        <target dev='vdz' bus='virtio'/>
        <serial>\(serial)</serial>
      </disk>
      """, to: "\(serial).xml")
    let start = clock.now
    _ = try await target.tgtadm("--lld", "iscsi", "--op", "new", "--mode", "target", "--tid", id, "-T", iqn)
    _ = try await target.tgtadm(
      "--lld", "iscsi", "--op", "new", "--mode", "logicalunit", "--tid", id, "--lun", "1", "-b", file)
    _ = try await target.tgtadm("--lld", "iscsi", "--op", "bind", "--mode", "target", "--tid", id, "-I", "ALL")
    _ = try await fleet.libvirt.virsh("attach-device", "\(fleet.guest.id)", xml, "--live")
    try await eventually("the guest sees \(serial)") {
      try await fleet.guest.disks().contains { $0.serial == serial }
    }
    let time = clock.now - start
    _ = try await fleet.libvirt.virsh("detach-device", "\(fleet.guest.id)", xml, "--live")
    try await eventually("the guest has lost \(serial)") {
      try await !fleet.guest.disks().contains { $0.serial == serial }
    }
    _ = try await target.tgtadm("--lld", "iscsi", "--op", "delete", "--mode", "target", "--tid", id, "--force")
    return time.milliseconds
  }
}
