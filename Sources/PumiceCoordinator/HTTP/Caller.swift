import PumiceModel

/// Who makes a request, and for which project.
struct Caller: Sendable, Equatable {
  enum Role: String, Sendable, Comparable, CaseIterable {
    /// Sees what its project has.
    case reader
    /// Also changes what its project has.
    case member
    /// Does everything, everywhere.
    case admin

    static func < (left: Self, right: Self) -> Bool { left.rank < right.rank }

    private var rank: Int {
      switch self {
      case .reader: 0
      case .member: 1
      case .admin: 2
      }
    }
  }

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
