import HashTreeCollections
import PumiceIdentity
import PumiceModel

extension Tables {
  /// Makes a token worthless, and forgets about those whose time is over even where another service vouches for them. Harmless when repeated.
  mutating func revoke(_ token: Token, at now: Timestamp) {
    for old in revocations.values where old.expires + Token.vouchedTime < now { remove(old) }
    if token.lastEnd >= now { put(Revocation(of: token)) }
  }
}
