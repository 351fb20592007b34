public import PumiceModel

/// What a host keeps of a disk that it was given: its stored configuration, as it were.
public struct HostDisk: AttachmentRecord {
  public let attachment: AttachmentID
  public let volume: VolumeID
  /// The connector's name for the device, which leads to it after each reboot.
  public var source: String

  public init(attachment: AttachmentID, volume: VolumeID, source: String) {
    self.attachment = attachment
    self.volume = volume
    self.source = source
  }
}
