import PumiceModel
import Synchronization

@testable import PumiceAgent

/// A volume group and its bytes in memory, with LVM's and the kernel's rules, to crash at each step.
///
/// Bytes are cells of 1 MiB, each of one value. Extents that nobody has zeroed hold `InMemoryLVM.old`: what belonged to
/// somebody else. A thick snapshot's own view is a copy; split from its origin, it shows `InMemoryLVM.kept`.
final class InMemoryLVM: LogicalVolumeManager, BlockDevices {
  static let old: UInt8 = 0xEE
  static let kept: UInt8 = 0xCC

  struct World {
    var group: VolumeGroup
    /// By name.
    var cells: [String: [UInt8]] = [:]
    /// What the old bytes of freed extents were, for a look at whether they were wiped.
    var freed: [[UInt8]] = []
    var open: Set<String> = []
    var steps = 0
    /// The step that is not taken any more; nothing works after it.
    var crashAt: Int?
    var uuids = 0
    /// By name: the numbers that LVM has given to thin volumes.
    var numbers: [String: Int] = [:]
    /// By number: bytes that the thin pool has and LVM does not know of.
    var orphans: [Int: [UInt8]] = [:]
    var pending: Pending?
    var canDiscard = true
  }

  /// A message to the thin pool that is not crossed out.
  struct Pending {
    var creation: String?
    var deletion: Int?
    var isDelivered = false
  }

  let world: Mutex<World>

  init(size: ByteCount = .mebibytes(512), thinPool: ByteCount? = nil) {
    var group = VolumeGroup(
      name: "vg", uuid: "vg-uuid", size: size, free: size, extentSize: .mebibytes(1),
      metadataFree: .mebibytes(8), metadataSize: .mebibytes(16), obstacle: nil,
      physicalVolumes: [PhysicalVolume(name: "/dev/sda", uuid: "pv-uuid", isMissing: false, holdsMetadata: true)],
      logicalVolumes: [:])
    if let thinPool {
      var pool = LogicalVolume(uuid: "pool-uuid", name: "vg-pool", kind: .thinPool, size: thinPool)
      (pool.dataPercent, pool.metadataPercent, pool.metadataSize) = (0, 1, .mebibytes(32))
      (pool.isActive, pool.zeroesChunks) = (true, true)
      group.logicalVolumes["vg-pool"] = pool
      group.free = group.free - thinPool
    }
    world = Mutex(World(group: group))
  }

  var group: VolumeGroup { world.withLock(\.group) }
  var names: [String] { group.logicalVolumes.keys.filter { $0 != "vg-pool" }.sorted() }
  func cells(_ name: String) -> [UInt8]? { world.withLock { $0.cells[name] } }
  var freed: [[UInt8]] { world.withLock(\.freed) }
  /// What the thin pool has and LVM does not know of: a new volume may get it.
  var orphans: [[UInt8]] { world.withLock { Array($0.orphans.values) } }
  func change(_ body: (inout World) -> Void) { world.withLock { body(&$0) } }

  /// As after the power was cut: nothing is active, and everything works again.
  func powerCycle() {
    change { world in
      world.crashAt = nil
      for name in world.group.logicalVolumes.keys where name != "vg-pool" {
        world.group.logicalVolumes[name]?.isActive = false
      }
    }
  }

  /// To go back to.
  var snapshotOfWorld: World {
    get { world.withLock { $0 } }
    set { change { $0 = newValue } }
  }

  func crash(at step: Int) { change { ($0.steps, $0.crashAt) = (0, step) } }
  /// Whether the step to crash at was reached.
  var hasCrashed: Bool { world.withLock { world in world.crashAt.map { world.steps > $0 } ?? false } }

  // MARK: LogicalVolumeManager

  func group(_ freshness: Freshness) async throws(StorageError) -> VolumeGroup {
    guard !hasCrashed else { throw StorageError(.unavailable, "The power is off.") }
    return group
  }

