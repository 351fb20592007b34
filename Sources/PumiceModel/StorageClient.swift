/// Somebody who connects to a volume without an agent: a host of its own, or a service such as Nova for one of its hosts.
public struct StorageClient: Sendable, Equatable, Codable {
  /// What it calls itself; empty for nothing.
  public var host: String
  /// Its initiator name (RFC 7143, 4.2.7), once it wants to connect: the only one that the target then admits.
  public var initiator: String?
  /// Where it says that it has the volume, such as `/dev/vdb`.
  public var mountPoint: String?

  /// Whether a text is a name of one of RFC 7143's three kinds. Agents know each other's own initiators by others.
  public static func isInitiatorName(_ text: String) -> Bool {
    ["iqn.", "eui.", "naa."].contains { text.hasPrefix($0) } && (5...223).contains(text.utf8.count)
      && text.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: ":"):
          true
        default: false
        }
      }
  }

  public init(host: String = "", initiator: String? = nil, mountPoint: String? = nil) {
    self.host = host
    self.initiator = initiator
    self.mountPoint = mountPoint
  }
}
