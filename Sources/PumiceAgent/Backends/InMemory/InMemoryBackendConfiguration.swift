import PumiceModel

/// What an operator says about a backend in memory (`kind: memory`), for a fleet on a laptop. It is empty after each start.
public struct InMemoryBackendConfiguration: BackendSettings, Codable, Sendable, Equatable {
  public var name: String
  /// The size of each pool, in gibibytes.
  public var pools: [String: Int]
  public var reservedPercentage: Int
  public var maxOverSubscriptionRatio: Double
  public var capabilities: [String: [String]]

  public init(
    name: String, pools: [String: Int]? = nil, reservedPercentage: Int = 0, maxOverSubscriptionRatio: Double = 10,
    capabilities: [String: [String]] = [:]
  ) {
    self.name = name
    self.pools = pools ?? [name: 1024]
    self.reservedPercentage = reservedPercentage
    self.maxOverSubscriptionRatio = maxOverSubscriptionRatio
    self.capabilities = capabilities
  }

  /// An empty disk of these sizes.
  public func makeDisk() -> InMemoryDisk { InMemoryDisk(pools: pools.mapValues { ByteCount.gibibytes($0) }) }

  public func makeBackend(on disk: InMemoryDisk) -> InMemoryBackend {
    InMemoryBackend(
      name: name, disk: disk, reservedPercentage: reservedPercentage,
      maxOverSubscriptionRatio: maxOverSubscriptionRatio, capabilities: capabilities)
  }

  private enum CodingKeys: String, CodingKey {
    case name, pools, capabilities
    case reservedPercentage = "reserved_percentage"
    case maxOverSubscriptionRatio = "max_over_subscription_ratio"
  }

  public init(from decoder: any Decoder) throws {
    let keys = try decoder.container(keyedBy: CodingKeys.self)
    self.init(
      name: try keys.decode(String.self, forKey: .name),
      pools: try keys.decodeIfPresent([String: Int].self, forKey: .pools))
    reservedPercentage = try keys.decodeIfPresent(Int.self, forKey: .reservedPercentage) ?? reservedPercentage
    maxOverSubscriptionRatio =
      try keys.decodeIfPresent(Double.self, forKey: .maxOverSubscriptionRatio) ?? maxOverSubscriptionRatio
    capabilities = try keys.decodeIfPresent([String: OneOrMany].self, forKey: .capabilities)?.mapValues(\.values) ?? [:]
  }
}
