/// Where a volume is to be in relation to other things (Cinder's scheduler hints).
public struct PlacementHints: Sendable, Equatable, Codable {
  /// On a backend that has at least one of these.
  public var sameBackend: [VolumeID]
  /// On a backend that has none of these.
  public var differentBackend: [VolumeID]
  /// On the node that runs this instance.
  public var instance: InstanceID?

  public init(sameBackend: [VolumeID] = [], differentBackend: [VolumeID] = [], instance: InstanceID? = nil) {
    self.sameBackend = sameBackend
    self.differentBackend = differentBackend
    self.instance = instance
  }

  public var isEmpty: Bool { self == PlacementHints() }
}

/// The same as places, as they are known when a pool is looked for.
public struct PlacementNeighbours: Sendable, Equatable {
  /// `nil` is anywhere; an empty list is nowhere.
  public var near: [PoolName]?
  public var apart: [PoolName]
  /// `nil` is any; an empty text is none.
  public var node: NodeName?

  public init(near: [PoolName]? = nil, apart: [PoolName] = [], node: NodeName? = nil) {
    self.near = near
    self.apart = apart
    self.node = node
  }

  func admitsNear(_ pool: PoolName) -> Bool { near?.contains { $0.isOnBackend(of: pool) } ?? true }
  func admitsApart(_ pool: PoolName) -> Bool { !apart.contains { $0.isOnBackend(of: pool) } }
  func admitsNode(_ pool: PoolName) -> Bool { node == nil || node == pool.node }
}

extension PoolName {
  fileprivate func isOnBackend(of other: PoolName) -> Bool { node == other.node && backend == other.backend }
}
