import PumiceModel
import PumiceWire

/// What a logical volume of ours says about itself, as tags.
///
///     pumice                          it is ours; what has no such tag is left alone, whatever its name
///     pumice.revision=7               the newest revision that the volume has seen
///     pumice.size=1073741824          the bytes asked for; the logical volume is at least that large
///     pumice.created=1795000000000    milliseconds since 1970
///     pumice.name=db#201              and project and type; "#20" is a byte that tags can't hold
///     pumice.metadata=key=value       one for each pair, as far as they fit into 2 KiB
///     pumice.volume=…                 of a snapshot: the volume it was taken of
///
/// A tag holds up to 1,024 of the characters [A-Za-z0-9_+.-/=!:&#] (lvm(8), "TAGS"); longer texts go on in
/// `pumice.name.1=…`. All tags together are kept short, since the metadata area of a volume group is small: half of 1 MiB
/// for all of its volumes.
struct LVMTags: Equatable, Sendable {
  static let mark = "pumice"
  private static let prefix = "pumice."
  private static let longestValue = 900
  private static let metadataBudget = 2048

  /// By the word behind `pumice.`; whole texts, unescaped. `metadata` is kept apart.
  private var fields: [String: String] = [:]
  private var metadata: [String: String] = [:]

  init() {}

  /// Reads the tags of a logical volume; `nil` when it is not ours. Tags of others are passed over.
  init?(_ tags: [String]) {
    guard tags.contains(Self.mark) else { return nil }
    var parts: [String: [Int: String]] = [:]
    for tag in tags where tag.hasPrefix(Self.prefix) {
      let body = tag.dropFirst(Self.prefix.count)
      guard let equals = body.firstIndex(of: "=") else { continue }
      let key = body[..<equals]
      let value = body[body.index(after: equals)...]
      if key == "metadata" {
        guard let separator = value.firstIndex(of: "=") else { continue }
        metadata[Self.unescape(value[..<separator])] = Self.unescape(value[value.index(after: separator)...])
      } else if let dot = key.lastIndex(of: "."), let number = Int(key[key.index(after: dot)...]) {
        parts[String(key[..<dot]), default: [:]][number] = String(value)
      } else {
        parts[String(key), default: [:]][0] = String(value)
      }
    }
    for (key, chunks) in parts {
      let escaped = chunks.sorted { $0.key < $1.key }.map(\.value).joined()
      fields[key] = Self.unescape(escaped[...])
    }
  }

