import Conformance
import Foundation
import PumiceModel
import Synchronization
import TestBed
import Testing

@testable import PumiceAgent

/// Against a real libvirtd. Needs root, libvirt, QEMU and `unshare`.
@Suite(.serialized, .timeLimit(.minutes(10))) struct LibvirtHypervisorTests {
  @Test func aRunningGuestGetsAndLosesDisks() async throws {
    try await Bed.with { bed in
      let libvirt = try LibvirtDaemon(in: bed)
      try await libvirt.start()
      let guest = Guest(image: try await .prepare(in: bed), libvirt: libvirt, in: bed)
      try await guest.start()
      let station = Station(libvirt, guest, bed)
      try await station.work {
        try await HypervisorConformance(hypervisor: station.hypervisor, instance: guest.id) { _ in try station.file() }
          .check()
        try await station.theGuestSeesTheDiskGrow()
        try await station.aBlockDeviceIsReachedThroughItsLink()
        try await station.anInterruptedPlugIsCompleted()
        try await station.whatLibvirtForgotIsTakenAway()
        try await station.aGuestThatDoesNotAnswerTimesOutAndHoldsUpNobody()
        try await station.aRestartOfLibvirtIsSurvivedAndTold()
        try await station.aStoppedGuestKeepsItsDisksStored()
      }
    }
  }

  @Test func aGuestWithAnAgentHoldsItsFileSystemsStill() async throws {
    try await Bed.with { bed in
      let libvirt = try LibvirtDaemon(in: bed)
      try await libvirt.start()
      let guest = Guest(image: try await .prepare(in: bed), libvirt: libvirt, in: bed)
      try await guest.start()
      let idle = Guest("idle", image: try await .prepare(in: bed), libvirt: libvirt, in: bed)
      try await idle.define()
      let station = Station(libvirt, guest, bed)
      try await station.work {
        try await station.aGuestWithoutAnAgentSaysSo()
        try await station.theAgentFreezesAndThaws(stopped: idle.id)
        try await station.anAgentThatDiesMeanwhileIsThawedByAnother()
      }
    }
  }

  @Test func theEventLoopRunsOnlyWhileAConnectionNeedsIt() async throws {
    try await Bed.with { bed in
      let libvirt = try LibvirtDaemon(in: bed)
      try await libvirt.start()
      for _ in 0..<3 {
        do {
          let hypervisor = LibvirtHypervisor(uri: libvirt.uri, logger: .silent)
          #expect(try await hypervisor.instances().isEmpty)
          #expect(LibvirtEventLoop.isRunning)
        }
        try await eventually("the event loop has ended") { !LibvirtEventLoop.isRunning }
      }
    }
  }

  @Test func instancesThatDoNotRunGetStoredDisksWithTheirSecrets() async throws {
    try await Bed.with { bed in
      let libvirt = try LibvirtDaemon(in: bed)
      try await libvirt.start()
      let guest = Guest("idle", image: try await .prepare(in: bed), libvirt: libvirt, in: bed)
      try await guest.define()
      let station = Station(libvirt, guest, bed)
      try await station.work {
        try await station.statesAreNovas()
        try await station.aSecretLivesAsLongAsTheDisk()
        try await station.aTransientInstanceGetsTheDiskLiveOnly()
      }
    }
  }
}

/// A guest, a hypervisor that runs, and what it told.
private struct Station: Sendable {
  let libvirt: LibvirtDaemon
  let guest: Guest
  let bed: Bed
  let hypervisor: PatientHypervisor
  private let told = Told()

  init(_ libvirt: LibvirtDaemon, _ guest: Guest, _ bed: Bed) {
    self.libvirt = libvirt
    self.guest = guest
    self.bed = bed
    hypervisor = PatientHypervisor(
      hypervisor: LibvirtHypervisor(uri: libvirt.uri, removalTimeout: .seconds(10), logger: .silent))
  }

  func work(_ body: @Sendable () async throws -> Void) async throws {
    let events = hypervisor.events()
    try await withThrowingTaskGroup { group in
      group.addTask { try await hypervisor.hypervisor.run() }
      group.addTask { for await event in events { told.add(event) } }
      try await body()
      group.cancelAll()
    }
  }

