/// A libvirt domain as its node reports it.
public struct Instance: Sendable, Hashable, Codable {
  /// The states of a domain, in Nova's words (`virDomainState` in libvirt's).
  public enum Status: String, Sendable, Codable, CaseIterable {
    case active = "ACTIVE"
    case paused = "PAUSED"
    case suspended = "SUSPENDED"
    case shutOff = "SHUTOFF"
    case error = "ERROR"
    case unknown = "UNKNOWN"
  }

  public let id: InstanceID
  public let name: String
  public let status: Status
  /// Whether the domain survives its own shutdown; a transient one has no stored configuration.
  public let isPersistent: Bool
  public let vcpus: Int
  public let memory: ByteCount

  public init(
    id: InstanceID, name: String, status: Status, isPersistent: Bool = true, vcpus: Int = 1, memory: ByteCount = .zero
  ) {
    self.id = id
    self.name = name
    self.status = status
    self.isPersistent = isPersistent
    self.vcpus = vcpus
    self.memory = memory
  }
}
