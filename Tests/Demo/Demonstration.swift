import Foundation
import PumiceModel
import TestBed

/// The main job, step by step, with one line and its time for each.
struct Demonstration {
  let fleet: LoopbackFleet
  private let clock = ContinuousClock()

  init(fleet: LoopbackFleet) { self.fleet = fleet }

  /// Starts everything up to the running guest.
  func begin() async throws {
    try await step("coordinator, agent, tgtd and libvirtd started") { try await fleet.startDaemons() }
    try await step("guest booted, and known to the coordinator") { try await fleet.bootGuest() }
  }

  func mainJob() async throws {
    let api = fleet.api
    let guest = fleet.guest
    let sixteenMebibytes = ByteCount.mebibytes(16)

    let volume = try await step("volume of 1 GiB created, available") {
      let volume = try await api.createVolume(name: "demo", gibibytes: 1)
      try await api.waitForVolume(volume, status: "available")
      return volume
    }
    let disk = try await step("attached: in-use, and the guest sees it") {
      try await api.attach(volume, to: guest.id)
      let disk = try await fleet.waitForDisk(of: volume, size: .gibibytes(1))
      try await api.waitForVolume(volume, status: "in-use")
      return disk
    }
    show(try await guest.lsblk(disk))
    let written = try await step("guest wrote 16 MiB of random data") {
      try await guest.writeRandom(sixteenMebibytes, to: disk)
    }
    show("sha256 in the guest       \(written)")
    try await step("backing store read") {
      let stored = try await fleet.sha256(ofBackingFileOf: volume, count: sixteenMebibytes)
      show("sha256 in the store       \(stored)")
      guard stored == written else { throw TestBedFailure("The backing store has other bytes than the guest wrote.") }
    }
    try await step("extended to 2 GiB while attached, and the guest sees it") {
      try await api.extend(volume, toGibibytes: 2)
      _ = try await fleet.waitForDisk(of: volume, size: .gibibytes(2))
      try await api.waitForVolume(volume, status: "in-use", gibibytes: 2)
    }
    show(try await guest.lsblk(disk))
    try await step("detached: available, and gone from the guest") {
      try await api.detach(volume, from: guest.id)
      try await api.waitForVolume(volume, status: "available")
      try await fleet.waitUntilUnplugged(volume)
    }
    try await step("deleted") {
      try await api.deleteVolume(volume)
      try await api.waitUntilGone(volume)
    }
  }

  /// Leaves everything running, and says how to talk to it.
  func keep() async throws {
    let socket = fleet.libvirt.uri
    let end = try fleet.bed.keep()
    say(
      """

      Everything runs on. To talk to it:
        export PUMICE_URL=\(fleet.coordinator.url) PUMICE_PROJECT=\(fleet.api.project)
        export PATH=\(try Binaries.path("pumice").dropLast("/pumice".count)):$PATH
        pumice volume create first --size 1 --wait
        pumice attach first \(fleet.guest.id) --wait
        virsh -c '\(socket)' dumpxml \(fleet.guest.name)
      Logs and configuration: \(fleet.bed.folder.path)
      To end it:
        \(end)
      """)
  }

  /// Does a part of the work and prints what was done, with its time.
  @discardableResult
  func step<Result>(_ done: String, _ work: () async throws -> Result) async throws -> Result {
    try Task.checkCancellation()
    let start = clock.now
    let result = try await work()
    let milliseconds = (clock.now - start) / .milliseconds(1)
    let seconds = "\(Int(milliseconds) / 1000).\(String(Int(milliseconds) % 1000 + 1000).dropFirst())"
    say("\(String(repeating: " ", count: max(0, 7 - seconds.count)))\(seconds) s  \(done)")
    return result
  }

  /// Prints without a buffer, so that a pipe sees each step when it is done.
  private func say(_ line: String) {
    FileHandle.standardOutput.write(Data("\(line)\n".utf8))
  }

  private func show(_ text: String) {
    for line in text.split(separator: "\n") { say("             \(line)") }
  }
}
