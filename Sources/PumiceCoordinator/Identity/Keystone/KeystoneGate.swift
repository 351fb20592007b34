import Crypto
import Foundation
import Logging
import PumiceModel

/// Lets in whoever shows a token that Keystone knows, and asks Keystone no more often than it must.
///
/// What Keystone said is gone by for `cacheTime`, whether it is there or not, and never beyond the token's own end: so long may a
/// token that was revoked still let somebody in. While Keystone is away, it is asked at growing intervals by one request, and
/// the others are refused at once.
actor KeystoneGate {
  /// A token is kept by its digest: what lies in memory opens nothing.
  private typealias Digest = SHA256Digest

  /// A token that is worth nothing by itself may be worth something where somebody vouches for it.
  private struct Question: Hashable {
    let digest: Digest
    let isVouchedFor: Bool
  }

  static let cacheLimit = 10_000
  /// How long a token that is worth nothing is remembered: it may be one that Keystone is just giving out.
  static let refusalTime = Duration.seconds(10)
  /// How long Keystone may take to show that it is back.
  static let probeTime = Duration.seconds(15)
  /// Tokens that are being asked about at the same time.
  static let askingLimit = 64
  /// Longer ones are nobody's (Keystone's own are of 200 bytes; JWS tokens of up to a few thousand).
  static let lengthLimit = 8192

  private struct Outage {
    let error: StorageError
    let failures: Int
    var until: Timestamp
  }

  private let authority: any TokenAuthority
  private let cacheTime: Duration
  private let now: @Sendable () -> Timestamp
  private let logger: Logger
  private var known = ExpiringCache<Digest, KeystoneToken>(limit: cacheLimit)
  /// Kept apart, so that a flood of wrong tokens drives out no right one.
  private var refused = ExpiringCache<Question, Void>(limit: cacheLimit)
  private var outage: Outage?
  /// Who waits for an answer that somebody else has asked for.
  private var asking: [Question: [CheckedContinuation<Void, Never>]] = [:]

  init(
    _ authority: any TokenAuthority, cacheTime: Duration, now: @escaping @Sendable () -> Timestamp, logger: Logger
  ) {
    self.authority = authority
    self.cacheTime = cacheTime
    self.now = now
    self.logger = logger
  }

  /// - Parameter isVouchedFor: Whether the token is good for `Token.vouchedTime` beyond its end.
  /// - Throws: `unauthenticated` for a token that is worth nothing; `unavailable` when it can't be said; `busy` when too many are
  ///   being asked about.
  func token(_ text: String, isVouchedFor: Bool = false) async throws(StorageError) -> KeystoneToken {
    guard !text.isEmpty, text.utf8.count <= Self.lengthLimit, text.utf8.allSatisfy({ (0x21...0x7E).contains($0) })
    else { throw Self.refusal }
    let question = Question(digest: SHA256.hash(data: Data(text.utf8)), isVouchedFor: isVouchedFor)
    var isProbe = false
    while true {
      let moment = now()
      if let token = known.value(question.digest, at: moment) {
        guard moment < token.end(isVouchedFor: isVouchedFor) else { throw Self.refusal }
        return token
      }
      if refused.value(question, at: moment) != nil { throw Self.refusal }
      if let outage, moment < outage.until { throw Self.away(outage.error) }
      guard asking[question] != nil else {
        // The others are refused until it is known what comes of this.
        isProbe = outage != nil
        outage?.until = moment + Self.probeTime
        break
      }
      // Whoever asked may have been cancelled: after that, all is looked at anew.
      await withCheckedContinuation { asking[question]?.append($0) }
    }
    guard asking.count < Self.askingLimit else {
      throw StorageError(.busy, "Too many tokens are being checked at the same time; ask again in a moment.")
    }
    asking[question] = []
    defer { for continuation in asking.removeValue(forKey: question) ?? [] { continuation.resume() } }
    return try await ask(about: text, question, isProbe: isProbe)
  }

  private func ask(
    about text: String, _ question: Question, isProbe: Bool
  ) async throws(StorageError) -> KeystoneToken {
    let answer: KeystoneToken?
    do throws(StorageError) {
      answer = try await authority.token(text, allowsExpired: question.isVouchedFor)
    } catch {
      note(error, isProbe: isProbe)
      throw Self.away(error)
    }
    if outage != nil { logger.notice("Keystone is back") }
    outage = nil
    let moment = now()
    guard let token = answer, moment < token.end(isVouchedFor: question.isVouchedFor) else {
      refused.keep((), for: question, until: moment + Self.refusalTime, at: moment)
      throw Self.refusal
    }
    let end = token.end(isVouchedFor: question.isVouchedFor)
    known.keep(token, for: question.digest, until: min(end, moment + cacheTime), at: moment)
    return token
  }

  private func note(_ error: StorageError, isProbe: Bool) {
    let moment = now()
    // A caller who went away says nothing of Keystone.
    guard !Task.isCancelled else {
      if isProbe { outage?.until = moment }
      return
    }
    // Of those that failed together, one counts.
    guard isProbe || outage == nil else { return }
    let failures = (outage?.failures ?? 0) + 1
    if failures == 1 { logger.error("Keystone is away", metadata: ["error": "\(error)"]) }
    let wait = min(Retry.backoff(afterAttempts: failures), .seconds(30))
    outage = Outage(error: error, failures: failures, until: moment + wait)
  }

  private static let refusal = StorageError(
    .unauthenticated, "The request needs a valid token in X-Auth-Token; Keystone does not know this one.")

  private static func away(_ error: StorageError) -> StorageError {
    StorageError(
      .unavailable, "The token can't be checked now: \(error.message) Ask again in a moment.", cause: error.cause)
  }
}
