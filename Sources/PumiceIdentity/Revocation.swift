public import PumiceModel

/// A token that is worth nothing although its time is not over.
public struct Revocation: Sendable, Equatable, Codable {
  /// The token's `audit`.
  public let audit: String
  /// When the token would have ended: the row is needed for `Token.vouchedTime` after that, and no longer.
  public let expires: Timestamp

  public init(of token: Token) {
    audit = token.audit
    expires = token.expires
  }
}
