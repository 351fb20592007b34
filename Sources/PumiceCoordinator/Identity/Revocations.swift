import HashTreeCollections
import PumiceIdentity
import PumiceModel

extension Tables {
  /// Makes a token worthless, and forgets about those whose time is over anyway. Harmless when repeated.
  mutating func revoke(_ token: Token, at now: Timestamp) {
    for old in revocations.values where old.expires < now { remove(old) }
    if token.expires >= now { put(Revocation(of: token)) }
  }
}