  func file(_ size: ByteCount = .mebibytes(1)) throws -> DiskSource { .file(path: try makeFile(size)) }

  private func makeFile(_ size: ByteCount) throws -> String {
    let path = bed.folder.file("\(UUID()).img")
    try Data().write(to: URL(filePath: path))
    let handle = try FileHandle(forWritingTo: URL(filePath: path))
    try handle.truncate(atOffset: UInt64(size.bytes))
    try handle.close()
    return path
  }

  private func expectTold(_ event: HypervisorEvent, within deadline: Duration = .seconds(20)) async throws {
    try await eventually("\(event) is told", within: deadline) { told.events.contains(event) }
  }

  private func plugged(_ disk: Disk) async throws -> PluggedDisk? {
    try await hypervisor.disks().first { $0.attachment == disk.attachment }
  }

  private func status() async throws -> Instance.Status? {
    try await hypervisor.instances().first { $0.id == guest.id }?.status
  }

  // MARK: With a guest that runs

  func theGuestSeesTheDiskGrow() async throws {
    let disk = Disk.make(source: try file(.mebibytes(4)))
    _ = try await hypervisor.plug(disk, into: guest.id)
    let seen = try await eventually("the guest sees the disk") { try await guest.disk(of: disk.volume) }
    #expect(seen.size == .mebibytes(4))
    try await hypervisor.resize(disk.attachment, of: guest.id, to: .mebibytes(9))
    try await eventually("the guest sees the new size") {
      try await guest.disk(of: disk.volume)?.size == .mebibytes(9)
    }
    try await hypervisor.unplug(disk.attachment, from: guest.id)
    try await eventually("the guest sees the disk no more") { try await guest.disk(of: disk.volume) == nil }
    try await expectTold(.diskRemoved(disk.attachment, guest.id))
  }

