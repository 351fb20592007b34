import PumiceIdentity
import PumiceModel
import PumiceWire

/// What Keystone says of a token (Identity API v3, `GET /v3/auth/tokens`), as far as we go by it.
struct KeystoneToken: Sendable, Equatable {
  let user: String
  /// `nil` for a token that is for none.
  let project: ProjectID?
  /// The greatest of those it has here; `nil` when it has none that means anything here.
  let role: Role?
  let expires: Timestamp

  /// - Parameter isVouchedFor: Whether it is good for `Token.vouchedTime` longer, whatever Keystone's own measure is.
  func end(isVouchedFor: Bool) -> Timestamp { isVouchedFor ? expires + PumiceIdentity.Token.vouchedTime : expires }

  /// - Throws: `unavailable` for an answer that makes no sense.
  init(_ body: some Collection<UInt8>) throws(StorageError) {
    let token: Body.Token
    do throws(StorageError) {
      token = try WireJSON.decode(Body.self, from: body).token
    } catch {
      throw StorageError(.unavailable, "Keystone gave an answer that makes no sense: \(error.message)")
    }
    guard let expires = Timestamp(iso8601: token.expiresAt) else {
      throw StorageError(.unavailable, "Keystone says of a token that it expires at a time that is none.")
    }
    self.init(
      user: token.user.id, project: token.project?.id,
      role: (token.roles ?? []).compactMap { Role(keystone: $0.name) }.max(), expires: expires)
  }

  init(user: String, project: ProjectID?, role: Role?, expires: Timestamp) {
    self.user = user
    self.project = project
    self.role = role
    self.expires = expires
  }

  private struct Body: Decodable {
    struct Token: Decodable {
      struct Reference: Decodable { let id: String }
      struct Named: Decodable { let name: String }

      let user: Reference
      let project: Reference?
      let roles: [Named]?
      let expiresAt: String

      enum CodingKeys: String, CodingKey {
        case user, project, roles
        case expiresAt = "expires_at"
      }
    }

    let token: Token
  }
}
