/// A volume as files of an NFS share, which QEMU opens by itself: no target stands between it and the server.
public struct SharedImage: Sendable, Hashable, Codable {
  public enum Format: String, Sendable, Codable {
    case raw
    case qcow2
  }

  public struct Layer: Sendable, Hashable, Codable {
    /// In the root of the share.
    public var name: String
    /// Recorded when the file was made; nobody looks for it in bytes that a guest can write.
    public var format: Format

    public init(name: String, format: Format) {
      self.name = name
      self.format = format
    }
  }

  /// `host:/path`, as the storage node's configuration has it.
  public var share: String
  /// The first is written to. What a layer leaves out is in the one after it; the last stands alone.
  public var layers: [Layer]
  /// What whoever has it open has to go over to; `nil` when it stays as it is.
  public var next: [Layer]?
  /// Whether the layer that `next` leaves out has gone down already: then there is nothing in it that anybody needs.
  public var isMerged: Bool?
  /// As whom to ask the server, unless the share is mounted.
  public var user: UInt32
  public var group: UInt32
  /// Further options for mount.nfs(8).
  public var mountOptions: String?

  public init(share: String, layers: [Layer], user: UInt32, group: UInt32, mountOptions: String? = nil) {
    self.share = share
    self.layers = layers
    self.user = user
    self.group = group
    self.mountOptions = mountOptions
  }
}
