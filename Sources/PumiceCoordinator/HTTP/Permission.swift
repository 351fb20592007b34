import PumiceModel

/// What a route or an action needs.
enum Permission: Sendable, CaseIterable {
  case readVolumes, writeVolumes, resetVolumeStatus, manageVolumes
  case readSnapshots, writeSnapshots, resetSnapshotStatus, manageSnapshots
  case readTypes, writeTypes
  case readQuotas, writeQuotas
  case readZones
  case readServices, writeServices, readPools
  case readMessages, deleteMessages
  case readServers, attachVolumes, reportEvents
  case readNodes, writeNodes, diagnose

  /// The policy, all of it: the least role that has a permission. How far a role reaches is `Caller.scope`.
  var leastRole: Caller.Role {
    switch self {
    case .readVolumes: .reader
    case .writeVolumes: .member
    case .resetVolumeStatus: .admin
    case .manageVolumes: .admin

    case .readSnapshots: .reader
    case .writeSnapshots: .member
    case .resetSnapshotStatus: .admin
    case .manageSnapshots: .admin

    case .readTypes: .reader
    case .writeTypes: .admin

    case .readQuotas: .reader
    case .writeQuotas: .admin

    case .readZones: .reader
    case .readServices: .admin
    case .writeServices: .admin
    case .readPools: .admin

    case .readMessages: .reader
    case .deleteMessages: .member

    case .readServers: .reader
    case .attachVolumes: .member
    case .reportEvents: .service

    case .readNodes: .admin
    case .writeNodes: .admin
    case .diagnose: .admin
    }
  }
}

extension Caller {
  /// - Throws: `forbidden` unless the caller's role has the permission that something needs.
  func require(_ permission: Permission, for what: String) throws(StorageError) {
    guard role >= permission.leastRole else {
      throw StorageError(
        .forbidden, "\(what) needs the role \(permission.leastRole.rawValue); yours is \(role.rawValue).")
    }
  }
}
