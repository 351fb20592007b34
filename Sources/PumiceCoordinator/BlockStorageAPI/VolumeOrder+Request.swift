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
    "snapshot_id", "source_volid", "source_replica", "consistencygroup_id", "multiattach", "image_id", "imageRef",
    "group_id", "backup_id",
  ]
  /// In GiB: as much as fits into 32 bits, as in Cinder.
  static let sizes = 1...2_147_483_647

  /// Reads the body of `POST …/volumes`. Throws `invalid` with the name of the field that is wrong.
  init(_ body: RequestFields, of call: Call) throws(StorageError) {
    try body.refuseUnknown(except: ["volume", "OS-SCH-HNT:scheduler_hints"])
    if let hints = try body.object("OS-SCH-HNT:scheduler_hints"), let hint = hints.values.keys.min() {
      throw .invalid("OS-SCH-HNT:scheduler_hints", "is not supported yet; leave out '\(hint.prefix(64))'.")
    }
    let fields = try body.root("volume")
    // As in Cinder, clients of before 3.53 may send what nobody knows.
    if call.version >= Microversion(3, 53) { try fields.refuseUnknown(except: Self.known) }
    try fields.refuseUnsupported(Self.unsupported)
    self.init(
      project: call.caller.project, size: .gibibytes(try fields.requiredInteger("size", in: Self.sizes)))
    user = call.caller.user
    name = try fields.name() ?? ""
    summary = try fields.summary() ?? ""
    metadata = try fields.texts("metadata") ?? [:]
    type = try fields.text("volume_type").flatMap { $0.isEmpty ? nil : $0 }
    availabilityZone = try fields.text("availability_zone").flatMap { $0.isEmpty ? nil : $0 }
    requestID = call.context.requestID
  }
}
