public import PumiceModel
public import PumiceWire

/// What an operator says about an NFS backend (`kind: nfs`).
public struct NFSBackendConfiguration: BackendSettings, Codable, Sendable, Equatable {
  public enum Access: String, Codable, Sendable {
    /// `mount` where this agent can mount, else `libnfs`.
    case auto
    /// By the kernel.
    case mount
    /// In user space, with no mount and no root.
    case libnfs
  }

  public enum Provisioning: String, Codable, Sendable {
    case thin
    /// A volume takes all its blocks when it is made. Takes a mount, and a server that knows how (NFS 4.2).
    case thick
  }

  /// One share: a pool, named as it is written here.
  public struct Share: Codable, Sendable, Equatable {
    /// `host:/path`, or `[address]:/path`.
    public var share: String
    public var access: Access?
    /// For mount.nfs(8), such as `nconnect=4`.
    public var options: String?
    /// Whether everybody on the server may write to it, and this is wanted.
    public var allowEverybody: Bool

    public init(_ share: String, access: Access? = nil, options: String? = nil, allowEverybody: Bool = false) {
      self.share = share
      self.access = access
      self.options = options
      self.allowEverybody = allowEverybody
    }

    private enum CodingKeys: String, CodingKey {
      case share, access, options
      case allowEverybody = "allow_everybody"
    }

    /// A mapping, or the share alone.
    public init(from decoder: any Decoder) throws {
      if let share = try? decoder.singleValueContainer().decode(String.self) {
        self.init(share)
        return
      }
      let keys = try decoder.container(keyedBy: CodingKeys.self)
      self.init(
        try keys.decode(String.self, forKey: .share), access: try keys.decodeIfPresent(Access.self, forKey: .access),
        options: try keys.decodeIfPresent(String.self, forKey: .options),
        allowEverybody: try keys.decodeIfPresent(Bool.self, forKey: .allowEverybody) ?? false)
    }
  }

  /// Unique on the node.
  public var name: String
  public var shares: [Share]
  /// Of shares that say nothing else.
  public var access: Access
  public var format: SharedImage.Format
  public var provisioning: Provisioning
  /// The owner of files, and as whom the server is asked.
  public var user: UInt32
  public var group: UInt32
  /// How long the server has for each answer, in seconds.
  public var timeout: Int
  public var reservedPercentage: Int
  public var maxOverSubscriptionRatio: Double
  /// Further capabilities for extra specs to match; they win over those the driver reports by itself.
  public var capabilities: [String: [String]]

  public init(
    name: String, shares: [Share], access: Access = .auto, format: SharedImage.Format = .raw,
    provisioning: Provisioning = .thin, user: UInt32 = 0, group: UInt32 = 0, timeout: Int = 30,
    reservedPercentage: Int = 5, maxOverSubscriptionRatio: Double = 10,
    capabilities: [String: [String]] = [:]
  ) {
    self.name = name
    self.shares = shares
    self.access = access
    self.format = format
    self.provisioning = provisioning
    self.user = user
    self.group = group
    self.timeout = timeout
    self.reservedPercentage = reservedPercentage
    self.maxOverSubscriptionRatio = maxOverSubscriptionRatio
    self.capabilities = capabilities
  }

  /// Throws `invalid`, with the key's name, for what can't work.
  public func validate() throws(StorageError) {
    try validateCommon()
    guard !shares.isEmpty else { throw .invalid("shares", "of backend \(name) must name one share at least.") }
    var seen: Set<NFSShare> = []
    for share in shares {
      let parsed = try NFSShare(share.share)
      guard seen.insert(parsed).inserted else {
        throw .invalid("shares", "of backend \(name) must differ; \(share.share) is there twice.")
      }
      if let options = share.options, options.isEmpty || options.contains(where: { $0.isWhitespace || $0 == "\\" }) {
        throw .invalid(
          "options", "of share \(share.share) must be words with commas between them; they are \"\(options)\".")
      }
    }
    if provisioning == .thick, access == .libnfs || shares.contains(where: { $0.access == .libnfs }) {
      throw .invalid("provisioning", "of backend \(name) can't be thick where shares are reached through libnfs.")
    }
    if provisioning == .thick, format == .qcow2 {
      throw .invalid("provisioning", "of backend \(name) can't be thick with the format qcow2.")
    }
    if !(1...600).contains(timeout) {
      throw .invalid("timeout", "of backend \(name) must be from 1 to 600 seconds; it is \(timeout).")
    }
  }

  private enum CodingKeys: String, CodingKey {
    case name, shares, access, format, provisioning, user, group, timeout, capabilities
    case reservedPercentage = "reserved_percentage"
    case maxOverSubscriptionRatio = "max_over_subscription_ratio"
  }

  public init(from decoder: any Decoder) throws {
    let keys = try decoder.container(keyedBy: CodingKeys.self)
    self.init(
      name: try keys.decode(String.self, forKey: .name), shares: try keys.decode([Share].self, forKey: .shares))
    access = try keys.decodeIfPresent(Access.self, forKey: .access) ?? access
    format = try keys.decodeIfPresent(SharedImage.Format.self, forKey: .format) ?? format
    provisioning = try keys.decodeIfPresent(Provisioning.self, forKey: .provisioning) ?? provisioning
    user = try keys.decodeIfPresent(UInt32.self, forKey: .user) ?? user
    group = try keys.decodeIfPresent(UInt32.self, forKey: .group) ?? group
    timeout = try keys.decodeIfPresent(Int.self, forKey: .timeout) ?? timeout
    reservedPercentage = try keys.decodeIfPresent(Int.self, forKey: .reservedPercentage) ?? reservedPercentage
    maxOverSubscriptionRatio =
      try keys.decodeIfPresent(Double.self, forKey: .maxOverSubscriptionRatio) ?? maxOverSubscriptionRatio
    capabilities = try keys.decodeIfPresent([String: OneOrMany].self, forKey: .capabilities)?.mapValues(\.values) ?? [:]
  }
}
