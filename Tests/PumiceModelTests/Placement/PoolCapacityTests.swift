import PumiceModel
import Testing

struct PoolCapacityTests {
  private func virtualFree(_ pool: PoolState) throws -> ByteCount {
    try #require(PoolCapacity(of: pool)).virtualFree
  }

  @Test func aThickPoolGivesWhatIsFreeAndNotPromised() throws {
    #expect(try virtualFree(.make()) == .gibibytes(100))
    #expect(try virtualFree(.make(free: 30)) == .gibibytes(30))
    #expect(try virtualFree(.make(promised: 80)) == .gibibytes(20))
    #expect(try virtualFree(.make(foreign: 50, promised: 30)) == .gibibytes(20))
    #expect(try virtualFree(.make(free: 10, promised: 120)) == .zero)
  }

  @Test func whatTheReportCannotKnowIsTakenFromWhatIsFree() throws {
    #expect(try virtualFree(.make(total: 200, free: 100, promised: 70, unconfirmed: 60)) == .gibibytes(40))
    #expect(try virtualFree(.make(free: 50, promised: 60, unconfirmed: 60)) == .zero)
  }

  @Test func theReserveIsOfTheWholeAndComesOffBothSides() throws {
    #expect(try virtualFree(.make(reserved: 10)) == .gibibytes(90))
    #expect(try virtualFree(.make(free: 30, reserved: 10)) == .gibibytes(20))
    #expect(try virtualFree(.make(free: 10, reserved: 10)) == .zero)
    #expect(try virtualFree(.make(reserved: 100)) == .zero)
    #expect(try virtualFree(.make(thin: true, reserved: 10, ratio: 2)) == .gibibytes(180))
  }

  @Test func theReserveIsRoundedDownAndDoesNotOverflow() throws {
    var pool = PoolState.make(reserved: 33)
    pool.report.total = ByteCount(101)
    #expect(try #require(PoolCapacity(of: pool)).reserved == ByteCount(33))
    pool.report.total = ByteCount(.max)
    pool.report.free = ByteCount(.max)
    #expect(try #require(PoolCapacity(of: pool)).reserved.bytes == Int64.max / 100 * 33 + 7 * 33 / 100)
  }

  @Test func aThinPoolPromisesMoreThanItHas() throws {
    #expect(try virtualFree(.make(thin: true, ratio: 20)) == .gibibytes(2000))
    #expect(try virtualFree(.make(thin: true, ratio: 20, promised: 1500)) == .gibibytes(500))
    #expect(try virtualFree(.make(thin: true, ratio: 1.5, promised: 100)) == .gibibytes(50))
  }

