import Logging
import PumiceModel
import Yams

/// One backend of the configuration's list. A new kind is a line in each function here.
public enum BackendConfiguration: Sendable, Equatable {
  case directory(DirectoryBackendConfiguration)
  case lvm(LVMBackendConfiguration)
  case memory(InMemoryBackendConfiguration)
  case nfs(NFSBackendConfiguration)

  /// By the `kind` of an entry: the keys it may have, and how it is read.
  private static let kinds: [String: (keys: [String], read: @Sendable (Yams.Node) throws -> Self)] = [
    "directory": (["path", "provisioning"], { .directory(try YAMLDecoder().decode(from: $0)) }),
    "lvm": (
      [
        "volume_group", "thin_pool", "provisioning", "wipe", "wipe_bandwidth", "snapshot_reserve", "max_data_percent",
        "max_metadata_percent", "min_mda_free", "auto_extend", "extend_at", "extend_by",
      ], { .lvm(try YAMLDecoder().decode(from: $0)) }
    ),
    "nfs": (
      ["shares", "access", "format", "provisioning", "user", "group", "timeout"],
      { .nfs(try YAMLDecoder().decode(from: $0)) }
    ),
    "memory": (["pools"], { .memory(try YAMLDecoder().decode(from: $0)) }),
  ]
  private static let commonKeys = [
    "name", "kind", "reserved_percentage", "max_over_subscription_ratio", "capabilities",
  ]

  public var name: String {
    switch self {
    case .directory(let configuration): configuration.name
    case .lvm(let configuration): configuration.name
    case .memory(let configuration): configuration.name
    case .nfs(let configuration): configuration.name
    }
  }

  /// Opens what is configured. Throws when it can't hold volumes as it is.
  ///
  /// - Parameters:
  ///   - node: Whose backend it is.
  ///   - mounts: Where the node's shares are mounted.
  func open(on node: NodeName, mounts: ShareMounts, logger: Logger) async throws(StorageError) -> any VolumeBackend {
    switch self {
    case .directory(let configuration): try await DirectoryBackend.open(configuration, logger: logger)
    case .lvm(let configuration):
      try await BackendInWaiting.open(configuration.name, logger: logger) { () async throws(StorageError) in
        try await LVMBackend.open(configuration, logger: logger)
      }
    case .memory(let configuration): configuration.makeBackend(on: configuration.makeDisk())
    case .nfs(let configuration): try await NFSBackend.open(configuration, of: node, mounts: mounts, logger: logger)
    }
  }

  /// Throws `invalid` with the path of the key that is missing, unknown or of the wrong type.
  init(_ node: Yams.Node, at path: String) throws(StorageError) {
    guard case .mapping(let mapping) = node else { throw .invalid(path, "must be a mapping with name and kind.") }
    guard let kind = mapping["kind"]?.scalar?.string, let (keys, read) = Self.kinds[kind] else {
      throw .invalid("\(path).kind", "must be one of \(Self.kinds.keys.sorted().joined(separator: ", ")).")
    }
    for (key, _) in mapping where !(Self.commonKeys + keys).contains(key.string ?? "") {
      throw .invalid("\(path).\(key.string ?? "")", "is not a known key of a \(kind) backend.")
    }
    do {
      self = try read(node)
    } catch {
      throw Self.invalid(error, at: path)
    }
    do {
      try validate()
    } catch {
      let key = ([path] + (error.field.map { [$0] } ?? [])).joined(separator: ".")
      throw StorageError(error.code, "\(path).\(error.message)", field: key)
    }
  }

  private func validate() throws(StorageError) {
    switch self {
    case .directory(let configuration): try configuration.validate()
    case .lvm(let configuration): try configuration.validate()
    case .nfs(let configuration): try configuration.validate()
    case .memory(let configuration): try configuration.validateCommon()
    }
  }

  private static func invalid(_ error: any Error, at path: String) -> StorageError {
    func key(_ keys: [any CodingKey]) -> String { ([path] + keys.map(\.stringValue)).joined(separator: ".") }
    switch error as? DecodingError {
    case .keyNotFound(let missing, let context): return .invalid(key(context.codingPath + [missing]), "must be set.")
    case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
      return .invalid(key(context.codingPath), "has a value of the wrong type, or one that is not allowed.")
    case nil: return .invalid(path, "can't be read: \(error)")
    @unknown default: return .invalid(path, "can't be read.")
    }
  }
}
