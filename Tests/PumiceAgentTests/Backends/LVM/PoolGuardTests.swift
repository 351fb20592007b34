import PumiceModel
import Testing

@testable import PumiceAgent

struct PoolGuardTests {
  private func group(_ change: (inout VolumeGroup, inout LogicalVolume) -> Void = { _, _ in }) -> LVMCatalog {
    var group = InMemoryLVM(size: .gibibytes(100), thinPool: .gibibytes(80)).group
    var pool = group["vg-pool"]!
    change(&group, &pool)
    group.logicalVolumes["vg-pool"] = pool
    return LVMCatalog(group, thinPool: "vg-pool", pool: "lvm")
  }

  private let poolGuard = PoolGuard(configuration: LVMBackendConfiguration(name: "lvm", volumeGroup: "vg"))

  @Test func aHealthyPoolTakesWhatIsAskedFor() {
    #expect(poolGuard.refusal(in: group(), "It") == nil)
    #expect(poolGuard.warnings(in: group()).isEmpty)
  }

  @Test func fullnessIsRefusedWithTheFigures() throws {
    let data = try #require(poolGuard.refusal(in: group { $1.dataPercent = 95 }, "Making it"))
    #expect(data.code == .noSpace)
    #expect(data.message.contains("80 GiB is 95 % full") && data.message.contains("max_data_percent"))
    let metadata = try #require(poolGuard.refusal(in: group { $1.metadataPercent = 85.04 }, "Making it"))
    #expect(metadata.code == .noSpace && metadata.message.contains("metadata of thin pool vg/vg-pool is 85 % full"))
    let area = try #require(
      poolGuard.refusal(in: group { group, _ in group.metadataFree = .mebibytes(1) }, "Making it"))
    #expect(area.code == .noSpace && area.message.contains("has 1 MiB of 16 MiB left"))
    for almost in [group { $1.dataPercent = 94.9 }, group { $1.metadataPercent = 84.9 }] {
      #expect(poolGuard.refusal(in: almost, "Making it") == nil)
      #expect(poolGuard.warnings(in: almost).count == 1)
    }
  }

  @Test(arguments: [
    (LogicalVolume.Health.failed, "failed"), (.outOfData, "out of data space"), (.metadataReadOnly, "read-only"),
    (.needsCheck, "check"), (.partial, "missing"),
  ])
  func anIllPoolIsDownAndSaysWhy(_ health: LogicalVolume.Health, _ word: String) {
    let reason = poolGuard.downReason(in: group { $1.health = health })
    #expect(reason?.contains(word) == true)
    #expect(poolGuard.refusal(in: group { $1.health = health }, "It")?.code == .unavailable)
  }

  @Test func whatMakesTheWholeGroupUselessIsSaid() {
    #expect(
      poolGuard.downReason(in: group { group, _ in group.obstacle = "it is exported" })?.contains("exported") == true)
    let missing = group { group, _ in
      group.physicalVolumes.append(PhysicalVolume(name: "[unknown]", uuid: "u-1", isMissing: true, holdsMetadata: true))
    }
    #expect(poolGuard.downReason(in: missing)?.contains("misses 1 of its 2 physical volumes: [unknown] (u-1)") == true)
    #expect(
      poolGuard.downReason(in: group { $1.zeroesChunks = false })?.contains("lvchange --zero y vg/vg-pool") == true)
    #expect(poolGuard.downReason(in: group { $1.kind = .thick })?.contains("no thin pool") == true)
    let absent = LVMCatalog(InMemoryLVM().group, thinPool: "vg-pool", pool: "lvm")
    #expect(poolGuard.downReason(in: absent)?.contains("no thin pool vg-pool") == true)
  }

  // MARK: Growing by itself

  private func commands(
    _ configuration: LVMBackendConfiguration = LVMBackendConfiguration(name: "lvm", volumeGroup: "vg"),
    in catalog: LVMCatalog
  ) -> [LVMCommand] { ExtensionPlan(configuration: configuration).commands(in: catalog) }

  @Test func poolsGrowByAStepAsLongAsTheGroupHasRoom() {
    #expect(commands(in: group()).isEmpty)
    #expect(commands(in: group { $1.dataPercent = 80 }) == [.extend(name: "vg-pool", to: .gibibytes(96))])
    // What is left is less than a step.
    let little = group { group, pool in (group.free, pool.dataPercent) = (.gibibytes(3), 99) }
    #expect(commands(in: little) == [.extend(name: "vg-pool", to: .gibibytes(83))])
    let nothing = group { group, pool in (group.free, pool.dataPercent) = (.zero, 99) }
    #expect(commands(in: nothing).isEmpty)
    // Metadata first: without it, data is worth nothing; its spare takes as much.
    let both = group { group, pool in
      (group.free, pool.dataPercent, pool.metadataPercent) = (.mebibytes(20), 99, 90)
    }
    #expect(
      commands(in: both) == [
        .extendPoolMetadata(name: "vg-pool", by: .mebibytes(8)),
        .extend(name: "vg-pool", to: .gibibytes(80) + .mebibytes(4)),
      ])
  }

  @Test func snapshotsGrowUntilTheyCanKeepAll() {
    func thick(_ size: ByteCount, _ percent: Double, _ change: (inout LogicalVolume) -> Void = { _ in }) -> LVMCatalog {
      var group = InMemoryLVM(size: .gibibytes(100)).group
      let id = SnapshotID.random()
      var snapshot = LogicalVolume(
        uuid: "s", name: "_snapshot-\(id)", kind: .thickSnapshot, size: size, tags: ["pumice"], origin: "volume-1")
      (snapshot.originSize, snapshot.dataPercent) = (.gibibytes(10), percent)
      change(&snapshot)
      group.logicalVolumes[snapshot.name] = snapshot
      return LVMCatalog(group, thinPool: nil, pool: "lvm")
    }
    func sizes(_ catalog: LVMCatalog) -> [ByteCount] {
      commands(in: catalog).compactMap { if case .extend(_, let size, _) = $0 { size } else { nil } }
    }
    #expect(sizes(thick(.gibibytes(1), 79)).isEmpty)
    #expect(sizes(thick(.gibibytes(1), 80)) == [.gibibytes(3)])
    #expect(sizes(thick(.gibibytes(10), 99)) == [.gibibytes(10) + .mebibytes(104)])
    #expect(sizes(thick(.gibibytes(11), 99)).isEmpty)
    #expect(sizes(thick(.gibibytes(1), 100) { $0.isInvalid = true }).isEmpty)
    #expect(sizes(thick(.gibibytes(1), 99) { $0.isMerging = true }).isEmpty)
    #expect(sizes(thick(.gibibytes(1), 99) { $0.tags = [] }).isEmpty, "not ours")
  }

  @Test func aPoolThatFillsFastIsWarnedOfOnce() {
    var watch = FillWatch()
    let start = ContinuousClock.now
    var said: [String] = []
    for minute in 0..<120 {
      let catalog = group { $1.dataPercent = 10 + Double(minute) * 0.1 }
      said += watch.news(in: catalog, warnings: [], at: start.advanced(by: .seconds(minute * 60)))
    }
    // 6 % an hour.
    #expect(said.count == 1 && said[0].contains("full in 15 hours"), "\(said)")
    let calm = group { $1.dataPercent = 10 }
    var later = FillWatch()
    for minute in 0..<120 { said += later.news(in: calm, warnings: [], at: start.advanced(by: .seconds(minute * 60))) }
    #expect(said.count == 1)
    #expect(later.news(in: calm, warnings: ["Thin pool is 81.2 % full."]) == ["Thin pool is 81.2 % full."])
    #expect(later.news(in: calm, warnings: ["Thin pool is 83.7 % full."]).isEmpty, "said already")
  }

  // MARK: A new pool

  @Test(arguments: [
    (ByteCount.gibibytes(10), ByteCount(64 << 10)), (.gibibytes(1 << 10), ByteCount(64 << 10)),
    (.gibibytes(10 << 10), ByteCount(512 << 10)), (.gibibytes(100 << 10), ByteCount(1 << 20)),
  ])
  func aNewPoolFitsAndLeavesRoomForItsMetadata(_ free: ByteCount, _ chunk: ByteCount) throws {
    var group = InMemoryLVM(size: free).group
    group.extentSize = .mebibytes(4)
    let plan = try #require(ThinPoolPlan(in: group))
    #expect(plan.chunk == chunk)
    let used = plan.size + plan.metadata + plan.metadata
    #expect(used <= free.scaled(by: 0.95) && used >= free.scaled(by: 0.94))
    #expect(plan.size.bytes % (4 << 20) == 0 && plan.metadata.bytes % (4 << 20) == 0)
    #expect(plan.metadata.bytes >= min(plan.size.bytes / chunk.bytes * 60, 15 << 30))
    #expect(plan.metadata <= ByteCount(16_184 << 20))
  }

  @Test func tooLittleRoomMakesNoPool() {
    #expect(ThinPoolPlan(in: InMemoryLVM(size: .mebibytes(64)).group) == nil)
    #expect(ThinPoolPlan(in: InMemoryLVM(size: .mebibytes(128)).group) != nil)
  }
}
