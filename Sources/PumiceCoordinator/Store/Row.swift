public import PumiceIdentity
public import PumiceModel

/// One row of the store: every kind of thing that the coordinator remembers.
public enum Row: Sendable, Equatable {
  case volume(Volume)
  case snapshot(Snapshot)
  case attachment(Attachment)
  case residue(Residue)
  case volumeType(VolumeType)
  case quota(QuotaSet)
  case node(Node)
  case message(UserMessage)
  case revocation(Revocation)
  case qosSpec(QoSSpec)
  case transfer(Transfer)
  case defaultType(DefaultVolumeType)
  case groupType(GroupType)
  case group(Group)
  case groupSnapshot(GroupSnapshot)
  /// What projects have that have no quota of their own, by the name of the class: only `default` is one.
  case quotaClass(QuotaSet)

  /// The tables, by their names in the database.
  public enum Table: String, Sendable, CaseIterable, Codable {
    case volumes, snapshots, attachments, residues
    case volumeTypes = "volume_types"
    case quotas, nodes, messages, revocations
    case qosSpecs = "qos_specs"
    case transfers
    case defaultTypes = "default_types"
    case quotaClasses = "quota_classes"
    case groupTypes = "group_types"
    case groups = "volume_groups"
    case groupSnapshots = "group_snapshots"
  }

  public struct Key: Hashable, Sendable {
    public let table: Table
    public let id: String
  }

  public var key: Key {
    switch self {
    case .volume(let volume): Key(table: .volumes, id: volume.id.description)
    case .snapshot(let snapshot): Key(table: .snapshots, id: snapshot.id.description)
    case .attachment(let attachment): Key(table: .attachments, id: attachment.id.description)
    case .residue(let residue):
      Key(table: .residues, id: "\(residue.key.snapshot?.description ?? "\(residue.key.volume)") \(residue.key.pool)")
    case .volumeType(let type): Key(table: .volumeTypes, id: type.id.description)
    case .quota(let quota): Key(table: .quotas, id: quota.project)
    case .node(let node): Key(table: .nodes, id: node.name)
    case .message(let message): Key(table: .messages, id: message.id.description)
    case .revocation(let revocation): Key(table: .revocations, id: revocation.audit)
    case .qosSpec(let spec): Key(table: .qosSpecs, id: spec.id.description)
    case .transfer(let transfer): Key(table: .transfers, id: transfer.id.description)
    case .defaultType(let type): Key(table: .defaultTypes, id: type.project)
    case .quotaClass(let quota): Key(table: .quotaClasses, id: quota.project)
    case .groupType(let type): Key(table: .groupTypes, id: type.id.description)
    case .group(let group): Key(table: .groups, id: group.id.description)
    case .groupSnapshot(let snapshot): Key(table: .groupSnapshots, id: snapshot.id.description)
    }
  }
}

/// One row written or removed by a transaction.
public enum Change: Sendable {
  case put(Row)
  case remove(Row.Key)

  public var key: Row.Key {
    switch self {
    case .put(let row): row.key
    case .remove(let key): key
    }
  }
}
