import Conformance
import PumiceAgent
import PumiceModel
import PumiceWire
import Synchronization
import Testing

@Suite struct InMemoryHypervisorTests {
  let instance = InstanceID.random()

  @Test(arguments: [true, false])
  func keepsThePromisesOfAHypervisor(isPersistent: Bool) async throws {
    let hypervisor = InMemoryHypervisor(instances: [
      Instance(id: instance, name: "one", status: .active, isPersistent: isPersistent),
      Instance(id: .random(), name: "other", status: .shutOff),
    ])
    try await HypervisorConformance(hypervisor: hypervisor, instance: instance) { .memory("\($0)") }.check()
  }

  @Test func holdsGuestsStillAsPromised() async throws {
    let stopped = InstanceID.random()
    let hypervisor = InMemoryHypervisor(instances: [
      Instance(id: instance, name: "one", status: .active), Instance(id: stopped, name: "other", status: .shutOff),
    ])
    try await QuiescenceConformance(hypervisor: hypervisor, instance: instance, stopped: stopped) {
      !hypervisor.world.frozen.isEmpty
    }.check()
    hypervisor.world.setGuestAgent(false, in: instance)
    let error = await #expect(throws: StorageError.self) {
      _ = try await hypervisor.freeze(instance, within: .seconds(10))
    }
    #expect(error?.code == .unsupported)
  }

  @Test(arguments: [true, false])
  func goesFromImageToImageAsPromised(isPersistent: Bool) async throws {
    let hypervisor = InMemoryHypervisor(instances: [
      Instance(id: instance, name: "one", status: .active, isPersistent: isPersistent)
    ])
    try await LayeringConformance(hypervisor: hypervisor, instance: instance, base: image("base")) { name, _ in
      DiskImage.Layer(.file(path: "/\(name)"), .qcow2)
    }.check()
  }

  @Test(arguments: ["follow", "follow.stored", "follow.done"])
  func anInterruptedFollowIsFinishedByItsRepeat(step: String) async throws {
    let world = InMemoryHypervisorWorld(instances: [Instance(id: instance, name: "one", status: .active)])
    let broken = Mutex(true)
    let hypervisor = InMemoryHypervisor(world: world) { reached throws(StorageError) in
      if reached == step, broken.withLock({ $0 }) { throw StorageError(.unavailable, "Interrupted at \(step).") }
    }
    let disk = Disk.make(source: .image(image("base")))
    _ = try await hypervisor.plug(disk, into: instance)
    await #expect(throws: StorageError.self) {
      try await hypervisor.follow(image("one", "base"), of: disk.attachment, in: instance, isMerged: false)
    }
    broken.withLock { $0 = false }
    #expect(
      try await hypervisor.follow(image("one", "base"), of: disk.attachment, in: instance, isMerged: false).isComplete)
    world.shutOff(instance)
    #expect(world.slots.map(\.disk.source) == [.image(image("one", "base"))])
    #expect(
      try await hypervisor.follow(image("two", "one", "base"), of: disk.attachment, in: instance, isMerged: false)
        .isComplete)
    let error = await #expect(throws: StorageError.self) {
      try await hypervisor.follow(image("two", "base"), of: disk.attachment, in: instance, isMerged: false)
    }
    #expect(error?.code == .unsupported)
    let merged = Disk.make(source: .image(image("two", "one", "base")))
    _ = try await hypervisor.plug(merged, into: instance)
    #expect(
      try await hypervisor.follow(image("two", "base"), of: merged.attachment, in: instance, isMerged: true).isComplete)
    try await hypervisor.unplug(merged.attachment, from: instance)
    world.start(instance)
    #expect(
      try await !hypervisor.follow(image("two", "base"), of: disk.attachment, in: instance, isMerged: false).isComplete)
    #expect(
      try await hypervisor.follow(image("two", "base"), of: disk.attachment, in: instance, isMerged: false).isComplete)
    #expect(world.slots.map(\.disk.source) == [.image(image("two", "base"))])
  }

  /// The last is raw.
  private func image(_ names: String...) -> DiskImage {
    DiskImage(names.map { DiskImage.Layer(.file(path: "/\($0)"), $0 == names.last ? .raw : .qcow2) })
  }

  @Test func whatIsPluggedOutlivesTheAgentAndTheInstancesStop() async throws {
    let world = InMemoryHypervisorWorld(instances: [Instance(id: instance, name: "one", status: .active)])
    let disk = Disk.make()
    _ = try await InMemoryHypervisor(world: world).plug(disk, into: instance)
    let hypervisor = InMemoryHypervisor(world: world)
    #expect(try await hypervisor.disks().map(\.attachment) == [disk.attachment])
    world.shutOff(instance)
    #expect(try await hypervisor.disks().map { [$0.isLive, $0.isStored] } == [[false, true]])
    try await hypervisor.resize(disk.attachment, of: instance, to: .mebibytes(2))
    #expect(world.slots.map(\.size) == [nil])
    world.start(instance)
    #expect(try await hypervisor.disks().map { [$0.isLive, $0.isStored] } == [[true, true]])
    try await hypervisor.resize(disk.attachment, of: instance, to: .mebibytes(2))
    #expect(world.slots.map(\.size) == [.mebibytes(2)])
  }

  @Test(arguments: ["plug", "plug.live", "plug.done", "unplug", "unplug.live", "unplug.done"])
  func anInterruptedCallIsFinishedByItsRepeat(step: String) async throws {
    let world = InMemoryHypervisorWorld(instances: [Instance(id: instance, name: "one", status: .active)])
    let broken = Mutex(true)
    let hypervisor = InMemoryHypervisor(world: world) { reached throws(StorageError) in
      if reached == step, broken.withLock({ $0 }) { throw StorageError(.unavailable, "Interrupted at \(step).") }
    }
    let disk = Disk.make()
    func plug() async throws { _ = try await hypervisor.plug(disk, into: instance) }
    func unplug() async throws { try await hypervisor.unplug(disk.attachment, from: instance) }

    if step.hasPrefix("plug") {
      await #expect(throws: StorageError.self) { try await plug() }
    } else {
      try await plug()
      await #expect(throws: StorageError.self) { try await unplug() }
    }
    broken.withLock { $0 = false }
    try await plug()
    #expect(world.slots.map { [$0.isLive, $0.isStored] } == [[true, true]])
    #expect(world.slots.map(\.disk.device) == ["vda"])
    try await unplug()
    #expect(world.slots.isEmpty)
  }

  @Test func whatHappensIsTold() async throws {
    let world = InMemoryHypervisorWorld(instances: [Instance(id: instance, name: "one", status: .active)])
    let disk = Disk.make()
    var events: AsyncStream<HypervisorEvent>
    do {
      let hypervisor = InMemoryHypervisor(world: world)
      events = hypervisor.events()
      _ = try await hypervisor.plug(disk, into: instance)
      try await hypervisor.unplug(disk.attachment, from: instance)
      world.shutOff(instance)
      world.send(.reconnected)
    }
    // The hypervisor is gone, so the stream ends.
    var told: [HypervisorEvent] = []
    for await event in events { told.append(event) }
    #expect(told == [.diskRemoved(disk.attachment, instance), .lifecycle(instance), .reconnected])
  }
}
