import Crypto
import Foundation
public import PumiceModel

/// What a token says about whoever shows it. It is nowhere kept: the coordinator's seal makes it true.
public struct Token: Sendable, Equatable, Codable {
  public enum Method: String, Sendable, Codable {
    case password
    case applicationCredential = "application_credential"
    /// Got for another token, whose end is its end.
    case token
  }

  public var user: String
  /// What it is for; `nil`: nothing but to ask for another.
  public var project: ProjectID?
  public var methods: [Method]
  /// The application credential that it was got for, which says the project and the role.
  public var credential: String?
  /// Changes with the password, or the credential's secret: tokens from before are worth nothing.
  public var stamp: String
  /// By which it can be revoked.
  public var audit: String
  public var issued: Timestamp
  public var expires: Timestamp

  /// How long after its end a token still stands for its user where another service vouches for the request, so that what takes
  /// long can be carried on. As Keystone's `allow_expired_window` is by default.
  public static let vouchedTime = Duration.seconds(48 * 3600)

  /// When it is over even with that.
  public var lastEnd: Timestamp { expires + Self.vouchedTime }

  public init(
    user: String, project: ProjectID?, methods: [Method], credential: String? = nil, stamp: String, audit: String,
    issued: Timestamp, expires: Timestamp
  ) {
    self.user = user
    self.project = project
    self.methods = methods
    self.credential = credential
    self.stamp = stamp
    self.audit = audit
    self.issued = issued
    self.expires = expires
  }

  enum CodingKeys: String, CodingKey {
    case user = "u"
    case project = "p"
    case methods = "m"
    case credential = "c"
    case stamp = "s"
    case audit = "a"
    case issued = "i"
    case expires = "e"
  }
}

/// Seals tokens, and knows its own again: HMAC-SHA256 (RFC 2104) over the JSON, both in base64url (RFC 4648).
public struct TokenSeal: Sendable {
  /// How long a key is, in bytes.
  public static let keyLength = 32

  private let key: SymmetricKey

  /// - Throws: `invalid` for a key of another length.
  public init(key: [UInt8]) throws(StorageError) {
    guard key.count == Self.keyLength else {
      throw .invalid("token_key_file", "must hold \(Self.keyLength) bytes.")
    }
    self.key = SymmetricKey(data: key)
  }

  public static func newKey() -> [UInt8] { SymmetricKey(size: .bits256).withUnsafeBytes { Array($0) } }

  public func sealed(_ token: Token) throws(StorageError) -> String {
    do {
      let body = try JSONEncoder().encode(token)
      return Self.text(body) + "." + Self.text(HMAC<SHA256>.authenticationCode(for: body, using: key))
    } catch {
      throw StorageError.wrap(error, "Making a token")
    }
  }

  /// `nil` for what was not sealed with this key. Whether it is still good is not looked at.
  public func opened(_ text: String) -> Token? {
    guard text.utf8.count <= 4096 else { return nil }
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 2, let body = Self.bytes(parts[0]), let seal = Self.bytes(parts[1]),
      HMAC<SHA256>.isValidAuthenticationCode(seal, authenticating: body, using: key)
    else { return nil }
    return try? JSONDecoder().decode(Token.self, from: body)
  }

  private static func text(_ bytes: some Sequence<UInt8>) -> String {
    let letters = Data(bytes).base64EncodedData().prefix { $0 != UInt8(ascii: "=") }.map { letter in
      switch letter {
      case UInt8(ascii: "+"): UInt8(ascii: "-")
      case UInt8(ascii: "/"): UInt8(ascii: "_")
      default: letter
      }
    }
    return String(decoding: letters, as: UTF8.self)
  }

  /// `nil` for any other spelling than ours of the same bytes: a token has one text.
  private static func bytes(_ text: Substring) -> Data? {
    var letters = Data(
      text.utf8.map { letter in
        switch letter {
        case UInt8(ascii: "-"): UInt8(ascii: "+")
        case UInt8(ascii: "_"): UInt8(ascii: "/")
        default: letter
        }
      })
    letters.append(contentsOf: repeatElement(UInt8(ascii: "="), count: (4 - letters.count % 4) % 4))
    guard let bytes = Data(base64Encoded: letters), self.text(bytes) == text else { return nil }
    return bytes
  }
}

extension PasswordHash {
  /// Another text after each change of the secret, which says nothing of it.
  public var stamp: String {
    SHA256.hash(data: Array(text.utf8)).prefix(6).map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }
      .joined()
  }
}
