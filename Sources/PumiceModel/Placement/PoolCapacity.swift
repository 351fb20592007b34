/// What a pool can still take, and the figures this follows from.
///
/// Physical free space always counts, so that a full pool is refused however much it may promise:
///
///     reserved    = ⌊total × reservedPercentage / 100⌋         kept free of volumes
///     usable      = total − reserved
///     provisioned = foreignProvisioned + promised               virtual sizes
///     thick:  virtualFree = min(usable − provisioned,           what has not been promised
///                               free − reserved − unconfirmed)  what is there
///     thin:   virtualFree = min(usable × ratio − provisioned,
///                               spare × ratio − outstanding)
///             spare       = free − reserved; 0 on an over-subscribed pool where less than a hundredth of it is free
///             outstanding = max(unconfirmed, provisioned − used), what is promised and not yet written
///
/// The ratio thus holds twice for thin pools: all promises against the whole pool (Cinder has only this one, and fills
/// pools to the brim), and the promises that are still to be written against what is physically free.
public struct PoolCapacity: Sendable, Equatable {
  public let total: ByteCount
  public let free: ByteCount
  public let reserved: ByteCount
  /// How much may be promised in all: `usable`, times the ratio where the pool is thin.
  public let limit: ByteCount
  public let provisioned: ByteCount
  /// What is physically free for volumes; times the ratio where the pool is thin.
  public let physicalLimit: ByteCount
  /// What is still to be written to that free space by volumes that are promised already.
  public let outstanding: ByteCount
  /// The largest volume the pool takes; 0 when it takes none.
  public let virtualFree: ByteCount

  /// - Returns: `nil` for a report that can't be true, see `flaw(in:)`.
  public init?(of pool: PoolState) {
    let report = pool.report
    guard Self.isPlausible(report) else { return nil }
    let total = report.total.bytes
    let free = min(report.free.bytes, total)
    let percentage = Int64(report.reservedPercentage)
    let reserved = total / 100 * percentage + total % 100 * percentage / 100
    let provisioned = Self.sum(report.foreignProvisioned.bytes, max(0, pool.promised.bytes))
    let unconfirmed = max(0, pool.unconfirmed.bytes)
    let usable = ByteCount(total - reserved)
    let spare = ByteCount(max(0, free - reserved))

    self.total = report.total
    self.free = ByteCount(free)
    self.reserved = ByteCount(reserved)
    self.provisioned = ByteCount(provisioned)
    if report.isThin {
      let ratio = report.maxOverSubscriptionRatio
      let isNearlyFull = ratio > 1 && free < total / 100
      limit = usable.scaled(by: ratio)
      physicalLimit = isNearlyFull ? .zero : spare.scaled(by: ratio)
      outstanding = ByteCount(max(unconfirmed, provisioned - (total - free)))
    } else {
      limit = usable
      physicalLimit = spare
      outstanding = ByteCount(unconfirmed)
    }
    virtualFree = max(.zero, min(limit - self.provisioned, physicalLimit - outstanding))
  }

  /// Why a volume of this size, or a volume that grows by it, does not fit; `nil` when it does.
  public func refusal(of size: ByteCount, on report: PoolReport) -> String? {
    guard size > virtualFree else { return nil }
    let kept = reserved == .zero ? "" : ", of which \(reserved) are reserved"
    let facts = "\(free) of \(total) are physically free\(kept)"
    let ratio = report.maxOverSubscriptionRatio
    if limit - provisioned < size {
      let most = report.isThin ? "\(limit) (\(total - reserved) usable × \(ratio))" : "\(limit)"
      return "has promised \(provisioned) of at most \(most), so \(size) do not fit; \(facts)"
    }
    if physicalLimit == .zero {
      let rule = free > reserved ? ", and the last hundredth is kept for what is promised already" : ""
      return "is full: \(facts)\(rule)"
    }
    let room = max(.zero, physicalLimit - outstanding)
    let carried = report.isThin ? ", which carry \(physicalLimit) at a ratio of \(ratio)" : ""
    let promised = outstanding == .zero ? "" : ", less \(outstanding) promised and not yet written"
    return "has room for \(room) where \(size) are needed: \(facts)\(carried)\(promised)"
  }

  /// What can't be true about a report; `nil` when it is plausible.
  public static func flaw(in report: PoolReport) -> String? {
    if report.total.bytes < 0 { return "reports a total of \(report.total.bytes) bytes" }
    if report.free.bytes < 0 { return "reports \(report.free.bytes) bytes free" }
    if report.foreignProvisioned.bytes < 0 {
      return "reports \(report.foreignProvisioned.bytes) bytes provisioned by others"
    }
    if !(0...100).contains(report.reservedPercentage) {
      return "reports a reserved percentage of \(report.reservedPercentage)"
    }
    let ratio = report.maxOverSubscriptionRatio
    return ratio.isFinite && ratio > 0 ? nil : "reports an over-subscription ratio of \(ratio)"
  }

  private static func isPlausible(_ report: PoolReport) -> Bool {
    report.total.bytes >= 0 && report.free.bytes >= 0 && report.foreignProvisioned.bytes >= 0
      && report.reservedPercentage >= 0 && report.reservedPercentage <= 100
      && report.maxOverSubscriptionRatio.isFinite && report.maxOverSubscriptionRatio > 0
  }

  /// The sum of two non-negative numbers, never over what still leaves room to subtract.
  private static func sum(_ left: Int64, _ right: Int64) -> Int64 {
    let (sum, overflow) = left.addingReportingOverflow(right)
    return overflow ? .max : sum
  }
}
