public import PumiceModel

/// What an operator says about a directory backend (`kind: directory`).
public struct DirectoryBackendConfiguration: BackendSettings, Codable, Sendable, Equatable {
  public enum Provisioning: String, Codable, Sendable {
    /// A volume takes the blocks it has been written to.
    case thin
    /// A volume takes all its blocks when it is made.
    case thick
  }

  /// Unique on the node; the name of its only pool as well.
  public var name: String
  /// An existing folder, absolute, not a symbolic link, writable by nobody but its owner and group.
  public var path: String
  public var provisioning: Provisioning
  /// Kept free of volumes, in percent.
  public var reservedPercentage: Int
  /// How far thin volumes may promise more than there is.
  public var maxOverSubscriptionRatio: Double
  /// Further capabilities for extra specs to match; they win over those the driver reports by itself.
  public var capabilities: [String: [String]]

  public init(
    name: String, path: String, provisioning: Provisioning = .thin, reservedPercentage: Int = 5,
    maxOverSubscriptionRatio: Double = 10, capabilities: [String: [String]] = [:]
  ) {
    self.name = name
    self.path = path
    self.provisioning = provisioning
    self.reservedPercentage = reservedPercentage
    self.maxOverSubscriptionRatio = maxOverSubscriptionRatio
    self.capabilities = capabilities
  }

  /// Throws `invalid`, with the key's name, for what can't work.
  public func validate() throws(StorageError) {
    try validateCommon()
    if !path.hasPrefix("/") || path.contains(where: { ",\n".contains($0) }) {
      throw .invalid("path", "of backend \(name) must be absolute and have no commas; it is \"\(path)\".")
    }
  }

  private enum CodingKeys: String, CodingKey {
    case name, path, provisioning, capabilities
    case reservedPercentage = "reserved_percentage"
    case maxOverSubscriptionRatio = "max_over_subscription_ratio"
  }

  public init(from decoder: any Decoder) throws {
    let keys = try decoder.container(keyedBy: CodingKeys.self)
    self.init(
      name: try keys.decode(String.self, forKey: .name), path: try keys.decode(String.self, forKey: .path))
    provisioning = try keys.decodeIfPresent(Provisioning.self, forKey: .provisioning) ?? provisioning
    reservedPercentage = try keys.decodeIfPresent(Int.self, forKey: .reservedPercentage) ?? reservedPercentage
    maxOverSubscriptionRatio =
      try keys.decodeIfPresent(Double.self, forKey: .maxOverSubscriptionRatio) ?? maxOverSubscriptionRatio
    capabilities = try keys.decodeIfPresent([String: OneOrMany].self, forKey: .capabilities)?.mapValues(\.values) ?? [:]
  }
}
