import PumiceModel

/// Where a disk's bytes are, as a `<disk>` element says it: what two elements must have in common to be the same disk.
enum DiskLocation: Sendable, Hashable {
  case iscsi(host: String, port: Int, name: String, initiator: String?, user: String?)
  case block(path: String)
  case image(DiskImage)
  /// A kind of source that Pumice makes none of.
  case other(String)

  /// What libvirt takes where a portal has no port (RFC 7143, 13.1).
  private static let defaultPort = 3260

  /// What a disk of ours with this source has to say.
  init(_ source: DiskSource) throws(StorageError) {
    switch source {
    case .iscsi(let portal, let iqn, let lun, let initiator, let user, _):
      let (host, port) = try Self.split(portal: portal)
      guard !iqn.isEmpty, !iqn.contains("/") else {
        throw .invalid("iqn", "must be an iSCSI name without a slash, not \"\(iqn)\".")
      }
      self = .iscsi(host: host, port: port, name: "\(iqn)/\(lun)", initiator: initiator, user: user)
    case .block(let path): self = .block(path: try Self.absolute(path))
    case .image(let image): self = .image(try image.checked())
    case .memory(let name):
      throw StorageError(
        .unsupported, "The disk \(name) is known only to the in-memory drivers, so libvirt can't plug it.")
    }
  }

  /// What this `<disk>` says.
  init(of disk: XMLElement) {
    let source = disk.first("source")
    switch disk["type"] {
    case "network" where source?["protocol"] == "iscsi":
      let host = source?.first("host")
      self = .iscsi(
        host: host?["name"] ?? "", port: host?["port"].flatMap { Int($0) } ?? Self.defaultPort,
        name: source?["name"] ?? "", initiator: source?.first("initiator", "iqn")?["name"],
        user: source?.first("auth")?["username"])
    case "block": self = .block(path: source?["dev"] ?? "")
    case let type: self = DiskImage(of: disk).map { .image($0) } ?? .other(type ?? "")
    }
  }

  /// Reads `host:port`, `host`, `[IPv6]:port`, `[IPv6]`. The host comes without brackets, as libvirt wants it.
  static func split(portal: String) throws(StorageError) -> (host: String, port: Int) {
    let refusal = StorageError.invalid(
      "portal", "must be host:port, with an IPv6 address in brackets, not \"\(portal)\".")
    let host: Substring
    let rest: Substring
    if portal.hasPrefix("[") {
      guard let end = portal.firstIndex(of: "]") else { throw refusal }
      host = portal[portal.index(after: portal.startIndex)..<end]
      rest = portal[portal.index(after: end)...]
    } else {
      let colon = portal.firstIndex(of: ":") ?? portal.endIndex
      host = portal[..<colon]
      rest = portal[colon...]
    }
    guard !host.isEmpty else { throw refusal }
    if rest.isEmpty { return (String(host), defaultPort) }
    guard rest.first == ":", let port = Int(rest.dropFirst()), (1...65535).contains(port) else { throw refusal }
    return (String(host), port)
  }

  private static func absolute(_ path: String) throws(StorageError) -> String {
    guard path.hasPrefix("/") else { throw .invalid("path", "must be absolute, not \"\(path)\".") }
    return path
  }
}