  func run(_ commands: LVMCommand...) async throws(StorageError) {
    for command in commands {
      try world.withLock { world throws(StorageError) in
        if case .createThickSnapshot(let name, _, let room, let tags) = command {
          // LVM makes a plain logical volume of it first, and commits that.
          try Self.step(&world)
          try Self.perform(.createThick(name: name, size: room, tags: tags), &world)
        }
        try Self.step(&world)
        let hadPending = Self.prepareMessages(for: command, &world)
        let number = if case .remove(let name) = command { world.numbers[name] } else { Int?.none }
        let bytes = if case .remove(let name) = command { world.cells[name] } else { [UInt8]?.none }
        try Self.perform(command, &world)
        try Self.deliverMessages(of: command, removing: number, bytes, hadPending, &world)
      }
    }
  }

  func extents(of name: String) async throws(StorageError) -> [String] { ["/dev/sda:of-\(name)"] }

  private static func step(_ world: inout World) throws(StorageError) {
    world.steps += 1
    if let crash = world.crashAt, world.steps > crash { throw StorageError(.unavailable, "The power is off.") }
  }

  // MARK: Messages to the thin pool

  private static func creation(_ command: LVMCommand) -> String? {
    switch command {
    case .createThin(let name, _, _, _), .createThinSnapshot(let name, _, _, _): name
    default: nil
    }
  }

  /// A creation delivers what is pending first; a removal does not. Returns whether it then still is.
  private static func prepareMessages(for command: LVMCommand, _ world: inout World) -> Bool {
    guard creation(command) != nil, let pending = world.pending else { return world.pending != nil }
    if !pending.isDelivered, let number = pending.deletion { world.orphans[number] = nil }
    cross(&world)
    return false
  }

  private static func deliverMessages(
    of command: LVMCommand, removing number: Int?, _ bytes: [UInt8]?, _ hadPending: Bool, _ world: inout World
  ) throws(StorageError) {
    if let name = creation(command) {
      let number = (world.numbers.values.max() ?? 0) + 1
      world.numbers[name] = number
      // A number that the pool has already is as good as made.
      if let orphan = world.orphans.removeValue(forKey: number), let count = world.cells[name]?.count {
        world.cells[name] = Array((orphan + Array(repeating: 0, count: count)).prefix(count))
      }
      world.pending = Pending(creation: name)
      world.group.logicalVolumes["vg-pool"]?.hasPendingMessages = true
      world.group.logicalVolumes[name]?.isPendingCreation = true
    } else if case .remove(let name) = command, let number {
      world.numbers[name] = nil
      world.orphans[number] = bytes
      if hadPending, world.pending?.isDelivered == true { return cross(&world) }
      world.pending = Pending(deletion: number)
      world.group.logicalVolumes["vg-pool"]?.hasPendingMessages = true
    } else {
      return
    }
    try step(&world)
    if let number = world.pending?.deletion { world.orphans[number] = nil }
    world.pending?.isDelivered = true
    try step(&world)
    cross(&world)
  }

  private static func cross(_ world: inout World) {
    world.pending = nil
    world.group.logicalVolumes["vg-pool"]?.hasPendingMessages = false
    for name in world.group.logicalVolumes.keys { world.group.logicalVolumes[name]?.isPendingCreation = false }
  }

  private static func requireDelivered(_ name: String, _ world: World) throws(StorageError) {
    guard world.pending?.creation != name || world.pending?.isDelivered == true else {
      throw .lvm("Activating vg/\(name)", exitCode: 5, message: "reload ioctl on (254:4) failed: No data available")
    }
  }

