import PumiceModel

/// A volume as Cinder shows it.
struct VolumeResource: Encodable {
  struct Attached: Encodable {
    let id: String
    let attachmentID: String
    let volumeID: String
    @OrNull var serverID: String?
    @OrNull var hostName: String?
    @OrNull var device: String?
    @OrNull var attachedAt: String?

    enum CodingKeys: String, CodingKey {
      case id, device
      case attachmentID = "attachment_id"
      case volumeID = "volume_id"
      case serverID = "server_id"
      case hostName = "host_name"
      case attachedAt = "attached_at"
    }
  }

  let id: String
  let status: String
  let size: Int
  @OrNull var availabilityZone: String?
  let createdAt: String
  @OrNull var updatedAt: String?
  @OrNull var name: String?
  @OrNull var description: String?
  let volumeType: String
  @OrNull var snapshotID: String?
  @OrNull var sourceVolumeID: String?
  var metadata: [String: String]
  let links: [Link]
  let userID: String
  let bootable: String
  /// Where anything is noted of its image.
  let imageMetadata: [String: String]?
  let encrypted = false
  @OrNull var replicationStatus: String?
  @OrNull var consistencyGroupID: String?
  let multiattach: Bool
  let attachments: [Attached]
  @OrNull var migrationStatus: String?
  let project: String
  /// For admins: the pool.
  var host: OrNull<String>?
  var migrationStatusAttribute: OrNull<String>?
  var nameIDAttribute: OrNull<String>?
  /// Since 3.13.
  var groupID: OrNull<String>?
  /// Since 3.21, for admins.
  var providerID: OrNull<String>?
  /// Since 3.48. Nobody need lock out others: a target is one attachment's.
  var sharedTargets: Bool?
  var serviceUUID: OrNull<String>?
  /// Since 3.61, for admins.
  var clusterName: OrNull<String>?
  /// Since 3.63.
  var volumeTypeID: String?
  /// Since 3.65.
  var consumesQuota: Bool?

  init(_ row: VolumeRow, in view: VolumeView) {
    let volume = row.volume
    id = volume.id.description
    status = row.status
    size = volume.size.gibibytesRoundedUp
    createdAt = volume.createdAt.cinder
    volumeType = row.typeName
    metadata = volume.metadata
    // As in Cinder, it is among what the owner has noted.
    if volume.isReadOnly { metadata["readonly"] = "True" }
    links = view.links(to: volume.id)
    userID = volume.user
    multiattach = volume.isMultiattach
    bootable = volume.bootable == true ? "true" : "false"
    imageMetadata = volume.imageMetadata
    project = volume.project
    // As in Cinder, a disk that is still on its way is not listed.
    attachments = row.holders.filter { $0.state == .attached || ($0.state == .detaching && $0.attachedAt != nil) }.map {
      Attached(
        id: volume.id.description, attachmentID: $0.id.description, volumeID: volume.id.description,
        serverID: $0.instance?.description, hostName: view.showsHost ? $0.node ?? $0.client?.host : nil,
        device: $0.device.map { "/dev/\($0)" } ?? $0.client?.mountPoint,
        attachedAt: $0.attachedAt?.cinder)
    }
    snapshotID = volume.source?.snapshot?.description
    sourceVolumeID = volume.source.flatMap { $0.snapshot == nil ? $0.volume.description : nil }
    availabilityZone = volume.availabilityZone
    updatedAt = volume.updatedAt?.cinder
    name = volume.name.isEmpty ? nil : volume.name
    description = volume.summary.isEmpty ? nil : volume.summary
    let none = OrNull<String>(wrappedValue: nil)
    if view.showsHost {
      host = OrNull(wrappedValue: volume.pool?.description)
      migrationStatusAttribute = none
      nameIDAttribute = none
    }
    if view.tier >= Microversion(3, 13) { groupID = OrNull(wrappedValue: volume.group?.description) }
    if view.tier >= Microversion(3, 21), view.showsHost { providerID = none }
    if view.tier >= Microversion(3, 48) {
      sharedTargets = false
      serviceUUID = none
    }
    if view.tier >= Microversion(3, 61), view.showsHost { clusterName = none }
    if view.tier >= Microversion(3, 63) { volumeTypeID = volume.type.description }
    if view.tier >= Microversion(3, 65) { consumesQuota = true }
  }

  enum CodingKeys: String, CodingKey {
    case id, status, size, name, description, metadata, links, bootable, encrypted, multiattach, attachments
    case availabilityZone = "availability_zone"
    case createdAt = "created_at"
    case updatedAt = "updated_at"
    case volumeType = "volume_type"
    case snapshotID = "snapshot_id"
    case sourceVolumeID = "source_volid"
    case userID = "user_id"
    case replicationStatus = "replication_status"
    case consistencyGroupID = "consistencygroup_id"
    case migrationStatus = "migration_status"
    case imageMetadata = "volume_image_metadata"
    case project = "os-vol-tenant-attr:tenant_id"
    case host = "os-vol-host-attr:host"
    case migrationStatusAttribute = "os-vol-mig-status-attr:migstat"
    case nameIDAttribute = "os-vol-mig-status-attr:name_id"
    case groupID = "group_id"
    case providerID = "provider_id"
    case sharedTargets = "shared_targets"
    case serviceUUID = "service_uuid"
    case clusterName = "cluster_name"
    case volumeTypeID = "volume_type_id"
    case consumesQuota = "consumes_quota"
  }
}

/// A volume as lists without detail show it.
struct VolumeReference: Encodable {
  let id: String
  @OrNull var name: String?
  let links: [Link]

  init(_ row: VolumeRow, in view: VolumeView) {
    id = row.volume.id.description
    links = view.links(to: row.volume.id)
    name = row.volume.name.isEmpty ? nil : row.volume.name
  }
}
