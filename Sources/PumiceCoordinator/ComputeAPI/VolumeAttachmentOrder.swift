import PumiceModel

/// What a request to attach a volume says.
struct VolumeAttachmentOrder {
  let volume: VolumeID
  /// A target name, such as `vdb`.
  let device: String?
  let tag: String?
  let deletesOnTermination: Bool

  /// Reads the body of `POST …/os-volume_attachments`. Throws `invalid` with the name of the field that is wrong.
  init(_ body: RequestFields, as version: Microversion) throws(StorageError) {
    try body.refuseUnknown(except: ["volumeAttachment"])
    let fields = try body.root("volumeAttachment")
    var known: Set<String> = ["volumeId", "device"]
    if version >= Microversion(2, 49) { known.insert("tag") }
    if version >= Microversion(2, 79) { known.insert("delete_on_termination") }
    try fields.refuseUnknown(except: known)
    volume = try fields.volume()
    device = try fields.device()
    tag = try fields.tag()
    deletesOnTermination = try fields.flag("delete_on_termination") ?? false
  }
}

/// What a request to change how a volume is attached says.
struct VolumeAttachmentEdit {
  let deletesOnTermination: Bool?

  /// Reads the body of `PUT …/os-volume_attachments/{volume}`, in which, since 2.85, may stand whatever an answer has; only
  /// one member may differ.
  init(_ body: RequestFields, of attachment: Attachment, as version: Microversion) throws(StorageError) {
    try body.refuseUnknown(except: ["volumeAttachment"])
    let fields = try body.root("volumeAttachment")
    let isEdit = version >= Microversion(2, 85)
    try fields.refuseUnknown(
      except: isEdit ? ["volumeId", "device", "tag", "delete_on_termination", "serverId", "id"] : ["volumeId"])
    guard isEdit, try fields.volume() == attachment.volume else {
      throw .invalid("volumeId", "can't become another: a volume can't be exchanged for one in use.")
    }
    let device = try fields.device()
    let tag = try fields.tag()
    guard device == nil || device == attachment.device else { throw .invalid("device", "can't be changed.") }
    guard tag == nil || tag == attachment.tag else { throw .invalid("tag", "can't be changed.") }
    for (name, value) in [("serverId", attachment.instance.map { "\($0)" } ?? ""), ("id", "\(attachment.volume)")] {
      guard try fields.text(name) ?? value == value else { throw .invalid(name, "can't be changed.") }
    }
    deletesOnTermination = try fields.flag("delete_on_termination")
  }
}

extension RequestFields {
  fileprivate func volume() throws(StorageError) -> VolumeID {
    let text = try requiredText("volumeId")
    guard let volume = VolumeID(text) else {
      throw .invalid("volumeId", "must be a UUID, not '\(text.prefix(64))'.")
    }
    return volume
  }

  /// `/dev/vdb` and `vdb` both name the target `vdb`.
  fileprivate func device() throws(StorageError) -> String? {
    guard let device = try text("device"), !device.isEmpty else { return nil }
    let name = device.hasPrefix("/dev/") ? String(device.dropFirst(5)) : device
    for prefix in ["xvd", "vd", "sd", "hd"] where name.hasPrefix(prefix) {
      let letters = name.dropFirst(prefix.count)
      if (1...2).contains(letters.count), letters.allSatisfy({ $0.isASCII && $0.isLowercase }) { return name }
    }
    throw .invalid("device", "must be like /dev/vdb, not '\(device.prefix(40))'.")
  }

  /// As Nova's tags: up to 60 characters, neither `/` nor a comma among them.
  fileprivate func tag() throws(StorageError) -> String? {
    guard let tag = try text("tag", atMost: 60, mayBeEmpty: false) else { return nil }
    guard !tag.contains(where: { $0 == "/" || $0 == "," }) else { throw .invalid("tag", "must not have '/' or ','.") }
    return tag
  }
}