  private static func perform(_ command: LVMCommand, _ world: inout World) throws(StorageError) {
    func need(_ name: String) throws(StorageError) -> LogicalVolume {
      guard let volume = world.group[name] else { throw StorageError(.notFound, "There is no \(name).") }
      return volume
    }
    func refuseOpen(_ name: String) throws(StorageError) {
      if world.open.contains(name) { throw StorageError(.inUse, "\(name) is in use.") }
    }
    func cellCount(_ size: ByteCount) -> Int { Int(size.bytes >> 20) }
    let attempt = command.attempt(group: "vg")
    switch command {
    case .createThin(let name, _, let size, _):
      guard world.group[name] == nil else { throw StorageError(.conflict, "\(name) is there already.") }
      world.cells[name] = Array(repeating: 0, count: cellCount(world.group.roundedUp(size)))
    case .createThinSnapshot(let name, let origin, _, _):
      guard world.group[name] == nil else { throw StorageError(.conflict, "\(name) is there already.") }
      _ = try need(origin)
      world.cells[name] = world.cells[origin]
    case .createThick(let name, let size, _):
      guard world.group[name] == nil else { throw StorageError(.conflict, "\(name) is there already.") }
      guard world.group.roundedUp(size) <= world.group.free else {
        throw StorageError(.noSpace, "\(attempt): no room.")
      }
      world.cells[name] = Array(repeating: old, count: cellCount(world.group.roundedUp(size)))
    case .createThickSnapshot(let name, let origin, _, _):
      var origin = try need(origin)
      guard var snapshot = world.group[name], snapshot.kind == .thick else { throw StorageError(.failed, "\(name)?") }
      snapshot.kind = .thickSnapshot
      (snapshot.origin, snapshot.originSize, snapshot.isActive) = (origin.name, origin.size, origin.isActive)
      snapshot.dataPercent = 0
      origin.originSize = origin.size
      world.group.logicalVolumes[name] = snapshot
      world.group.logicalVolumes[origin.name] = origin
      world.cells[name] = world.cells[origin.name]
      return
    case .extend(let name, let size, let extents):
      let volume = try need(name)
      let step = cellCount(world.group.roundedUp(size) - volume.size)
      if volume.kind == .thick {
        guard world.group.roundedUp(size) - volume.size <= world.group.free else {
          throw StorageError(.noSpace, "\(attempt): no room.")
        }
        if volume.originSize != nil, volume.isActive { throw StorageError(.inUse, "\(name) only while inactive.") }
        // Extents that were just zeroed and freed come back as they are.
        let cells = extents.isEmpty ? Array(repeating: old, count: step) : world.freed.last ?? []
        guard cells.count == step else { throw StorageError(.failed, "\(attempt): other extents.") }
        world.cells[name]? += cells
      } else {
        world.cells[name]? += Array(repeating: 0, count: step)
      }
    case .rename(let name, let newName):
      _ = try need(name)
      guard world.group[newName] == nil else { throw StorageError(.conflict, "\(newName) is there already.") }
      world.numbers[newName] = world.numbers.removeValue(forKey: name)
      if world.pending?.creation == name { world.pending?.creation = newName }
      world.cells[newName] = world.cells.removeValue(forKey: name)
    case .retag(let name, _, _): _ = try need(name)
    case .remove(let name):
      let volume = try need(name)
      try refuseOpen(name)
      guard world.group.thickSnapshots(of: name).isEmpty else { throw StorageError(.inUse, "\(name) has snapshots.") }
      let cells = world.cells.removeValue(forKey: name) ?? []
      if volume.kind != .thin { world.freed.append(volume.kind == .thickSnapshot ? [kept] : cells) }
      if volume.kind == .thickSnapshot {
        world.group.logicalVolumes[name] = nil
        world.group.free = world.group.free + volume.size
        forgetOrigin(volume.origin, &world)
        return
      }
    case .activate(let name), .deactivate(let name):
      _ = try need(name)
      let isActive = if case .activate = command { true } else { false }
      if !isActive { try refuseOpen(name) } else { try requireDelivered(name, world) }
      for snapshot in world.group.thickSnapshots(of: name) {
        world.group.logicalVolumes[snapshot.name]?.isActive = isActive
        if isActive, snapshot.isMerging, let cells = world.cells[snapshot.name] {
          world.cells[name]?.replaceSubrange(..<cells.count, with: cells)
          world.group.logicalVolumes[snapshot.name]?.dataPercent = 0
        }
      }
      world.group.logicalVolumes[name]?.isActive = isActive
      return
    case .split(let name):
      let snapshot = try need(name)
      let origin = snapshot.origin
      world.group.logicalVolumes[name]?.kind = .thick
      world.group.logicalVolumes[name]?.origin = nil
      world.group.logicalVolumes[name]?.originSize = nil
      world.cells[name] = Array(repeating: kept, count: cellCount(snapshot.size))
      forgetOrigin(origin, &world)
      return
    case .merge(let name):
      let snapshot = try need(name)
      guard let origin = snapshot.origin, world.group[origin]?.isActive == false else {
        throw StorageError(.inUse, "\(name) has an active origin.")
      }
      world.group.logicalVolumes[name]?.isMerging = true
      world.group.logicalVolumes[origin]?.isMerging = true
      return
    case .finishMerge(let name):
      guard let snapshot = world.group.thickSnapshots(of: name).first(where: \.isMerging) else { return }
      guard world.group[name]?.isActive == true else { throw StorageError(.failed, "\(name) is not active.") }
      world.group.logicalVolumes[snapshot.name] = nil
      world.cells[snapshot.name] = nil
      world.group.free = world.group.free + snapshot.size
      world.group.logicalVolumes[name]?.isMerging = false
      forgetOrigin(name, &world)
      return
    case .createThinPool, .extendPoolMetadata: throw StorageError(.unsupported, "\(attempt) is not modelled.")
    }
    guard world.group.apply(command) else { throw StorageError(.failed, "\(attempt) has no prediction.") }
    switch command {
    case .createThin(let name, _, _, _), .createThinSnapshot(let name, _, _, _), .createThick(let name, _, _):
      world.uuids += 1
      let predicted = world.group.logicalVolumes[name]!
      var made = LogicalVolume(
        uuid: "lv-uuid-\(world.uuids)", name: name, kind: predicted.kind, size: predicted.size, tags: predicted.tags,
        origin: predicted.origin, pool: predicted.pool)
      (made.isReadOnly, made.isActive) = (predicted.isReadOnly, predicted.isActive)
      world.group.logicalVolumes[name] = made
    default: break
    }
  }