  /// All tags of ours as LVM shall have them, in a fixed order.
  var texts: [String] {
    var texts = [Self.mark]
    for (key, value) in fields.sorted(by: { $0.key < $1.key }) {
      var rest = Self.escape(value)[...]
      var number = 0
      repeat {
        texts.append("\(Self.prefix)\(key)\(number == 0 ? "" : ".\(number)")=\(rest.prefix(Self.longestValue))")
        rest = rest.dropFirst(Self.longestValue)
        number += 1
      } while !rest.isEmpty
    }
    var budget = Self.metadataBudget
    for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
      let text = "\(Self.prefix)metadata=\(Self.escape(key))=\(Self.escape(value))"
      budget -= text.utf8.count
      guard budget >= 0, text.utf8.count <= 1024 else { continue }
      texts.append(text)
    }
    return texts
  }

  /// Which tags a logical volume with `present` must lose and get to have these. Tags of others stay.
  func changes(from present: [String]) -> (add: [String], delete: [String]) {
    let wanted = texts
    let ours = present.filter { $0 == Self.mark || $0.hasPrefix(Self.prefix) }
    return (wanted.filter { !ours.contains($0) }, ours.filter { !wanted.contains($0) })
  }

  // MARK: Fields

  var description: VolumeDescription {
    get {
      VolumeDescription(
        name: fields["name"] ?? "", project: fields["project"] ?? "", type: fields["type"] ?? "", metadata: metadata)
    }
    set {
      fields["name"] = newValue.name
      fields["project"] = newValue.project
      fields["type"] = newValue.type
      metadata = newValue.metadata
    }
  }

  /// 0 where nothing is said.
  var revision: Revision {
    get { fields["revision"].flatMap { Revision($0) } ?? 0 }
    set { fields["revision"] = String(newValue) }
  }

  /// The revision of the last request that it was reverted for.
  var reverted: Revision? {
    get { fields["reverted"].flatMap { Revision($0) } }
    set { fields["reverted"] = newValue.map { String($0) } }
  }

  var created: Timestamp? {
    get { fields["created"].flatMap { Int64($0) }.map { Timestamp(milliseconds: $0) } }
    set { fields["created"] = newValue.map { String($0.milliseconds) } }
  }

  var size: ByteCount? {
    get { fields["size"].flatMap { Int64($0) }.map { ByteCount($0) } }
    set { fields["size"] = newValue.map { String($0.bytes) } }
  }

  /// Of a snapshot: the volume it was taken of.
  var volume: VolumeID? {
    get { fields["volume"].flatMap { VolumeID($0) } }
    set { fields["volume"] = newValue?.description }
  }

  /// Of a volume in the making: what it is a copy of.
  var source: VolumeSource? {
    get {
      guard let words = fields["source"]?.split(separator: ":"),
        let volume = words.last.flatMap({ VolumeID(String($0)) })
      else { return nil }
      if words.count == 1 { return .volume(volume) }
      return SnapshotID(String(words[0])).map { .snapshot($0, of: volume) }
    }
    set {
      fields["source"] =
        switch newValue {
        case .volume(let volume): "\(volume)"
        case .snapshot(let snapshot, let volume): "\(snapshot):\(volume)"
        case nil: nil
        }
    }
  }

  /// How many bytes from the start have been copied, or wiped, and are safe on the disk.
  var position: ByteCount {
    get { fields["position"].flatMap { Int64($0) }.map { ByteCount($0) } ?? .zero }
    set { fields["position"] = newValue == .zero ? nil : String(newValue.bytes) }
  }

  /// Of a volume that is being merged with its snapshot, and of the snapshot that is taken anew after that.
  var reversion: Reversion? {
    get { fields["reversion"].flatMap { Reversion($0) } }
    set { fields["reversion"] = newValue?.description }
  }

  /// What a volume remembers while its snapshot is merged into it, which ends the snapshot.
  struct Reversion: Equatable, Sendable, LosslessStringConvertible {
    var snapshot: SnapshotID
    /// Of the request.
    var revision: Revision
    /// The snapshot's size; what the volume has beyond becomes zeros.
    var size: ByteCount

    init(snapshot: SnapshotID, revision: Revision, size: ByteCount) {
      self.snapshot = snapshot
      self.revision = revision
      self.size = size
    }

    init?(_ description: String) {
      let words = description.split(separator: ":").map(String.init)
      guard words.count == 3, let snapshot = SnapshotID(words[0]), let revision = Revision(words[1]),
        let size = Int64(words[2])
      else { return nil }
      self.init(snapshot: snapshot, revision: revision, size: ByteCount(size))
    }

    var description: String { "\(snapshot):\(revision):\(size.bytes)" }
  }

  /// The tags of a snapshot, kept by its volume while there is no snapshot.
  var keptSnapshot: LVMTags? {
    get {
      guard let text = fields["snapshot"] else { return nil }
      return LVMTags(text.split(separator: "\n").map(String.init))
    }
    set { fields["snapshot"] = newValue?.texts.joined(separator: "\n") }
  }

  // MARK: Characters

  private static func isPlain(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"):
      true
    case UInt8(ascii: "_"), UInt8(ascii: "+"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "/"),
      UInt8(ascii: ":"):
      true
    default: false
    }
  }

  private static func escape(_ text: String) -> String {
    var escaped = ""
    for byte in text.utf8 {
      if isPlain(byte) {
        escaped.unicodeScalars.append(Unicode.Scalar(byte))
      } else {
        escaped += byte < 16 ? "#0" : "#"
        escaped += String(byte, radix: 16)
      }
    }
    return escaped
  }

  private static func unescape(_ text: Substring) -> String {
    var bytes: [UInt8] = []
    var rest = text.utf8[...]
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "#"), let digits = String(rest.prefix(2)), let value = UInt8(digits, radix: 16) {
        bytes.append(value)
        rest = rest.dropFirst(2)
      } else {
        bytes.append(byte)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
