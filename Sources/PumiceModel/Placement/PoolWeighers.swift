/// One reason to prefer a pool over others that would do as well. The raw value is its
/// name in the configuration; Cinder's is the same with `_weight_multiplier` or `Weigher` behind it.
public enum PoolWeigher: String, Sendable, CaseIterable {
  /// By what the pool can still take. With a positive multiplier volumes spread, with a negative one they stack.
  case capacity = "capacity"
  /// By the virtual size of our volumes there. Usually with a negative multiplier.
  case allocatedCapacity = "allocated_capacity"
  /// By the number of our volumes there. Usually with a negative multiplier.
  case volumeNumber = "volume_number"

  func weight(of pool: PoolState, virtualFree: ByteCount) -> Double {
    switch self {
    case .capacity: Double(virtualFree.bytes)
    case .allocatedCapacity: Double(pool.promised.bytes)
    case .volumeNumber: Double(pool.volumeCount)
    }
  }
}

/// The weighers in use, each with its multiplier.
public struct PoolWeighing: Sendable, Equatable {
  let multipliers: [(weigher: PoolWeigher, factor: Double)]

  /// Cinder's default: most room first.
  public static let byCapacity = PoolWeighing(multipliers: [(.capacity, 1)])

  /// Reads multipliers by the weighers' names, such as `["capacity": 1]`. A factor of 0 turns a weigher off.
  ///
  /// - Throws: `invalid`, with the name, for an unknown weigher or a factor that is not a finite number.
  public init(_ factors: [String: Double]) throws(StorageError) {
    var multipliers: [(weigher: PoolWeigher, factor: Double)] = []
    for (name, factor) in factors.sorted(by: { $0.key < $1.key }) {
      guard let weigher = PoolWeigher(rawValue: name) else {
        let known = PoolWeigher.allCases.map(\.rawValue).joined(separator: ", ")
        throw .invalid(name, "is not a weigher; there are \(known).")
      }
      guard factor.isFinite else { throw .invalid(name, "must have a finite multiplier, not \(factor).") }
      if factor != 0 { multipliers.append((weigher, factor)) }
    }
    self.init(multipliers: multipliers)
  }

  private init(multipliers: [(weigher: PoolWeigher, factor: Double)]) { self.multipliers = multipliers }

  public static func == (left: Self, right: Self) -> Bool {
    left.multipliers.elementsEqual(right.multipliers) { $0 == $1 }
  }

  /// The score of each candidate: Σ factor × (weight − least) / (greatest − least). Where all weigh the same, that is 0.
  func scores(of candidates: [Scheduler.Candidate], among pools: [PoolState]) -> [Double] {
    var scores = [Double](repeating: 0, count: candidates.count)
    for (weigher, factor) in multipliers {
      let weights = candidates.map { weigher.weight(of: pools[$0.index], virtualFree: $0.virtualFree) }
      guard let least = weights.min(), let greatest = weights.max(), greatest > least else { continue }
      let scale = factor / (greatest - least)
      for position in weights.indices { scores[position] += (weights[position] - least) * scale }
    }
    return scores
  }
}