  private static func forgetOrigin(_ name: String?, _ world: inout World) {
    guard let name, world.group.thickSnapshots(of: name).isEmpty else { return }
    world.group.logicalVolumes[name]?.originSize = nil
  }

  // MARK: BlockDevices

  func isReady(_ path: String, size: ByteCount) async -> Bool {
    world.withLock { world in
      Self.name(path, world).flatMap { world.group[$0] }.map {
        $0.isActive && ($0.kind == .thickSnapshot ? $0.originSize : $0.size) == size
      } ?? false
    }
  }

  func zero(_ range: Range<Int64>, of path: String) async throws(StorageError) {
    try write(range, path) { _ in 0 }
  }

  func discard(_ range: Range<Int64>, of path: String) async throws(StorageError) {
    guard world.withLock(\.canDiscard) else { throw StorageError(.unsupported, "\(path) can't discard.") }
    try write(range, path) { _ in 0 }
  }

  func copy(_ range: Range<Int64>, from source: String, to target: String) async throws(StorageError) {
    let cells = try world.withLock { world throws(StorageError) -> [UInt8] in
      guard let name = Self.name(source, world), world.group[name]?.isActive == true,
        world.group[name]?.isInvalid == false, let cells = world.cells[name]
      else { throw StorageError(.failed, "Reading \(source) failed.") }
      return cells
    }
    try write(range, target) { cells[$0] }
  }

  func flush(_ path: String) async throws(StorageError) {
    try world.withLock { world throws(StorageError) in try Self.step(&world) }
  }

  private func write(_ range: Range<Int64>, _ path: String, _ value: (Int) -> UInt8) throws(StorageError) {
    try world.withLock { world throws(StorageError) in
      try Self.step(&world)
      guard let name = Self.name(path, world), world.group[name]?.isActive == true else {
        throw StorageError(.notFound, "\(path) is not there.")
      }
      for cell in Int(range.lowerBound >> 20)..<Int((range.upperBound + 1 << 20 - 1) >> 20) {
        world.cells[name]?[cell] = value(cell)
      }
    }
  }

  private static func name(_ path: String, _ world: World) -> String? {
    world.group.logicalVolumes.keys.first { world.group.path(of: $0) == path }
  }
}
