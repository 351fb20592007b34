/// One question that every pool must pass before it is weighed. The raw value is its name in Cinder where it has one.
///
/// They are asked in this order: first what will never change, last what changes by the second.
enum PoolFilter: String, Sendable, CaseIterable {
  case availabilityZone = "AvailabilityZoneFilter"
  case capabilities = "CapabilitiesFilter"
  /// Pools that failed this volume are not asked again.
  case attempted = "IgnoreAttemptedHostsFilter"
  case near = "SameBackendFilter"
  case apart = "DifferentBackendFilter"
  case local = "InstanceLocalityFilter"
  /// The node is up and enabled, and the pool itself works.
  case service = "ServiceFilter"
  case capacity = "CapacityFilter"
}

/// Whether there is room, as `PoolCapacity` counts it. Also asked alone, when a volume is to grow on the pool it is on.
public struct CapacityFilter: Sendable {
  public init() {}

  /// Why the pool has no room for a request of this size; `nil` when it has.
  public func refusal(_ request: PlacementRequest, _ pool: PoolState) -> String? {
    refusal(of: request.size, by: pool)
  }

  func refusal(of size: ByteCount, by pool: PoolState) -> String? {
    guard let capacity = PoolCapacity(of: pool) else {
      return (PoolCapacity.flaw(in: pool.report) ?? "sent an unusable report") + ", which can't be"
    }
    return capacity.refusal(of: size, on: pool.report)
  }
}

/// A request, read once for all pools.
struct PlacementDemand: Sendable {
  let size: ByteCount
  let availabilityZone: String?
  let extraSpecs: ExtraSpecs
  let excluded: [PoolName]
  let neighbours: PlacementNeighbours

  init(_ request: PlacementRequest) {
    size = request.size
    availabilityZone = request.availabilityZone
    extraSpecs = ExtraSpecs(request.extraSpecs)
    excluded = request.excluded
    neighbours = request.neighbours
  }

  /// What the pool can take, when it passes all filters. Makes no text: of most pools nobody asks why.
  func capacity(of pool: PoolState) -> PoolCapacity? {
    guard pool.isNodeUp, pool.isNodeEnabled, pool.report.downReason == nil,
      availabilityZone == nil || availabilityZone == pool.availabilityZone,
      let capacity = PoolCapacity(of: pool), size <= capacity.virtualFree,
      extraSpecs.areMet(by: pool),
      excluded.isEmpty || !excluded.contains(pool.name), neighbours.admitsNear(pool.name),
      neighbours.admitsApart(pool.name), neighbours.admitsNode(pool.name)
    else { return nil }
    return capacity
  }

  /// The first filter that says no, with its reason; `nil` for a pool that passes all.
  func refusal(by pool: PoolState) -> PoolRefusal? {
    for filter in PoolFilter.allCases {
      if let reason = reason(of: filter, against: pool) {
        return PoolRefusal(pool: pool.name, filter: filter.rawValue, reason: reason)
      }
    }
    return nil
  }

  private func reason(of filter: PoolFilter, against pool: PoolState) -> String? {
    switch filter {
    case .availabilityZone:
      guard let availabilityZone, availabilityZone != pool.availabilityZone else { return nil }
      return "is in availability zone \(pool.availabilityZone), not in \(availabilityZone)"
    case .capabilities:
      return extraSpecs.firstUnmet(by: pool)?.reason(on: pool)
    case .attempted:
      return excluded.contains(pool.name) ? "was tried for this volume and failed" : nil
    case .near:
      return neighbours.admitsNear(pool.name) ? nil : "is on a backend with none of the volumes that same_host names"
    case .apart:
      return neighbours.admitsApart(pool.name) ? nil : "is on a backend with a volume that different_host names"
    case .local:
      return neighbours.admitsNode(pool.name) ? nil : "is not on the node of the instance that local_to_instance names"
    case .service:
      if !pool.isNodeUp { return "is on node \(pool.name.node), which is down" }
      if !pool.isNodeEnabled {
        let why = pool.disabledReason.map { ": \($0)" } ?? ""
        return "is on node \(pool.name.node), which is disabled\(why)"
      }
      return pool.report.downReason.map { "is down: \($0)" }
    case .capacity:
      return CapacityFilter().refusal(of: size, by: pool)
    }
  }
}
