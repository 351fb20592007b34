/// Picks the pool of a new volume: filters, then weighs. A pure function of what is handed in.
///
/// Whoever calls it inserts the volume in the same transaction that the pools were read in, so that what one placement
/// promises counts for the next.
public struct Scheduler: Sendable {
  struct Candidate {
    let index: Int
    let virtualFree: ByteCount
  }

  public var weighing: PoolWeighing

  public init(weighing: PoolWeighing = .byCapacity) { self.weighing = weighing }

  /// The best of the pools that pass all filters, or every pool's reason.
  ///
  /// Pools with the same score share volumes: `roll`, any random number, decides between them. The same roll over the same
  /// pools gives the same answer.
  public func place(
    _ request: PlacementRequest, on pools: [PoolState], roll: UInt64
  ) -> Placement {
    let demand = PlacementDemand(request)
    var candidates: [Candidate] = []
    candidates.reserveCapacity(pools.count)
    // Through the buffer, since a copy of each pool would cost more than all filters together.
    pools.withUnsafeBufferPointer { pools in
      for index in pools.indices {
        if let capacity = demand.capacity(of: pools[index]) {
          candidates.append(Candidate(index: index, virtualFree: capacity.virtualFree))
        }
      }
    }
    guard let best = best(of: candidates, among: pools, roll: roll) else {
      return .refused(pools.compactMap { demand.refusal(by: $0) })
    }
    return .placed(pools[best.index].name, availabilityZone: pools[best.index].availabilityZone)
  }

  /// Why this pool can't take it; `nil` when it can.
  public func refusal(of request: PlacementRequest, by pool: PoolState) -> PoolRefusal? {
    PlacementDemand(request).refusal(by: pool)
  }

  private func best(
    of candidates: [Candidate], among pools: [PoolState], roll: UInt64
  ) -> Candidate? {
    let scores = weighing.scores(of: candidates, among: pools)
    guard let highest = scores.max() else { return nil }
    let ties = scores.count { $0 == highest }
    var skipped = Int(roll % UInt64(ties))
    for position in scores.indices where scores[position] == highest {
      if skipped == 0 { return candidates[position] }
      skipped -= 1
    }
    return nil
  }
}
