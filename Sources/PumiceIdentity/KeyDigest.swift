import Crypto
import Foundation
public import PumiceModel

/// What is kept of a key that was made by dice: HMAC-SHA-256 (RFC 2104) with a salt of its own. The dice make it too long to be
/// guessed, so that it need not be slow, as a password's hash must; it is checked inside of transactions.
///
/// As a text, `hmac-sha256$salt$digest`.
public struct KeyDigest: Sendable, Equatable {
  private let salt: [UInt8]
  private let digest: [UInt8]

  public init(of key: String, salt: [UInt8]) {
    self.salt = salt
    digest = Array(HMAC<SHA256>.authenticationCode(for: Array(key.utf8), using: SymmetricKey(data: salt)))
  }

  /// Reads the text.
  ///
  /// - Throws: `invalid` for any other text.
  public init(_ text: String) throws(StorageError) {
    let parts = text.split(separator: "$", omittingEmptySubsequences: false)
    guard parts.count == 3, parts[0] == "hmac-sha256", let salt = Data(base64Encoded: String(parts[1])),
      let digest = Data(base64Encoded: String(parts[2])), digest.count == SHA256.byteCount
    else { throw .invalid("key", "is kept in an unknown form; it must be like hmac-sha256$salt$digest.") }
    self.salt = Array(salt)
    self.digest = Array(digest)
  }

  public var text: String {
    "hmac-sha256$\(Data(salt).base64EncodedString())$\(Data(digest).base64EncodedString())"
  }

  /// Whether it is this key's. Takes the same time for every key of a length.
  public func fits(_ key: String) -> Bool {
    HMAC<SHA256>.isValidAuthenticationCode(digest, authenticating: Array(key.utf8), using: SymmetricKey(data: salt))
  }
}
