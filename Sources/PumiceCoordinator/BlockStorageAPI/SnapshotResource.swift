import PumiceModel

/// A snapshot as Cinder shows it.
struct SnapshotResource: Encodable {
  let id: String
  let createdAt: String
  @OrNull var updatedAt: String?
  @OrNull var name: String?
  @OrNull var description: String?
  let volumeID: String
  let status: String
  let size: Int
  let metadata: [String: String]
  /// How far taking it has come, in percent.
  var progress: String?
  var project: String?
  /// Ours: `crash` or `quiesced`; `null` when no instance had the volume.
  var consistency: OrNull<String>?
  /// Since 3.14.
  var groupSnapshotID: OrNull<String>?
  /// Since 3.41.
  var userID: String?
  /// Since 3.65.
  var consumesQuota: Bool?

  init(_ row: SnapshotRow, in view: SnapshotView, detailed: Bool) {
    let snapshot = row.snapshot
    id = snapshot.id.description
    createdAt = snapshot.createdAt.cinder
    volumeID = snapshot.volume.description
    status = row.status
    size = snapshot.size.gibibytesRoundedUp
    metadata = snapshot.metadata
    updatedAt = snapshot.updatedAt?.cinder
    name = snapshot.name.isEmpty ? nil : snapshot.name
    description = snapshot.summary.isEmpty ? nil : snapshot.summary
    guard detailed else { return }
    progress = Self.progress(of: snapshot)
    project = snapshot.project
    consistency = OrNull(wrappedValue: snapshot.state == .creating ? nil : snapshot.consistency?.rawValue)
    if view.tier >= Microversion(3, 14) { groupSnapshotID = OrNull(wrappedValue: snapshot.groupSnapshot?.description) }
    if view.tier >= Microversion(3, 41) { userID = snapshot.user }
    if view.tier >= Microversion(3, 65) { consumesQuota = true }
  }

  private static func progress(of snapshot: Snapshot) -> String {
    switch snapshot.state {
    case .creating: "\(Int((snapshot.retry.progress ?? 0) * 100))%"
    case .available, .deleting: "100%"
    case .error, .deleted: "0%"
    }
  }

  enum CodingKeys: String, CodingKey {
    case id, status, size, name, description, metadata
    case createdAt = "created_at"
    case updatedAt = "updated_at"
    case volumeID = "volume_id"
    case progress = "os-extended-snapshot-attributes:progress"
    case project = "os-extended-snapshot-attributes:project_id"
    case consistency = "pumice:consistency"
    case groupSnapshotID = "group_snapshot_id"
    case userID = "user_id"
    case consumesQuota = "consumes_quota"
  }
}
