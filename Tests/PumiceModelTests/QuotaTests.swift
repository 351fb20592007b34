import PumiceModel
import Testing

struct QuotaTests {
  private let type = VolumeType(id: .random(), name: "ssd", createdAt: .start)

  @Test func countsVolumesByWhatTheyAreGrowingTo() throws {
    var usage = QuotaUsage()
    usage.count(.make(size: .gibibytes(10), type: type.id))
    var growing = Volume.make(size: .gibibytes(5), type: type.id)
    try growing.place(on: .vg1, availabilityZone: "nova", at: .start)
    try growing.confirm(at: .start)
    try growing.beginExtending(to: .gibibytes(7), at: .start)
    usage.count(growing)
    usage.count(.make(size: ByteCount(1)))
    #expect(usage.volumes == 3)
    #expect(usage.gigabytes == 10 + 7 + 1)
    #expect(usage.volumesByType[type.id] == 2)
    #expect(usage.gigabytesByType[type.id] == 17)
  }

  @Test func volumesAndSnapshotsThatComeTogetherCountTogether() throws {
    let usage = QuotaUsage()
    let quota = QuotaSet(project: "p", limits: ["snapshots": 2, "gigabytes": 30, "snapshots_ssd": 1])
    try usage.check(adding: 1, snapshots: 1, gigabytes: 30, volumeSize: 10, type: type, against: quota)
    for (snapshots, gigabytes, resource) in [(3, 30, "snapshots"), (1, 31, "gigabytes"), (2, 30, "snapshots_ssd")] {
      let error = #expect(throws: StorageError.self) {
        try usage.check(
          adding: 1, snapshots: snapshots, gigabytes: gigabytes, volumeSize: 10, type: type, against: quota)
      }
      #expect(error?.message.contains("exceeded for \(resource)") == true)
    }
  }

  @Test func deletedVolumesAndOnlyTheyAreFree() throws {
    var volume = Volume.make()
    try volume.fail("x", at: .start)
    var usage = QuotaUsage()
    usage.count(volume)
    #expect(usage.volumes == 1, "a volume in error still counts")
    try volume.beginDeleting(at: .start)
    usage = QuotaUsage()
    usage.count(volume)
    #expect(usage.volumes == 0)
    #expect(usage.gigabytes == 0)
  }

  @Test func theLastOneFitsAndTheNextDoesNot() throws {
    var usage = QuotaUsage()
    let quota = QuotaSet(project: "p", limits: ["volumes": 2, "gigabytes": 20])
    usage.count(.make(size: .gibibytes(10)))
    try usage.check(adding: 1, gigabytes: 10, volumeSize: 10, type: type, against: quota)
    expectOverQuota("gigabytes") {
      try usage.check(adding: 1, gigabytes: 11, volumeSize: 11, type: type, against: quota)
    }
    usage.count(.make(size: .gibibytes(1)))
    expectOverQuota("volumes") { try usage.check(adding: 1, gigabytes: 1, volumeSize: 1, type: type, against: quota) }
  }

  @Test func extendingIsCheckedAgainstBytesOnly() throws {
    var usage = QuotaUsage()
    usage.count(.make(size: .gibibytes(10)))
    let quota = QuotaSet(project: "p", limits: ["volumes": 1, "gigabytes": 12])
    try usage.check(adding: 0, gigabytes: 2, volumeSize: 12, type: type, against: quota)
    expectOverQuota("gigabytes") {
      try usage.check(adding: 0, gigabytes: 3, volumeSize: 13, type: type, against: quota)
    }
  }

  @Test func snapshotsCountAmongTheGigabytesAndNotAmongTheVolumes() throws {
    var usage = QuotaUsage()
    let volume = Volume.make(size: .gibibytes(10), type: type.id)
    var snapshot = Snapshot(id: .random(), of: volume, on: .vg1, name: "", createdAt: .start)
    usage.count(volume)
    usage.count(snapshot)
    #expect(usage.volumes == 1 && usage.snapshots == 1)
    #expect(usage.gigabytes == 20)
    #expect(usage.gigabytesByType[type.id] == 20)
    #expect(usage.snapshotsByType[type.id] == 1)
    try usage.checkSnapshot(of: 10, type: type, against: QuotaSet(project: "p", limits: ["gigabytes": 30]))
    for limits in [["gigabytes": 29], ["snapshots": 1], ["snapshots_ssd": 1], ["gigabytes_ssd": 29]] {
      expectOverQuota(limits.keys.first ?? "") {
        try usage.checkSnapshot(of: 10, type: type, against: QuotaSet(project: "p", limits: limits))
      }
    }
    try snapshot.fail("x", at: .start)
    usage = QuotaUsage()
    usage.count(snapshot)
    #expect(usage.snapshots == 1, "a snapshot in error still counts")
    try snapshot.beginDeleting(at: .start)
    try snapshot.finishDeleting(at: .start)
    usage = QuotaUsage()
    usage.count(snapshot)
    #expect(usage == QuotaUsage())
  }

  @Test func aTypeHasItsOwnLimit() {
    var usage = QuotaUsage()
    usage.count(.make(size: .gibibytes(10), type: type.id))
    let quota = QuotaSet(project: "p", limits: ["volumes_ssd": 1])
    expectOverQuota("volumes_ssd") {
      try usage.check(adding: 1, gigabytes: 1, volumeSize: 1, type: type, against: quota)
    }
    let other = VolumeType(id: .random(), name: "hdd", createdAt: .start)
    #expect(throws: Never.self) {
      try usage.check(adding: 1, gigabytes: 1, volumeSize: 1, type: other, against: quota)
    }
  }

  @Test func minusOneIsNoLimitAndZeroIsNothing() {
    let usage = QuotaUsage()
    let open = QuotaSet(project: "p", limits: ["volumes": -1, "gigabytes": -1])
    #expect(throws: Never.self) {
      try usage.check(adding: 1000, gigabytes: 1_000_000, volumeSize: 1000, type: type, against: open)
    }
    expectOverQuota("volumes") {
      try usage.check(
        adding: 1, gigabytes: 1, volumeSize: 1, type: type, against: QuotaSet(project: "p", limits: ["volumes": 0]))
    }
  }

  @Test func oneVolumeMayBeTooLargeByItself() {
    let quota = QuotaSet(project: "p", limits: ["per_volume_gigabytes": 5])
    expectOverQuota("per_volume_gigabytes") {
      try QuotaUsage().check(adding: 1, gigabytes: 6, volumeSize: 6, type: type, against: quota)
    }
  }

  @Test func aProjectWithoutLimitsHasTheDefaults() {
    let quota = QuotaSet(project: "p")
    #expect(quota.limit("volumes") == 10)
    #expect(quota.limit("gigabytes") == 1000)
    #expect(quota.limit("volumes_ssd") == -1)
  }

  private func expectOverQuota(_ resource: String, _ check: () throws -> Void) {
    let error = #expect(throws: StorageError.self, performing: check)
    #expect(error?.code == .overQuota)
    #expect(error?.message.contains(resource) == true)
  }
}