  func aBlockDeviceIsReachedThroughItsLink() async throws {
    let file = try makeFile(.mebibytes(4))
    let device = try await bed.run(["losetup", "--find", "--show", file]).split(separator: "\n").joined()
    do {
      let link = bed.folder.file("link-\(UUID())")
      try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: device)
      let disk = Disk.make(source: .block(path: link))
      _ = try await hypervisor.plug(disk, into: guest.id)
      try await eventually("the guest sees the disk") {
        try await guest.disk(of: disk.volume)?.size == .mebibytes(4)
      }
      try await bed.run(["truncate", "-s", "9M", file])
      try await bed.run(["losetup", "--set-capacity", device])
      try await hypervisor.resize(disk.attachment, of: guest.id, to: .mebibytes(9))
      try await eventually("the guest sees the new size") {
        try await guest.disk(of: disk.volume)?.size == .mebibytes(9)
      }
      try await hypervisor.unplug(disk.attachment, from: guest.id)
      try await bed.run(["losetup", "--detach", device])
    } catch {
      _ = try? await bed.run(["losetup", "--detach", device])
      throw error
    }
  }

  func anInterruptedPlugIsCompleted() async throws {
    let disk = Disk.make(source: try file())
    let first = try await hypervisor.plug(disk, into: guest.id)
    for half in ["--config", "--live"] {
      try await libvirt.virsh("detach-device-alias", guest.name, "ua-\(disk.attachment)", half)
      try await eventually("one half is gone") {
        try await plugged(disk).map { $0.isStored == (half == "--live") && $0.isLive == (half == "--config") }
      }
      #expect(try await hypervisor.plug(disk, into: guest.id) == first)
    }
    // And what is half there can be taken away as well.
    try await libvirt.virsh("detach-device-alias", guest.name, "ua-\(disk.attachment)", "--config")
    try await hypervisor.unplug(disk.attachment, from: guest.id)
    #expect(try await plugged(disk) == nil)
  }

  /// What a libvirtd that dies in the middle of a plug leaves in QEMU.
  func whatLibvirtForgotIsTakenAway() async throws {
    for source in 70...71 {
      let path = try makeFile(.mebibytes(1))
      let forgotten = Disk.make(source: .file(path: path))
      try await leaveInQEMU(forgotten, at: path, on: try await nextBus(), as: source)
      #expect(try await plugged(forgotten) == nil)
      if source == 70 {
        try await hypervisor.unplug(forgotten.attachment, from: guest.id)
      } else {
        // libvirt gives the next disk the same slot.
        let disk = Disk.make(source: try file())
        _ = try await hypervisor.plug(disk, into: guest.id)
        try await hypervisor.unplug(disk.attachment, from: guest.id)
      }
      #expect(try await !monitor("qom-list", ["path": "/machine/peripheral"]).contains("ua-\(forgotten.attachment)"))
      #expect(try await !monitor("query-named-block-nodes", [:]).contains("libvirt-\(source)-"))
    }
  }

  private func leaveInQEMU(_ disk: Disk, at path: String, on bus: Int, as number: Int) async throws {
    let (storage, format) = ("libvirt-\(number)-storage", "libvirt-\(number)-format")
    _ = try await monitor("blockdev-add", ["node-name": storage, "driver": "file", "filename": path])
    _ = try await monitor("blockdev-add", ["node-name": format, "driver": "raw", "file": storage])
    _ = try await monitor(
      "device_add",
      ["driver": "virtio-blk-pci", "id": "ua-\(disk.attachment)", "drive": format, "bus": "pci.\(bus)"])
    try await eventually("the guest has seen it") { try await guest.run("ls /sys/block").contains("vd") }
  }

  /// The PCI bus that libvirt gives the next disk.
  private func nextBus() async throws -> Int {
    let disk = Disk.make(source: try file())
    _ = try await hypervisor.plug(disk, into: guest.id)
    try await eventually("the guest sees the disk") { try await guest.disk(of: disk.volume) != nil }
    let xml = try await guest.xml()
    try await hypervisor.unplug(disk.attachment, from: guest.id)
    let end = try #require(xml.range(of: "ua-\(disk.attachment)")).upperBound
    let bus = try #require(xml[end...].range(of: "bus='0x")).upperBound
    return try #require(Int(xml[bus...].prefix(2), radix: 16))
  }

  private func monitor(_ command: String, _ arguments: [String: String]) async throws -> String {
    let order =
      #"{"execute": "\#(command)", "arguments": \#(String(decoding: try JSONEncoder().encode(arguments), as: UTF8.self))}"#
    let answer = try await libvirt.virsh("qemu-monitor-command", guest.name, order)
    #expect(!answer.contains(#""error""#), "\(answer)")
    return answer
  }

  func aGuestThatDoesNotAnswerTimesOutAndHoldsUpNobody() async throws {
    let disk = Disk.make(source: try file())
    _ = try await hypervisor.plug(disk, into: guest.id)
    try await eventually("the guest sees the disk") { try await guest.disk(of: disk.volume) != nil }
    let bystander = Guest("bystander", image: try await .prepare(in: bed), libvirt: libvirt, in: bed)
    try await bystander.define()

    try await libvirt.virsh("suspend", guest.name)
    #expect(try await status() == .paused)
    async let refused = refusal(of: disk.attachment)
    let other = Disk.make(source: try file())
    _ = try await hypervisor.plug(other, into: bystander.id)
    try await hypervisor.unplug(other.attachment, from: bystander.id)
    let done = ContinuousClock.now
    let (refusal, moment) = try #require(await refused, "A guest that stands still let go of a disk.")
    #expect(refusal.code == .timeout, "\(refusal)")
    #expect(done < moment, "The one held up the other.")
    // The stored half went first; the running guest still has the disk, and says so.
    let rest = try await plugged(disk)
    #expect(rest?.isLive == true && rest?.isStored == false)

    try await libvirt.virsh("resume", guest.name)
    try await hypervisor.unplug(disk.attachment, from: guest.id)
    #expect(try await plugged(disk) == nil)
    try await eventually("the guest sees the disk no more") { try await guest.disk(of: disk.volume) == nil }
    try await bystander.stop()
  }

  /// Why the guest did not let go of the disk, and when it was known.
  private func refusal(of attachment: AttachmentID) async -> (StorageError, ContinuousClock.Instant)? {
    do throws(StorageError) {
      try await hypervisor.unplug(attachment, from: guest.id)
      return nil
    } catch {
      return (error, .now)
    }
  }

  func aRestartOfLibvirtIsSurvivedAndTold() async throws {
    let disk = Disk.make(source: try file())
    let first = try await hypervisor.plug(disk, into: guest.id)
    told.forget()
    try await libvirt.kill9()
    let error = await #expect(throws: StorageError.self) {
      // The first may still find the connection that has just broken.
      for _ in 0..<2 { _ = try await hypervisor.disks() }
    }
    #expect(error?.code == .unavailable, "\(error?.description ?? "")")
    try await libvirt.start()
    try await expectTold(.reconnected, within: .seconds(30))
    #expect(try await plugged(disk) == first)
    #expect(try await hypervisor.plug(disk, into: guest.id) == first)
    try await hypervisor.unplug(disk.attachment, from: guest.id)
    #expect(try await plugged(disk) == nil)
    // Events come over the new connection too.
    try await expectTold(.diskRemoved(disk.attachment, guest.id))
  }

  func aStoppedGuestKeepsItsDisksStored() async throws {
    let disk = Disk.make(source: try file())
    let first = try await hypervisor.plug(disk, into: guest.id)
    told.forget()
    try await guest.powerOff()
    try await expectTold(.lifecycle(guest.id))
    #expect(try await status() == .shutOff)
    #expect(try await plugged(disk).map { [$0.isLive, $0.isStored] } == [false, true])
    #expect(try await hypervisor.plug(disk, into: guest.id).device == first.device)
    try await hypervisor.resize(disk.attachment, of: guest.id, to: .mebibytes(2))
    try await hypervisor.unplug(disk.attachment, from: guest.id)
    #expect(try await plugged(disk) == nil)
  }

  // MARK: With a guest agent

  func aGuestWithoutAnAgentSaysSo() async throws {
    let error = await #expect(throws: StorageError.self) {
      _ = try await hypervisor.hypervisor.freeze(guest.id, within: .seconds(10))
    }
    #expect(error?.code == .unsupported, "\(error?.description ?? "")")
    #expect(error?.message.contains("guest agent is not connected") == true, "\(error?.message ?? "")")
  }

  private static let folder = "/mnt/data"

  func theAgentFreezesAndThaws(stopped: InstanceID) async throws {
    let disk = Disk.make(source: try file(.mebibytes(32)))
    _ = try await hypervisor.plug(disk, into: guest.id)
    let seen = try await eventually("the guest sees the disk") { try await guest.disk(of: disk.volume) }
    try await guest.mount(seen, at: Self.folder)
    try await guest.startAgent()
    try await eventually("the agent answers") {
      (try? await hypervisor.hypervisor.thaw(guest.id)) != nil
    }
    #expect(try await !guest.isFrozen(Self.folder))
    try await QuiescenceConformance(hypervisor: hypervisor.hypervisor, instance: guest.id, stopped: stopped) {
      try await guest.isFrozen(Self.folder)
    }.check()
    #expect(try await !guest.isFrozen(Self.folder))
  }

  /// What is frozen is the guest's: the agent that did it need not be there to end it.
  func anAgentThatDiesMeanwhileIsThawedByAnother() async throws {
    _ = try await hypervisor.hypervisor.freeze(guest.id, within: .seconds(10))
    try await guest.killAgent()
    let error = await #expect(throws: StorageError.self) { _ = try await hypervisor.hypervisor.thaw(guest.id) }
    #expect(error?.code == .timeout || error?.code == .unsupported, "\(error?.description ?? "")")
    #expect(try await guest.isFrozen(Self.folder))
    try await guest.startAgent()
    try await eventually("it is thawed") { (try? await hypervisor.hypervisor.thaw(guest.id)) ?? 0 > 0 }
    #expect(try await !guest.isFrozen(Self.folder))
  }

  // MARK: Without one

  func statesAreNovas() async throws {
    let instance = try #require(try await hypervisor.instances().first { $0.id == guest.id })
    #expect(instance.name == guest.name)
    #expect(instance.status == .shutOff)
    #expect(instance.isPersistent)
    #expect(instance.vcpus == 1)
    #expect(instance.memory == .mebibytes(192))
    let asked = Disk.make(source: try file(), device: "sda")
    let error = await #expect(throws: StorageError.self) { try await hypervisor.plug(asked, into: guest.id) }
    #expect(error?.code == .invalid, "There is no virtio-scsi controller.")
  }

  func aSecretLivesAsLongAsTheDisk() async throws {
    let disk = Disk.make()
    let plugged = try await hypervisor.plug(disk, into: guest.id)
    #expect(!plugged.isLive && plugged.isStored)
    #expect(try await secrets() == [disk.attachment.description])
    let xml = try await libvirt.virsh("secret-dumpxml", disk.attachment.description)
    #expect(xml.contains("ephemeral='yes'") && xml.contains("private='yes'"))

    // libvirtd forgets it; plugging once more gives it back.
    told.forget()
    try await libvirt.kill9()
    try await libvirt.start()
    try await expectTold(.reconnected, within: .seconds(30))
    #expect(try await secrets().isEmpty)
    #expect(try await hypervisor.plug(disk, into: guest.id) == plugged)
    #expect(try await secrets() == [disk.attachment.description])

    try await hypervisor.unplug(disk.attachment, from: guest.id)
    #expect(try await secrets().isEmpty)
    let search = "grep -rlF -D skip 'a long secret' '\(bed.folder.path)' || test $? = 1"
    #expect(try await bed.run(["sh", "-c", search]) == "", "A file has the secret.")
  }

  func aTransientInstanceGetsTheDiskLiveOnly() async throws {
    try await libvirt.virsh("start", guest.name, "--paused")
    try await libvirt.virsh("undefine", guest.name)
    #expect(try await hypervisor.instances().first { $0.id == guest.id }?.isPersistent == false)
    let disk = Disk.make(source: try file(), readOnly: true)
    let plugged = try await hypervisor.plug(disk, into: guest.id)
    #expect(plugged.isLive && !plugged.isStored)
    #expect(try await guest.xml().contains("<readonly/>"))
    try await guest.powerOff()
    // With its instance, the disk is gone.
    try await hypervisor.unplug(disk.attachment, from: guest.id)
    #expect(try await hypervisor.disks().isEmpty)
  }

  private func secrets() async throws -> [String] {
    try await libvirt.virsh("secret-list").split(separator: "\n").compactMap {
      $0.split(separator: " ").first.map(String.init)
    }
  }
}

