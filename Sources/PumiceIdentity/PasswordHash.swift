import Crypto
import CryptoExtras
import Foundation
public import PumiceModel

/// What is kept of a secret, by which it is recognised and from which it can't be had: scrypt (RFC 7914) with a salt of its own.
///
/// As a text, `scrypt$N$r$p$salt$key`: what it cost to make is what it costs to check, also when the defaults change.
public struct PasswordHash: Sendable, Equatable {
  /// Of 128 × r × N bytes of memory: 32 MiB, and some 60 ms.
  private struct Cost: Equatable {
    var rounds = 1 << 15
    var blockSize = 8
    var parallelism = 1

    /// Below what makes a coordinator wait or run out of memory.
    var isBearable: Bool {
      (1 << 10...1 << 17).contains(rounds) && rounds & (rounds - 1) == 0 && (1...16).contains(blockSize)
        && (1...4).contains(parallelism)
    }
  }

  private let cost: Cost
  private let salt: [UInt8]
  private let key: [UInt8]

  /// Nobody's, at the cost of anybody's.
  public static let nobodys = PasswordHash(
    cost: Cost(), salt: [UInt8](repeating: 0, count: 16), key: [UInt8](repeating: 0, count: 32))

  private init(cost: Cost, salt: [UInt8], key: [UInt8]) {
    (self.cost, self.salt, self.key) = (cost, salt, key)
  }

  /// - Throws: `failed` when the memory is not there.
  public init(of secret: String) throws(StorageError) {
    var generator = SystemRandomNumberGenerator()
    salt = (0..<16).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
    cost = Cost()
    key = try Self.key(of: secret, salt, cost)
  }

  /// Reads the text.
  ///
  /// - Throws: `invalid` for any other text.
  public init(_ text: String) throws(StorageError) {
    let parts = text.split(separator: "$", omittingEmptySubsequences: false)
    guard parts.count == 6, parts[0] == "scrypt", let rounds = Int(parts[1]), let blockSize = Int(parts[2]),
      let parallelism = Int(parts[3]), let salt = Data(base64Encoded: String(parts[4])), salt.count >= 8,
      let key = Data(base64Encoded: String(parts[5])), key.count >= 16
    else { throw .invalid("password", "is kept in an unknown form; it must be like scrypt$N$r$p$salt$key.") }
    cost = Cost(rounds: rounds, blockSize: blockSize, parallelism: parallelism)
    guard cost.isBearable else { throw .invalid("password", "is kept at a cost that is out of bounds.") }
    self.salt = Array(salt)
    self.key = Array(key)
  }

  public var text: String {
    let (salt, key) = (Data(salt).base64EncodedString(), Data(key).base64EncodedString())
    return "scrypt$\(cost.rounds)$\(cost.blockSize)$\(cost.parallelism)$\(salt)$\(key)"
  }

  /// Whether it is this secret's. Takes its time on purpose, the same for every answer: not for a thread that others wait for.
  public func fits(_ secret: String) -> Bool {
    guard let other = try? Self.key(of: secret, salt, cost, count: key.count) else { return false }
    return SymmetricKey(data: key) == SymmetricKey(data: other)
  }

  private static func key(
    of secret: String, _ salt: [UInt8], _ cost: Cost, count: Int = 32
  ) throws(StorageError) -> [UInt8] {
    do {
      return try KDF.Scrypt.deriveKey(
        from: Array(secret.utf8), salt: salt, outputByteCount: count, rounds: cost.rounds, blockSize: cost.blockSize,
        parallelism: cost.parallelism
      ).withUnsafeBytes { Array($0) }
    } catch {
      throw StorageError.wrap(error, "Hashing a password")
    }
  }
}

extension PasswordHash: Codable {
  public init(from decoder: any Decoder) throws {
    try self.init(decoder.singleValueContainer().decode(String.self))
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(text)
  }
}
