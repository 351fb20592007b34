/// A pool as the scheduler sees it: its last report, its node, and what rows have promised there.
public struct PoolState: Sendable, Equatable {
  public let name: PoolName
  public var availabilityZone: String
  public var isNodeUp: Bool
  public var isNodeEnabled: Bool
  /// Why an operator disabled the node, in the operator's words.
  public var disabledReason: String?
  public var report: PoolReport
  /// The virtual size of all our volumes and snapshots on it, existing or on their way. A snapshot counts in full, also on
  /// a thin pool: as much may be written to its volume before it shares nothing with it any more.
  public var promised: ByteCount
  /// The part of `promised` that the report can't know of yet: not made, or made after the report.
  public var unconfirmed: ByteCount
  /// How many volumes make up `promised`.
  public var volumeCount: Int

  public init(
    name: PoolName, availabilityZone: String, isNodeUp: Bool = true, isNodeEnabled: Bool = true,
    disabledReason: String? = nil, report: PoolReport, promised: ByteCount = .zero, unconfirmed: ByteCount = .zero,
    volumeCount: Int = 0
  ) {
    self.name = name
    self.availabilityZone = availabilityZone
    self.isNodeUp = isNodeUp
    self.isNodeEnabled = isNodeEnabled
    self.disabledReason = disabledReason
    self.report = report
    self.promised = promised
    self.unconfirmed = unconfirmed
    self.volumeCount = volumeCount
  }
}

/// What a volume asks of a pool.
public struct PlacementRequest: Sendable, Equatable {
  public var size: ByteCount
  /// `nil` is any.
  public var availabilityZone: String?
  /// Those of the volume type.
  public var extraSpecs: [String: String]
  /// The pools that failed it already.
  public var excluded: [PoolName]
  public var neighbours = PlacementNeighbours()

  public init(
    size: ByteCount, availabilityZone: String? = nil, extraSpecs: [String: String] = [:], excluded: [PoolName] = []
  ) {
    self.size = size
    self.availabilityZone = availabilityZone
    self.extraSpecs = extraSpecs
    self.excluded = excluded
  }
}

/// What the scheduler answers.
public enum Placement: Sendable, Equatable {
  /// The pool, and the zone it is in.
  case placed(PoolName, availabilityZone: String)
  /// No pool fits; one reason per pool, in the order of the pools.
  case refused([PoolRefusal])
}

/// Why one pool can't take a volume: the first filter that said no, and a sentence.
public struct PoolRefusal: Sendable, Equatable {
  public let pool: PoolName
  /// The filter by its name in Cinder, such as `CapacityFilter`.
  public let filter: String
  public let reason: String

  public init(pool: PoolName, filter: String, reason: String) {
    self.pool = pool
    self.filter = filter
    self.reason = reason
  }

  /// One paragraph for the user: what was asked for, and every pool with its reason.
  ///
  /// Beyond `limit` pools the rest is counted by filter, since nobody reads ten thousand reasons in a sentence.
  public static func summary(
    _ refusals: [PoolRefusal], for request: PlacementRequest, listing limit: Int = 40
  ) -> String {
    let zone = request.availabilityZone.map { " in availability zone \($0)" } ?? ""
    guard !refusals.isEmpty else {
      return "No pool for \(request.size)\(zone): no node has reported a pool yet."
    }
    let listed = refusals.prefix(limit).map { "\($0.pool): \($0.reason) (\($0.filter))" }
    var message = "No pool for \(request.size)\(zone). " + listed.joined(separator: "; ")
    if refusals.count > limit {
      var counts: [String: Int] = [:]
      for refusal in refusals.dropFirst(limit) { counts[refusal.filter, default: 0] += 1 }
      let rest = counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { "\($0.value) by \($0.key)" }
      message += "; and \(refusals.count - limit) more: " + rest.joined(separator: ", ")
    }
    return message + "."
  }
}