/// Asks once more for a disk to go when libvirtd has crashed over it, as the coordinator does; see `LibvirtDaemon`.
private struct PatientHypervisor: Hypervisor {
  let hypervisor: LibvirtHypervisor

  var kind: String { hypervisor.kind }
  func instances() async throws(StorageError) -> [Instance] { try await hypervisor.instances() }
  func disks() async throws(StorageError) -> [PluggedDisk] { try await hypervisor.disks() }
  func events() -> AsyncStream<HypervisorEvent> { hypervisor.events() }

  func plug(_ disk: Disk, into instance: InstanceID) async throws(StorageError) -> PluggedDisk {
    try await hypervisor.plug(disk, into: instance)
  }

  func unplug(_ attachment: AttachmentID, from instance: InstanceID) async throws(StorageError) {
    for _ in 0..<10 {
      do throws(StorageError) {
        return try await hypervisor.unplug(attachment, from: instance)
      } catch  where error.code == .unavailable {
        print("libvirtd is away while a disk is unplugged: \(error)")
        try? await Task.sleep(for: .seconds(1))
      } catch { throw error }
    }
    try await hypervisor.unplug(attachment, from: instance)
  }

  func resize(_ attachment: AttachmentID, of instance: InstanceID, to size: ByteCount) async throws(StorageError) {
    try await hypervisor.resize(attachment, of: instance, to: size)
  }
}

private final class Told: Sendable {
  private let list = Mutex<[HypervisorEvent]>([])
  var events: [HypervisorEvent] { list.withLock { $0 } }
  func add(_ event: HypervisorEvent) { list.withLock { $0.append(event) } }
  func forget() { list.withLock { $0 = [] } }
}
