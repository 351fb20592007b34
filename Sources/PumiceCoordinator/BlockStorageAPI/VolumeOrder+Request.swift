import PumiceModel

extension RequestFields {
  /// What a volume is to be called, under either of its names in Cinder.
  func name() throws(StorageError) -> String? {
    let (name, older) = (try text("name"), try text("display_name"))
    return name ?? older
  }

  func summary() throws(StorageError) -> String? {
    let summary = try text("description", mayHaveLineBreaks: true)
    let older = try text("display_description", mayHaveLineBreaks: true)
    return summary ?? older
  }
}

extension VolumeOrder {
  /// What Cinder takes in a request to create a volume.
  private static let known: Set<String> = [
    "name", "description", "display_name", "display_description", "volume_type", "metadata", "snapshot_id",
    "source_volid", "source_replica", "consistencygroup_id", "size", "availability_zone", "multiattach", "image_id",
    "imageRef", "group_id", "backup_id", "user_id", "project_id", "status", "attach_status",
  ]
  private static let unsupported = [
    "source_replica", "consistencygroup_id", "multiattach", "image_id", "imageRef",
    "backup_id",
  ]
  /// In GiB: as much as fits into 32 bits, as in Cinder.
  static let sizes = 1...2_147_483_647

  /// Reads the body of `POST …/volumes`. Throws `invalid` with the name of the field that is wrong.
  init(_ body: RequestFields, of call: Call) throws(StorageError) {
    try body.refuseUnknown(except: ["volume", "OS-SCH-HNT:scheduler_hints"])
    let hints = try body.object("OS-SCH-HNT:scheduler_hints").map { hints throws(StorageError) in
      try PlacementHints(hints)
    }
    let fields = try body.root("volume")
    // As in Cinder, clients of before 3.53 may send what nobody knows.
    if call.version >= Microversion(3, 53) { try fields.refuseUnknown(except: Self.known) }
    try fields.refuseUnsupported(Self.unsupported)
    let size = try fields.integer("size", in: Self.sizes)
    self.init(project: call.caller.project, size: size.map { .gibibytes($0) })
    source = try Self.source(fields)
    guard size != nil || source != nil else { throw .invalid("size", "is required.") }
    user = call.caller.user
    name = try fields.name() ?? ""
    summary = try fields.summary() ?? ""
    metadata = try fields.texts("metadata") ?? [:]
    type = try fields.text("volume_type").flatMap { $0.isEmpty ? nil : $0 }
    availabilityZone = try fields.text("availability_zone").flatMap { $0.isEmpty ? nil : $0 }
    if call.version >= Microversion(3, 13) { group = try fields.id("group_id") }
    self.hints = hints.flatMap { $0.isEmpty ? nil : $0 }
    requestID = call.context.requestID
  }

  private static func source(_ fields: RequestFields) throws(StorageError) -> Source? {
    let snapshot: SnapshotID? = try fields.id("snapshot_id")
    let volume: VolumeID? = try fields.id("source_volid")
    guard snapshot == nil || volume == nil else {
      throw .invalid("source_volid", "and snapshot_id exclude each other.")
    }
    return snapshot.map { .snapshot($0) } ?? volume.map { .volume($0) }
  }
}