  @Test func aThinPoolPromisesByWhatIsPhysicallyFree() throws {
    // 90 of 100 GiB are written and 900 promised: 810 may still be written, and 10 free carry 200.
    #expect(try virtualFree(.make(free: 10, thin: true, ratio: 20, promised: 900)) == .zero)
    // 90 are written and that is all that was promised: 10 free carry 200.
    #expect(try virtualFree(.make(free: 10, thin: true, ratio: 20, promised: 90)) == .gibibytes(200))
    // The same with 150 on their way.
    #expect(
      try virtualFree(.make(free: 10, thin: true, ratio: 20, promised: 240, unconfirmed: 150)) == .gibibytes(50))
  }

  @Test func aThinPoolThatIsFullToTheBrimTakesNothing() throws {
    #expect(try virtualFree(.make(total: 1000, free: 1, thin: true, ratio: 20)) == .zero)
    #expect(try virtualFree(.make(total: 1000, free: 0, thin: true, ratio: 20)) == .zero)
    #expect(try virtualFree(.make(total: 1000, free: 50, thin: true, reserved: 5, ratio: 20)) == .zero)
    #expect(try virtualFree(.make(total: 1000, free: 10, thin: true, ratio: 20)) > .zero)
    #expect(try virtualFree(.make(total: 1000, free: 1, thin: true)) == .gibibytes(1), "at a ratio of 1 it may")
  }

  @Test func aPoolThatHasNothingTakesNothing() throws {
    #expect(try virtualFree(.make(total: 0, free: 0)) == .zero)
    #expect(try virtualFree(.make(total: 0, free: 0, thin: true, ratio: 20)) == .zero)
  }

  @Test func moreFreeThanThereIsDoesNotHelp() throws {
    #expect(try virtualFree(.make(total: 10, free: 100)) == .gibibytes(10))
    #expect(try virtualFree(.make(total: 10, free: 100, thin: true)) == .gibibytes(10))
  }

  @Test func hugeFiguresDoNotOverflow() {
    for thin in [true, false] {
      var pool = PoolState.make(thin: thin, ratio: 1e300)
      pool.report.total = ByteCount(.max)
      pool.report.free = ByteCount(.max)
      pool.report.foreignProvisioned = ByteCount(.max)
      pool.promised = ByteCount(.max)
      pool.unconfirmed = ByteCount(.max)
      #expect(PoolCapacity(of: pool)?.virtualFree == .zero)
    }
  }

  @Test func reportsThatCannotBeTrueAreNotBelieved() throws {
    let flaws: [(inout PoolReport) -> Void] = [
      { $0.total = ByteCount(-1) }, { $0.free = ByteCount(-1) }, { $0.foreignProvisioned = ByteCount(-1) },
      { $0.reservedPercentage = -1 }, { $0.reservedPercentage = 101 }, { $0.maxOverSubscriptionRatio = .nan },
      { $0.maxOverSubscriptionRatio = .infinity }, { $0.maxOverSubscriptionRatio = -1 },
      { $0.maxOverSubscriptionRatio = 0 }, { $0.maxOverSubscriptionRatio = .signalingNaN },
    ]
    for flaw in flaws {
      var pool = PoolState.make(thin: true)
      flaw(&pool.report)
      #expect(PoolCapacity(of: pool) == nil)
      let reason = try #require(CapacityFilter().refusal(PlacementRequest(size: ByteCount(1)), pool))
      #expect(reason.hasPrefix("reports ") && reason.hasSuffix("which can't be"))
    }
    #expect(PoolCapacity.flaw(in: PoolState.make().report) == nil)
  }

  @Test func theReasonHasTheNumbersInIt() throws {
    func reason(_ pool: PoolState, _ size: Int) throws -> String {
      try #require(CapacityFilter().refusal(PlacementRequest(size: .gibibytes(size)), pool))
    }
    #expect(
      try reason(.make(promised: 95), 10)
        == "has promised 95 GiB of at most 100 GiB, so 10 GiB do not fit; 100 GiB of 100 GiB are physically free")
    #expect(
      try reason(.make(thin: true, reserved: 10, ratio: 2, promised: 175), 10)
        == "has promised 175 GiB of at most 180 GiB (90 GiB usable × 2.0), so 10 GiB do not fit; "
        + "100 GiB of 100 GiB are physically free, of which 10 GiB are reserved")
    #expect(
      try reason(.make(free: 5), 10)
        == "has room for 5 GiB where 10 GiB are needed: 5 GiB of 100 GiB are physically free")
    #expect(
      try reason(.make(free: 10, thin: true, ratio: 3, promised: 105, unconfirmed: 15), 20)
        == "has room for 15 GiB where 20 GiB are needed: 10 GiB of 100 GiB are physically free, which carry 30 GiB at a "
        + "ratio of 3.0, less 15 GiB promised and not yet written")
    #expect(
      try reason(.make(free: 10, reserved: 10), 1)
        == "is full: 10 GiB of 100 GiB are physically free, of which 10 GiB are reserved")
    #expect(
      try reason(.make(total: 1000, free: 1, thin: true, ratio: 20), 1)
        == "is full: 1 GiB of 1000 GiB are physically free, and the last hundredth is kept for what is promised already"
    )
  }
}
