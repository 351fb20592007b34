/// How volumes of a type are to be encrypted. Kept for whoever asks; no volume can be made of such a type yet.
public struct VolumeEncryption: Sendable, Equatable, Codable {
  public enum Location: String, Sendable, Codable, CaseIterable {
    case frontEnd = "front-end"
    case backEnd = "back-end"
  }

  public let id: VolumeEncryptionID
  /// Such as `luks`.
  public var provider: String
  /// Such as `aes-xts-plain64`.
  public var cipher: String?
  /// In bits.
  public var keySize: Int?
  public var location: Location
  public let createdAt: Timestamp
  public var updatedAt: Timestamp?

  public init(
    id: VolumeEncryptionID, provider: String, cipher: String? = nil, keySize: Int? = nil, location: Location,
    createdAt: Timestamp
  ) {
    self.id = id
    self.provider = provider
    self.cipher = cipher
    self.keySize = keySize
    self.location = location
    self.createdAt = createdAt
  }
}
