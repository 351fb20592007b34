import PumiceModel

/// Who makes a request, and for which project.
struct Caller: Sendable, Equatable {
  typealias Role = PumiceModel.Role

  var project: ProjectID
  var user: String
  var role: Role

  /// The project whose rows the caller may reach by id; `nil` is every project.
  var scope: ProjectID? { role == .admin ? nil : project }
}

/// What a route needs, and the least role that has it: the whole policy.
///
/// Every role below `admin` reaches only its own project; the rest looks like it is not there.
enum Permission: Sendable, CaseIterable {
  case readVolumes, writeVolumes, resetVolumeStatus
  case readSnapshots, writeSnapshots, resetSnapshotStatus
  case readTypes, writeTypes
  case readQuotas, writeQuotas
  case readZones
  case readServices, writeServices, readPools
  case readMessages, deleteMessages
  case readServers, attachVolumes
  case readNodes, writeNodes, diagnose

  var leastRole: Caller.Role {
    switch self {
    case .readVolumes, .readSnapshots, .readTypes, .readQuotas, .readZones, .readMessages, .readServers: .reader
    case .writeVolumes, .writeSnapshots, .deleteMessages, .attachVolumes: .member
    case .resetVolumeStatus, .resetSnapshotStatus, .writeTypes, .writeQuotas, .readServices, .writeServices, .readPools,
      .readNodes,
      .writeNodes, .diagnose:
      .admin
    }
  }
}
