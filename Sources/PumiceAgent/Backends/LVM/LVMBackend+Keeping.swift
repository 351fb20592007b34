import Logging
import PumiceModel
import PumiceWire
public import ServiceLifecycle

/// What the backend does by itself, whether anybody asks or not: it wipes what was removed, gives pools and snapshots more
/// room before they run full, and warns.
extension LVMBackend: Service {
  private static let interval = Duration.seconds(10)
  /// A removal that somebody has asked for within this time is being seen to.
  private static let quiet = Duration.seconds(60)
  /// Whoever wants a copy asks for it again within this time; else it is given up.
  static let grace = Duration.seconds(3600)

  public func run() async throws {
    await cancelWhenGracefulShutdown {
      var watch = FillWatch()
      while !Task.isCancelled {
        await keep(&watch)
        try? await Task.sleep(for: Self.interval)
      }
    }
  }

  /// One round. What fails is logged and tried again in the next.
  func keep(_ watch: inout FillWatch, grace: Duration = grace) async {
    do throws(StorageError) {
      let catalog = try await writtenDown(.live)
      let poolGuard = PoolGuard(configuration: configuration)
      guard poolGuard.downReason(in: catalog) == nil || isThin else { return }
      for warning in watch.news(in: catalog, warnings: poolGuard.warnings(in: catalog)) {
        logger.warning("\(warning)", metadata: ["backend.name": "\(name)"])
      }
      try await extend(in: catalog)
      await endReverts()
      try await giveUpCopies(after: grace)
      try await wipeForgotten()
    } catch {
      logger.warning("housekeeping failed", metadata: ["backend.name": "\(name)", "error": "\(error)"])
    }
  }

  /// Gives the thin pool, or thick snapshots, what is free in the group, once they are fuller than `extend_at`.
  func extend(in catalog: LVMCatalog) async throws(StorageError) {
    guard configuration.autoExtend else { return }
    for command in ExtensionPlan(configuration: configuration).commands(in: catalog) {
      try await lvm.run(command)
      logger.notice(
        "extended",
        metadata: ["backend.name": "\(name)", "lvm.command": "\(command.attempt(group: catalog.group.name))"])
    }
  }

  /// Wipes what nobody asks about any more, a slice each.
  private func wipeForgotten() async throws(StorageError) {
    for volume in try await catalog().condemned() where !bytes.wasAsked(volume.name, within: Self.quiet) {
      guard let name = LVMName(volume.name) else { continue }
      var progress = Progress(done: 0)
      while !progress.isComplete, !Task.isCancelled {
        progress = try await wipe { $0 == name }
      }
    }
  }
}

/// Which parts of a pool get more room.
struct ExtensionPlan {
  let configuration: LVMBackendConfiguration

  func commands(in catalog: LVMCatalog) -> [LVMCommand] {
    let group = catalog.group
    var free = group.free
    var commands: [LVMCommand] = []
    /// As much of what is wanted as there is, in whole extents.
    func take(_ wanted: ByteCount, times: Int64 = 1) -> ByteCount? {
      let affordable = free.bytes / times / group.extentSize.bytes * group.extentSize.bytes
      let step = min(group.roundedUp(wanted).bytes, affordable)
      guard step > 0 else { return nil }
      free = free - ByteCount(step * times)
      return ByteCount(step)
    }
    let part = configuration.extendBy / 100
    if let name = catalog.thinPool, let pool = group[name], pool.kind == .thinPool {
      if let percent = pool.metadataPercent,
        percent >= min(configuration.extendAt, configuration.maxMetadataPercent - 5),
        let size = pool.metadataSize, size < ByteCount(15 << 30),
        // The spare grows with it.
        let step = take(size.scaled(by: max(part, 0.25)), times: 2)
      {
        commands.append(.extendPoolMetadata(name: name, by: step))
      }
      if let percent = pool.dataPercent, percent >= configuration.extendAt, let step = take(pool.size.scaled(by: part))
      {
        commands.append(.extend(name: name, to: pool.size + step))
      }
    }
    for (_, snapshot) in catalog.entries where snapshot.kind == .thickSnapshot && !snapshot.isMerging {
      guard let percent = snapshot.dataPercent, percent >= configuration.extendAt, !snapshot.isInvalid,
        let origin = snapshot.originSize
      else { continue }
      // With a hundredth for the table of what it keeps, it can't run full.
      let most = group.roundedUp(origin + origin.scaled(by: 0.01) + group.extentSize)
      let wanted = min(origin.scaled(by: part), most - snapshot.size)
      if wanted > .zero, let step = take(wanted) {
        commands.append(.extend(name: snapshot.name, to: snapshot.size + step))
      }
    }
    return commands
  }
}

/// Tells what is new about how full a pool is, and how long it will last.
struct FillWatch {
  private struct Sample {
    let time: ContinuousClock.Instant
    let percent: Double
  }

  private var said: Set<String> = []
  private var samples: [Sample] = []
  private var hasWarnedOfSlope = false

  /// What was not said in the round before.
  mutating func news(in catalog: LVMCatalog, warnings: [String], at now: ContinuousClock.Instant = .now) -> [String] {
    // Figures change with each round; a warning is the same as long as its words are.
    func words(_ text: String) -> String { text.filter { !$0.isNumber && $0 != "." } }
    let fresh = warnings.filter { !said.contains(words($0)) }
    said = Set(warnings.map(words))
    return fresh + (slope(in: catalog, at: now).map { [$0] } ?? [])
  }

  private mutating func slope(in catalog: LVMCatalog, at now: ContinuousClock.Instant) -> String? {
    guard let name = catalog.thinPool, let percent = catalog.group[name]?.dataPercent else { return nil }
    samples.append(Sample(time: now, percent: percent))
    samples.removeAll { $0.time.duration(to: now) > .seconds(3600) }
    guard let first = samples.first, first.time.duration(to: now) >= .seconds(600), percent > first.percent else {
      if samples.first.map({ $0.percent >= percent }) ?? true { hasWarnedOfSlope = false }
      return nil
    }
    let hours = Double(first.time.duration(to: now).components.seconds) / 3600
    let left = (100 - percent) / ((percent - first.percent) / hours)
    guard left < 24 else {
      hasWarnedOfSlope = false
      return nil
    }
    if hasWarnedOfSlope { return nil }
    hasWarnedOfSlope = true
    return
      "Thin pool \(name) will be full in \(Int(left.rounded(.up))) hours, if it goes on filling as in the last hour."
  }
}
