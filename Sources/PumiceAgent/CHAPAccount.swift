import PumiceModel
import PumiceWire

/// The CHAP account (RFC 1994) of one attachment: made with its export, gone with it.
struct CHAPAccount: Sendable {
  let user: String
  let secret: String

  /// A user name ends with the attachment's id, so that what a target knows can be told apart without a record. It does not
  /// begin with it: LIO takes names that begin with 0x or 0b for numbers (extract_param in iscsi_target_nego.c), drops the
  /// two characters, and refuses the login.
  static func user(for attachment: AttachmentID) -> String { "pumice-\(attachment)" }

  /// For the target to show the initiator: another name and another secret (RFC 7143, 9.2.1).
  static func target(for attachment: AttachmentID, using generator: inout some RandomNumberGenerator) -> TargetAccount {
    TargetAccount(user: "pumice-target-\(attachment)", secret: CHAPAccount(for: attachment, using: &generator).secret)
  }

  init(for attachment: AttachmentID, using generator: inout some RandomNumberGenerator) {
    user = Self.user(for: attachment)
    // `randomElement` is without bias. 16 characters of 55 are 92 bits, and all that every initiator takes.
    secret = String((0..<16).compactMap { _ in Self.alphabet.randomElement(using: &generator) })
  }

  /// Letters and digits, without those that look alike, and without U: LIO takes what begins with NULL for no secret.
  private static let alphabet = Array("23456789ABCDEFGHJKLMNPQRSTVWXYZabcdefghijkmnpqrstuvwxyz")
}
