import PumiceModel
import PumiceWire

/// One `<disk>` of a domain.
struct DiskXML: Sendable, Hashable {
  let element: XMLElement

  init(_ element: XMLElement) { self.element = element }

  /// The element for a disk of ours.
  ///
  /// A write that the storage refuses stops the guest rather than being reported: the write is kept and done again at
  /// resume, where many programs would have lost it. A failed read is reported, since stopping does not mend it and the
  /// guest may have another copy. Neither is about a target that is away: QEMU's iSCSI reconnects and the guest waits.
  init(_ disk: Disk, at target: DiskTarget) throws(StorageError) {
    let location = try DiskLocation(disk.source)
    element = XMLElement(
      "disk", ["type": Self.type(of: location), "device": "disk"],
      [
        XMLElement(
          "driver",
          [
            "name": "qemu", "type": Self.format(of: location), "cache": "none", "error_policy": "stop",
            "rerror_policy": "report",
            "io": Self.inputOutput(of: location), "discard": "unmap",
          ]),
        Self.source(location, of: disk.attachment),
      ] + Self.backingStore(of: location) + [
        XMLElement("target", ["dev": target.name, "bus": target.bus.rawValue])
      ] + Self.inputOutputTuning(disk.limits) + (disk.readOnly ? [XMLElement("readonly")] : [])
        + (disk.isShareable ? [XMLElement("shareable")] : []) + [
          XMLElement("serial", text: disk.volume.description),
          XMLElement("alias", ["name": Self.alias(of: disk.attachment)]),
        ])
  }

  // MARK: What it says

  static func alias(of attachment: AttachmentID) -> String { "ua-\(attachment)" }

  /// The attachment that an alias of ours names.
  static func attachment(ofAlias alias: String) -> AttachmentID? {
    // Identifiers are read in more forms than the one we write: another form is somebody else's alias.
    guard alias.hasPrefix("ua-"), let id = AttachmentID(String(alias.dropFirst(3))), self.alias(of: id) == alias else {
      return nil
    }
    return id
  }

  var alias: String? { element.first("alias")?["name"] }
  var attachment: AttachmentID? { alias.flatMap { Self.attachment(ofAlias: $0) } }
  var serial: String? { element.first("serial")?.text }
  var volume: VolumeID? { serial.flatMap { VolumeID($0) } }
  /// The target name; every disk has one in XML that libvirt wrote.
  var device: String? { element.first("target")?["dev"] }
  var bus: DiskTarget.Bus? { element.first("target")?["bus"].flatMap { DiskTarget.Bus(rawValue: $0) } }
  var location: DiskLocation { DiskLocation(of: element) }
  var isReadOnly: Bool { element.first("readonly") != nil }
  var isShareable: Bool { element.first("shareable") != nil }

  /// What is limited. What libvirt adds by itself, such as the name of a group, is left out.
  var limits: [DiskLimits.Key: Int] {
    var values: [DiskLimits.Key: Int] = [:]
    for limit in element.first("iotune")?.elements ?? [] {
      guard let key = DiskLimits.Key(rawValue: limit.name), let value = Int(limit.text), value != 0 else { continue }
      values[key] = value
    }
    return values
  }

  /// What keeps it from being this disk, in words; `nil` if it is.
  func difference(from disk: Disk) throws(StorageError) -> String? {
    if attachment != disk.attachment { return "its alias is \(alias ?? "missing")" }
    if volume != disk.volume { return "its serial is \(serial ?? "missing"), not \(disk.volume)" }
    let expected = try DiskLocation(disk.source)
    if location != expected { return "its source is \(location), not \(expected)" }
    if isReadOnly != disk.readOnly { return isReadOnly ? "it is read-only" : "it is writable" }
    if isShareable != disk.isShareable { return isShareable ? "it is shareable" : "it is not shareable" }
    let wanted = disk.limits?.values ?? [:]
    // QEMU makes a burst of no length one of a second, and libvirt may say so.
    let other = DiskLimits.Key.allCases.first { key in
      limits[key] != wanted[key] && (wanted[key] != nil || !key.rawValue.hasSuffix("_max_length"))
    }
    if let other { return "its \(other.rawValue) is \(limits[other] ?? 0), not \(wanted[other] ?? 0)" }
    return nil
  }

  // MARK: Parts of the element

  private static func type(of location: DiskLocation) -> String {
    switch location {
    case .iscsi, .other: "network"
    case .block: "block"
    case .image(let image): image.layers[0].type
    }
  }

  private static func inputOutputTuning(_ limits: DiskLimits?) -> [XMLElement] {
    let values = DiskLimits.Key.allCases.compactMap { key in
      limits?.values[key].map { XMLElement(key.rawValue, text: String($0)) }
    }
    return values.isEmpty ? [] : [XMLElement("iotune", [:], values)]
  }

  private static func format(of location: DiskLocation) -> String {
    if case .image(let image) = location { image.layers[0].format.rawValue } else { "raw" }
  }

  private static func backingStore(of location: DiskLocation) -> [XMLElement] {
    if case .image(let image) = location { [image.backingStore] } else { [] }
  }

  /// Linux AIO for devices; threads for files, where a write into a hole would make the submission itself wait. What
  /// QEMU reaches over the network has no such setting.
  private static func inputOutput(of location: DiskLocation) -> String? {
    switch location {
    case .iscsi, .other: nil
    case .block: "native"
    case .image(let image): image.layers[0].type == "file" ? "threads" : nil
    }
  }

  private static func source(_ location: DiskLocation, of attachment: AttachmentID) -> XMLElement {
    switch location {
    case .iscsi(let host, let port, let name, let initiator, let user):
      XMLElement(
        "source", ["protocol": "iscsi", "name": name],
        [
          XMLElement("host", ["name": host, "port": String(port)]),
          XMLElement("initiator", [:], [XMLElement("iqn", ["name": initiator])]),
          XMLElement(
            "auth", ["username": user],
            [XMLElement("secret", ["type": "iscsi", "uuid": SecretXML.uuid(of: attachment)])]),
        ])
    case .block(let path): XMLElement("source", ["dev": path])
    case .image(let image): image.layers[0].source
    case .other: XMLElement("source")
    }
  }
}
